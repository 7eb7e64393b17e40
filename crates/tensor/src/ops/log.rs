//! Natural logarithm, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Natural logarithm, element by element.
///
/// ```text
/// y = ln(x)                                        x: [..] f32, y: same shape
/// vjp:   dx = dy / x
/// order 2: d(dx)/dx = -dy / x²
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none; ln(0) = -inf, NaN below
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Log;

impl Elementwise for Log {
    const NAME: &'static str = "log";
    const ARITY: usize = 1;
    const CODE: Code = Code::Log;

    const SAMPLES: &'static [Sample<Log>] = &[
        Sample { op: Log, inputs: &[input(&[7], Range::Real(0.5, 3.0))] },
        Sample { op: Log, inputs: &[input(&[3, 1, 683], Range::Real(0.01, 900.0))] },
    ];

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy / x[0])
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].ln()
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::log(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = ln(x).
    #[track_caller]
    pub fn log(self) -> Var<'g> {
        self.apply(Log)
    }
}

