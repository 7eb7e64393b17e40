//! The ladders' CPU kernels.

use std::sync::Arc;
use std::time::Instant;

use super::work::STREAM;
use super::{Kernel, Rung, Work};
use crate::cpu::Workspace;
use crate::cpu::gemm::{Epilogue, Isa, Shape3, gemm_with, isa};
use crate::cpu::maxout_grad::{self, Put};
use crate::cpu::{elementwise, maxout, reduce, rng};
use crate::cuda;

/// Products of more work than this leave the naive loops out: they would take seconds.
pub(super) const NAIVE_FLOPS: usize = 1 << 30;

/// A function that fills its result.
struct Call<F> {
    out: Vec<f32>,
    call: F,
}

impl<F: FnMut(&mut [f32])> Kernel for Call<F> {
    fn run(&mut self, times: usize) -> cuda::Result<f64> {
        let begin = Instant::now();
        for _ in 0..times {
            (self.call)(&mut self.out);
        }
        Ok(begin.elapsed().as_secs_f64())
    }

    fn spoil(&mut self) -> cuda::Result<()> {
        self.out.fill(f32::NAN);
        Ok(())
    }

    fn result(&mut self) -> cuda::Result<Vec<f32>> {
        Ok(self.out.clone())
    }
}

/// Makes rungs whose results have `outputs` elements, which hold NaN before the first run.
pub(super) struct Maker {
    outputs: usize,
    /// Operations of the work.
    flops: u64,
    rungs: Vec<Rung>,
}

impl Maker {
    pub fn add(
        &mut self,
        name: &str,
        about: &'static str,
        call: impl FnMut(&mut [f32]) + Send + 'static,
    ) {
        self.rungs.push(Rung {
            name: name.to_string(),
            about,
            is_used: false,
            executed: self.flops,
            kernel: Box::new(Call {
                out: vec![f32::NAN; self.outputs],
                call,
            }),
        });
    }

    /// The operations that the last one carries out, where they are not those of the work.
    pub fn executes(&mut self, flops: u64) {
        if let Some(last) = self.rungs.last_mut() {
            last.executed = flops;
        }
    }

    /// The last one is what runs.
    fn done(mut self) -> Vec<Rung> {
        if let Some(last) = self.rungs.last_mut() {
            last.is_used = true;
        }
        self.rungs
    }
}

pub(super) fn rungs(work: Work, inputs: &[Vec<f32>]) -> Vec<Rung> {
    let mut maker = Maker {
        outputs: work.outputs(),
        flops: work.flops(),
        rungs: Vec::new(),
    };
    let inputs: Arc<[Vec<f32>]> = inputs.into();
    match work {
        Work::Product { ta, tb, dims } => product(&mut maker, inputs, (ta, tb), dims),
        Work::Maxout { pieces, .. } => largest(&mut maker, inputs, pieces),
        Work::MaxoutWeights {
            batch,
            inputs: d,
            units,
            pieces,
        } => {
            maxout_weights(&mut maker, inputs, [batch, d, units, pieces]);
        }
        Work::Sigmoid { .. } => sigmoid(&mut maker, inputs),
        Work::Dropout { n } => dropout(&mut maker, inputs, n),
        Work::SumColumns { rows, columns } => sums(&mut maker, inputs, rows, columns),
        Work::Convolution(work) => work.on_cpu(&mut maker, inputs),
        Work::BatchNorm(work) => work.on_cpu(&mut maker, inputs),
        Work::MeanPool(work) => work.on_cpu(&mut maker, inputs),
        Work::MaxPool(work) => work.on_cpu(&mut maker, inputs),
    }
    maker.done()
}

fn product(maker: &mut Maker, inputs: Arc<[Vec<f32>]>, (ta, tb): (bool, bool), dims: Shape3) {
    let Shape3 { m, k, n } = dims;
    // Distances in A of neighbouring rows and columns, and in B.
    let (ai, ap) = if ta { (1, m) } else { (k, 1) };
    let (bp, bj) = if tb { (1, k) } else { (n, 1) };
    if 2 * m * k * n <= NAIVE_FLOPS {
        let x = inputs.clone();
        maker.add(
            "naive",
            "three nested loops: a row times a column",
            move |c| {
                for i in 0..m {
                    for j in 0..n {
                        let terms = (0..k).map(|p| x[0][i * ai + p * ap] * x[1][p * bp + j * bj]);
                        c[i * n + j] = terms.sum();
                    }
                }
            },
        );
        let x = inputs.clone();
        maker.add(
            "rows",
            "loop order i, k, j: contiguous accesses",
            move |c| {
                for i in 0..m {
                    let row = &mut c[i * n..][..n];
                    row.fill(0.0);
                    for p in 0..k {
                        let a = x[0][i * ai + p * ap];
                        match tb {
                            false => {
                                let b = &x[1][p * n..][..n];
                                row.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
                            }
                            true => {
                                let b = x[1][p..].iter().step_by(k);
                                row.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
                            }
                        }
                    }
                }
            },
        );
    }
    let known = [
        (
            Isa::Portable,
            "matrixmultiply",
            "the library, on blocks of rows",
        ),
        (
            Isa::Avx2,
            "avx2",
            "packed panels, tiles of 6 x 16 in registers",
        ),
        (Isa::Avx512, "avx512", "tiles of 14 x 32"),
    ];
    for (set, name, about) in known {
        if set > isa() {
            continue;
        }
        let (x, mut workspace) = (inputs.clone(), Workspace::default());
        maker.add(name, about, move |c| {
            gemm_with(
                set,
                ta,
                tb,
                dims,
                &x[0],
                &x[1],
                c,
                Epilogue::Store,
                &mut workspace,
            );
        });
    }
}

fn largest(maker: &mut Maker, inputs: Arc<[Vec<f32>]>, pieces: usize) {
    let units = maker.outputs;
    let (x, mut index) = (inputs.clone(), vec![0.0; units]);
    maker.add("naive", "a branch per piece", move |y| {
        for (u, x) in x[0].chunks_exact(pieces).enumerate() {
            let mut best = 0;
            for p in 1..pieces {
                if x[p] > x[best] || (x[p].is_nan() && !x[best].is_nan()) {
                    best = p;
                }
            }
            (y[u], index[u]) = (x[best], best as f32);
        }
    });
    let (x, mut index) = (inputs, vec![0.0; units]);
    maker.add(
        "vector",
        "vectorised, branch-free, number of pieces known at compile time",
        move |y| {
            maxout::maxout(pieces, &x[0], y, &mut index);
        },
    );
}

fn maxout_weights(
    maker: &mut Maker,
    inputs: Arc<[Vec<f32>]>,
    [batch, d, units, pieces]: [usize; 4],
) {
    let n = units * pieces;
    let dims = Shape3 { m: d, k: batch, n };
    let (x, mut p, mut workspace) = (inputs.clone(), vec![0.0; batch * n], Workspace::default());
    maker.add(
        "dense",
        "P materialised, then a matrix product: four of five terms are zeros",
        move |c| {
            maxout::put(pieces, &x[1], &x[2], &mut p);
            gemm_with(
                isa(),
                true,
                false,
                dims,
                &x[0],
                &p,
                c,
                Epilogue::Store,
                &mut workspace,
            );
        },
    );
    maker.executes(2 * (batch * d * n) as u64);
    let (x, mut workspace) = (inputs, Workspace::default());
    maker.add("sparse", "by columns of P, non-zero terms only", move |c| {
        let put = Put {
            dy: &x[1],
            index: &x[2],
            batch,
            units,
            pieces,
        };
        maxout_grad::weight_gradient(put, &x[0], d, c, Epilogue::Store, &mut workspace);
    });
}

fn sigmoid(maker: &mut Maker, inputs: Arc<[Vec<f32>]>) {
    let x = inputs.clone();
    maker.add(
        "naive",
        "the standard library's exp, element by element",
        move |y| {
            y.iter_mut()
                .zip(&x[0])
                .for_each(|(y, x)| *y = 1.0 / (1.0 + (-x).exp()));
        },
    );
    maker.add(
        "vector",
        "our exp, vectorised; one thread, as in a chunk of a program",
        move |y| {
            elementwise::sigmoid(&inputs[0], y);
        },
    );
}

fn dropout(maker: &mut Maker, inputs: Arc<[Vec<f32>]>, n: usize) {
    let x = inputs.clone();
    maker.add("naive", "one Philox block per element", move |y| {
        let key = [STREAM.key as u32, (STREAM.key >> 32) as u32];
        for (i, (y, x)) in y.iter_mut().zip(&x[0]).enumerate() {
            let counter = [i as u32 / 4, STREAM.stream, STREAM.counter as u32, 0];
            let is_kept = rng::philox4x32_10(key, counter)[i % 4] < 1 << 31;
            *y = if is_kept { 2.0 * x } else { 0.0 };
        }
    });
    let mut mask = vec![0.0; n.min(512)];
    maker.add(
        "vector",
        "many Philox blocks at once, vectorised; the mask stays in cache",
        move |y| {
            let mut at = 0;
            for (y, x) in y.chunks_mut(512).zip(inputs[0].chunks(512)) {
                let mask = &mut mask[..y.len()];
                rng::bernoulli(STREAM, at, 0.5, 2.0, mask);
                elementwise::mul(x, mask, y);
                at += y.len();
            }
        },
    );
}

fn sums(maker: &mut Maker, inputs: Arc<[Vec<f32>]>, rows: usize, columns: usize) {
    let x = inputs.clone();
    maker.add(
        "naive",
        "column after column, with strided accesses",
        move |y| {
            for (j, y) in y.iter_mut().enumerate() {
                *y = (0..rows).map(|i| x[0][i * columns + j]).sum();
            }
        },
    );
    maker.add(
        "strips",
        "64 columns at once, pairwise over blocks of rows",
        move |y| {
            reduce::sum_to(&inputs[0], &[rows, columns], y, &[columns]);
        },
    );
}
