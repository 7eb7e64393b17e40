//! Quotient, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Quotient, element by element.
///
/// ```text
/// y = a / b                                        a, b: [..] f32, y: same shape
/// vjp:   da = dy / b,  db = -dy · y / b
/// order 2: by the same rules again
/// cost:  1 flop, 12 bytes per element
/// source: elementary
/// errors: shapes that do not broadcast; dividing by 0 gives an infinity or NaN
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Div;

impl Elementwise for Div {
    const NAME: &'static str = "div";
    const ARITY: usize = 2;
    const CODE: Code = Code::Div;

    const SAMPLES: &'static [Sample<Div>] = &[
        Sample { op: Div, inputs: &[input(&[7], Range::Real(-2.0, 2.0)), input(&[7], Range::Real(0.5, 2.0))] },
        Sample { op: Div, inputs: &[input(&[3, 1, 683], Range::Real(-2.0, 2.0)), input(&[3, 1, 683], Range::Real(0.5, 2.0))] },
    ];

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let da = dy / x[1];
        Some(if wrt == 0 { da } else { -(da * y) })
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] / x[1]
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::div(x[0].data, x[1].data, y);
    }
}

impl<'g> std::ops::Div for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn div(self, other: Var<'g>) -> Var<'g> {
        self.broadcast_apply(Div, other)
    }
}

impl<'g> std::ops::Div<f64> for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn div(self, c: f64) -> Var<'g> {
        self.mul_scalar(1.0 / c)
    }
}

impl<'g> std::ops::Div<Var<'g>> for f64 {
    type Output = Var<'g>;

    #[track_caller]
    fn div(self, x: Var<'g>) -> Var<'g> {
        x.graph.constant(self, x.shape()) / x
    }
}

