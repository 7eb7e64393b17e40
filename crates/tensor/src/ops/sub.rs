//! Difference, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Difference, element by element.
///
/// ```text
/// y = a - b                                        a, b: [..] f32, y: same shape
/// vjp:   da = dy,  db = -dy
/// order 2: zero
/// cost:  1 flop, 12 bytes per element
/// source: elementary
/// errors: shapes that do not broadcast
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sub;

impl Elementwise for Sub {
    const NAME: &'static str = "sub";
    const ARITY: usize = 2;
    const CODE: Code = Code::Sub;

    const SAMPLES: &'static [Sample<Sub>] = &[
        Sample { op: Sub, inputs: &[input(&[7], Range::Real(-2.0, 2.0)), input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Sub, inputs: &[input(&[3, 1, 683], Range::Real(-2.0, 2.0)), input(&[3, 1, 683], Range::Real(-2.0, 2.0))] },
    ];

    fn vjp<'g>(&self, wrt: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(if wrt == 0 { dy } else { -dy })
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] - x[1]
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::sub(x[0].data, x[1].data, y);
    }
}

impl<'g> std::ops::Sub for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn sub(self, other: Var<'g>) -> Var<'g> {
        self.broadcast_apply(Sub, other)
    }
}

impl<'g> std::ops::Sub<f64> for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn sub(self, c: f64) -> Var<'g> {
        self.add_scalar(-c)
    }
}

impl<'g> std::ops::Sub<Var<'g>> for f64 {
    type Output = Var<'g>;

    #[track_caller]
    fn sub(self, x: Var<'g>) -> Var<'g> {
        (-x).add_scalar(self)
    }
}

