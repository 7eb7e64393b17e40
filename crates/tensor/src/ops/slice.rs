//! Slice, a rectangular part of a tensor, and its adjoint, pad.

use ganforge_kernels::cpu::layout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::transpose::strides;
use crate::ops::{Cx, Env, OpDef, R, Sample, input, sample};
use crate::shape::Shape;
use crate::view::View;

/// A contiguous range of each dimension.
///
/// ```text
/// y[i] = x[start + i]                              x: [..], y: shape, of the same rank
/// vjp:   dx = pad(dy): dy in its place, zeros elsewhere
/// order 2: linear: again a slice
/// cost:  0 flop, 8 bytes per element of y
/// source: elementary
/// errors: another rank; the range exceeds the input
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Slice {
    /// The indices at which the part begins.
    pub start: Shape,
    /// Its shape.
    pub shape: Shape,
}

impl Slice {
    const fn of(start: &[usize], shape: &[usize]) -> Slice {
        let (start, shape) = (Shape::new(start), Shape::new(shape));
        Slice { start, shape }
    }
}

impl<'g> Var<'g> {
    /// The box of `shape` that begins at `start`.
    #[track_caller]
    pub fn slice(self, start: impl Into<Shape>, shape: impl Into<Shape>) -> Var<'g> {
        let (start, shape) = (start.into(), shape.into());
        self.apply(Slice { start, shape })
    }

    /// Rows `from..to` (along dimension 0).
    #[track_caller]
    pub fn rows(self, from: usize, to: usize) -> Var<'g> {
        // A scalar has no rows, and so the rule of equal ranks refuses it.
        let rank = self.shape().rank().max(1);
        let (mut start, mut dims) = (vec![0; rank], vec![0; rank]);
        dims[..self.shape().rank()].copy_from_slice(self.shape().dims());
        (start[0], dims[0]) = (from, to.saturating_sub(from));
        self.slice(start.as_slice(), dims.as_slice())
    }
}

impl OpDef for Slice {
    const NAME: &'static str = "slice";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Slice>] = &[
        sample(Slice::of(&[2], &[3]), &[input(&[7], R)]),
        sample(Slice::of(&[1, 2], &[3, 2]), &[input(&[5, 4], R)]),
        sample(
            Slice::of(&[0, 1, 0, 2], &[2, 2, 3, 1]),
            &[input(&[2, 4, 3, 3], R)],
        ),
        sample(Slice::of(&[11, 3], &[67, 101]), &[input(&[79, 131], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let (x, start, y) = (ins[0].dims(), self.start.dims(), self.shape.dims());
        if x.len() != y.len() || x.len() != start.len() {
            return Err(format!("the slice {} has another rank", self.attributes()));
        }
        let inside = |d: usize| start[d].checked_add(y[d]).is_some_and(|end| end <= x[d]);
        if !(0..x.len()).all(inside) {
            return Err(format!("the slice {} exceeds the input", self.attributes()));
        }
        Ok(self.shape)
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.pad(self.start, x[0].shape()))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        for (i, y) in out.iter_mut().enumerate() {
            *y = ins[0].data[shifted(i, self.shape, self.start, ins[0].shape)];
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        let (x, start) = (ins[0], self.start.dims());
        layout::slice(x.data, x.shape.dims(), start, out, self.shape.dims());
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let (x, start) = (ins[0], self.start.dims());
        cx.launch(cuda::layout::slice(
            x.data,
            x.shape.dims(),
            start,
            out.data,
            self.shape.dims(),
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("{} from {}", self.shape, self.start)
    }
}

/// Where element `i` of a box of shape `inner`, placed at `start`, lies in a tensor of shape
/// `outer`.
pub(crate) fn shifted(mut i: usize, inner: Shape, start: Shape, outer: Shape) -> usize {
    let strides = strides(outer);
    let mut at = 0;
    for (d, &n) in inner.dims().iter().enumerate().rev() {
        at += (i % n + start.dims()[d]) * strides[d];
        i /= n;
    }
    at
}

/// Places x at `before` in a tensor of zeros: the adjoint of slice.
///
/// ```text
/// y[before + i] = x[i], 0 elsewhere                x: [..], y: shape, of the same rank
/// vjp:   dx = slice(dy)
/// order 2: linear: again a pad
/// cost:  0 flop, 4 bytes per element of x and of y
/// source: elementary
/// errors: another rank; x does not fit
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pad {
    /// How many zeros are before the value, along each dimension.
    pub before: Shape,
    /// The shape of the result.
    pub shape: Shape,
}

impl Pad {
    const fn of(before: &[usize], shape: &[usize]) -> Pad {
        let (before, shape) = (Shape::new(before), Shape::new(shape));
        Pad { before, shape }
    }
}

impl<'g> Var<'g> {
    /// This value at `before` in a tensor of zeros of `shape`.
    #[track_caller]
    pub fn pad(self, before: impl Into<Shape>, shape: impl Into<Shape>) -> Var<'g> {
        let (before, shape) = (before.into(), shape.into());
        self.apply(Pad { before, shape })
    }
}

impl OpDef for Pad {
    const NAME: &'static str = "pad";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Pad>] = &[
        sample(Pad::of(&[2], &[7]), &[input(&[3], R)]),
        sample(Pad::of(&[1, 2], &[5, 4]), &[input(&[3, 2], R)]),
        sample(
            Pad::of(&[0, 1, 0, 2], &[2, 4, 3, 3]),
            &[input(&[2, 2, 3, 1], R)],
        ),
        sample(Pad::of(&[11, 3], &[79, 131]), &[input(&[67, 101], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let (x, before, y) = (ins[0].dims(), self.before.dims(), self.shape.dims());
        if x.len() != y.len() || x.len() != before.len() {
            return Err(format!("the target {} has another rank", self.attributes()));
        }
        let fits = |d: usize| before[d].checked_add(x[d]).is_some_and(|end| end <= y[d]);
        if !(0..x.len()).all(fits) {
            return Err(format!("the input does not fit in {}", self.attributes()));
        }
        Ok(self.shape)
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.slice(self.before, x[0].shape()))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(0.0);
        for (i, x) in ins[0].data.iter().enumerate() {
            out[shifted(i, ins[0].shape, self.before, self.shape)] = *x;
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        let (x, before) = (ins[0], self.before.dims());
        layout::pad(x.data, x.shape.dims(), before, out, self.shape.dims());
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let (x, before) = (ins[0], self.before.dims());
        cx.launch(cuda::layout::pad(
            x.data,
            x.shape.dims(),
            before,
            out.data,
            self.shape.dims(),
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("{} at {}", self.shape, self.before)
    }
}
