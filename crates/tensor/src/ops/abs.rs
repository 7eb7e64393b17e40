//! Absolute value, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Absolute value, element by element.
///
/// ```text
/// y = |x|                                          x: [..] f32, y: same shape
/// vjp:   dx = dy · sign(x)        (0 at x = 0)
/// order 2: zero almost everywhere
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Abs;

impl Elementwise for Abs {
    const NAME: &'static str = "abs";
    const ARITY: usize = 1;
    const CODE: Code = Code::Abs;

    const SAMPLES: &'static [Sample<Abs>] = &[
        Sample { op: Abs, inputs: &[input(&[7], Range::Away(-2.0, 2.0, &[0.0]))] },
        Sample { op: Abs, inputs: &[input(&[3, 1, 683], Range::Away(-2.0, 2.0, &[0.0]))] },
    ];

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * x[0].sign())
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].abs()
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::abs(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = |x|.
    #[track_caller]
    pub fn abs(self) -> Var<'g> {
        self.apply(Abs)
    }
}

