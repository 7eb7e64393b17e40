//! Plots of a generator's samples on a toy set: with the modes, or as a density with that of the data.

use ganforge_tensor::words::counted;

use crate::data::{DataSet, Mixture, Picture};
use crate::error::Result;
use crate::metrics::{density, modes};
use ganforge_plots::{Axis, BLACK, GREEN, GREY, Mark, Panel, Plot, Stroke};

/// The picture of samples [n, d] of a toy set; none of images.
///
/// # Errors
/// None but the drawing library's.
pub fn picture(samples: &[f32], set: &DataSet) -> Result<Option<Picture>> {
    let panel = match set.mixture() {
        Some(truth) if truth.d == 1 => densities(samples, &truth),
        Some(truth) => scatter(samples, &truth),
        None => return Ok(None),
    };
    let plot = Plot {
        panel_size: [480, 400],
        columns: 1,
        panels: vec![panel],
    };
    Ok(Some(plot.image()?))
}

/// Samples [n, 2] among the modes of the data; around each mode a circle, inside which the score counts a sample as one of
/// high quality.
pub fn scatter(samples: &[f32], truth: &Mixture) -> Panel {
    let furthest = truth.centres.iter().fold(0.0_f64, |m, c| m.max(c.abs()));
    let range = [-furthest - 0.7, furthest + 0.7];
    let samples = samples.as_chunks::<2>().0;
    let points = samples.iter().map(|s| s.map(f64::from));
    let centres = truth.centres.as_chunks::<2>().0.iter().enumerate();
    let radius = modes::NEAR * truth.sd;
    let circles = centres.map(|(i, centre)| {
        let label = format!("within {radius} of a mode");
        Mark::circle(*centre, radius, GREY, if i == 0 { &label } else { "" })
    });
    let samples_of_g = Mark::dots(points, 1.0, GREEN, "samples of G");
    Panel {
        title: counted(samples.len(), "sample"),
        x: Axis::new("first coordinate", range),
        y: Axis::new("second coordinate", with_legend(range)),
        marks: [samples_of_g].into_iter().chain(circles).collect(),
        is_round: true,
        ..Panel::default()
    }
}

/// A range upwards with room for two lines of a legend.
pub fn with_legend([lo, hi]: [f64; 2]) -> [f64; 2] {
    [lo, hi + 0.17 * (hi - lo)]
}

/// The density of samples on the line beside that of the data.
pub fn densities(samples: &[f32], truth: &Mixture) -> Panel {
    let h = density::histogram(samples, truth);
    let (peak, range) = (truth.density(&truth.centres[..1]), h.range);
    let data = h.centres().map(|x| [x, truth.density(&[x])]);
    let density = h.centres().zip(h.densities()).map(|(x, q)| [x, q]);
    Panel {
        title: counted(samples.len(), "sample"),
        x: Axis::new("x", range),
        y: Axis::new("density", [0.0, 2.0 * peak]),
        marks: vec![
            Mark::line(data, Stroke::Dotted, BLACK, "data"),
            Mark::line(density, Stroke::Solid, GREEN, "samples"),
        ],
        ..Panel::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{GAUSSIAN, GRID, MNIST, RING};

    #[test]
    fn toy_sets_have_pictures_of_their_own() {
        for toy in [&RING, &GRID, &GAUSSIAN] {
            let samples = toy.draw(1).test.to_f32(0..500).unwrap();
            let picture = picture(&samples, &DataSet::Toy(toy)).unwrap();
            let picture = picture.expect("a toy set");
            let pixels = picture.bytes().as_chunks::<3>().0.iter();
            let green = pixels.filter(|p| **p == GREEN).count();
            assert!(green > 30, "{toy:?}: {green}");
        }
        assert!(
            picture(&[0.5; 784], &DataSet::Published(&MNIST))
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn modes_are_drawn_as_wide_as_the_score_counts_samples() {
        let truth = RING.mixture();
        let panel = scatter(&[2.0, 0.0], &truth);
        let circles = panel.marks.iter().filter_map(|mark| match mark {
            Mark::Line { points, .. } => Some(points),
            _ => None,
        });
        let centres = truth.centres.as_chunks::<2>().0;
        assert_eq!(circles.clone().count(), centres.len());
        for (circle, centre) in circles.zip(centres) {
            for edge in circle {
                // The score's own count, a hair inside of the edge and a hair outside.
                let at =
                    |share: f64| [0, 1].map(|i| (centre[i] + share * (edge[i] - centre[i])) as f32);
                let near = |share: f64| modes::near(&at(share), &truth).iter().sum::<usize>();
                assert_eq!((near(0.999), near(1.001)), (1, 0), "{edge:?}");
            }
        }
    }

    #[test]
    fn samples_that_are_no_numbers_are_not_drawn() {
        for toy in [&RING, &GAUSSIAN] {
            let samples = [f32::NAN, f32::INFINITY, 1e30, -1e30];
            assert!(picture(&samples, &DataSet::Toy(toy)).is_ok());
        }
    }
}
