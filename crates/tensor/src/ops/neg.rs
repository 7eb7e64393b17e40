//! Negative, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Negative, element by element.
///
/// ```text
/// y = -x                                           x: [..] f32, y: same shape
/// vjp:   dx = -dy
/// order 2: zero
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Neg;

impl Elementwise for Neg {
    const NAME: &'static str = "neg";
    const ARITY: usize = 1;
    const CODE: Code = Code::Neg;

    const SAMPLES: &'static [Sample<Neg>] = &[
        Sample { op: Neg, inputs: &[input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Neg, inputs: &[input(&[3, 1, 683], Range::Real(-2.0, 2.0))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(-dy)
    }

    fn f64(&self, x: &[f64]) -> f64 {
        -x[0]
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::neg(x[0].data, y);
    }
}

impl<'g> std::ops::Neg for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn neg(self) -> Var<'g> {
        self.apply(Neg)
    }
}

