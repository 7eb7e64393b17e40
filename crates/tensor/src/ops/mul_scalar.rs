//! Multiplies each element by a constant.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Multiplies each element by a constant.
///
/// ```text
/// y = c · x                                        x: [..] f32, y: same shape
/// vjp:   dx = c · dy
/// order 2: zero
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MulScalar {
    /// The constant.
    pub c: f64,
}

impl Elementwise for MulScalar {
    const NAME: &'static str = "mul_scalar";
    const ARITY: usize = 1;
    const CODE: Code = Code::MulScalar;

    const SAMPLES: &'static [Sample<MulScalar>] = &[
        Sample { op: MulScalar { c: 0.3 }, inputs: &[input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: MulScalar { c: 0.3 }, inputs: &[input(&[3, 1, 683], Range::Real(-2.0, 2.0))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.mul_scalar(self.c))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        self.c * x[0]
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::mul_scalar(self.c as f32, x[0].data, y);
    }

    fn constants(&self) -> [f32; 2] {
        [self.c as f32, 0.0]
    }

    fn attributes(&self) -> String {
        self.c.to_string()
    }
}

impl<'g> Var<'g> {
    /// y = c · x.
    #[track_caller]
    pub fn mul_scalar(self, c: f64) -> Var<'g> {
        self.apply(MulScalar { c })
    }
}

