//! Sum, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Sum, element by element.
///
/// ```text
/// y = a + b                                        a, b: [..] f32, y: same shape
/// vjp:   da = dy,  db = dy
/// order 2: zero
/// cost:  1 flop, 12 bytes per element
/// source: elementary
/// errors: shapes that do not broadcast
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Add;

impl Elementwise for Add {
    const NAME: &'static str = "add";
    const ARITY: usize = 2;
    const CODE: Code = Code::Add;

    const SAMPLES: &'static [Sample<Add>] = &[
        Sample { op: Add, inputs: &[input(&[7], Range::Real(-2.0, 2.0)), input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: Add, inputs: &[input(&[3, 1, 683], Range::Real(-2.0, 2.0)), input(&[3, 1, 683], Range::Real(-2.0, 2.0))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy)
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] + x[1]
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::add(x[0].data, x[1].data, y);
    }
}

impl<'g> std::ops::Add for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn add(self, other: Var<'g>) -> Var<'g> {
        self.broadcast_apply(Add, other)
    }
}

impl<'g> std::ops::Add<f64> for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn add(self, c: f64) -> Var<'g> {
        self.add_scalar(c)
    }
}

impl<'g> std::ops::Add<Var<'g>> for f64 {
    type Output = Var<'g>;

    #[track_caller]
    fn add(self, x: Var<'g>) -> Var<'g> {
        x.add_scalar(self)
    }
}

