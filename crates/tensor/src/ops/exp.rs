//! Exponential, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Exponential, element by element.
///
/// ```text
/// y = exp(x)                                       x: [..] f32, y: same shape
/// vjp:   dx = dy · y
/// order 2: d(dx)/dx = dy · y
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none; above 88.7 the result is an infinity
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exp;

impl Elementwise for Exp {
    const NAME: &'static str = "exp";
    const ARITY: usize = 1;
    const CODE: Code = Code::Exp;

    const SAMPLES: &'static [Sample<Exp>] = &[
        Sample { op: Exp, inputs: &[input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Exp, inputs: &[input(&[3, 1, 683], Range::Real(-20.0, 20.0))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * y)
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].exp()
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::exp(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = exp(x).
    #[track_caller]
    pub fn exp(self) -> Var<'g> {
        self.apply(Exp)
    }
}

