//! A constant.

use ganforge_kernels::cuda::elementwise::Instruction;

use crate::graph::{Graph, Var};
use crate::ops::{Cx, Env, Kind, OpDef, Sample, sample};
use crate::shape::Shape;
use crate::view::View;

/// One number in every element.
///
/// ```text
/// y = value                                        y: [..]
/// vjp:   none, it has no input
/// cost:  0 flop, 4 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Constant {
    value: f64,
    shape: Shape,
}

impl Graph {
    /// A tensor with `value` in every element.
    #[track_caller]
    pub fn constant(&self, value: f64, shape: impl Into<Shape>) -> Var<'_> {
        let shape = shape.into();
        self.record(Constant { value, shape }, &[])
    }
}

impl OpDef for Constant {
    const NAME: &'static str = "constant";
    // The value is rounded to f32.
    const ULPS: f64 = 0.5;
    const SAMPLES: &'static [Sample<Constant>] = &[sample(
        Constant {
            value: 0.1,
            shape: Shape::new(&[3, 7]),
        },
        &[],
    )];

    fn kind(&self) -> Kind {
        Kind::Generator
    }

    fn shape(&self, _: &[Shape]) -> Result<Shape, String> {
        Ok(self.shape)
    }

    fn reference(&self, _: &[View<f64>], out: &mut [f64], _: Shape, _: Env) {
        out.fill(self.value);
    }

    fn cpu(&self, _: &[View<f32>], out: &mut [f32], _: &mut Cx) {
        out.fill(self.value as f32);
    }

    fn instruction(&self) -> Option<Instruction> {
        Some(Instruction::constant(self.value as f32))
    }

    fn attributes(&self) -> String {
        self.value.to_string()
    }
}
