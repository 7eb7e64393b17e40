//! Broadcast to a larger shape.

use ganforge_kernels::cpu::reduce;
use ganforge_kernels::cuda;

use crate::error::Result;
use crate::exec::cuda::{DeviceCx, DeviceView};
use crate::graph::Var;
use crate::ops::sum_to::source_index;
use crate::ops::transpose::strides;
use crate::ops::{Cx, Env, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

/// Repeats x along every dimension that `shape` adds or enlarges from 1.
///
/// ```text
/// y[i] = x[j], j = where NumPy's rule maps i       x: [..], y: shape
/// vjp:   dx = sum_to(dy)
/// order 2: linear: d(dx)/d(dy) is again a sum
/// cost:  0 flop; in a plan usually a read with stride 0, not a copy
/// source: elementary; docs/book/src/ops/broadcast_to.md
/// errors: the shape of x does not broadcast to `shape`
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BroadcastTo {
    /// The shape of the result.
    pub shape: Shape,
}

impl<'g> Var<'g> {
    /// This value repeated to `shape` under NumPy's rule; itself where that is its shape.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if shape == self.shape() {
            return self;
        }
        self.apply(BroadcastTo { shape })
    }
}

impl OpDef for BroadcastTo {
    const NAME: &'static str = "broadcast_to";
    const SAMPLES: &'static [Sample<BroadcastTo>] = &[
        sample(&[3, 5], &[input(&[], R)]),
        sample(&[3, 5], &[input(&[5], R)]),
        sample(&[3, 5], &[input(&[3, 1], R)]),
        sample(&[2, 3, 4], &[input(&[3, 1], R)]),
        sample(&[2, 2, 2, 3], &[input(&[2, 1, 1, 3], R)]),
        sample(&[257, 131], &[input(&[131], R)]),
    ];

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        if ins[0].broadcasts_to(self.shape) {
            Ok(self.shape)
        } else {
            Err(format!("the input does not broadcast to {}", self.shape))
        }
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.sum_to(x[0].shape()))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        for (i, y) in out.iter_mut().enumerate() {
            *y = ins[0].data[source_index(i, self.shape, ins[0].shape)];
        }
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        reduce::broadcast_to(ins[0].data, ins[0].shape.dims(), out, self.shape.dims());
    }

    fn cuda(&self, ins: &[DeviceView], out: DeviceView, cx: &mut DeviceCx) -> Result<()> {
        let (x, large) = (ins[0], self.shape.padded());
        let (small, mut steps) = (x.shape.padded(), strides(Shape::new(&x.shape.padded())));
        for d in 0..4 {
            if small[d] == 1 {
                steps[d] = 0;
            }
        }
        cx.launch(cuda::layout::strided(x.data, out.data, large, steps, 0));
        Ok(())
    }

    fn attributes(&self) -> String {
        self.shape.to_string()
    }
}

const R: Range = Range::Real(-1.0, 1.0);

const fn sample(shape: &[usize], inputs: &'static [crate::ops::In]) -> Sample<BroadcastTo> {
    Sample {
        op: BroadcastTo {
            shape: Shape::new(shape),
        },
        inputs,
    }
}
