//! Convolution of images with filters, and its two adjoints.

use ganforge_kernels::cpu::conv::{self, Algorithm, Form, Sizes};
use ganforge_kernels::cpu::gemm;
use ganforge_kernels::cuda::{self, matmul};

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cx, Env, OpDef, R, Sample, input, sample};
use crate::plan::{Contract, Operand};
use crate::shape::Shape;
use crate::view::View;

pub use ganforge_kernels::cpu::conv::Window;

/// Convolution of images with filters, as networks have it: the filters are not turned around.
///
/// ```text
/// y[n, i, j, o] = Σ_{u,v,c} x[n, i·s + u - p, j·s + v - p, c] · w[u, v, c, o]
///       x: [n, h, w, c_in], w: [kh, kw, c_in, c_out], y: [n, oh, ow, c_out]; x is 0 outside of the image
/// vjp:   dx = conv2d_dx(dy, w),  dw = conv2d_dw(x, dy)
/// order 2: bilinear: the three ops are each other's gradients
/// cost:  2 kh kw c_in flop per element of y
/// source: LeCun et al. 1989, Backpropagation Applied to Handwritten Zip Code Recognition; docs/book/src/ops/conv2d.md
/// errors: not images and filters; channels that differ; windows that do not fit the images
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv2d {
    /// Where the filters are applied.
    pub window: Window,
}

/// Transposed convolution: the gradient of a convolution in its images, and the "deconvolution" of generators.
///
/// ```text
/// dx[n, r, q, c] = Σ_{u,v,o} dy[n, i, j, o] · w[u, v, c, o]  where r = i·s + u - p, q = j·s + v - p
///       dy: [n, oh, ow, c_out], w: [kh, kw, c_in, c_out], dx: [n, h, w, c_in]
/// vjp:   of g in dx:  d(dy) = conv2d(g, w),  dw = conv2d_dw(g, dy)
/// order 2: bilinear: the three ops are each other's gradients
/// cost:  2 kh kw c_in flop per element of dy
/// source: Dumoulin and Visin 2016, A guide to convolution arithmetic for deep learning; docs/book/src/ops/conv2d_dx.md
/// errors: not images and filters; a dy that is not the size of the windows on an image of h x w
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv2dDx {
    /// Where the filters were applied.
    pub window: Window,
    /// Rows and columns of an image of the result.
    pub image: [usize; 2],
}

/// The gradient of a convolution in its filters.
///
/// ```text
/// dw[u, v, c, o] = Σ_{n,i,j} x[n, i·s + u - p, j·s + v - p, c] · dy[n, i, j, o]
///       x: [n, h, w, c_in], dy: [n, oh, ow, c_out], dw: [kh, kw, c_in, c_out]; x is 0 outside of the image
/// vjp:   of g in dw:  dx = conv2d_dx(dy, g),  d(dy) = conv2d(x, g)
/// order 2: bilinear: the three ops are each other's gradients
/// cost:  2 kh kw c_in flop per element of dy
/// source: LeCun et al. 1989, weights that are shared sum their gradients; docs/book/src/ops/conv2d_dw.md
/// errors: not two batches of images; a dy that is not the size of the windows on x
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv2dDw {
    /// Where the filters were applied.
    pub window: Window,
    /// Rows and columns of the filters.
    pub kernel: [usize; 2],
}

impl<'g> Var<'g> {
    /// Images `[n, h, w, c_in]` convolved with `filters` `[kh, kw, c_in, c_out]`: `[n, oh, ow, c_out]`.
    #[track_caller]
    pub fn conv2d(self, filters: Var<'g>, window: Window) -> Var<'g> {
        self.apply2(Conv2d { window }, filters)
    }

    /// The adjoint of [`conv2d`](Var::conv2d) in its images of `image` rows and columns: `[n, oh, ow, c_out]` and filters
    /// `[kh, kw, c_in, c_out]` give `[n, h, w, c_in]`.
    #[track_caller]
    pub fn conv2d_dx(self, filters: Var<'g>, window: Window, image: [usize; 2]) -> Var<'g> {
        self.apply2(Conv2dDx { window, image }, filters)
    }

    /// The adjoint of [`conv2d`](Var::conv2d) in its filters of `kernel` rows and columns: images `[n, h, w, c_in]` and `dy`
    /// `[n, oh, ow, c_out]` give `[kh, kw, c_in, c_out]`.
    #[track_caller]
    pub fn conv2d_dw(self, dy: Var<'g>, window: Window, kernel: [usize; 2]) -> Var<'g> {
        self.apply2(Conv2dDw { window, kernel }, dy)
    }
}

/// What the three ops are to the kernels and to plans.
trait Convolve: OpDef {
    const FORM: Form;

    fn window(&self) -> Window;

    /// The sizes, or what is wrong with the shapes of the operands.
    fn sizes(&self, a: Shape, b: Shape) -> Result<Sizes, String>;

    /// The sizes for shapes that were checked when the op was recorded.
    fn known(&self, a: Shape, b: Shape) -> Sizes {
        self.sizes(a, b).expect("checked when recorded")
    }
}

fn four(shape: Shape, expected: &str) -> Result<[usize; 4], String> {
    let dims = shape.dims().try_into();
    dims.map_err(|_| format!("expected {expected}, got {shape}"))
}

fn same(what: &str, a: usize, b: usize) -> Result<(), String> {
    if a == b {
        Ok(())
    } else {
        Err(format!("{what} differ, {a} and {b}"))
    }
}

/// Whether dy is what the windows give.
fn fits(window: Window, out: [usize; 2]) -> Result<(), String> {
    if out == window.out {
        return Ok(());
    }
    let ([h, w], [oh, ow]) = (out, window.out);
    Err(format!(
        "expected a dy of {oh} x {ow}, one for each window, got {h} x {w}"
    ))
}

impl Convolve for Conv2d {
    const FORM: Form = Form::Y;

    fn window(&self) -> Window {
        self.window
    }

    fn sizes(&self, x: Shape, w: Shape) -> Result<Sizes, String> {
        let [n, h, width, c_in] = four(x, "images [n, h, w, c_in]")?;
        let [kh, kw, c, c_out] = four(w, "filters [kh, kw, c_in, c_out]")?;
        same("channels of images and filters", c_in, c)?;
        let (image, kernel, window) = ([h, width], [kh, kw], self.window);
        window.check(image, kernel)?;
        Ok(Sizes {
            n,
            image,
            c_in,
            kernel,
            c_out,
            window,
        })
    }
}

impl Convolve for Conv2dDx {
    const FORM: Form = Form::Dx;

    fn window(&self) -> Window {
        self.window
    }

    fn sizes(&self, dy: Shape, w: Shape) -> Result<Sizes, String> {
        let [n, oh, ow, c] = four(dy, "a gradient of images [n, oh, ow, c_out]")?;
        let [kh, kw, c_in, c_out] = four(w, "filters [kh, kw, c_in, c_out]")?;
        same("channels of dy and filters", c, c_out)?;
        let (image, kernel, window) = (self.image, [kh, kw], self.window);
        window.check(image, kernel)?;
        fits(window, [oh, ow])?;
        Ok(Sizes {
            n,
            image,
            c_in,
            kernel,
            c_out,
            window,
        })
    }
}

impl Convolve for Conv2dDw {
    const FORM: Form = Form::Dw;

    fn window(&self) -> Window {
        self.window
    }

    fn sizes(&self, x: Shape, dy: Shape) -> Result<Sizes, String> {
        let [n, h, width, c_in] = four(x, "images [n, h, w, c_in]")?;
        let [m, oh, ow, c_out] = four(dy, "a gradient of images [n, oh, ow, c_out]")?;
        same("numbers of images", n, m)?;
        let (image, kernel, window) = ([h, width], self.kernel, self.window);
        window.check(image, kernel)?;
        fits(window, [oh, ow])?;
        Ok(Sizes {
            n,
            image,
            c_in,
            kernel,
            c_out,
            window,
        })
    }
}

/// What the three have in common, in each of their `OpDef`s.
macro_rules! convolves {
    () => {
        // The last rounding, beside the sum.
        const ULPS: f64 = 1.0;

        fn workspace(&self, ins: &[Shape]) -> usize {
            conv::workspace(Self::FORM, self.known(ins[0], ins[1]))
        }

        fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
            Contract::cpu(self, ins, out, gemm::Epilogue::Store, cx);
        }

        fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
            Contract::cuda(self, ins, out.data, matmul::Epilogue::Store, cx)
        }

        fn flops(&self, ins: &[Shape], _: Shape) -> u64 {
            let sizes = self.known(ins[0], ins[1]);
            let per_output = 2 * (sizes.kernel[0] * sizes.kernel[1] * sizes.c_in) as u64;
            per_output.saturating_mul(sizes.y() as u64)
        }

        fn terms(&self, ins: &[Shape]) -> usize {
            self.sizes(ins[0], ins[1])
                .map_or(1, |s| s.terms(Self::FORM))
        }

        fn attributes(&self) -> String {
            attributes(Convolve::window(self))
        }
    };
}

/// `stride 2x2, pad 1x1, 14x14 windows`
fn attributes(window: Window) -> String {
    let pair = |[a, b]: [usize; 2]| format!("{a}x{b}");
    let [stride, pad, out] = [window.stride, window.pad, window.out].map(pair);
    format!("stride {stride}, pad {pad}, {out} windows")
}

/// Calls `f` with an index into x, one into w and one into y for each product of three of their elements in the sum
/// Σ x · w · y over all windows: which of them is summed up is what tells the three ops apart.
fn each_term(s: Sizes, mut f: impl FnMut(usize, usize, usize)) {
    let ([h, width], [kh, kw], [oh, ow]) = (s.image, s.kernel, s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    for n in 0..s.n {
        for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
            for (u, v) in (0..kh).flat_map(|u| (0..kw).map(move |v| (u, v))) {
                // Counted from the first zero before the image.
                let (r, q) = (i * sh + u, j * sw + v);
                if r < ph || q < pw || r >= ph + h || q >= pw + width {
                    continue;
                }
                for c in 0..s.c_in {
                    let x = ((n * h + r - ph) * width + q - pw) * s.c_in + c;
                    for o in 0..s.c_out {
                        let w = ((u * kw + v) * s.c_in + c) * s.c_out + o;
                        f(x, w, ((n * oh + i) * ow + j) * s.c_out + o);
                    }
                }
            }
        }
    }
}

impl OpDef for Conv2d {
    const NAME: &'static str = "conv2d";
    const SAMPLES: &'static [Sample<Conv2d>] = &[
        sample(
            Conv2d {
                window: Window::same([5, 7], [3, 3], [1, 1]),
            },
            &[input(&[2, 5, 7, 3], R), input(&[3, 3, 3, 4], R)],
        ),
        sample(
            Conv2d {
                window: Window::same([6, 7], [4, 4], [2, 2]),
            },
            &[input(&[3, 6, 7, 2], R), input(&[4, 4, 2, 5], R)],
        ),
        sample(
            Conv2d {
                window: Window::same([7, 5], [1, 7], [3, 1]),
            },
            &[input(&[1, 7, 5, 3], R), input(&[1, 7, 3, 2], R)],
        ),
        sample(
            Conv2d {
                window: Window::padded([3, 4], [2, 3], [1, 2], [4, 6]),
            },
            &[input(&[2, 3, 4, 1], R), input(&[2, 3, 1, 3], R)],
        ),
        sample(
            Conv2d {
                window: Window::valid([7, 7], [5, 2], [2, 3]),
            },
            &[input(&[1, 7, 7, 1], R), input(&[5, 2, 1, 1], R)],
        ),
        sample(
            Conv2d {
                window: Window::same([4, 4], [1, 1], [1, 1]),
            },
            &[input(&[2, 4, 4, 5], R), input(&[1, 1, 5, 3], R)],
        ),
        sample(
            Conv2d {
                window: Window::same([5, 6], [6, 6], [1, 2]),
            },
            &[input(&[1, 5, 6, 2], R), input(&[6, 6, 2, 2], R)],
        ),
        sample(
            Conv2d {
                window: Window::valid([1, 1], [1, 1], [2, 3]),
            },
            &[input(&[1, 1, 1, 1], R), input(&[1, 1, 1, 1], R)],
        ),
    ];

    convolves!();

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let Sizes {
            n,
            c_out,
            window: Window { out: [oh, ow], .. },
            ..
        } = self.sizes(ins[0], ins[1])?;
        Ok(Shape::new(&[n, oh, ow, c_out]))
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let s = self.known(x[0].shape(), x[1].shape());
        Some(match wrt {
            0 => dy.conv2d_dx(x[1], s.window, s.image),
            _ => x[0].conv2d_dw(dy, s.window, s.kernel),
        })
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(0.0);
        let (x, w) = (ins[0], ins[1]);
        each_term(self.known(x.shape, w.shape), |i, j, k| {
            out[k] += x.data[i] * w.data[j]
        });
    }
}

impl OpDef for Conv2dDx {
    const NAME: &'static str = "conv2d_dx";
    const SAMPLES: &'static [Sample<Conv2dDx>] = &[
        sample(
            Conv2dDx {
                window: Window::same([5, 7], [3, 3], [1, 1]),
                image: [5, 7],
            },
            &[input(&[2, 5, 7, 4], R), input(&[3, 3, 3, 4], R)],
        ),
        sample(
            Conv2dDx {
                window: Window::same([6, 7], [4, 4], [2, 2]),
                image: [6, 7],
            },
            &[input(&[3, 3, 4, 5], R), input(&[4, 4, 2, 5], R)],
        ),
        sample(
            Conv2dDx {
                window: Window::same([7, 5], [1, 7], [3, 1]),
                image: [7, 5],
            },
            &[input(&[1, 3, 5, 2], R), input(&[1, 7, 3, 2], R)],
        ),
        sample(
            Conv2dDx {
                window: Window::padded([3, 4], [2, 3], [1, 2], [4, 6]),
                image: [3, 4],
            },
            &[input(&[2, 10, 7, 3], R), input(&[2, 3, 1, 3], R)],
        ),
        sample(
            Conv2dDx {
                window: Window::valid([7, 7], [5, 2], [2, 3]),
                image: [7, 7],
            },
            &[input(&[1, 2, 2, 1], R), input(&[5, 2, 1, 1], R)],
        ),
        sample(
            Conv2dDx {
                window: Window::same([8, 6], [3, 3], [2, 2]),
                image: [8, 6],
            },
            &[input(&[2, 4, 3, 3], R), input(&[3, 3, 2, 3], R)],
        ),
        sample(
            Conv2dDx {
                window: Window::same([4, 4], [1, 1], [1, 1]),
                image: [4, 4],
            },
            &[input(&[2, 4, 4, 3], R), input(&[1, 1, 5, 3], R)],
        ),
    ];

    convolves!();

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let Sizes {
            n,
            image: [h, w],
            c_in,
            ..
        } = self.sizes(ins[0], ins[1])?;
        Ok(Shape::new(&[n, h, w, c_in]))
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, g: Var<'g>) -> Option<Var<'g>> {
        let s = self.known(x[0].shape(), x[1].shape());
        Some(match wrt {
            0 => g.conv2d(x[1], s.window),
            _ => g.conv2d_dw(x[0], s.window, s.kernel),
        })
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(0.0);
        let (dy, w) = (ins[0], ins[1]);
        each_term(self.known(dy.shape, w.shape), |i, j, k| {
            out[i] += dy.data[k] * w.data[j]
        });
    }
}

impl OpDef for Conv2dDw {
    const NAME: &'static str = "conv2d_dw";
    const SAMPLES: &'static [Sample<Conv2dDw>] = &[
        sample(
            Conv2dDw {
                window: Window::same([5, 7], [3, 3], [1, 1]),
                kernel: [3, 3],
            },
            &[input(&[2, 5, 7, 3], R), input(&[2, 5, 7, 4], R)],
        ),
        sample(
            Conv2dDw {
                window: Window::same([6, 7], [4, 4], [2, 2]),
                kernel: [4, 4],
            },
            &[input(&[3, 6, 7, 2], R), input(&[3, 3, 4, 5], R)],
        ),
        sample(
            Conv2dDw {
                window: Window::same([7, 5], [1, 7], [3, 1]),
                kernel: [1, 7],
            },
            &[input(&[1, 7, 5, 3], R), input(&[1, 3, 5, 2], R)],
        ),
        sample(
            Conv2dDw {
                window: Window::padded([3, 4], [2, 3], [1, 2], [4, 6]),
                kernel: [2, 3],
            },
            &[input(&[2, 3, 4, 1], R), input(&[2, 10, 7, 3], R)],
        ),
        sample(
            Conv2dDw {
                window: Window::valid([7, 7], [5, 2], [2, 3]),
                kernel: [5, 2],
            },
            &[input(&[1, 7, 7, 1], R), input(&[1, 2, 2, 1], R)],
        ),
        sample(
            Conv2dDw {
                window: Window::same([4, 4], [1, 1], [1, 1]),
                kernel: [1, 1],
            },
            &[input(&[2, 4, 4, 5], R), input(&[2, 4, 4, 3], R)],
        ),
    ];

    convolves!();

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let Sizes {
            kernel: [kh, kw],
            c_in,
            c_out,
            ..
        } = self.sizes(ins[0], ins[1])?;
        Ok(Shape::new(&[kh, kw, c_in, c_out]))
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, g: Var<'g>) -> Option<Var<'g>> {
        let s = self.known(x[0].shape(), x[1].shape());
        Some(match wrt {
            0 => x[1].conv2d_dx(g, s.window, s.image),
            _ => x[0].conv2d(g, s.window),
        })
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(0.0);
        let (x, dy) = (ins[0], ins[1]);
        each_term(self.known(x.shape, dy.shape), |i, j, k| {
            out[j] += x.data[i] * dy.data[k]
        });
    }
}

impl<T: Convolve> Contract for T {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn executed_flops(&self, ins: &[Operand], _: u64, algorithm: Algorithm) -> u64 {
        conv::executed_flops(
            Self::FORM,
            self.known(ins[0].shape, ins[1].shape),
            algorithm,
        )
    }

    fn workspace(&self, ins: &[Operand]) -> usize {
        OpDef::workspace(self, &[ins[0].shape, ins[1].shape])
    }

    fn cpu(&self, ins: &[View<f32>], c: &mut [f32], epilogue: gemm::Epilogue, cx: &mut Cx) {
        let (a, b) = (ins[0], ins[1]);
        let sizes = self.known(a.shape, b.shape);
        conv::conv(
            Self::FORM,
            sizes,
            cx.algorithm,
            a.data,
            b.data,
            c,
            epilogue,
            cx.workspace,
        );
    }

    fn cuda(
        &self,
        ins: &[DeviceView],
        c: cuda::Slice,
        epilogue: matmul::Epilogue,
        cx: &mut DeviceCx,
    ) -> Result<()> {
        let (a, b) = (ins[0], ins[1]);
        let (sizes, operands) = (self.known(a.shape, b.shape), [a.data, b.data, c]);
        let (precision, scratch) = (cx.precision, &mut cx.scratch);
        let launches =
            cuda::conv::convolution(Self::FORM, &sizes, operands, epilogue, precision, scratch)?;
        launches.into_iter().for_each(|launch| cx.launch(launch));
        Ok(())
    }
}
