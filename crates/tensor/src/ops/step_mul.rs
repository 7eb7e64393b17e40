//! Lets a gradient pass where x > 0: the slope of relu and leaky relu.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Lets a gradient pass where x > 0: the slope of relu and leaky relu.
///
/// ```text
/// y = v where x > 0, else below · v                x, v: [..] f32, y: same shape
/// vjp:   dx = none (flat almost everywhere),  dv = dy where x > 0, else below · dy
/// order 2: d(dv)/d(dy) = 1 or below
/// cost:  1 flop, 12 bytes per element
/// source: the derivative of Goodfellow et al. 2014, section 5 (hidden layers of G)
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepMul {
    /// The factor where x is not above 0.
    pub below: f64,
}

impl Elementwise for StepMul {
    const NAME: &'static str = "step_mul";
    const ARITY: usize = 2;
    const CODE: Code = Code::StepMul;

    const SAMPLES: &'static [Sample<StepMul>] = &[
        Sample { op: StepMul { below: 0.2 }, inputs: &[input(&[7], Range::Away(-2.0, 2.0, &[0.0])), input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: StepMul { below: 0.2 }, inputs: &[input(&[3, 1, 683], Range::Away(-2.0, 2.0, &[0.0])), input(&[3, 1, 683], Range::Real(-2.0, 2.0))] },
    ];

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 1).then(|| x[0].step_mul(self.below, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        if x[0] > 0.0 { x[1] } else { self.below * x[1] }
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::step_mul(self.below as f32, x[0].data, x[1].data, y);
    }

    fn constants(&self) -> [f32; 2] {
        [self.below as f32, 0.0]
    }

    fn attributes(&self) -> String {
        self.below.to_string()
    }
}

impl<'g> Var<'g> {
    /// y = v where self > 0, else below · v (exactly 0 where `below` is 0).
    #[track_caller]
    pub fn step_mul(self, below: f64, v: Var<'g>) -> Var<'g> {
        self.apply2(StepMul { below }, v)
    }
}

