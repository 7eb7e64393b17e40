//! Pooling and its gradient as work of a ladder.

use std::fmt;
use std::sync::Arc;

use super::Expected;
use super::cpu::Maker;
use super::device::{Memory, Plan};
use super::work::U;
use crate::cpu::pool::{Axis, Divisor, Taps, Windows, arg_max, put, resample, take};
use crate::cuda::{self, Buffer};

/// Numbers that are compared, about.
const COMPARED: usize = 1 << 20;

/// The means of 2 x 2 pixels of images `[n, side, side, channels]`, or the adjoint, which shares a number among 2 x 2 pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanPool {
    /// Images.
    pub n: usize,
    /// Rows and columns of one, an even number.
    pub side: usize,
    /// Channels.
    pub channels: usize,
    /// Whether it is the adjoint.
    pub is_adjoint: bool,
}

impl MeanPool {
    /// Behind the first block of D in `resnet32`, batch 64.
    pub(super) fn all() -> Vec<MeanPool> {
        let of = |is_adjoint| MeanPool {
            n: 64,
            side: 32,
            channels: 128,
            is_adjoint,
        };
        vec![of(false), of(true)]
    }

    pub(super) fn family(&self) -> &'static str {
        match self.is_adjoint {
            false => "mean pool",
            true => "mean pool gradient",
        }
    }

    /// Of a mean three additions and a product; of the adjoint a product.
    pub(super) fn flops(&self) -> usize {
        self.images()
    }

    fn images(&self) -> usize {
        self.n * self.side * self.side * self.channels
    }

    /// What is read and what is written.
    pub(super) fn sizes(&self) -> [usize; 2] {
        let (images, results) = (self.images(), self.images() / 4);
        if self.is_adjoint {
            [results, images]
        } else {
            [images, results]
        }
    }

    fn axes(&self) -> [Axis; 2] {
        let taps = Taps::Window {
            kernel: 2,
            stride: 2,
            pad: 0,
            divisor: Divisor::Kernel,
        };
        let (image, is_adjoint) = (self.side, self.is_adjoint);
        [Axis {
            taps,
            image,
            result: image / 2,
            is_adjoint,
        }; 2]
    }

    /// The places that an element of the result is made of: four, or one.
    fn sources(&self, place: usize) -> Vec<usize> {
        let at = At::of(place, self.side, self.channels);
        match self.is_adjoint {
            true => vec![at.window],
            false => at.pixels.to_vec(),
        }
    }

    pub(super) fn expected(&self, inputs: &[Vec<f32>]) -> Vec<Expected> {
        let [_, len] = self.sizes();
        let step = (len / COMPARED) | 1;
        let all = (0..len).step_by(step).map(|place| {
            let terms = self.sources(place).into_iter();
            let terms = terms.map(|at| f64::from(inputs[0][at]) / 4.0);
            let (sum, size) = terms.fold((0.0, 0.0), |(s, m), t| (s + t, m + t.abs()));
            Expected::within(place, sum, 4.0 * U * size)
        });
        all.collect()
    }

    pub(super) fn on_cpu(self, maker: &mut Maker, inputs: Arc<[Vec<f32>]>) {
        let x = inputs.clone();
        maker.add("naive", "a number after the other", move |y| {
            for (place, y) in y.iter_mut().enumerate() {
                let terms = self.sources(place).into_iter();
                *y = terms.map(|at| x[0][at]).sum::<f32>() / 4.0;
            }
        });
        maker.add(
            "rows",
            "all channels of a pixel at once, on all threads",
            move |y| {
                resample(&inputs[0], self.axes(), self.channels, y);
            },
        );
    }

    pub(super) fn on_device(&self, memory: &Memory) -> Vec<Plan> {
        let (x, y) = (memory.inputs[0].slice(), memory.result.slice());
        let launch = cuda::pool::resample(x, self.axes(), self.channels, y);
        vec![Plan::new("a thread per number", vec![launch])]
    }
}

/// The maxima of 2 x 2 pixels of images `[n, side, side, channels]`, or the gradient, which puts a number where the maximum was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Images.
    pub n: usize,
    /// Rows and columns of one, an even number.
    pub side: usize,
    /// Channels.
    pub channels: usize,
    /// Whether it is the gradient.
    pub is_gradient: bool,
}

impl MaxPool {
    /// As large as those of [`MeanPool`].
    pub(super) fn all() -> Vec<MaxPool> {
        let of = |is_gradient| MaxPool {
            n: 64,
            side: 32,
            channels: 128,
            is_gradient,
        };
        vec![of(false), of(true)]
    }

    pub(super) fn family(&self) -> &'static str {
        match self.is_gradient {
            false => "max pool",
            true => "max pool gradient",
        }
    }

    /// A comparison per pixel.
    pub(super) fn flops(&self) -> usize {
        self.images()
    }

    fn images(&self) -> usize {
        self.n * self.side * self.side * self.channels
    }

    fn results(&self) -> usize {
        self.images() / 4
    }

    /// Of the gradient those of dy, and which pixels were the maxima: whole numbers below 4.
    pub(super) fn input_sizes(&self) -> Vec<usize> {
        match self.is_gradient {
            false => vec![self.images()],
            true => vec![self.results(); 2],
        }
    }

    pub(super) fn outputs(&self) -> usize {
        match self.is_gradient {
            false => self.results(),
            true => self.images(),
        }
    }

    /// Which pixels are the maxima is written beside them.
    pub(super) fn written_beside(&self) -> usize {
        match self.is_gradient {
            false => self.results(),
            true => 0,
        }
    }

    fn windows(&self) -> Windows {
        Windows {
            image: [self.side; 2],
            kernel: [2; 2],
            stride: [2; 2],
            pad: [0; 2],
            result: [self.side / 2; 2],
            channels: self.channels,
        }
    }

    /// The element of the result at `place`.
    fn at(&self, place: usize, inputs: &[Vec<f32>]) -> f32 {
        let at = At::of(place, self.side, self.channels);
        if !self.is_gradient {
            let pixels = at.pixels.map(|pixel| inputs[0][pixel]);
            return pixels.into_iter().fold(f32::NEG_INFINITY, f32::max);
        }
        match inputs[1][at.window] == at.cell as f32 {
            true => inputs[0][at.window],
            false => 0.0,
        }
    }

    pub(super) fn expected(&self, inputs: &[Vec<f32>]) -> Vec<Expected> {
        let step = (self.outputs() / COMPARED) | 1;
        let places = (0..self.outputs()).step_by(step);
        let exact = |place| Expected::within(place, self.at(place, inputs).into(), 0.0);
        places.map(exact).collect()
    }

    pub(super) fn on_cpu(self, maker: &mut Maker, inputs: Arc<[Vec<f32>]>) {
        let x = inputs.clone();
        maker.add("naive", "a number after the other", move |y| {
            for (place, y) in y.iter_mut().enumerate() {
                *y = self.at(place, &x);
            }
        });
        let about = "all channels of a pixel at once, on all threads";
        let windows = self.windows();
        if self.is_gradient {
            maker.add("rows", about, move |dx| {
                put(&inputs[0], &inputs[1], windows, dx);
            });
            return;
        }
        let mut index = vec![0.0; self.results()];
        maker.add("rows", about, move |y| {
            arg_max(&inputs[0], windows, &mut index);
            take(&inputs[0], &index, windows, y);
        });
    }

    pub(super) fn on_device(&self, memory: &Memory) -> Vec<Plan> {
        let (y, windows) = (memory.result.slice(), self.windows());
        let [x, index] = [0, 1].map(|i| memory.inputs.get(i).map(Buffer::slice));
        let x = x.expect("one input at least");
        let launches = match index {
            Some(index) => vec![cuda::pool::put(x, index, windows, y)],
            None => {
                let index = memory.beside.slice();
                vec![
                    cuda::pool::arg_max(x, windows, index),
                    cuda::pool::take(x, index, windows, y),
                ]
            }
        };
        vec![Plan::new("a thread per number", launches)]
    }
}

/// Where an element lies under windows of 2 x 2 pixels side by side.
struct At {
    /// Of an element of a result: the pixels of its window, row by row.
    pixels: [usize; 4],
    /// Of a pixel: the result of its window.
    window: usize,
    /// Of a pixel: which of its window it is.
    cell: usize,
}

impl At {
    fn of(place: usize, side: usize, channels: usize) -> At {
        let (pixel, channel) = (place / channels, place % channels);
        let element = |pixel: usize| pixel * channels + channel;
        // Two rows of an image are one of the results; so are those of all images.
        let first = 2 * (pixel / (side / 2)) * side + 2 * (pixel % (side / 2));
        let (row, column) = (pixel / side, pixel % side);
        At {
            pixels: [0, 1, side, side + 1].map(|more| element(first + more)),
            window: element(row / 2 * (side / 2) + column / 2),
            cell: row % 2 * 2 + column % 2,
        }
    }
}

/// "64x32x32x128".
impl fmt::Display for MaxPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n, side, channels, ..
        } = self;
        write!(f, "{n}x{side}x{side}x{channels}")
    }
}

/// "64x32x32x128".
impl fmt::Display for MeanPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n, side, channels, ..
        } = self;
        write!(f, "{n}x{side}x{side}x{channels}")
    }
}
