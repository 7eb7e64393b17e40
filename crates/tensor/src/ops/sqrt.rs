//! Square root, element by element.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Square root, element by element.
///
/// ```text
/// y = √x                                           x: [..] f32, y: same shape
/// vjp:   dx = dy / (2 y)
/// order 2: d(dx)/dx = -dy / (4 y³)
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none; NaN below 0, infinite slope at 0
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sqrt;

impl Elementwise for Sqrt {
    const NAME: &'static str = "sqrt";
    const ARITY: usize = 1;
    const CODE: Code = Code::Sqrt;

    const SAMPLES: &'static [Sample<Sqrt>] = &[
        Sample { op: Sqrt, inputs: &[input(&[7], Range::Real(0.5, 3.0))] },
        Sample { op: Sqrt, inputs: &[input(&[3, 1, 683], Range::Real(0.5, 3.0))] },
    ];

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some((dy / y).mul_scalar(0.5))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].sqrt()
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::sqrt(x[0].data, y);
    }
}

impl<'g> Var<'g> {
    /// y = √x.
    #[track_caller]
    pub fn sqrt(self) -> Var<'g> {
        self.apply(Sqrt)
    }
}

