//! Limits each element to an interval.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Limits each element to an interval.
///
/// ```text
/// y = min(max(x, lo), hi)                          x: [..] f32, y: same shape
/// vjp:   dx = dy · 1[lo ≤ x ≤ hi]
/// order 2: d(dx)/d(dy) = 1[lo ≤ x ≤ hi]; zero in x almost everywhere
/// cost:  1 flop, 8 bytes per element
/// source: norm constraints of Goodfellow et al. 2014, released configurations
/// errors: bounds out of order
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Clip {
    /// The lower bound.
    pub lo: f64,
    /// The upper bound.
    pub hi: f64,
}

impl Elementwise for Clip {
    const NAME: &'static str = "clip";
    const ARITY: usize = 1;
    const CODE: Code = Code::Clip;

    const SAMPLES: &'static [Sample<Clip>] = &[
        Sample { op: Clip { lo: -0.5, hi: 1.0 }, inputs: &[input(&[7], Range::Away(-2.0, 2.0, &[-0.5, 1.0]))] },
        Sample { op: Clip { lo: -0.5, hi: 1.0 }, inputs: &[input(&[3, 1, 683], Range::Away(-2.0, 2.0, &[-0.5, 1.0]))] },
    ];

    fn check(&self) -> Result<(), String> {
        match self.lo <= self.hi {
            true => Ok(()),
            false => Err(format!("the bounds {} are no interval", self.attributes())),
        }
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(x[0].clip_mul(self.lo, self.hi, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].clamp(self.lo, self.hi)
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::clip(self.lo as f32, self.hi as f32, x[0].data, y);
    }

    fn constants(&self) -> [f32; 2] {
        [self.lo as f32, self.hi as f32]
    }

    fn attributes(&self) -> String {
        format!("{}..{}", self.lo, self.hi)
    }
}

impl<'g> Var<'g> {
    /// y = min(max(x, lo), hi).
    #[track_caller]
    pub fn clip(self, lo: f64, hi: f64) -> Var<'g> {
        self.apply(Clip { lo, hi })
    }
}

