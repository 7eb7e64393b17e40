//! Sign: -1, 0 or 1, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Sign: -1, 0 or 1, element by element.
///
/// ```text
/// y = sign(x)                                      x: [..] f32, y: same shape
/// vjp:   none: flat almost everywhere
/// order 2: zero
/// cost:  1 flop, 8 bytes per element
/// source: elementary; the slope of the absolute value
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sign;

impl Elementwise for Sign {
    const NAME: &'static str = "sign";
    const ARITY: usize = 1;
    const CODE: Code = Code::Sign;

    const SAMPLES: &'static [Sample<Sign>] = &[
        Sample { op: Sign, inputs: &[input(&[7], Range::Away(-2.0, 2.0, &[0.0]))] },
        Sample { op: Sign, inputs: &[input(&[3, 1, 683], Range::Away(-2.0, 2.0, &[0.0]))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, _: Var<'g>) -> Option<Var<'g>> {
        None
    }

    fn f64(&self, x: &[f64]) -> f64 {
        if x[0] == 0.0 { 0.0 } else { x[0].signum() }
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::sign(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = sign(x), 0 at 0.
    #[track_caller]
    pub fn sign(self) -> Var<'g> {
        self.apply(Sign)
    }
}

