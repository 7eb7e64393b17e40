//! Images under windows and at other sizes: pooling, interpolation, their adjoints, maxima.
//!
//! Images are [n, h, w, channels]. A sum, a mean and an interpolation are separable: each position of the result along an
//! axis draws on a run of neighbours, each with a weight, and the weight of a pixel is the product of those of its row and
//! its column. So one kernel computes all of them, and their adjoints. Each number is a sum over rows, then columns, in
//! order: results do not depend on the number of threads.

use std::ops::Range;

use super::multiversion::multiversion;
use super::par;

/// Numbers of the result behind one task.
const TASK: usize = 1 << 14;
/// Channels whose sums stay in the first-level cache.
const CACHED: usize = 2048;
/// Channels whose maxima are found together.
const STRIP: usize = 64;

/// What the sum over a window is divided by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Divisor {
    /// Nothing.
    One,
    /// The cells of the window.
    Kernel,
    /// Those of them that lie inside the image.
    Inside,
}

/// How positions of a result lie on those of an image, along one axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taps {
    /// Position i: the sum of the `kernel` pixels from i · stride - pad on that lie inside the image, divided.
    Window {
        /// Pixels of a window.
        kernel: usize,
        /// From one window to the next.
        stride: usize,
        /// Where the first one begins, before the image.
        pad: usize,
        /// By what.
        divisor: Divisor,
    },
    /// Linear between the centres of the two nearest pixels; beyond the outermost centres their pixel.
    Linear,
}

/// The map along one axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axis {
    /// How results lie on pixels.
    pub taps: Taps,
    /// Pixels of the image.
    pub image: usize,
    /// Positions of the result.
    pub result: usize,
    /// Whether the map goes back, from results to pixels.
    pub is_adjoint: bool,
}

impl Axis {
    /// How many numbers it reads and writes.
    pub fn lengths(&self) -> [usize; 2] {
        match self.is_adjoint {
            true => [self.result, self.image],
            false => [self.image, self.result],
        }
    }

    /// What position `to` of what it writes draws on.
    #[inline(always)]
    fn sources(&self, to: usize) -> Range<usize> {
        match self.is_adjoint {
            true => self.results(to),
            false => self.pixels(to),
        }
    }

    /// The weight of source `from` at position `to`.
    #[inline(always)]
    fn weight(&self, to: usize, from: usize) -> f32 {
        match self.is_adjoint {
            true => self.weight_of(from, to),
            false => self.weight_of(to, from),
        }
    }

    /// The pixels that result i draws on.
    #[inline(always)]
    fn pixels(&self, i: usize) -> Range<usize> {
        match self.taps {
            Taps::Window {
                kernel,
                stride,
                pad,
                ..
            } => {
                let start = i * stride;
                let end = (start + kernel).saturating_sub(pad).min(self.image);
                start.saturating_sub(pad).min(end)..end
            }
            Taps::Linear => {
                let (first, rest) = self.between(i);
                let is_between = rest > 0 && first + 1 < self.image;
                first..first + 1 + usize::from(is_between)
            }
        }
    }

    /// The results that draw on pixel a.
    #[inline(always)]
    fn results(&self, a: usize) -> Range<usize> {
        let [first, end] = match self.taps {
            Taps::Window {
                kernel,
                stride,
                pad,
                ..
            } => {
                let last = a + pad;
                [
                    (last + 1).saturating_sub(kernel).div_ceil(stride),
                    last / stride + 1,
                ]
            }
            Taps::Linear => {
                // Those with a - 1 < position < a + 1, where position = ((2 i + 1) image / result - 1) / 2.
                let at = |k: usize| k * self.result;
                let first = match a {
                    0 => 0,
                    _ => (at(2 * a - 1) / self.image).div_ceil(2),
                };
                let end = match a + 1 < self.image {
                    true => at(2 * a + 3).div_ceil(self.image) / 2,
                    false => self.result,
                };
                [first, end]
            }
        };
        let end = end.min(self.result);
        first.min(end)..end
    }

    /// The weight of pixel a in result i, which draws on it.
    #[inline(always)]
    fn weight_of(&self, i: usize, a: usize) -> f32 {
        match self.taps {
            Taps::Window {
                kernel, divisor, ..
            } => match divisor {
                Divisor::One => 1.0,
                Divisor::Kernel => 1.0 / kernel as f32,
                Divisor::Inside => 1.0 / self.pixels(i).len() as f32,
            },
            Taps::Linear => {
                let (first, rest) = self.between(i);
                let whole = 2 * self.result;
                match a {
                    _ if first + 1 >= self.image => 1.0,
                    a if a == first => (whole - rest) as f32 / whole as f32,
                    _ => rest as f32 / whole as f32,
                }
            }
        }
    }

    /// The pixel at or before the centre of result i, and how far behind it that lies, in parts of which `2 · result` make
    /// a pixel.
    #[inline(always)]
    fn between(&self, i: usize) -> (usize, usize) {
        let at = ((2 * i + 1) * self.image).saturating_sub(self.result);
        let first = at / (2 * self.result);
        match first < self.image {
            true => (first, at % (2 * self.result)),
            false => (self.image - 1, 0),
        }
    }
}

multiversion! {
    /// Row `to` of a result from its image.
    fn resample_row(x: &[f32], axes: &[Axis; 2], channels: usize, to: usize, y: &mut [f32]) {
        let [rows, columns] = axes;
        let width = columns.lengths()[0];
        for (j, y) in y.chunks_exact_mut(channels).enumerate() {
            let run = columns.sources(j);
            for (strip, y) in y.chunks_mut(CACHED).enumerate() {
                y.fill(0.0);
                for a in rows.sources(to) {
                    let weight = rows.weight(to, a);
                    for b in run.clone() {
                        let weight = weight * columns.weight(j, b);
                        let at = (a * width + b) * channels + strip * CACHED;
                        for (y, x) in y.iter_mut().zip(&x[at..]) {
                            *y += weight * x;
                        }
                    }
                }
            }
        }
    }
}

/// y [n, .., .., channels] from x [n, .., .., channels], height and width by `axes`.
///
/// # Panics
/// Where an array is not of whole images, or x and y are of another number of them.
pub fn resample(x: &[f32], axes: [Axis; 2], channels: usize, y: &mut [f32]) {
    let [[from_h, to_h], [from_w, to_w]] = axes.map(|axis| axis.lengths());
    let [from, row] = [from_h * from_w * channels, to_w * channels];
    let rows = images("resample", x.len(), from, y.len(), to_h * row) * to_h;
    if rows * row == 0 {
        return;
    }
    par::chunks_mut(y, (TASK / row).max(1) * row, |start, part| {
        for (i, y) in part.chunks_exact_mut(row).enumerate() {
            let at = start / row + i;
            let x = &x[at / to_h * from..(at / to_h + 1) * from];
            resample_row(x, &axes, channels, at % to_h, y);
        }
    });
}

/// How many images there are; panics where the arrays are not whole ones, or not as many.
#[track_caller]
fn images(name: &str, x: usize, image: usize, y: usize, result: usize) -> usize {
    let n = [(x, image), (y, result)].map(|(all, one)| all.checked_div(one));
    let n = n[0].or(n[1]).unwrap_or(0);
    assert_eq!(
        [x, y],
        [n * image, n * result],
        "{name}: not as many images of {image} as results of {result}"
    );
    n
}

/// Windows on images, of which each channel has a maximum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windows {
    /// Height and width of the image.
    pub image: [usize; 2],
    /// Of a window.
    pub kernel: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// Where the first one begins, before the image.
    pub pad: [usize; 2],
    /// How many windows.
    pub result: [usize; 2],
    /// Numbers of a pixel.
    pub channels: usize,
}

impl Windows {
    fn axis(&self, d: usize) -> Axis {
        Axis {
            taps: Taps::Window {
                kernel: self.kernel[d],
                stride: self.stride[d],
                pad: self.pad[d],
                divisor: Divisor::One,
            },
            image: self.image[d],
            result: self.result[d],
            is_adjoint: false,
        }
    }

    /// The numbers of an image and of a result.
    pub fn lengths(&self) -> [usize; 2] {
        [self.image, self.result].map(|[h, w]| h * w * self.channels)
    }

    /// The number of the cell in which pixel (a, b) lies in window (i, j).
    #[inline(always)]
    fn cell(&self, [i, j]: [usize; 2], [a, b]: [usize; 2]) -> usize {
        let row = a + self.pad[0] - i * self.stride[0];
        row * self.kernel[1] + b + self.pad[1] - j * self.stride[1]
    }

    /// Calls `f(x, i, y)` for each row i of each result y with its image x, wherever `x` has one.
    fn rows(
        &self,
        [from, to]: [usize; 2],
        height: usize,
        y: &mut [f32],
        f: impl Fn(Range<usize>, usize, &mut [f32]) + Sync,
    ) {
        if to == 0 || y.is_empty() {
            return;
        }
        let row = to / height;
        par::chunks_mut(y, (TASK / row).max(1) * row, |start, part| {
            for (i, y) in part.chunks_exact_mut(row).enumerate() {
                let (image, i) = ((start / row + i) / height, (start / row + i) % height);
                f(image * from..(image + 1) * from, i, y);
            }
        });
    }
}

multiversion! {
    /// The cells of the maxima of row `i` of a result.
    fn arg_max_row(x: &[f32], w: &Windows, i: usize, index: &mut [f32]) {
        let (rows, columns) = (w.axis(0), w.axis(1));
        for (j, index) in index.chunks_exact_mut(w.channels).enumerate() {
            for (strip, index) in index.chunks_mut(STRIP).enumerate() {
                let mut best = [0.0f32; STRIP];
                let best = &mut best[..index.len()];
                let mut is_first = true;
                for a in rows.pixels(i) {
                    for b in columns.pixels(j) {
                        let cell = w.cell([i, j], [a, b]) as f32;
                        let at = (a * w.image[1] + b) * w.channels + strip * STRIP;
                        for ((best, index), &v) in best.iter_mut().zip(index.iter_mut()).zip(&x[at..]) {
                            let beats = is_first | (v > *best) | (v.is_nan() & !best.is_nan());
                            *best = if beats { v } else { *best };
                            *index = if beats { cell } else { *index };
                        }
                        is_first = false;
                    }
                }
            }
        }
    }

    /// What the indexed cells of row `i` of a result hold.
    fn take_row(x: &[f32], index: &[f32], w: &Windows, i: usize, y: &mut [f32]) {
        let (rows, columns) = (w.axis(0), w.axis(1));
        let windows = y.chunks_exact_mut(w.channels).zip(index.chunks_exact(w.channels));
        for (j, (y, index)) in windows.enumerate() {
            y.fill(0.0);
            for a in rows.pixels(i) {
                for b in columns.pixels(j) {
                    let cell = w.cell([i, j], [a, b]) as f32;
                    let at = (a * w.image[1] + b) * w.channels;
                    for ((y, &x), &index) in y.iter_mut().zip(&x[at..]).zip(index) {
                        *y = if index == cell { x } else { *y };
                    }
                }
            }
        }
    }

    /// Row `a` of an image: what the windows put there.
    fn put_row(dy: &[f32], index: &[f32], w: &Windows, a: usize, dx: &mut [f32]) {
        let (rows, columns) = (w.axis(0), w.axis(1));
        for (b, dx) in dx.chunks_exact_mut(w.channels).enumerate() {
            dx.fill(0.0);
            for i in rows.results(a) {
                for j in columns.results(b) {
                    let cell = w.cell([i, j], [a, b]) as f32;
                    let at = (i * w.result[1] + j) * w.channels;
                    for ((dx, &dy), &index) in dx.iter_mut().zip(&dy[at..]).zip(&index[at..]) {
                        *dx += if index == cell { dy } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// The cell of each window's maximum, numbered row by row: the first of equals, a NaN counts as largest.
///
/// x: [n, image, channels], index: [n, result, channels]
///
/// # Panics
/// Where an array is not of whole images, or x and index are of another number of them.
pub fn arg_max(x: &[f32], w: Windows, index: &mut [f32]) {
    let lengths = w.lengths();
    images("pool_arg_max", x.len(), lengths[0], index.len(), lengths[1]);
    w.rows(lengths, w.result[0], index, |image, i, index| {
        arg_max_row(&x[image], &w, i, index);
    });
}

/// The number in the indexed cell of each window; 0 where that lies outside of the image.
///
/// x: [n, image, channels], index, y: [n, result, channels]
///
/// # Panics
/// As [`arg_max`].
pub fn take(x: &[f32], index: &[f32], w: Windows, y: &mut [f32]) {
    let lengths = w.lengths();
    images("pool_take", x.len(), lengths[0], y.len(), lengths[1]);
    assert_eq!(index.len(), y.len(), "pool_take: lengths of index and y");
    w.rows(lengths, w.result[0], y, |image, i, y| {
        let start = image.start / lengths[0].max(1) * lengths[1] + i * y.len();
        take_row(&x[image], &index[start..start + y.len()], &w, i, y);
    });
}

/// The adjoint of [`take`]: each number of dy added at the indexed cell of its window.
///
/// dy, index: [n, result, channels], dx: [n, image, channels]
///
/// # Panics
/// As [`arg_max`].
pub fn put(dy: &[f32], index: &[f32], w: Windows, dx: &mut [f32]) {
    let [image, result] = w.lengths();
    images("pool_put", dx.len(), image, dy.len(), result);
    assert_eq!(index.len(), dy.len(), "pool_put: lengths of index and dy");
    w.rows([result, image], w.image[0], dx, |windows, a, dx| {
        put_row(&dy[windows.clone()], &index[windows], &w, a, dx);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every axis of small sizes.
    fn axes() -> Vec<Axis> {
        let mut all = Vec::new();
        for image in 1..8 {
            for result in 1..12 {
                let axis = |taps| Axis {
                    taps,
                    image,
                    result,
                    is_adjoint: false,
                };
                all.push(axis(Taps::Linear));
                for (kernel, stride, pad) in [
                    (1, 1, 0),
                    (2, 2, 0),
                    (3, 1, 1),
                    (3, 2, 1),
                    (2, 3, 4),
                    (5, 1, 9),
                ] {
                    for divisor in [Divisor::One, Divisor::Kernel, Divisor::Inside] {
                        all.push(axis(Taps::Window {
                            kernel,
                            stride,
                            pad,
                            divisor,
                        }));
                    }
                }
            }
        }
        all
    }

    #[test]
    fn a_pixel_is_drawn_on_by_the_results_that_draw_on_it() {
        for axis in axes() {
            for i in 0..axis.result {
                for a in 0..axis.image {
                    let [forth, back] = [axis.pixels(i).contains(&a), axis.results(a).contains(&i)];
                    assert_eq!(forth, back, "{axis:?}: result {i}, pixel {a}");
                }
            }
        }
    }

    #[test]
    fn the_weights_of_a_result_are_positive_and_sum_to_one_unless_they_are_plain_sums() {
        for axis in axes() {
            for i in 0..axis.result {
                let weights: Vec<f32> = axis.pixels(i).map(|a| axis.weight_of(i, a)).collect();
                assert!(weights.iter().all(|w| *w > 0.0), "{axis:?}: {weights:?}");
                let sum: f32 = weights.iter().sum();
                let expected = match axis.taps {
                    Taps::Window {
                        divisor: Divisor::One,
                        ..
                    } => weights.len() as f32,
                    Taps::Window {
                        divisor: Divisor::Kernel,
                        kernel,
                        ..
                    } => weights.len() as f32 / kernel as f32,
                    _ => f32::from(!weights.is_empty()),
                };
                assert!((sum - expected).abs() < 1e-6, "{axis:?}: {weights:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "not as many images of 4 as results of 1")]
    fn arrays_must_be_of_as_many_images() {
        let taps = Taps::Window {
            kernel: 2,
            stride: 2,
            pad: 0,
            divisor: Divisor::One,
        };
        let axis = Axis {
            taps,
            image: 2,
            result: 1,
            is_adjoint: false,
        };
        resample(&[0.0; 8], [axis; 2], 1, &mut [0.0; 3]);
    }
}
