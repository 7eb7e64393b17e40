//! Logistic sigmoid, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Logistic sigmoid, element by element.
///
/// ```text
/// y = 1 / (1 + exp(-x))                            x: [..] f32, y: same shape
/// vjp:   dx = dy · y · (1 - y)
/// order 2: d(dx)/dx = dy · y (1 - y)(1 - 2 y)
/// cost:  1 flop, 8 bytes per element
/// source: Goodfellow et al. 2014, section 5 (output of G and D)
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sigmoid;

impl Elementwise for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const ARITY: usize = 1;
    const CODE: Code = Code::Sigmoid;

    const SAMPLES: &'static [Sample<Sigmoid>] = &[
        Sample { op: Sigmoid, inputs: &[input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Sigmoid, inputs: &[input(&[3, 1, 683], Range::Real(-30.0, 30.0))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * (y - y.square()))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        1.0 / (1.0 + (-x[0]).exp())
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::sigmoid(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = 1 / (1 + exp(-x)).
    #[track_caller]
    pub fn sigmoid(self) -> Var<'g> {
        self.apply(Sigmoid)
    }
}

