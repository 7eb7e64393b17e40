//! Convolutions as work of a ladder: their sizes, their sums in f64, the CPU's and the GPU's kernels.

use std::fmt;
use std::sync::Arc;

use super::cpu::{Maker, NAIVE_FLOPS};
use super::device::{Memory, Plan, precisions};
use super::work::{COMPARED, U};
use super::{Expected, columns};
use crate::cpu::conv::{self, Algorithm, Form, Sizes, Window, direct};
use crate::cpu::gemm::{Epilogue, Shape3, gemm};
use crate::cpu::{Workspace, par};
use crate::cuda::{self, Device, Scratch, matmul};

/// A convolution with the bias and relu of a layer, or one of its adjoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Which of the three.
    pub form: Form,
    /// Its sizes.
    pub sizes: Sizes,
}

impl Convolution {
    /// Layers of `dcgan28`, `sndcgan32` and `resnet32`, batch 64.
    pub(super) fn all() -> Vec<Convolution> {
        let of = |forms: &[Form], side, c_in, kernel, stride, c_out| {
            let (image, kernel) = ([side; 2], [kernel; 2]);
            let window = Window::same(image, kernel, [stride; 2]);
            let sizes = Sizes {
                n: 64,
                image,
                c_in,
                kernel,
                c_out,
                window,
            };
            let all = forms.iter().map(|&form| Convolution { form, sizes });
            all.collect::<Vec<_>>()
        };
        [
            of(&Form::ALL, 28, 1, 4, 2, 64),
            of(&Form::ALL, 14, 64, 4, 2, 128),
            of(&Form::ALL, 16, 128, 3, 1, 128),
            of(&[Form::Dx, Form::Dw], 16, 256, 3, 2, 256),
            of(&[Form::Y], 16, 128, 4, 2, 128),
        ]
        .concat()
    }

    pub(super) fn family(&self) -> &'static str {
        match self.form {
            Form::Y => "conv2d",
            Form::Dx => "conv2d_dx",
            Form::Dw => "conv2d_dw",
        }
    }

    /// Of the sums as they are written: two for each term, zeros around images included.
    pub(super) fn flops(&self) -> usize {
        let s = self.sizes;
        2 * s.y() * s.kernel[0] * s.kernel[1] * s.c_in
    }

    /// Of dx with zeros between the pixels of dy.
    fn flops_with_zeros(&self) -> usize {
        let s = self.sizes;
        2 * s.x() * s.kernel[0] * s.kernel[1] * s.c_out
    }

    fn executed(&self, algorithm: Algorithm) -> u64 {
        conv::executed_flops(self.form, self.sizes, algorithm)
    }

    pub(super) fn outputs(&self) -> usize {
        self.sizes.operands(self.form)[2]
    }

    /// The two operands; the bias.
    pub(super) fn input_sizes(&self) -> Vec<usize> {
        let [a, b, _] = self.sizes.operands(self.form);
        match self.form {
            Form::Y => vec![a, b, self.sizes.c_out],
            _ => vec![a, b],
        }
    }

    /// Some rows of C.
    pub(super) fn expected(&self, inputs: &[Vec<f32>]) -> Vec<Expected> {
        let (form, s, n) = (self.form, &self.sizes, self.sizes.columns(self.form));
        let at = |i: usize, j: usize| f64::from(inputs[i][j]);
        let after_winograd = self.winograd_bounds(inputs);
        // An odd distance: rows of all phases, taps and channels.
        let step = (self.flops() / 2 / COMPARED) | 1;
        let mut all = Vec::new();
        for row in (0..self.outputs() / n).step_by(step) {
            let (mut sums, mut sizes) = (vec![0.0; n], vec![0.0f64; n]);
            direct::terms(form, s, row, |a, b, step| {
                for (j, (sum, size)) in sums.iter_mut().zip(&mut sizes).enumerate() {
                    let term = at(0, a) * at(1, b + j * step);
                    (*sum, *size) = (*sum + term, *size + term.abs());
                }
            });
            for j in 0..n {
                let bias = inputs.get(2).map_or(0.0, |_| at(2, j));
                let value = match form {
                    Form::Y => (sums[j] + bias).max(0.0),
                    _ => sums[j],
                };
                let size = sizes[j] + bias.abs();
                all.push(Expected {
                    place: row * n + j,
                    value,
                    bound: (s.terms(form) + 3) as f64 * U * size,
                    size,
                    after_winograd: after_winograd[j] + 2.0 * U * size,
                });
            }
        }
        all
    }

    /// By columns the bound that `conv::winograd` states, 240 (K + 32) · 2^-24 · max|a| · Σ|b|. Of long sums that is more than they
    /// are; √K in the place of K, six times over, is exceeded by one in 10^8 (Higham and Mary 2019, A new approach to
    /// probabilistic rounding error analysis).
    fn winograd_bounds(&self, inputs: &[Vec<f32>]) -> Vec<f64> {
        let s = self.sizes;
        let products = match self.form {
            Form::Y => s.window.stride[0] * s.window.stride[1] * s.c_in,
            Form::Dx => s.c_out,
            Form::Dw => s.n * s.window.out[0].div_ceil(4) * s.window.out[1].div_ceil(4),
        } as f64;
        let largest = inputs[0].iter().fold(0.0, |m: f32, a| m.max(a.abs()));
        let unit = 240.0 * (products.min(6.0 * products.sqrt()) + 32.0) * U * f64::from(largest);
        let n = s.columns(self.form);
        let mut sums = vec![0.0; n];
        for (i, b) in inputs[1].iter().enumerate() {
            let column = match self.form {
                Form::Dx => i / s.c_out % s.c_in,
                Form::Y | Form::Dw => i % n,
            };
            sums[column] += f64::from(b.abs());
        }
        sums.into_iter().map(|sum| unit * sum).collect()
    }

    pub(super) fn on_cpu(self, maker: &mut Maker, inputs: Arc<[Vec<f32>]>) {
        if self.flops() <= NAIVE_FLOPS {
            let x = inputs.clone();
            maker.add("naive", "seven nested loops, a sum per element", move |c| {
                self.naive(&x, c);
            });
        }
        let x = inputs.clone();
        maker.add(
            "rows",
            "channels in the innermost loop: contiguous accesses",
            move |c| {
                direct::run(self.form, &self.sizes, &x[0], &x[1], c);
                self.finish(&x, c);
            },
        );
        let (x, mut windows) = (inputs.clone(), Vec::new());
        let mut workspace = Workspace::default();
        let about = match self.form {
            Form::Dx => "a matrix product, whose cells of windows are then added up",
            _ => "the matrix of all windows written, then a matrix product",
        };
        maker.add("patches", about, move |c| {
            windows.resize(self.windows() * self.cells(), 0.0);
            self.by_patches(&x, &mut windows, c, &mut workspace);
            self.finish(&x, c);
        });
        let is_strided = self.sizes.window.stride != [1, 1];
        if self.form == Form::Dx && is_strided {
            let (x, mut memory) = (inputs.clone(), [Vec::new(), Vec::new()]);
            let mut workspace = Workspace::default();
            maker.add(
                "zeros",
                "zeros between the pixels of dy, then as y",
                move |c| {
                    self.with_zeros(&x, &mut memory, c, &mut workspace);
                },
            );
            maker.executes(self.flops_with_zeros() as u64);
        }
        let kernels = conv::kernels(self.form, self.sizes, Algorithm::Direct);
        let (name, about) = match self.form {
            _ if kernels == "thin" => (
                "thin",
                "few channels: a pixel's products with all taps at once, added where they lie",
            ),
            Form::Y => (
                "gathered",
                "windows gathered block by block; bias and relu in a pass of their own",
            ),
            Form::Dx => (
                "phases",
                "one convolution for each remainder by the stride: no zeros",
            ),
            Form::Dw => (
                "blocks",
                "windows gathered block by block, few or long sums cut in fixed places",
            ),
        };
        let (x, mut workspace) = (inputs.clone(), Workspace::default());
        maker.add(name, about, move |c| {
            let store = Epilogue::Store;
            self.run(Algorithm::Direct, &x, c, store, &mut workspace);
            self.finish(&x, c);
        });
        maker.executes(self.executed(Algorithm::Direct));
        if self.form == Form::Y {
            let (x, mut workspace) = (inputs.clone(), Workspace::default());
            maker.add("fused", "bias and relu on the way out", move |c| {
                self.run(Algorithm::Direct, &x, c, layer(&x), &mut workspace);
            });
            maker.executes(self.executed(Algorithm::Direct));
        }
        if conv::kernels(self.form, self.sizes, Algorithm::Fastest) == "winograd" {
            let (x, mut workspace) = (inputs, Workspace::default());
            maker.add(
                "winograd",
                "fewer multiplications, more additions",
                move |c| {
                    let epilogue = match self.form {
                        Form::Y => layer(&x),
                        _ => Epilogue::Store,
                    };
                    self.run(Algorithm::Fastest, &x, c, epilogue, &mut workspace);
                },
            );
            maker.executes(self.executed(Algorithm::Fastest));
        }
    }

    fn run(
        &self,
        algorithm: Algorithm,
        x: &[Vec<f32>],
        c: &mut [f32],
        epilogue: Epilogue,
        workspace: &mut Workspace,
    ) {
        let (form, s) = (self.form, self.sizes);
        conv::conv(form, s, algorithm, &x[0], &x[1], c, epilogue, workspace);
    }

    /// What a layer does with y, in a pass of its own.
    fn finish(&self, x: &[Vec<f32>], c: &mut [f32]) {
        if self.form != Form::Y {
            return;
        }
        let bias = &x[2];
        par::chunks_mut(c, (1 << 14) * bias.len(), |_, c| {
            for row in c.chunks_exact_mut(bias.len()) {
                for (y, b) in row.iter_mut().zip(bias) {
                    *y = (*y + b).max(0.0);
                }
            }
        });
    }

    fn naive(&self, x: &[Vec<f32>], c: &mut [f32]) {
        let n = self.sizes.columns(self.form);
        for (row, sums) in c.chunks_exact_mut(n).enumerate() {
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = 0.0;
                direct::terms(self.form, &self.sizes, row, |a, b, step| {
                    *sum += x[0][a] * x[1][b + j * step];
                });
            }
        }
        self.finish(x, c);
    }

    /// Rows and columns of the matrix of all windows.
    fn windows(&self) -> usize {
        self.sizes.n * self.sizes.window.out.iter().product::<usize>()
    }

    fn cells(&self) -> usize {
        self.sizes.kernel.iter().product::<usize>() * self.sizes.c_in
    }

    fn by_patches(
        &self,
        x: &[Vec<f32>],
        windows: &mut [f32],
        c: &mut [f32],
        workspace: &mut Workspace,
    ) {
        let (s, store) = (&self.sizes, Epilogue::Store);
        let (m, k, n) = (self.windows(), self.cells(), s.c_out);
        match self.form {
            Form::Y => {
                columns::write(s, &x[0], windows);
                let dims = Shape3 { m, k, n };
                gemm(false, false, dims, windows, &x[1], c, store, workspace);
            }
            Form::Dx => {
                let dims = Shape3 { m, k: n, n: k };
                gemm(false, true, dims, &x[0], &x[1], windows, store, workspace);
                columns::add_up(s, windows, c);
            }
            Form::Dw => {
                columns::write(s, &x[0], windows);
                let dims = Shape3 { m: k, k: m, n };
                gemm(true, false, dims, windows, &x[1], c, store, workspace);
            }
        }
    }

    /// dx as the convolution of dy, zeros between its pixels, with the filters turned around.
    fn with_zeros(
        &self,
        x: &[Vec<f32>],
        [apart, turned]: &mut [Vec<f32>; 2],
        c: &mut [f32],
        workspace: &mut Workspace,
    ) {
        let s = self.sizes;
        let (stride, pad, out) = (s.window.stride, s.window.pad, s.window.out);
        let image = [0, 1].map(|d| (out[d] - 1) * stride[d] + 1);
        let one = Sizes {
            image,
            c_in: s.c_out,
            c_out: s.c_in,
            window: Window {
                stride: [1, 1],
                pad: [0, 1].map(|d| s.kernel[d] - 1 - pad[d]),
                out: s.image,
            },
            ..s
        };
        apart.resize(one.x(), 0.0);
        apart.fill(0.0);
        for (p, pixel) in x[0].chunks_exact(s.c_out).enumerate() {
            let (n, i, j) = (p / (out[0] * out[1]), p / out[1] % out[0], p % out[1]);
            let to = (n * image[0] + i * stride[0]) * image[1] + j * stride[1];
            apart[to * s.c_out..][..s.c_out].copy_from_slice(pixel);
        }
        turned.resize(one.w(), 0.0);
        let taps = s.kernel[0] * s.kernel[1];
        for (to, tap) in turned
            .chunks_exact_mut(s.c_in * s.c_out)
            .zip((0..taps).rev())
        {
            let from = &x[1][tap * s.c_in * s.c_out..][..s.c_in * s.c_out];
            for (c, row) in from.chunks_exact(s.c_out).enumerate() {
                row.iter()
                    .enumerate()
                    .for_each(|(o, w)| to[o * s.c_in + c] = *w);
            }
        }
        let (direct, store) = (Algorithm::Direct, Epilogue::Store);
        conv::conv(Form::Y, one, direct, apart, turned, c, store, workspace);
    }

    pub(super) fn on_device(
        &self,
        memory: &Memory,
        device: &Device,
        scratch: &mut Scratch,
    ) -> cuda::Result<Vec<Plan>> {
        let x = |i: usize| memory.inputs[i].slice();
        let operands = [x(0), x(1), memory.result.slice()];
        let mut plans = Vec::new();
        for precision in precisions(device) {
            let epilogue = match self.form {
                Form::Y => matmul::Epilogue::Bias {
                    bias: x(2),
                    relu: true,
                },
                _ => matmul::Epilogue::Store,
            };
            let (form, s) = (self.form, &self.sizes);
            let rungs = cuda::conv::ladder(form, s, operands, epilogue, precision, scratch)?;
            plans.extend(rungs.into_iter().map(|(about, launches)| {
                // A sum of parts in a launch of its own comes last.
                let name = launches.first().map_or("", |l| l.kernel()).to_string();
                Plan {
                    name,
                    ..Plan::new(about, launches)
                }
            }));
        }
        Ok(plans)
    }
}

/// Bias and relu.
fn layer(x: &[Vec<f32>]) -> Epilogue<'_> {
    Epilogue::Bias {
        bias: &x[2],
        below: Some(0.0),
    }
}

/// "14x14x64 to 7x7x128, 4x4, batch 64"; of dx the other way round, of dw with both.
impl fmt::Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.sizes;
        let ([h, w], [oh, ow], [kh, kw]) = (s.image, s.window.out, s.kernel);
        let images = [
            format!("{h}x{w}x{}", s.c_in),
            format!("{oh}x{ow}x{}", s.c_out),
        ];
        let [x, y] = images;
        let (from, word, to) = match self.form {
            Form::Y => (x, "to", y),
            Form::Dx => (y, "to", x),
            Form::Dw => (x, "and", y),
        };
        write!(f, "{from} {word} {to} {kh}x{kw} batch {}", s.n)
    }
}
