//! Square, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Square, element by element.
///
/// ```text
/// y = x²                                           x: [..] f32, y: same shape
/// vjp:   dx = 2 x · dy
/// order 2: d(dx)/dx = 2 dy
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Square;

impl Elementwise for Square {
    const NAME: &'static str = "square";
    const ARITY: usize = 1;
    const CODE: Code = Code::Square;

    const SAMPLES: &'static [Sample<Square>] = &[
        Sample { op: Square, inputs: &[input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Square, inputs: &[input(&[3, 1, 683], Range::Real(-2.0, 2.0))] },
    ];

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some((dy * x[0]).mul_scalar(2.0))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] * x[0]
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::square(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = x².
    #[track_caller]
    pub fn square(self) -> Var<'g> {
        self.apply(Square)
    }
}

