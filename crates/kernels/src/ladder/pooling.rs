//! Mean pooling and its adjoint as work of a ladder.

use std::fmt;
use std::sync::Arc;

use super::Expected;
use super::cpu::Maker;
use super::device::{Memory, Plan};
use super::work::U;
use crate::cpu::pool::{Axis, Divisor, Taps, resample};
use crate::cuda;

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
    fn sources(&self, place: usize) -> [Option<usize>; 4] {
        let (side, c) = (self.side, self.channels);
        let (pixel, channel) = (place / c, place % c);
        if self.is_adjoint {
            let (row, column) = (pixel / side, pixel % side);
            // Two rows of an image are one of the results; so are those of all images.
            let from = row / 2 * (side / 2) + column / 2;
            return [Some(from * c + channel), None, None, None];
        }
        let (row, column) = (pixel / (side / 2), pixel % (side / 2));
        let first = 2 * row * side + 2 * column;
        [0, 1, side, side + 1].map(|more| Some((first + more) * c + channel))
    }

    pub(super) fn expected(&self, inputs: &[Vec<f32>]) -> Vec<Expected> {
        let [_, len] = self.sizes();
        let step = (len / COMPARED) | 1;
        let all = (0..len).step_by(step).map(|place| {
            let terms = self.sources(place).into_iter().flatten();
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
                let terms = self.sources(place).into_iter().flatten();
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

/// "64x32x32x128".
impl fmt::Display for MeanPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n, side, channels, ..
        } = self;
        write!(f, "{n}x{side}x{side}x{channels}")
    }
}
