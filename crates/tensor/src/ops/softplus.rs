//! Softplus, the smooth maximum of 0 and x, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Softplus, the smooth maximum of 0 and x, element by element.
///
/// ```text
/// y = ln(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))   x: [..] f32, y: same shape
/// vjp:   dx = dy · sigmoid(x)
/// order 2: d(dx)/dx = dy · s (1 - s), s = sigmoid(x)
/// cost:  1 flop, 8 bytes per element
/// source: the stable form of -log(1 - D): Goodfellow et al. 2014, equation 1, from logits; docs/book/src/loss-from-logits.md
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Softplus;

impl Elementwise for Softplus {
    const NAME: &'static str = "softplus";
    const ARITY: usize = 1;
    const CODE: Code = Code::Softplus;

    const SAMPLES: &'static [Sample<Softplus>] = &[
        Sample { op: Softplus, inputs: &[input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Softplus, inputs: &[input(&[3, 1, 683], Range::Real(-80.0, 80.0))] },
    ];

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * x[0].sigmoid())
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].max(0.0) + (-x[0].abs()).exp().ln_1p()
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::softplus(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = ln(1 + exp(x)), without overflow.
    #[track_caller]
    pub fn softplus(self) -> Var<'g> {
        self.apply(Softplus)
    }
}

