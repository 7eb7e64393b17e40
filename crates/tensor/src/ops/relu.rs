//! Rectified linear unit, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Rectified linear unit, element by element.
///
/// ```text
/// y = max(x, 0)                                    x: [..] f32, y: same shape
/// vjp:   dx = dy · 1[x > 0]        (0 at x = 0, as in PyTorch and Pylearn2)
/// order 2: d(dx)/d(dy) = 1[x > 0]; zero in x almost everywhere
/// cost:  1 flop, 8 bytes per element
/// source: Goodfellow et al. 2014, section 5 (hidden layers of G)
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Relu;

impl Elementwise for Relu {
    const NAME: &'static str = "relu";
    const ARITY: usize = 1;
    const CODE: Code = Code::Relu;

    const SAMPLES: &'static [Sample<Relu>] = &[
        Sample { op: Relu, inputs: &[input(&[7], Range::Away(-2.0, 2.0, &[0.0]))] },
        Sample { op: Relu, inputs: &[input(&[3, 1, 683], Range::Away(-2.0, 2.0, &[0.0]))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        // y > 0 just where x > 0, and so x itself need not be kept.
        Some(y.step_mul(0.0, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].max(0.0)
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::relu(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = max(x, 0).
    #[track_caller]
    pub fn relu(self) -> Var<'g> {
        self.apply(Relu)
    }
}

