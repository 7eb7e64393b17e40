//! Plots: lines, dots, arrows, cells and box plots in panels, the same drawing as PNG and as SVG.
//!
//! ```
//! use ganforge_plots::{Axis, BLUE, Mark, Panel, Plot, Stroke};
//! let bell = (0..=100).map(|i| 0.06 * f64::from(i) - 3.0).map(|x| [x, (-x * x / 2.0).exp()]);
//! let panel = Panel {
//!     title: "a bell".into(),
//!     x: Axis::new("x", [-3.0, 3.0]),
//!     y: Axis::new("density", [0.0, 1.05]),
//!     marks: vec![Mark::line(bell, Stroke::Solid, BLUE, "exp(-x²/2)")],
//!     ..Panel::default()
//! };
//! let plot = Plot { panel_size: [400, 300], columns: 1, panels: vec![panel] };
//! assert_eq!((plot.image()?.size().width, plot.image()?.size().height), (400, 300));
//! assert!(plot.svg()?.contains("a bell"));
//! # Ok::<(), ganforge_plots::Error>(())
//! ```

#![forbid(unsafe_code)]

mod draw;
mod forms;

use std::path::Path;
use std::time::Duration;

use plotters::prelude::{BitMapBackend, SVGBackend};

use ganforge_data::files::write_atomic;
use ganforge_data::pictures::PictureError;
use ganforge_data::{ImageSize, Picture};

pub use forms::{Boxed, heat, shade};

/// Pixels drawn per pixel of the picture: what its edges are smoothed from.
const FINE: u32 = 3;

/// A colour: red, green, blue.
pub type Rgb = [u8; 3];
/// Text, axes, data.
pub const BLACK: Rgb = [0, 0, 0];
/// What is of less weight.
pub const GREY: Rgb = [140, 140, 140];
/// Discriminators.
pub const BLUE: Rgb = [31, 87, 186];
/// Generators.
pub const GREEN: Rgb = [24, 137, 60];
/// A third one.
pub const RED: Rgb = [200, 50, 40];

/// Panels in rows, left to right.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// Width and height of a panel in pixels.
    pub panel_size: [u32; 2],
    /// Panels beside each other.
    pub columns: usize,
    /// The panels.
    pub panels: Vec<Panel>,
}

/// One coordinate system and what is drawn in it.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// Above it.
    pub title: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// Drawn in this order; what has a label stands in the legend.
    pub marks: Vec<Mark>,
    /// Whether a unit is as long on y as on x; one of the ranges is widened for it.
    pub is_round: bool,
    /// Where the legend stands.
    pub legend: Corner,
}

/// A corner of a panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corner {
    /// Where most curves leave room.
    #[default]
    UpperRight,
    /// Upper left.
    UpperLeft,
    /// Lower right.
    LowerRight,
    /// Lower left.
    LowerLeft,
}

/// An axis of a panel.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// Beside it.
    pub label: String,
    /// From, to.
    pub range: [f64; 2],
    /// About how many numbers stand on it; 0: there is no axis.
    pub ticks: usize,
    /// Whether range and points are decimal logarithms: the numbers on the axis are powers of 10.
    pub is_log: bool,
    /// Words at places of the range, instead of numbers. Below the panel they stand upright where they are too long.
    pub names: Vec<(f64, String)>,
}

impl Axis {
    /// An axis with some numbers on it.
    pub fn new(label: &str, range: [f64; 2]) -> Axis {
        Axis {
            label: label.into(),
            range,
            ticks: 6,
            is_log: false,
            names: Vec::new(),
        }
    }

    /// An axis with words in the middle of cells of length 1, from 0 on.
    pub fn named(label: &str, names: impl IntoIterator<Item = String>) -> Axis {
        let names = names.into_iter().enumerate();
        let names: Vec<_> = names.map(|(i, name)| (i as f64 + 0.5, name)).collect();
        Axis {
            range: [0.0, names.len().max(1) as f64],
            names,
            ..Axis::new(label, [0.0; 2])
        }
    }

    /// A logarithmic axis: range and points are decimal logarithms.
    pub fn powers(label: &str, range: [f64; 2]) -> Axis {
        Axis {
            is_log: true,
            ..Axis::new(label, range)
        }
    }

    /// A range without an axis.
    pub fn hidden(range: [f64; 2]) -> Axis {
        Axis {
            range,
            ..Axis::default()
        }
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Unbroken.
    Solid,
    /// - - -
    Dashed,
    /// . . .
    Dotted,
    /// Unbroken and thin.
    Thin,
}

/// Something drawn in a panel. Points are [x, y]; those beyond the axes are not drawn, lines run along the edge there.
#[derive(Clone, Debug)]
pub enum Mark {
    /// A line through points.
    Line {
        /// The points.
        points: Vec<[f64; 2]>,
        /// How.
        stroke: Stroke,
        /// Its colour.
        colour: Rgb,
        /// Its name in the legend; empty: none.
        label: String,
    },
    /// Filled circles.
    Dots {
        /// Their centres.
        points: Vec<[f64; 2]>,
        /// Radius in pixels.
        radius: f64,
        /// Their colour.
        colour: Rgb,
        /// Their name in the legend; empty: none.
        label: String,
    },
    /// An arrow.
    Arrow {
        /// Where it begins.
        from: [f64; 2],
        /// Where it points.
        to: [f64; 2],
        /// Its colour.
        colour: Rgb,
    },
    /// A filled rectangle.
    Cell {
        /// Its lower left and its upper right corner.
        corners: [[f64; 2]; 2],
        /// Its colour.
        colour: Rgb,
    },
    /// Words, centred in height on a point.
    Text {
        /// The point.
        at: [f64; 2],
        /// Whether the point is their middle; else they begin there.
        is_centred: bool,
        /// The words.
        text: String,
        /// Their colour.
        colour: Rgb,
    },
}

impl Mark {
    /// A line through points.
    pub fn line(
        points: impl IntoIterator<Item = [f64; 2]>,
        stroke: Stroke,
        colour: Rgb,
        label: &str,
    ) -> Mark {
        Mark::Line {
            points: points.into_iter().collect(),
            stroke,
            colour,
            label: label.into(),
        }
    }

    /// A circle whose radius is in the units of the axes.
    pub fn circle([x, y]: [f64; 2], radius: f64, colour: Rgb, label: &str) -> Mark {
        let angles = (0..=48).map(|i| std::f64::consts::TAU * f64::from(i) / 48.0);
        let points = angles.map(|a| [x + radius * a.cos(), y + radius * a.sin()]);
        Mark::line(points, Stroke::Thin, colour, label)
    }

    /// A filled rectangle from its lower left corner.
    pub fn cell([x, y]: [f64; 2], [width, height]: [f64; 2], colour: Rgb) -> Mark {
        Mark::Cell {
            corners: [[x, y], [x + width, y + height]],
            colour,
        }
    }

    /// Words, black, left-aligned and centred in height on a point.
    pub fn text(at: [f64; 2], text: impl Into<String>) -> Mark {
        Mark::Text {
            at,
            is_centred: false,
            text: text.into(),
            colour: BLACK,
        }
    }

    /// Filled circles.
    pub fn dots(
        points: impl IntoIterator<Item = [f64; 2]>,
        radius: f64,
        colour: Rgb,
        label: &str,
    ) -> Mark {
        Mark::Dots {
            points: points.into_iter().collect(),
            radius,
            colour,
            label: label.into(),
        }
    }
}

impl Plot {
    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        let columns = self.columns.max(1);
        let rows = self.panels.len().div_ceil(columns);
        let [w, h] = self.panel_size;
        [w * columns as u32, h * rows as u32]
    }

    /// The picture.
    ///
    /// # Errors
    /// A size or a range that cannot be drawn.
    pub fn image(&self) -> Result<Picture> {
        let [w, h] = self.size();
        let (fine_w, fine_h) = (w * FINE, h * FINE);
        let (height, width, fine) = (h as usize, w as usize, FINE as usize);
        let mut drawn = vec![0; 3 * fine * fine * width * height];
        let canvas = BitMapBackend::with_buffer(&mut drawn, (fine_w, fine_h));
        draw::plot(self, canvas, FINE)?;
        // Each pixel is the mean of those drawn in its place.
        let mut bytes = Vec::with_capacity(3 * width * height);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for channel in 0..3 {
                let mut sum = 0;
                for (i, j) in (0..fine).flat_map(|i| (0..fine).map(move |j| (i, j))) {
                    let at = (fine * y + i) * fine * width + fine * x + j;
                    sum += usize::from(drawn[3 * at + channel]);
                }
                bytes.push((sum / (fine * fine)) as u8);
            }
        }
        let size = ImageSize {
            height,
            width,
            channels: 3,
        };
        Picture::new(size, bytes).ok_or_else(|| error("no picture"))
    }

    /// The same as an SVG file.
    ///
    /// # Errors
    /// As [`Plot::image`].
    pub fn svg(&self) -> Result<String> {
        // Coordinates are whole numbers there too, and so drawn as finely.
        let [w, h] = self.size();
        let mut svg = String::new();
        let canvas = SVGBackend::with_string(&mut svg, (w * FINE, h * FINE));
        draw::plot(self, canvas, FINE)?;
        let fine = format!("width=\"{}\" height=\"{}\"", w * FINE, h * FINE);
        Ok(svg.replacen(&fine, &format!("width=\"{w}\" height=\"{h}\""), 1))
    }

    /// Writes `stem`.png and `stem`.svg.
    ///
    /// # Errors
    /// As [`Plot::image`]; what the system refuses.
    pub fn save(&self, stem: &Path) -> Result<()> {
        self.image()?.save(&stem.with_extension("png"))?;
        let svg = self.svg()?;
        let write = |file: &mut dyn std::io::Write| file.write_all(svg.as_bytes());
        let written = write_atomic(&stem.with_extension("svg"), write);
        Ok(written.map_err(PictureError::from)?)
    }
}

/// Writes plots one after another as an animated GIF that begins again after the last one. Each plot comes with the time
/// that it stands.
///
/// # Errors
/// As [`Plot::image`]; what the system refuses.
pub fn animate(plots: &[(Plot, Duration)], path: &Path) -> Result<()> {
    let size = plots.first().map_or([0; 2], |(plot, _)| plot.size());
    let side = |side: u32| u16::try_from(side).map_err(error);
    let (width, height) = (side(size[0])?, side(size[1])?);
    let mut bytes = Vec::new();
    let mut gif = gif::Encoder::new(&mut bytes, width, height, &[]).map_err(error)?;
    gif.set_repeat(gif::Repeat::Infinite).map_err(error)?;
    for (plot, time) in plots {
        if plot.size() != size {
            return Err(error("the plots of an animation differ in size"));
        }
        let image = plot.image()?;
        let mut frame = gif::Frame::from_rgb_speed(width, height, image.bytes(), 10);
        frame.delay = u16::try_from(time.as_millis() / 10).unwrap_or(u16::MAX);
        gif.write_frame(&frame).map_err(error)?;
    }
    drop(gif);
    let written = write_atomic(path, |file| file.write_all(&bytes));
    Ok(written.map_err(PictureError::from)?)
}

/// Why there is no plot.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be drawn.
    #[error("plot: {0}")]
    Draw(String),
    /// It cannot be written.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

ganforge_kernels::debug_as_display!(Error);

/// A plot's result.
pub type Result<T> = std::result::Result<T, Error>;

fn error(reason: impl std::fmt::Display) -> Error {
    Error::Draw(reason.to_string())
}

#[cfg(test)]
mod tests;
