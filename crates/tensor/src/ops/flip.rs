//! Flip: reverse dimensions.

use ganforge_kernels::cpu::layout;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::transpose::strides;
use crate::ops::{Cx, Env, OpDef, R, Sample, input, sample};
use crate::shape::Shape;
use crate::view::View;

/// Reverses dimensions: of the first two of a filter, it is turned by 180 degrees.
///
/// ```text
/// y[.., i, ..] = x[.., n - 1 - i, ..] for i along each of the axes      x: [..], y: same shape
/// vjp:   dx = flip(dy)
/// order 2: linear: again a flip
/// cost:  0 flop, 8 bytes per element
/// source: elementary; docs/book/src/ops/flip.md
/// errors: an axis that the input does not have
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Flip {
    /// The dimensions that are reversed.
    pub axes: Shape,
}

impl<'g> Var<'g> {
    /// The dimensions `axes` reversed.
    #[track_caller]
    pub fn flip(self, axes: &[usize]) -> Var<'g> {
        self.apply(Flip::of(axes))
    }
}

impl Flip {
    const fn of(axes: &[usize]) -> Flip {
        Flip {
            axes: Shape::new(axes),
        }
    }
}

impl OpDef for Flip {
    const NAME: &'static str = "flip";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Flip>] = &[
        sample(Flip::of(&[0]), &[input(&[5], R)]),
        sample(Flip::of(&[0, 1]), &[input(&[3, 2, 3, 2], R)]),
        sample(Flip::of(&[2]), &[input(&[2, 3, 5], R)]),
        sample(Flip::of(&[3, 0]), &[input(&[5, 11, 7, 37], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        let (axes, rank) = (self.axes.dims(), ins[0].rank());
        let is_new = |(i, axis): (usize, &usize)| !axes[..i].contains(axis);
        match axes.iter().all(|&axis| axis < rank) && axes.iter().enumerate().all(is_new) {
            true => Ok(ins[0]),
            false => Err(format!("{} are not dimensions of the input", self.axes)),
        }
    }

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.apply(*self))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], shape: Shape, _: Env) {
        let strides = strides(shape);
        for (i, y) in out.iter_mut().enumerate() {
            let mut at = i;
            for &d in self.axes.dims() {
                let (n, position) = (shape.dims()[d], i / strides[d] % shape.dims()[d]);
                at = at - position * strides[d] + (n - 1 - position) * strides[d];
            }
            *y = ins[0].data[at];
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        layout::flip(ins[0].data, ins[0].shape.dims(), self.axes.dims(), out);
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let x = ins[0];
        cx.launch(cuda::layout::flip(
            x.data,
            x.shape.dims(),
            self.axes.dims(),
            out.data,
        ));
        Ok(())
    }

    fn attributes(&self) -> String {
        format!("axes {}", self.axes)
    }
}
