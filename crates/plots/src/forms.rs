//! What several marks make together: box plots, heat maps.

use super::{BLACK, BLUE, GREY, Mark, Rgb, Stroke};

/// A box plot that lies: its numbers along x, around a height.
#[derive(Clone, Copy, Debug)]
pub struct Boxed<'a> {
    /// The lower quartile, the median and the upper quartile.
    pub quartiles: [f64; 3],
    /// Where the lines beside the box end.
    pub whiskers: [f64; 2],
    /// Values beyond them, drawn as dots.
    pub beyond: &'a [f64],
}

impl Boxed<'_> {
    /// Its marks around the height `y`; the box is `height` high.
    pub fn marks(&self, y: f64, height: f64, colour: Rgb) -> Vec<Mark> {
        let [lower, median, upper] = self.quartiles;
        let [least, most] = self.whiskers;
        let (top, bottom) = (y + height / 2.0, y - height / 2.0);
        let line = |from: [f64; 2], to: [f64; 2], colour| {
            let stroke = if colour == BLACK {
                Stroke::Solid
            } else {
                Stroke::Thin
            };
            Mark::line([from, to], stroke, colour, "")
        };
        let (near, far) = (y - height / 4.0, y + height / 4.0);
        let corners = [
            [lower, bottom],
            [upper, bottom],
            [upper, top],
            [lower, top],
            [lower, bottom],
        ];
        vec![
            Mark::cell(
                [lower, bottom],
                [upper - lower, height],
                mixed(colour, 0.35),
            ),
            Mark::line(corners, Stroke::Thin, colour, ""),
            line([least, y], [lower, y], GREY),
            line([upper, y], [most, y], GREY),
            line([least, near], [least, far], GREY),
            line([most, near], [most, far], GREY),
            line([median, bottom], [median, top], BLACK),
            Mark::dots(self.beyond.iter().map(|x| [*x, y]), 2.5, GREY, ""),
        ]
    }
}

/// Cells of length and height 1 from the origin on: `value(i, j)` is the i-th along and the j-th up, from 0 to 1; the
/// lower the stronger. Where there is none, nothing is drawn.
pub fn heat([along, up]: [usize; 2], value: impl Fn(usize, usize) -> Option<f64>) -> Vec<Mark> {
    let all = (0..up).flat_map(|j| (0..along).map(move |i| (i, j)));
    let cell = |(i, j): (usize, usize)| {
        let colour = shade(value(i, j)?);
        Some(Mark::cell([i as f64, j as f64], [1.0; 2], colour))
    };
    all.filter_map(cell).collect()
}

/// The colour of a value from 0 to 1, which are strong and faint.
pub fn shade(value: f64) -> Rgb {
    mixed(BLUE, 1.0 - 0.9 * value.clamp(0.0, 1.0))
}

/// So much of a colour on white.
fn mixed(colour: Rgb, share: f64) -> Rgb {
    colour.map(|c| (255.0 + (f64::from(c) - 255.0) * share).round() as u8)
}
