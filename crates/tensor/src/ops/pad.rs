//! A tensor placed in a larger one of zeros.

use ganforge_kernels::cpu::layout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::slice::shifted;
use crate::ops::{Cx, Env, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

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
    pub(crate) before: Shape,
    pub(crate) shape: Shape,
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
    const SAMPLES: &'static [Sample<Pad>] = &[
        sample(&[2], &[7], &[input(&[3], R)]),
        sample(&[1, 2], &[5, 4], &[input(&[3, 2], R)]),
        sample(&[0, 1, 0, 2], &[2, 4, 3, 3], &[input(&[2, 2, 3, 1], R)]),
        sample(&[11, 3], &[79, 131], &[input(&[67, 101], R)]),
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
        let (x, rank) = (ins[0], self.before.rank());
        let mut start = [0; 4];
        start[4 - rank..].copy_from_slice(self.before.dims());
        let (outer, inner) = (self.shape.padded(), x.shape.padded());
        cx.launch(cuda::layout::pad(x.data, out.data, outer, inner, start));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("{} at {}", self.shape, self.before)
    }
}

const R: Range = Range::Real(-1.0, 1.0);

const fn sample(
    before: &[usize],
    shape: &[usize],
    inputs: &'static [crate::ops::In],
) -> Sample<Pad> {
    Sample {
        op: Pad {
            before: Shape::new(before),
            shape: Shape::new(shape),
        },
        inputs,
    }
}
