//! The same values under another shape.

use crate::graph::Var;
use crate::ops::{Cost, Cx, Env, Kind, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

/// The same values, in the same order, under another shape.
///
/// ```text
/// y = x                                            x: [..], y: shape, as many elements
/// vjp:   dx = reshape(dy)
/// order 2: linear: again a reshape
/// cost:  none: in a plan both are the same buffer
/// source: elementary
/// errors: another number of elements
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reshape {
    /// The shape of the result.
    pub shape: Shape,
}

impl<'g> Var<'g> {
    /// The same values under another shape.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'g> {
        self.apply(Reshape {
            shape: shape.into(),
        })
    }
}

impl OpDef for Reshape {
    const NAME: &'static str = "reshape";
    const SAMPLES: &'static [Sample<Reshape>] = &[Sample {
        op: Reshape {
            shape: Shape::new(&[3, 2, 2]),
        },
        inputs: &[input(&[4, 3], Range::Real(-1.0, 1.0))],
    }];

    fn kind(&self) -> Kind {
        Kind::Alias
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        if self.shape.elements() == ins[0].elements() {
            Ok(self.shape)
        } else {
            Err(format!("{} has another number of elements", self.shape))
        }
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.reshape(x[0].shape()))
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.copy_from_slice(ins[0].data);
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        out.copy_from_slice(ins[0].data);
    }

    fn cost(&self, _: &[Shape], _: Shape) -> Cost {
        Cost::default()
    }

    fn attributes(&self) -> String {
        self.shape.to_string()
    }
}
