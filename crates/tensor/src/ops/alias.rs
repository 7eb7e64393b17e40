//! The same values in another shape, or without a gradient. In a plan both share a buffer with their input.

use crate::graph::Var;
use crate::ops::{Cx, Env, Kind, OpDef, R, Range, Sample, input, sample};
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

impl OpDef for Reshape {
    const NAME: &'static str = "reshape";
    const ULPS: f64 = 0.0;
    const SAMPLES: &'static [Sample<Reshape>] = &[sample(
        Reshape {
            shape: Shape::new(&[3, 2, 2]),
        },
        &[input(&[4, 3], R)],
    )];

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

    fn attributes(&self) -> String {
        self.shape.to_string()
    }
}

/// The same value, taken as a constant by the chain rule.
///
/// ```text
/// y = x                                            x: [..], y: same shape
/// vjp:   none, by definition
/// cost:  none: in a plan both are the same buffer
/// source: Goodfellow et al. 2014, algorithm 1: the generator's step holds the discriminator fixed
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Detach;

impl OpDef for Detach {
    const NAME: &'static str = "detach";
    const ULPS: f64 = 0.0;
    // Not varied: finite differences would see the dependence that the op denies by definition.
    const SAMPLES: &'static [Sample<Detach>] =
        &[sample(Detach, &[input(&[2, 3], Range::Index(5))])];

    fn kind(&self) -> Kind {
        Kind::Alias
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        Ok(ins[0])
    }

    fn reference(&self, ins: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.copy_from_slice(ins[0].data);
    }

    fn cpu(&self, ins: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        out.copy_from_slice(ins[0].data);
    }
}

impl<'g> Var<'g> {
    /// The same values under another shape.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'g> {
        self.apply(Reshape {
            shape: shape.into(),
        })
    }

    /// The same value, taken as a constant by the chain rule.
    #[track_caller]
    pub fn detach(self) -> Var<'g> {
        self.apply(Detach)
    }
}
