//! The work of the ladders: sizes, inputs, and the exact result.

use std::fmt;

use super::{BatchNorm, Convolution, Expected, MaxPool, MeanPool};
use crate::cpu::conv::{Form, Sizes, Window};
use crate::cpu::gemm::Shape3;
use crate::cpu::rng::{self, RandomStream};

/// Half an ulp of 1: the rounding error of one f32 operation.
pub(super) const U: f64 = 1.0 / 16_777_216.0;
/// Results of more work than this are compared in some rows only.
pub(super) const COMPARED: usize = 1 << 26;

/// Work of the kernels of a GAN step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// C [m, n] = op(A) · op(B).
    Product {
        /// Whether A is stored transposed.
        ta: bool,
        /// Whether B is.
        tb: bool,
        /// Its sizes.
        dims: Shape3,
    },
    /// The largest of each `pieces` of [batch, units · pieces], and which it is.
    Maxout {
        /// Rows.
        batch: usize,
        /// Maxima in a row.
        units: usize,
        /// Pieces per unit.
        pieces: usize,
    },
    /// dW [inputs, units · pieces] = Xᵀ · P of a maxout layer, P = put(dy, index).
    MaxoutWeights {
        /// Rows of X and P.
        batch: usize,
        /// Columns of X.
        inputs: usize,
        /// Units.
        units: usize,
        /// Pieces per unit.
        pieces: usize,
    },
    /// y = 1 / (1 + exp(-x)).
    Sigmoid {
        /// Elements.
        n: usize,
    },
    /// y = x · Bernoulli(1/2) · 2, the mask drawn by Philox 4x32-10.
    Dropout {
        /// Elements.
        n: usize,
    },
    /// The sums of the columns of [rows, columns]: a bias's gradient.
    SumColumns {
        /// Terms of a sum.
        rows: usize,
        /// Sums.
        columns: usize,
    },
    /// A convolution, or one of its adjoints.
    Convolution(Convolution),
    /// Batch norm, or its gradient.
    BatchNorm(BatchNorm),
    /// Mean pooling, or its adjoint.
    MeanPool(MeanPool),
    /// Max pooling, or its gradient.
    MaxPool(MaxPool),
}

pub(super) const STREAM: RandomStream = RandomStream {
    key: 1,
    stream: 7,
    counter: 3,
};

impl Work {
    /// The work of a training step with the paper's nets for MNIST, batch 100, a sweep of sizes, layers of convolutional nets.
    pub fn all() -> Vec<Work> {
        let product = |ta, tb, m, k, n| {
            let dims = Shape3 { m, k, n };
            Work::Product { ta, tb, dims }
        };
        let mut all = vec![
            product(false, false, 100, 100, 1200),
            product(false, false, 100, 1200, 1200),
            product(false, false, 100, 1200, 784),
            product(false, false, 200, 784, 1200),
            product(false, false, 200, 240, 1200),
            product(false, true, 100, 784, 1200),
            product(false, true, 100, 1200, 1200),
            product(true, false, 1200, 100, 784),
            product(true, false, 1200, 100, 1200),
        ];
        let batches = [1, 10, 1000].map(|m| product(false, false, m, 1200, 1200));
        let squares = [64, 256, 1024].map(|n| product(false, false, n, n, n));
        all.extend(batches.into_iter().chain(squares));
        let (batch, pieces, units) = (200, 5, 240);
        all.push(Work::Maxout {
            batch,
            units,
            pieces,
        });
        for inputs in [784, 240] {
            all.push(Work::MaxoutWeights {
                batch,
                inputs,
                units,
                pieces,
            });
        }
        for n in [78_400, 1 << 22] {
            all.extend([Work::Sigmoid { n }, Work::Dropout { n }]);
        }
        for (rows, columns) in [(200, 1200), (1 << 12, 1 << 10)] {
            all.push(Work::SumColumns { rows, columns });
        }
        all.extend(Convolution::all().into_iter().map(Work::Convolution));
        all.extend(BatchNorm::all().into_iter().map(Work::BatchNorm));
        all.extend(MeanPool::all().into_iter().map(Work::MeanPool));
        all.extend(MaxPool::all().into_iter().map(Work::MaxPool));
        all
    }

    /// Small work of every kind but products, at sizes that fit no vector, for the tests of the ladders of every device.
    /// Convolutions are of channels that are read by fours and word by word.
    pub fn samples() -> Vec<Work> {
        let (units, pieces) = (7, 3);
        let mut all = vec![
            Work::Maxout {
                batch: 3,
                units,
                pieces: 5,
            },
            Work::Sigmoid { n: 1003 },
            Work::Dropout { n: 1003 },
            Work::SumColumns {
                rows: 37,
                columns: 71,
            },
        ];
        all.extend([11, 20].map(|inputs| Work::MaxoutWeights {
            batch: 9,
            inputs,
            units,
            pieces,
        }));
        for (c_in, c_out) in [(20, 24), (3, 20)] {
            let (image, kernel) = ([6, 6], [4, 4]);
            let window = Window::same(image, kernel, [2, 2]);
            let sizes = Sizes {
                n: 2,
                image,
                c_in,
                kernel,
                c_out,
                window,
            };
            all.extend(Form::ALL.map(|form| Work::Convolution(Convolution { form, sizes })));
        }
        let (n, side, channels) = (2, 6, 5);
        for is in [false, true] {
            all.push(Work::BatchNorm(BatchNorm {
                rows: 75,
                channels: 34,
                is_gradient: is,
            }));
            all.push(Work::MeanPool(MeanPool {
                n,
                side,
                channels,
                is_adjoint: is,
            }));
            all.push(Work::MaxPool(MaxPool {
                n,
                side,
                channels,
                is_gradient: is,
            }));
        }
        all
    }

    /// "matmul", "maxout", ...
    pub fn family(&self) -> &'static str {
        match self {
            Work::Product { .. } => "matmul",
            Work::Maxout { .. } => "maxout",
            Work::MaxoutWeights { .. } => "maxout gradient",
            Work::Sigmoid { .. } => "sigmoid",
            Work::Dropout { .. } => "dropout",
            Work::SumColumns { .. } => "sum",
            Work::Convolution(work) => work.family(),
            Work::BatchNorm(work) => work.family(),
            Work::MeanPool(work) => work.family(),
            Work::MaxPool(work) => work.family(),
        }
    }

    /// Floating-point operations of the result as it is written: of maxout gradients without the zeros, of functions and draws one
    /// per element.
    pub fn flops(&self) -> u64 {
        let flops = match *self {
            Work::Product { dims, .. } => 2 * dims.m * dims.k * dims.n,
            Work::Maxout {
                batch,
                units,
                pieces,
            } => batch * units * (pieces - 1),
            Work::MaxoutWeights {
                batch,
                inputs,
                units,
                ..
            } => 2 * batch * inputs * units,
            Work::Sigmoid { n } | Work::Dropout { n } => n,
            Work::SumColumns { rows, columns } => rows * columns,
            Work::Convolution(work) => work.flops(),
            Work::BatchNorm(work) => work.flops(),
            Work::MeanPool(work) => work.flops(),
            Work::MaxPool(work) => work.flops(),
        };
        flops as u64
    }

    /// Bytes of the operands, each read or written once, or as often as none can do without.
    pub fn bytes(&self) -> u64 {
        let inputs: usize = self.input_sizes().iter().sum();
        let more = match *self {
            Work::Maxout { batch, units, .. } => batch * units, // the indices
            Work::BatchNorm(work) => work.read_again(),
            Work::MaxPool(work) => work.written_beside(),
            _ => 0,
        };
        4 * (inputs + self.outputs() + more) as u64
    }

    /// Examples per minibatch, where the work is a layer's forward product of another batch size.
    pub fn swept_batch(&self) -> Option<usize> {
        match *self {
            Work::Product {
                ta: false,
                tb: false,
                dims,
            } if dims.k == 1200 && dims.n == 1200 => Some(dims.m),
            _ => None,
        }
    }

    pub(super) fn outputs(&self) -> usize {
        match *self {
            Work::Product { dims, .. } => dims.m * dims.n,
            Work::Maxout { batch, units, .. } => batch * units,
            Work::MaxoutWeights {
                inputs,
                units,
                pieces,
                ..
            } => inputs * units * pieces,
            Work::Sigmoid { n } | Work::Dropout { n } => n,
            Work::SumColumns { columns, .. } => columns,
            Work::Convolution(work) => work.outputs(),
            Work::BatchNorm(work) => work.elements(),
            Work::MeanPool(work) => work.sizes()[1],
            Work::MaxPool(work) => work.outputs(),
        }
    }

    fn input_sizes(&self) -> Vec<usize> {
        match *self {
            Work::Product { dims, .. } => vec![dims.m * dims.k, dims.k * dims.n],
            Work::Maxout {
                batch,
                units,
                pieces,
            } => vec![batch * units * pieces],
            Work::MaxoutWeights {
                batch,
                inputs,
                units,
                ..
            } => {
                vec![batch * inputs, batch * units, batch * units]
            }
            Work::Sigmoid { n } | Work::Dropout { n } => vec![n],
            Work::SumColumns { rows, columns } => vec![rows * columns],
            Work::Convolution(work) => work.input_sizes(),
            Work::BatchNorm(work) => work.input_sizes(),
            Work::MeanPool(work) => vec![work.sizes()[0]],
            Work::MaxPool(work) => work.input_sizes(),
        }
    }

    /// Numbers in [-1, 1), for functions in [-8, 8); the indices of maxima whole numbers, of maxout below `pieces`.
    pub(super) fn inputs(&self) -> Vec<Vec<f32>> {
        let sizes = self.input_sizes();
        let mut inputs: Vec<Vec<f32>> = sizes.iter().map(|&n| vec![0.0; n]).collect();
        for (i, x) in inputs.iter_mut().enumerate() {
            let stream = RandomStream {
                stream: i as u32,
                ..STREAM
            };
            match (self, i) {
                (Work::Sigmoid { .. }, _) => rng::uniform(stream, 0, -8.0, 8.0, x),
                (Work::MaxoutWeights { pieces, .. }, 2) => {
                    rng::uniform(stream, 0, 0.0, *pieces as f32, x);
                    x.iter_mut().for_each(|x| *x = x.floor());
                }
                (Work::MaxPool(_), 1) => {
                    rng::uniform(stream, 0, 0.0, 4.0, x);
                    x.iter_mut().for_each(|x| *x = x.floor());
                }
                _ => rng::uniform(stream, 0, -1.0, 1.0, x),
            }
        }
        if let Work::BatchNorm(work) = self {
            work.complete(&mut inputs);
        }
        inputs
    }

    /// The result in f64 by plain loops, with the bounds of f32's rounding errors; of large results some rows.
    pub(super) fn expected(&self, inputs: &[Vec<f32>]) -> Vec<Expected> {
        let at = |i: usize, j: usize| f64::from(inputs[i][j]);
        let rows = |count: usize, work: usize| (0..count).step_by((work / COMPARED).max(1));
        let element = Expected::within;
        let sum = |place, value, terms: usize, size| Expected {
            bound: (terms + 2) as f64 * U * size,
            size,
            ..element(place, value, 0.0)
        };
        match *self {
            Work::Product {
                ta,
                tb,
                dims: Shape3 { m, k, n },
            } => {
                let a = |i: usize, p: usize| at(0, if ta { p * m + i } else { i * k + p });
                let b = |p: usize, j: usize| at(1, if tb { j * k + p } else { p * n + j });
                let mut all = Vec::new();
                for i in rows(m, m * k * n) {
                    for j in 0..n {
                        let terms = (0..k).map(|p| a(i, p) * b(p, j));
                        let (value, size) =
                            terms.fold((0.0, 0.0), |(s, t), x| (s + x, t + x.abs()));
                        all.push(sum(i * n + j, value, k, size));
                    }
                }
                all
            }
            Work::Maxout { pieces, .. } => {
                let units = inputs[0].chunks_exact(pieces).enumerate();
                let largest = |x: &[f32]| x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                units
                    .map(|(u, x)| element(u, largest(x).into(), 0.0))
                    .collect()
            }
            Work::MaxoutWeights {
                batch,
                inputs: d,
                units,
                pieces,
            } => {
                let n = units * pieces;
                let mut all = Vec::new();
                for i in rows(d, batch * d * n) {
                    let (mut sums, mut sizes) = (vec![0.0; n], vec![0.0; n]);
                    for e in 0..batch {
                        for u in 0..units {
                            let term = at(0, e * d + i) * at(1, e * units + u);
                            let column = u * pieces + inputs[2][e * units + u] as usize;
                            sums[column] += term;
                            sizes[column] += term.abs();
                        }
                    }
                    all.extend((0..n).map(|j| sum(i * n + j, sums[j], batch, sizes[j])));
                }
                all
            }
            Work::Sigmoid { n } => {
                let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
                let y = (0..n).map(|i| (i, sigmoid(at(0, i))));
                y.map(|(i, y)| element(i, y, 16.0 * U * y)).collect()
            }
            Work::Dropout { n } => {
                let key = [STREAM.key as u32, (STREAM.key >> 32) as u32];
                let counter = |block| [block, STREAM.stream, STREAM.counter as u32, 0];
                let is_kept =
                    |i: usize| rng::philox4x32_10(key, counter(i as u32 / 4))[i % 4] < 1 << 31;
                let y = (0..n).map(|i| (i, if is_kept(i) { 2.0 * at(0, i) } else { 0.0 }));
                y.map(|(i, y)| element(i, y, 0.0)).collect()
            }
            Work::SumColumns { rows, columns } => {
                let mut all: Vec<Expected> = (0..columns).map(|j| element(j, 0.0, 0.0)).collect();
                for i in 0..rows {
                    for e in &mut all {
                        let x = at(0, i * columns + e.place);
                        e.value += x;
                        e.bound += rows as f64 * U * x.abs();
                    }
                }
                all
            }
            Work::Convolution(work) => work.expected(inputs),
            Work::BatchNorm(work) => work.expected(inputs),
            Work::MeanPool(work) => work.expected(inputs),
            Work::MaxPool(work) => work.expected(inputs),
        }
    }
}

/// "NN 100x1200 k=784", "200x240 of 5", ...
impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |t: bool| if t { 'T' } else { 'N' };
        match *self {
            Work::Product {
                ta,
                tb,
                dims: Shape3 { m, k, n },
            } => {
                write!(f, "{}{} {m}x{n} k={k}", letter(ta), letter(tb))
            }
            Work::Maxout {
                batch,
                units,
                pieces,
            } => write!(f, "{batch}x{units} of {pieces}"),
            Work::MaxoutWeights {
                batch,
                inputs,
                units,
                pieces,
            } => {
                write!(f, "{inputs}x{units}·{pieces} k={batch}")
            }
            Work::Sigmoid { n } | Work::Dropout { n } => write!(f, "{n}"),
            Work::SumColumns { rows, columns } => write!(f, "{columns} of {rows}"),
            Work::Convolution(work) => work.fmt(f),
            Work::BatchNorm(work) => work.fmt(f),
            Work::MeanPool(work) => work.fmt(f),
            Work::MaxPool(work) => work.fmt(f),
        }
    }
}
