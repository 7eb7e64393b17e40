//! Product, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Product, element by element.
///
/// ```text
/// y = a · b                                        a, b: [..] f32, y: same shape
/// vjp:   da = dy · b,  db = dy · a
/// order 2: d(da)/db = dy, d(db)/da = dy
/// cost:  1 flop, 12 bytes per element
/// source: elementary
/// errors: shapes that do not broadcast
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mul;

impl Elementwise for Mul {
    const NAME: &'static str = "mul";
    const ARITY: usize = 2;
    const CODE: Code = Code::Mul;

    const SAMPLES: &'static [Sample<Mul>] = &[
        Sample { op: Mul, inputs: &[input(&[7], Range::Real(-2.0, 2.0)), input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Mul, inputs: &[input(&[3, 1, 683], Range::Real(-2.0, 2.0)), input(&[3, 1, 683], Range::Real(-2.0, 2.0))] },
    ];

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * x[1 - wrt])
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] * x[1]
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::mul(x[0].data, x[1].data, y);
    }
}

impl<'g> std::ops::Mul for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn mul(self, other: Var<'g>) -> Var<'g> {
        self.broadcast_apply(Mul, other)
    }
}

impl<'g> std::ops::Mul<f64> for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn mul(self, c: f64) -> Var<'g> {
        self.mul_scalar(c)
    }
}

impl<'g> std::ops::Mul<Var<'g>> for f64 {
    type Output = Var<'g>;

    #[track_caller]
    fn mul(self, x: Var<'g>) -> Var<'g> {
        x.mul_scalar(self)
    }
}

