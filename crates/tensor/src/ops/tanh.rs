//! Hyperbolic tangent, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Hyperbolic tangent, element by element.
///
/// ```text
/// y = tanh(x)                                      x: [..] f32, y: same shape
/// vjp:   dx = dy · (1 - y²)
/// order 2: d(dx)/dx = -2 y (1 - y²) dy
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tanh;

impl Elementwise for Tanh {
    const NAME: &'static str = "tanh";
    const ARITY: usize = 1;
    const CODE: Code = Code::Tanh;

    const SAMPLES: &'static [Sample<Tanh>] = &[
        Sample { op: Tanh, inputs: &[input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Tanh, inputs: &[input(&[3, 1, 683], Range::Real(-9.0, 9.0))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * (1.0 - y.square()))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].tanh()
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::tanh(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = tanh(x).
    #[track_caller]
    pub fn tanh(self) -> Var<'g> {
        self.apply(Tanh)
    }
}

