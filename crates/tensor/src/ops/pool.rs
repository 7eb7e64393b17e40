//! Pooling: sums and means over windows and their adjoint; the cells of maxima, what they hold, and the adjoint.

use ganforge_kernels::cpu::pool::{self, Axis, Taps, Windows};
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::resize::{resized, rows_and_columns};
use crate::ops::{Cx, Env, OpDef, R, Range, Sample, Window, input, sample};
use crate::shape::Shape;
use crate::view::View;

pub use ganforge_kernels::cpu::pool::Divisor;

/// Sums or means of images over windows.
///
/// ```text
/// y[n, i, j, c] = Σ_{u,v} x[n, i·s + u - p, j·s + v - p, c] / D      x: [n, h, w, c], y: [n, oh, ow, c]
/// x is 0 outside of the image; D: 1, the cells of a window, or those of them inside the image
/// vjp:   dx = unpool(dy)
/// order 2: linear: again a pool
/// cost:  kh kw flop per element of y
/// source: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition (subsampling); docs/book/src/ops/pool.md
/// errors: not images; windows that do not fit the images
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pool {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Where the windows lie.
    pub window: Window,
    /// By what sums are divided.
    pub divisor: Divisor,
}

/// The adjoint of a pool: each number added to every cell of its window, divided. With windows side by side, and nothing to
/// divide by, it repeats pixels: nearest neighbours.
///
/// ```text
/// dx[n, a, b, c] = Σ_{i,j} dy[n, i, j, c] / D[i, j] over the windows on (a, b)      dy: [n, oh, ow, c], dx: [n, h, w, c]
/// vjp:   d(dy) = pool(g)
/// order 2: linear: again an unpool
/// cost:  kh kw flop per element of dy
/// source: the derivative of a mean; docs/book/src/ops/unpool.md
/// errors: not images; a dy that is not the size of the windows on an image of h x w
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Unpool {
    /// The pool.
    pub pool: Pool,
    /// Rows and columns of its images.
    pub image: [usize; 2],
}

/// The cell of the maximum of each window, numbered from 0 along its rows.
///
/// ```text
/// y[n, i, j, c] = argmax_q x[n, i·s + u - p, j·s + v - p, c], q = u·kw + v, over the cells inside the image
/// x: [n, h, w, c], y: [n, oh, ow, c], whole numbers; the first of equals; a NaN counts as largest
/// vjp:   none: flat almost everywhere
/// order 2: zero
/// cost:  kh kw flop per element of y
/// source: Ranzato et al. 2007, Unsupervised Learning of Invariant Feature Hierarchies; docs/book/src/ops/pool_arg_max.md
/// errors: not images; windows that do not fit the images, or lie outside of them
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PoolArgMax {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Where the windows lie.
    pub window: Window,
}

/// What the indexed cell of each window holds.
///
/// ```text
/// y[n, i, j, c] = x[n, i·s + u - p, j·s + v - p, c], u·kw + v = index[n, i, j, c]; 0 outside of the image
/// x: [n, h, w, c], index, y: [n, oh, ow, c]
/// vjp:   dx = pool_put(dy, index);  d(index) = none
/// order 2: linear in x: again a pool_take
/// cost:  0 flop
/// source: the gradient of a maximum goes to the cell that holds it; docs/book/src/ops/pool_take.md
/// errors: shapes that do not fit; an index that is no cell
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PoolTake {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Where the windows lie.
    pub window: Window,
}

/// Adds each number at the indexed cell of its window: the adjoint of pool_take.
///
/// ```text
/// dx[n, a, b, c] = Σ_{i,j} dy[n, i, j, c] over the windows whose indexed cell is (a, b)
/// dy, index: [n, oh, ow, c], dx: [n, h, w, c]
/// vjp:   d(dy) = pool_take(g, index);  d(index) = none
/// order 2: linear in dy: again a pool_put
/// cost:  kh kw flop per element of dy
/// source: the gradient of a maximum goes to the cell that holds it; docs/book/src/ops/pool_put.md
/// errors: shapes that do not fit; an index that is no cell
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PoolPut {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Where the windows lie.
    pub window: Window,
    /// Rows and columns of the result.
    pub image: [usize; 2],
}

impl<'g> Var<'g> {
    /// Sums or means of images `[n, h, w, c]` over windows of `kernel` rows and columns.
    #[track_caller]
    pub fn pool(self, kernel: [usize; 2], window: Window, divisor: Divisor) -> Var<'g> {
        self.apply(Pool {
            kernel,
            window,
            divisor,
        })
    }

    /// The adjoint of [`pool`](Var::pool) of images of `image` rows and columns.
    #[track_caller]
    pub fn unpool(
        self,
        kernel: [usize; 2],
        window: Window,
        divisor: Divisor,
        image: [usize; 2],
    ) -> Var<'g> {
        let pool = Pool {
            kernel,
            window,
            divisor,
        };
        self.apply(Unpool { pool, image })
    }

    /// Means of images `[n, h, w, c]` over windows side by side of `kernel` rows and columns; what is left over at the end
    /// is in none.
    #[track_caller]
    pub fn mean_pool(self, kernel: [usize; 2]) -> Var<'g> {
        let window = Window::valid(image_of(self.shape()), kernel, kernel);
        self.pool(kernel, window, Divisor::Kernel)
    }

    /// Maxima of images `[n, h, w, c]` over windows of `kernel` rows and columns.
    #[track_caller]
    pub fn max_pool(self, kernel: [usize; 2], window: Window) -> Var<'g> {
        let index = self.apply(PoolArgMax { kernel, window });
        self.apply2(PoolTake { kernel, window }, index)
    }
}

/// Rows and columns of images; of anything else ones that fit no window.
fn image_of(shape: Shape) -> [usize; 2] {
    match shape.dims() {
        &[_, h, w, _] => [h, w],
        _ => [0; 2],
    }
}

/// The shape of what windows make of images.
fn windowed(x: Shape, kernel: [usize; 2], window: Window) -> Result<Shape, String> {
    let shape = resized(x, window.out)?;
    window.check(rows_and_columns(x), kernel)?;
    Ok(shape)
}

/// The shape of images that windows made `y` of.
fn images(
    y: Shape,
    kernel: [usize; 2],
    window: Window,
    image: [usize; 2],
) -> Result<Shape, String> {
    let shape = resized(y, image)?;
    window.check(image, kernel)?;
    let ([h, w], [oh, ow]) = (rows_and_columns(y), window.out);
    match [h, w] == [oh, ow] {
        true => Ok(shape),
        false => Err(format!(
            "expected {oh} x {ow} numbers, one for each window, got {h} x {w}"
        )),
    }
}

fn described(kernel: [usize; 2], window: Window) -> String {
    let [[kh, kw], [sh, sw], [ph, pw]] = [kernel, window.stride, window.pad];
    format!("{kh}x{kw}, stride {sh}x{sw}, pad {ph}x{pw}")
}

/// Calls `f(pixel, result, cell)` for every cell inside the image of every window: indices of `[n, image, c]` and
/// `[n, out, c]`, and the number of the cell.
fn each_cell(
    [n, c]: [usize; 2],
    image: [usize; 2],
    kernel: [usize; 2],
    window: Window,
    mut f: impl FnMut(usize, usize, usize),
) {
    let Window { stride, pad, out } = window;
    for (i, j) in (0..out[0]).flat_map(|i| (0..out[1]).map(move |j| (i, j))) {
        for (u, v) in (0..kernel[0]).flat_map(|u| (0..kernel[1]).map(move |v| (u, v))) {
            let (row, column) = (i * stride[0] + u, j * stride[1] + v);
            if row < pad[0] || column < pad[1] {
                continue;
            }
            let (a, b) = (row - pad[0], column - pad[1]);
            if a >= image[0] || b >= image[1] {
                continue;
            }
            for (n, k) in (0..n).flat_map(|n| (0..c).map(move |k| (n, k))) {
                let result = ((n * out[0] + i) * out[1] + j) * c + k;
                f(
                    ((n * image[0] + a) * image[1] + b) * c + k,
                    result,
                    u * kernel[1] + v,
                );
            }
        }
    }
}

/// Numbers of images, and of a pixel.
fn outer(shape: Shape) -> [usize; 2] {
    [shape.dims()[0], shape.dims()[3]]
}

impl Pool {
    /// By what each result is divided; `shape`: that of the results.
    fn divisors(&self, shape: Shape, image: [usize; 2]) -> Vec<f64> {
        let all = (self.kernel[0] * self.kernel[1]) as f64;
        match self.divisor {
            Divisor::One => vec![1.0; shape.elements()],
            Divisor::Kernel => vec![all; shape.elements()],
            Divisor::Inside => {
                let mut counts = vec![0.0; shape.elements()];
                let count = |_: usize, y: usize, _: usize| counts[y] += 1.0;
                each_cell(outer(shape), image, self.kernel, self.window, count);
                counts
            }
        }
    }

    fn axes(&self, image: [usize; 2], is_adjoint: bool) -> [Axis; 2] {
        let axis = |d: usize| Axis {
            taps: Taps::Window {
                kernel: self.kernel[d],
                stride: self.window.stride[d],
                pad: self.window.pad[d],
                divisor: self.divisor,
            },
            image: image[d],
            result: self.window.out[d],
            is_adjoint,
        };
        [axis(0), axis(1)]
    }
}

impl OpDef for Pool {
    const NAME: &'static str = "pool";
    // The last rounding, beside the sum.
    const ULPS: f64 = 1.0;
    const SAMPLES: &'static [Sample<Pool>] = &[
        sample(HALVES, &[input(&[2, 4, 6, 3], R)]),
        sample(AROUND, &[input(&[2, 5, 7, 2], R)]),
        sample(INSIDE, &[input(&[1, 5, 7, 2], R)]),
        sample(OBLONG, &[input(&[3, 9, 11, 17], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        windowed(ins[0], self.kernel, self.window)
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let image = rows_and_columns(x[0].shape());
        Some(dy.apply(Unpool { pool: *self, image }))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let image = rows_and_columns(ins[0].shape);
        out.fill(0.0);
        each_cell(outer(shape), image, self.kernel, self.window, |x, y, _| {
            out[y] += ins[0].data[x]
        });
        for (y, divisor) in out.iter_mut().zip(self.divisors(shape, image)) {
            *y = if divisor > 0.0 { *y / divisor } else { 0.0 };
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let axes = self.axes(rows_and_columns(ins[0].shape), false);
        pool::resample(ins[0].data, axes, cx.shape.dims()[3], out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let axes = self.axes(rows_and_columns(ins[0].shape), false);
        cx.launch(cuda::pool::resample(
            ins[0].data,
            axes,
            out.shape.dims()[3],
            out.data,
        ));
        Ok(())
    }

    fn flops(&self, _: &[Shape], out: Shape) -> u64 {
        (self.kernel[0] * self.kernel[1] * out.elements()) as u64
    }

    /// The cells, and the roundings of a weight.
    fn terms(&self, _: &[Shape]) -> usize {
        self.kernel[0] * self.kernel[1] + 3
    }

    fn attributes(&self) -> String {
        let over = match self.divisor {
            Divisor::One => "sum",
            Divisor::Kernel => "mean",
            Divisor::Inside => "mean inside",
        };
        format!("{over} of {}", described(self.kernel, self.window))
    }
}

const HALVES: Pool = Pool {
    kernel: [2, 2],
    window: Window::valid([4, 6], [2, 2], [2, 2]),
    divisor: Divisor::Kernel,
};
const AROUND: Pool = Pool {
    kernel: [3, 3],
    window: Window::padded([5, 7], [3, 3], [2, 2], [1, 1]),
    divisor: Divisor::Kernel,
};
const INSIDE: Pool = Pool {
    divisor: Divisor::Inside,
    ..AROUND
};
const OBLONG: Pool = Pool {
    kernel: [2, 5],
    window: Window::same([9, 11], [2, 5], [1, 3]),
    divisor: Divisor::One,
};

impl OpDef for Unpool {
    const NAME: &'static str = "unpool";
    // The last rounding, beside the sum.
    const ULPS: f64 = 1.0;
    const SAMPLES: &'static [Sample<Unpool>] = &[
        sample(
            Unpool {
                pool: HALVES,
                image: [4, 6],
            },
            &[input(&[2, 2, 3, 3], R)],
        ),
        sample(
            Unpool {
                pool: AROUND,
                image: [5, 7],
            },
            &[input(&[2, 3, 4, 2], R)],
        ),
        sample(
            Unpool {
                pool: INSIDE,
                image: [5, 7],
            },
            &[input(&[1, 3, 4, 2], R)],
        ),
        sample(
            Unpool {
                pool: OBLONG,
                image: [9, 11],
            },
            &[input(&[3, 9, 4, 17], R)],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        images(ins[0], self.pool.kernel, self.pool.window, self.image)
    }

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, g: Var<'g>) -> Option<Var<'g>> {
        Some(g.apply(self.pool))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        let (dy, Pool { kernel, window, .. }) = (ins[0], self.pool);
        let divisors = self.pool.divisors(dy.shape, self.image);
        out.fill(0.0);
        each_cell(outer(dy.shape), self.image, kernel, window, |x, y, _| {
            out[x] += dy.data[y] / divisors[y];
        });
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let axes = self.pool.axes(self.image, true);
        pool::resample(ins[0].data, axes, cx.shape.dims()[3], out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let axes = self.pool.axes(self.image, true);
        cx.launch(cuda::pool::resample(
            ins[0].data,
            axes,
            out.shape.dims()[3],
            out.data,
        ));
        Ok(())
    }

    fn flops(&self, ins: &[Shape], _: Shape) -> u64 {
        OpDef::flops(&self.pool, &[], ins[0])
    }

    /// The windows on a pixel, and the roundings of a weight.
    fn terms(&self, _: &[Shape]) -> usize {
        let Pool { kernel, window, .. } = self.pool;
        let windows = |d: usize| kernel[d].div_ceil(window.stride[d].max(1));
        windows(0) * windows(1) + 3
    }

    fn attributes(&self) -> String {
        let [h, w] = self.image;
        format!("{}, to {h}x{w}", OpDef::attributes(&self.pool))
    }
}

/// The windows as kernels take them.
fn windows(image: [usize; 2], kernel: [usize; 2], window: Window, channels: usize) -> Windows {
    let Window { stride, pad, out } = window;
    Windows {
        image,
        kernel,
        stride,
        pad,
        result: out,
        channels,
    }
}

const KERNEL: [usize; 2] = [3, 2];
const WINDOW: Window = Window::padded([7, 6], KERNEL, [2, 2], [1, 1]);
const WIDE: Window = Window::same([9, 11], KERNEL, [1, 3]);
const CELLS: Range = Range::Index(6);

impl OpDef for PoolArgMax {
    const NAME: &'static str = "pool_arg_max";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<PoolArgMax>] = &[
        sample(
            PoolArgMax {
                kernel: KERNEL,
                window: WINDOW,
            },
            &[input(&[2, 7, 6, 3], Range::Distinct)],
        ),
        sample(
            PoolArgMax {
                kernel: KERNEL,
                window: WIDE,
            },
            &[input(&[1, 9, 11, 67], Range::Distinct)],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let shape = windowed(ins[0], self.kernel, self.window)?;
        let (image, Window { stride, pad, out }) = (rows_and_columns(ins[0]), self.window);
        for d in 0..2 {
            // Where the first window ends and where the last one begins.
            if self.kernel[d] <= pad[d] || (out[d] - 1) * stride[d] >= pad[d] + image[d] {
                let [k, p] = [self.kernel[d], pad[d]];
                let size = image[d];
                return Err(format!(
                    "a window of {k} with {p} before an image of {size} lies outside of it and has no maximum"
                ));
            }
        }
        Ok(shape)
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let (x, image) = (ins[0].data, rows_and_columns(ins[0].shape));
        let mut best: Vec<Option<f64>> = vec![None; out.len()];
        each_cell(
            outer(shape),
            image,
            self.kernel,
            self.window,
            |a, y, cell| {
                let v = x[a];
                if best[y].is_none_or(|b| v > b || (v.is_nan() && !b.is_nan())) {
                    (best[y], out[y]) = (Some(v), cell as f64);
                }
            },
        );
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let image = rows_and_columns(ins[0].shape);
        let windows = windows(image, self.kernel, self.window, cx.shape.dims()[3]);
        pool::arg_max(ins[0].data, windows, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let image = rows_and_columns(ins[0].shape);
        let windows = windows(image, self.kernel, self.window, out.shape.dims()[3]);
        cx.launch(cuda::pool::arg_max(ins[0].data, windows, out.data));
        Ok(())
    }

    fn flops(&self, _: &[Shape], out: Shape) -> u64 {
        (self.kernel[0] * self.kernel[1] * out.elements()) as u64
    }

    fn attributes(&self) -> String {
        described(self.kernel, self.window)
    }
}

impl OpDef for PoolTake {
    const NAME: &'static str = "pool_take";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<PoolTake>] = &[
        sample(
            PoolTake {
                kernel: KERNEL,
                window: WINDOW,
            },
            &[input(&[2, 7, 6, 3], R), input(&[2, 4, 4, 3], CELLS)],
        ),
        sample(
            PoolTake {
                kernel: KERNEL,
                window: WIDE,
            },
            &[input(&[1, 9, 11, 67], R), input(&[1, 9, 4, 67], CELLS)],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let shape = windowed(ins[0], self.kernel, self.window)?;
        match shape == ins[1] {
            true => Ok(shape),
            false => Err(format!("expected indices of shape {shape}")),
        }
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let PoolTake { kernel, window } = *self;
        let image = rows_and_columns(x[0].shape());
        (wrt == 0).then(|| {
            dy.apply2(
                PoolPut {
                    kernel,
                    window,
                    image,
                },
                x[1],
            )
        })
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let (x, index, image) = (ins[0].data, ins[1].data, rows_and_columns(ins[0].shape));
        out.fill(0.0);
        each_cell(
            outer(shape),
            image,
            self.kernel,
            self.window,
            |a, y, cell| {
                if index[y] == cell as f64 {
                    out[y] = x[a];
                }
            },
        );
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let image = rows_and_columns(ins[0].shape);
        let windows = windows(image, self.kernel, self.window, cx.shape.dims()[3]);
        pool::take(ins[0].data, ins[1].data, windows, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let image = rows_and_columns(ins[0].shape);
        let windows = windows(image, self.kernel, self.window, out.shape.dims()[3]);
        cx.launch(cuda::pool::take(
            ins[0].data,
            ins[1].data,
            windows,
            out.data,
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        described(self.kernel, self.window)
    }

    fn rows(&self, _: Shape) -> Option<usize> {
        Some(self.kernel[0] * self.kernel[1])
    }
}

impl OpDef for PoolPut {
    const NAME: &'static str = "pool_put";
    // The last rounding, beside the sum.
    const ULPS: f64 = 1.0;
    const SAMPLES: &'static [Sample<PoolPut>] = &[
        sample(
            PoolPut {
                kernel: KERNEL,
                window: WINDOW,
                image: [7, 6],
            },
            &[input(&[2, 4, 4, 3], R), input(&[2, 4, 4, 3], CELLS)],
        ),
        sample(
            PoolPut {
                kernel: KERNEL,
                window: WIDE,
                image: [9, 11],
            },
            &[input(&[1, 9, 4, 67], R), input(&[1, 9, 4, 67], CELLS)],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        match ins[0] == ins[1] {
            true => images(ins[0], self.kernel, self.window, self.image),
            false => Err("values and indices differ in shape".into()),
        }
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, g: Var<'g>) -> Option<Var<'g>> {
        let PoolPut { kernel, window, .. } = *self;
        (wrt == 0).then(|| g.apply2(PoolTake { kernel, window }, x[1]))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        let (dy, index) = (ins[0], ins[1].data);
        out.fill(0.0);
        each_cell(
            outer(dy.shape),
            self.image,
            self.kernel,
            self.window,
            |a, y, cell| {
                if index[y] == cell as f64 {
                    out[a] += dy.data[y];
                }
            },
        );
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let windows = windows(self.image, self.kernel, self.window, cx.shape.dims()[3]);
        pool::put(ins[0].data, ins[1].data, windows, out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let windows = windows(self.image, self.kernel, self.window, out.shape.dims()[3]);
        cx.launch(cuda::pool::put(ins[0].data, ins[1].data, windows, out.data));
        Ok(())
    }

    fn flops(&self, ins: &[Shape], _: Shape) -> u64 {
        (self.kernel[0] * self.kernel[1] * ins[0].elements()) as u64
    }

    fn terms(&self, _: &[Shape]) -> usize {
        let windows = |d: usize| self.kernel[d].div_ceil(self.window.stride[d].max(1));
        windows(0) * windows(1)
    }

    fn attributes(&self) -> String {
        let [h, w] = self.image;
        format!("{}, to {h}x{w}", described(self.kernel, self.window))
    }

    fn rows(&self, _: Shape) -> Option<usize> {
        Some(self.kernel[0] * self.kernel[1])
    }
}
