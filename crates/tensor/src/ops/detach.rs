//! A value through which no gradient passes.

use crate::graph::Var;
use crate::ops::{Cost, Cx, Env, Kind, OpDef, Range, Sample, input};
use crate::shape::Shape;
use crate::view::View;

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

impl<'g> Var<'g> {
    /// The same value, taken as a constant by the chain rule.
    #[track_caller]
    pub fn detach(self) -> Var<'g> {
        self.apply(Detach)
    }
}

impl OpDef for Detach {
    const NAME: &'static str = "detach";
    // Not varied: finite differences would see the dependence that the op denies by definition.
    const SAMPLES: &'static [Sample<Detach>] = &[Sample {
        op: Detach,
        inputs: &[input(&[2, 3], Range::Index(5))],
    }];

    fn kind(&self) -> Kind {
        Kind::Alias
    }

    fn shape(&self, ins: &[Shape]) -> Result<Shape, String> {
        Ok(ins[0])
    }

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, _: Var<'g>) -> Option<Var<'g>> {
        None
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
}
