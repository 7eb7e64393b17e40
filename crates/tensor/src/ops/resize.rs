//! Images at other sizes: interpolation and its adjoint; zeros between pixels; channels as pixels.

use ganforge_kernels::cpu::pool::{self, Axis, Taps};
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::{Cx, Env, OpDef, R, Sample, Window, input, sample};
use crate::shape::Shape;
use crate::view::View;

/// Bilinear interpolation of images to another size, between the centres of pixels.
///
/// ```text
/// y[n, i, j, c] = Σ_{a,b} U[i, a] · V[j, b] · x[n, a, b, c]      x: [n, h, w, c], y: [n, oh, ow, c]
/// with s = max((i + 1/2) h/oh - 1/2, 0), a = min(⌊s⌋, h - 1):  U[i, a] = 1 - (s - a),  U[i, a + 1] = s - a;
/// U[i, h - 1] = 1 beyond the last centre; V likewise of the columns
/// vjp:   dx = resize_bilinear_adjoint(dy)
/// order 2: linear: again an interpolation
/// cost:  8 flop per element of y
/// source: PyTorch's interpolate, align_corners = false, not antialiased; docs/book/src/ops/resize_bilinear.md
/// errors: not images; an image without pixels
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ResizeBilinear {
    /// Rows and columns of the result.
    pub size: [usize; 2],
}

/// The adjoint of bilinear interpolation: each number goes to the four pixels that it was interpolated from.
///
/// ```text
/// dx[n, a, b, c] = Σ_{i,j} U[i, a] · V[j, b] · dy[n, i, j, c]    dy: [n, oh, ow, c], dx: [n, h, w, c]; U, V of resize_bilinear
/// vjp:   d(dy) = resize_bilinear(g)
/// order 2: linear: again an adjoint
/// cost:  8 flop per element of dy
/// source: the derivative of an interpolation; docs/book/src/ops/resize_bilinear_adjoint.md
/// errors: not images; an image without pixels
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ResizeBilinearAdjoint {
    /// Rows and columns of the images that were interpolated.
    pub image: [usize; 2],
}

impl<'g> Var<'g> {
    /// Images `[n, h, w, c]` interpolated to `size`.
    #[track_caller]
    pub fn resize_bilinear(self, size: [usize; 2]) -> Var<'g> {
        self.apply(ResizeBilinear { size })
    }

    /// The adjoint of [`resize_bilinear`](Var::resize_bilinear) of images of `image` rows and columns.
    #[track_caller]
    pub fn resize_bilinear_adjoint(self, image: [usize; 2]) -> Var<'g> {
        self.apply(ResizeBilinearAdjoint { image })
    }

    /// Images `[n, h, w, c]` with each pixel repeated `factor` times down and along.
    ///
    /// ```text
    /// y[n, i, j, c] = x[n, ⌊i / f⌋, ⌊j / f⌋, c]      y: [n, h f, w f, c]
    /// ```
    ///
    /// It is the adjoint of a sum over windows of f x f: [`Unpool`](crate::ops::Unpool).
    #[track_caller]
    pub fn upsample_nearest(self, factor: usize) -> Var<'g> {
        let Some([_, h, w, _]) = images(self) else {
            return self.resize_bilinear([1; 2]);
        };
        let (image, kernel) = ([h, w].map(|size| size.saturating_mul(factor)), [factor; 2]);
        let window = Window::valid(image, kernel, kernel);
        self.unpool(kernel, window, pool::Divisor::One, image)
    }

    /// Images `[n, h, w, c]` with zeros between their pixels, which begin in the first row and column.
    ///
    /// ```text
    /// y[n, s i, s j, c] = x[n, i, j, c], 0 elsewhere      y: [n, h s, w s, c]
    /// ```
    ///
    /// In this layout it is one pad, since [n h, 1, w, c] at the origin of [n h, s, w, s c] is just that; its gradient is the
    /// slice with a stride.
    #[track_caller]
    pub fn unpool_zeros(self, stride: usize) -> Var<'g> {
        let Some([n, h, w, c]) = images(self) else {
            return self.resize_bilinear([1; 2]);
        };
        let times = |size: usize| size.saturating_mul(stride);
        let apart = self.reshape([n * h, 1, w, c]);
        let padded = apart.pad([0; 4], [n * h, stride, w, times(c)]);
        padded.reshape([n, times(h), times(w), c])
    }

    /// Each group of r² channels of images `[n, h, w, c r²]` as r x r pixels: depth to space.
    ///
    /// ```text
    /// y[n, i r + u, j r + v, k] = x[n, i, j, (u r + v) c + k]      y: [n, h r, w r, c]
    /// ```
    ///
    /// PyTorch's `PixelShuffle` takes channel k r² + u r + v instead: its channels are these, transposed from [c, r²] to
    /// [r², c]. In this layout it is one transposition, of [n h, w, r, r c].
    #[track_caller]
    pub fn pixel_shuffle(self, r: usize) -> Var<'g> {
        let Some([n, h, w, channels]) = images(self) else {
            return self.resize_bilinear([1; 2]);
        };
        let c = channels / r.saturating_mul(r).max(1);
        let times = |size: usize| size.saturating_mul(r);
        let split = self.reshape([n * h, w, r, times(c)]);
        let rows = split.transpose(&[0, 2, 1, 3]);
        rows.reshape([n, times(h), times(w), c])
    }

    /// The inverse of [`pixel_shuffle`](Var::pixel_shuffle): space to depth, `[n, h r, w r, c]` to `[n, h, w, r² c]`.
    #[track_caller]
    pub fn pixel_unshuffle(self, r: usize) -> Var<'g> {
        let Some([n, height, width, c]) = images(self) else {
            return self.resize_bilinear([1; 2]);
        };
        let ([h, w], times) = (
            [height, width].map(|size| size / r.max(1)),
            |size: usize| size.saturating_mul(r),
        );
        let split = self.reshape([n * h, r, w, times(c)]);
        let pixels = split.transpose(&[0, 2, 1, 3]);
        pixels.reshape([n, h, w, times(times(c))])
    }

    /// The norm of each example: √(Σ x² + eps) over all dimensions but the first, shape `[n]`.
    ///
    /// The constant keeps the derivative finite where an example is 0.
    #[track_caller]
    pub fn sample_norms(self, eps: f64) -> Var<'g> {
        let n = self.shape().dims().first().copied().unwrap_or(1);
        let rest = self.shape().elements() / n.max(1);
        let squares = self.reshape([n, rest]).square().sum_axes(&[1]);
        (squares + eps).sqrt().reshape([n])
    }
}

/// The sizes of images; anything else is refused by whichever op of images it is then recorded with.
fn images(x: Var<'_>) -> Option<[usize; 4]> {
    x.shape().dims().try_into().ok()
}

/// Images and their shape at another size.
pub(crate) fn resized(shape: Shape, size: [usize; 2]) -> Result<Shape, String> {
    let &[n, _, _, c] = shape.dims() else {
        return Err("expected images [n, h, w, c]".into());
    };
    Shape::try_new(&[n, size[0], size[1], c]).ok_or_else(|| "too many elements".into())
}

/// The rows and columns of images.
pub(crate) fn rows_and_columns(shape: Shape) -> [usize; 2] {
    [shape.dims()[1], shape.dims()[2]]
}

fn axes(image: [usize; 2], size: [usize; 2], is_adjoint: bool) -> [Axis; 2] {
    let axis = |d: usize| Axis {
        taps: Taps::Linear,
        image: image[d],
        result: size[d],
        is_adjoint,
    };
    [axis(0), axis(1)]
}

/// Calls `f(result, pixel, weight)` for every pixel that every number of the result is interpolated from: indices of
/// `[n, size, c]` and `[n, image, c]`.
fn each_tap(
    [n, c]: [usize; 2],
    image: [usize; 2],
    size: [usize; 2],
    mut f: impl FnMut(usize, usize, f64),
) {
    let taps = |d: usize, i: usize| {
        let s = ((i as f64 + 0.5) * image[d] as f64 / size[d] as f64 - 0.5).max(0.0);
        let a = (s.floor() as usize).min(image[d] - 1);
        let share = if a + 1 < image[d] { s - a as f64 } else { 0.0 };
        [(a, 1.0 - share), ((a + 1).min(image[d] - 1), share)]
    };
    for (i, j) in (0..size[0]).flat_map(|i| (0..size[1]).map(move |j| (i, j))) {
        for ((a, u), (b, v)) in taps(0, i)
            .into_iter()
            .flat_map(|u| taps(1, j).map(|v| (u, v)))
        {
            for (n, c_at) in (0..n).flat_map(|n| (0..c).map(move |k| (n, k))) {
                let result = ((n * size[0] + i) * size[1] + j) * c + c_at;
                f(
                    result,
                    ((n * image[0] + a) * image[1] + b) * c + c_at,
                    u * v,
                );
            }
        }
    }
}

fn check(image: [usize; 2]) -> Result<(), String> {
    match image.contains(&0) {
        true => Err("an image without pixels has no values between them".into()),
        false => Ok(()),
    }
}

impl OpDef for ResizeBilinear {
    const NAME: &'static str = "resize_bilinear";
    // The last rounding, beside the sum.
    const ULPS: f64 = 1.0;
    const SAMPLES: &'static [Sample<ResizeBilinear>] = &[
        sample(ResizeBilinear { size: [4, 6] }, &[input(&[2, 2, 3, 3], R)]),
        sample(ResizeBilinear { size: [3, 9] }, &[input(&[1, 7, 4, 2], R)]),
        sample(ResizeBilinear { size: [5, 2] }, &[input(&[2, 1, 5, 1], R)]),
        sample(
            ResizeBilinear { size: [13, 11] },
            &[input(&[2, 5, 17, 19], R)],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let shape = resized(ins[0], self.size)?;
        check(rows_and_columns(ins[0]))?;
        Ok(shape)
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.resize_bilinear_adjoint(rows_and_columns(x[0].shape())))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        out.fill(0.0);
        let [n, c] = [shape.dims()[0], shape.dims()[3]];
        each_tap(
            [n, c],
            rows_and_columns(ins[0].shape),
            self.size,
            |y, x, weight| {
                out[y] += weight * ins[0].data[x];
            },
        );
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let axes = axes(rows_and_columns(ins[0].shape), self.size, false);
        pool::resample(ins[0].data, axes, cx.shape.dims()[3], out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let axes = axes(rows_and_columns(ins[0].shape), self.size, false);
        cx.launch(cuda::pool::resample(
            ins[0].data,
            axes,
            out.shape.dims()[3],
            out.data,
        ));
        Ok(())
    }

    fn flops(&self, _: &[Shape], out: Shape) -> u64 {
        8 * out.elements() as u64
    }

    /// Four pixels, and the roundings of a weight.
    fn terms(&self, _: &[Shape]) -> usize {
        4 + 3
    }

    fn attributes(&self) -> String {
        format!("to {}x{}", self.size[0], self.size[1])
    }
}

impl OpDef for ResizeBilinearAdjoint {
    const NAME: &'static str = "resize_bilinear_adjoint";
    // The last rounding, beside the sum.
    const ULPS: f64 = 1.0;
    const SAMPLES: &'static [Sample<ResizeBilinearAdjoint>] = &[
        sample(
            ResizeBilinearAdjoint { image: [2, 3] },
            &[input(&[2, 4, 6, 3], R)],
        ),
        sample(
            ResizeBilinearAdjoint { image: [7, 4] },
            &[input(&[1, 3, 9, 2], R)],
        ),
        sample(
            ResizeBilinearAdjoint { image: [1, 5] },
            &[input(&[2, 5, 2, 1], R)],
        ),
        sample(
            ResizeBilinearAdjoint { image: [5, 17] },
            &[input(&[2, 13, 11, 19], R)],
        ),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        check(self.image)?;
        resized(ins[0], self.image)
    }

    fn vjp<'g>(&self, _: usize, dy: &[Var<'g>], _: Var<'g>, g: Var<'g>) -> Option<Var<'g>> {
        Some(g.resize_bilinear(rows_and_columns(dy[0].shape())))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        out.fill(0.0);
        let [n, c] = [shape.dims()[0], shape.dims()[3]];
        each_tap(
            [n, c],
            self.image,
            rows_and_columns(ins[0].shape),
            |dy, dx, weight| {
                out[dx] += weight * ins[0].data[dy];
            },
        );
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], cx: &mut Cx) {
        let axes = axes(self.image, rows_and_columns(ins[0].shape), true);
        pool::resample(ins[0].data, axes, cx.shape.dims()[3], out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let axes = axes(self.image, rows_and_columns(ins[0].shape), true);
        cx.launch(cuda::pool::resample(
            ins[0].data,
            axes,
            out.shape.dims()[3],
            out.data,
        ));
        Ok(())
    }

    fn flops(&self, ins: &[Shape], _: Shape) -> u64 {
        8 * ins[0].elements() as u64
    }

    /// The results near a pixel, and the roundings of a weight.
    fn terms(&self, ins: &[Shape]) -> usize {
        let size = rows_and_columns(ins[0]);
        let near = |d: usize| 2 * size[d].div_ceil(self.image[d]) + 1;
        near(0) * near(1) + 3
    }

    fn attributes(&self) -> String {
        format!("of {}x{}", self.image[0], self.image[1])
    }
}
