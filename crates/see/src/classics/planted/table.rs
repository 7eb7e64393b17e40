//! The table as a picture: samples, names, and a coloured cell for each score.

use ganforge_gan::metrics::Better;
use ganforge_plots::{Axis, BLUE, Mark, Panel, Plot, RED, Rgb};

use super::super::digits::called;
use super::{Material, Row, SCORES};

/// Samples of a row, and the pixels that one takes.
const SAMPLES: usize = 8;
const SIDE: f64 = 34.0;
/// Height of a row, width of the names and of a score.
const HEIGHT: f64 = 38.0;
const NAMES: f64 = 190.0;
const WIDTH: f64 = 76.0;
/// Room above for what the columns are called, and below for what the colours mean.
const ABOVE: f64 = 44.0;
const BELOW: f64 = 34.0;
/// Grey levels that are told apart.
const LEVELS: f32 = 16.0;
/// Ranges of real images outside of theirs from which on a colour is as strong as it gets.
const FAR: f64 = 300.0;

/// A score beside those of draws of real images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// As theirs, or outside of their range by no more than its width.
    Same,
    /// Further outside on the wrong side, by so many widths; where no side is the right one, on any.
    Worse(f64),
    /// Further outside on the right side.
    Better(f64),
}

/// What a score says, beside the least and the greatest one of real images.
pub(super) fn verdict(score: f64, [least, most]: [f64; 2], better: &Better) -> Verdict {
    let (width, by) = (most - least, (least - score).max(score - most));
    match better {
        _ if by <= width => Verdict::Same,
        Better::Lower if score < least => Verdict::Better(by / width),
        Better::Higher if score > most => Verdict::Better(by / width),
        _ => Verdict::Worse(by / width),
    }
}

impl Verdict {
    fn colour(self) -> Rgb {
        let mixed = |colour: Rgb, widths: f64| {
            let share = 0.2 + 0.55 * (widths.ln() / FAR.ln()).min(1.0);
            colour.map(|c| (255.0 - share * (255.0 - f64::from(c))).round() as u8)
        };
        match self {
            Verdict::Same => [244; 3],
            Verdict::Worse(widths) => mixed(RED, widths),
            Verdict::Better(widths) => mixed(BLUE, widths),
        }
    }
}

/// The picture, whose units are its pixels.
pub(super) fn plot(material: &Material, rows: &[Row], range: [[f64; SCORES.len()]; 2]) -> Plot {
    let names = SIDE * SAMPLES as f64 + 10.0;
    let scores = names + NAMES;
    let width = scores + WIDTH * SCORES.len() as f64;
    let height = ABOVE + HEIGHT * rows.len() as f64 + BELOW;
    let mut marks = Vec::new();
    for (i, score) in SCORES.iter().enumerate() {
        let x = scores + WIDTH * i as f64 + 4.0;
        let better = match score.better {
            Better::Lower => "low",
            Better::Higher => "high",
            Better::Neither => "as real",
        };
        marks.push(Mark::text([x, height - 12.0], score.label));
        marks.push(Mark::text([x, height - 30.0], better));
    }
    marks.push(Mark::text([scores - 64.0, height - 30.0], "good is"));
    for (i, row) in rows.iter().enumerate() {
        let y = height - ABOVE - HEIGHT * (i + 1) as f64;
        let d = material.known.d();
        for (j, image) in row.samples.chunks_exact(d).take(SAMPLES).enumerate() {
            let corner = [SIDE * j as f64, y + (HEIGHT - SIDE) / 2.0];
            picture(&mut marks, image, material.data.width, corner);
        }
        marks.push(Mark::text([names, y + HEIGHT / 2.0], row.name.as_str()));
        for (j, (value, score)) in row.scores.iter().zip(&SCORES).enumerate() {
            let of_real = [range[0][j], range[1][j]];
            let colour = verdict(*value, of_real, &score.better).colour();
            let x = scores + WIDTH * j as f64;
            marks.push(Mark::cell(
                [x, y + 1.0],
                [WIDTH - 2.0, HEIGHT - 2.0],
                colour,
            ));
            let text = format!("{:.*}", score.decimals, without_dust(*value)).replace('-', "−");
            marks.push(Mark::text([x + 8.0, y + HEIGHT / 2.0], text));
        }
    }
    let meanings = [
        (Verdict::Same, "as other real images"),
        (
            Verdict::Worse(30.0),
            "the score sees that something is wrong",
        ),
        (
            Verdict::Better(30.0),
            "the score likes it better than real images",
        ),
    ];
    let mut x = 0.0;
    for (verdict, meaning) in meanings {
        marks.push(Mark::cell([x, 4.0], [26.0, 16.0], verdict.colour()));
        marks.push(Mark::text([x + 34.0, 12.0], meaning));
        x += 70.0 + 7.6 * meaning.len() as f64;
    }
    let (n, data) = (material.n, called(&material.data));
    Plot {
        panel_size: [width as u32 + 20, height as u32 + 46],
        columns: 1,
        panels: vec![Panel {
            title: format!(
                "What scores see of planted faults: {n} images of {data} against {n} test images, features of mnistnet"
            ),
            x: Axis::hidden([0.0, width]),
            y: Axis::hidden([0.0, height]),
            marks,
            ..Panel::default()
        }],
    }
}

/// 0 for what is as good as that, so that it is not printed as -0.
fn without_dust(value: f64) -> f64 {
    if value.abs() < 1e-9 { 0.0 } else { value }
}

/// A grey image: black, and on it each run of pixels of one grey as a cell.
fn picture(marks: &mut Vec<Mark>, image: &[f32], width: usize, [left, bottom]: [f64; 2]) {
    let pixel = (SIDE - 2.0) / width as f64;
    let rows = image.len() / width;
    marks.push(Mark::cell(
        [left, bottom],
        [SIDE - 2.0, pixel * rows as f64],
        [0; 3],
    ));
    let grey = |x: f32| ((x * LEVELS).round() / LEVELS * 255.0).round() as u8;
    for (y, row) in image.chunks_exact(width).enumerate() {
        let row: Vec<u8> = row.iter().map(|x| grey(*x)).collect();
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run[0] > 0 {
                let corner = [
                    left + pixel * x as f64,
                    bottom + pixel * (rows - 1 - y) as f64,
                ];
                marks.push(Mark::cell(
                    corner,
                    [pixel * run.len() as f64, pixel],
                    [run[0]; 3],
                ));
            }
            x += run.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Better as Likes, Same, Worse};
    use super::*;

    #[test]
    fn a_verdict_is_the_distance_from_real_images_in_their_ranges() {
        let of = |score, better| verdict(score, [1.0, 2.0], &better);
        for (score, low, high, real) in [
            (1.5, Same, Same, Same),
            (0.0, Same, Same, Same),
            (3.0, Same, Same, Same),
            (-3.0, Likes(4.0), Worse(4.0), Worse(4.0)),
            (6.0, Worse(4.0), Likes(4.0), Worse(4.0)),
        ] {
            assert_eq!(of(score, Better::Lower), low);
            assert_eq!(of(score, Better::Higher), high);
            assert_eq!(of(score, Better::Neither), real);
        }
        // Where all real images have one score.
        let one = |score| verdict(score, [1.0; 2], &Better::Higher);
        assert_eq!([one(1.0), one(0.0)], [Same, Worse(f64::INFINITY)]);
    }

    #[test]
    fn colours_grow_stronger_with_the_distance() {
        let [near, far, further] = [1.5, 30.0, 1e6].map(|widths| Worse(widths).colour()[2]);
        assert!(near > far && far > further, "{near} {far} {further}");
        assert_eq!(Worse(FAR).colour(), Worse(f64::INFINITY).colour());
    }

    #[test]
    fn a_picture_is_drawn_in_runs_from_the_top() {
        let mut marks = Vec::new();
        picture(&mut marks, &[0.0, 1.0, 1.0, 0.5, 0.0, 0.0], 3, [10.0, 20.0]);
        let pixel = (SIDE - 2.0) / 3.0;
        let cells = marks.iter().map(|mark| match mark {
            Mark::Cell { corners, colour } => (*corners, colour[0]),
            other => panic!("{other:?}"),
        });
        let [right, top] = [10.0 + 3.0 * pixel, 20.0 + 2.0 * pixel];
        let expected = [
            ([[10.0, 20.0], [right, top]], 0),
            ([[10.0 + pixel, 20.0 + pixel], [right, top]], 255),
            ([[10.0, 20.0], [10.0 + pixel, 20.0 + pixel]], 128),
        ];
        for (found, (corners, grey)) in cells.zip(expected) {
            let pairs = found.0.iter().flatten().zip(corners.iter().flatten());
            assert!(
                pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-9),
                "{found:?}"
            );
            assert_eq!(found.1, grey);
        }
        assert_eq!(marks.len(), 3);
    }
}
