//! Lets a gradient pass inside an interval: the slope of clip.

use ganforge_kernels::cpu::elementwise;
use ganforge_kernels::cuda::elementwise::Code;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, input};
use crate::view::View;

/// Lets a gradient pass inside an interval: the slope of clip.
///
/// ```text
/// y = v where lo ≤ x ≤ hi, else 0                  x, v: [..] f32, y: same shape
/// vjp:   dx = none (flat almost everywhere),  dv = dy where lo ≤ x ≤ hi, else 0
/// order 2: d(dv)/d(dy) = 1 or 0
/// cost:  1 flop, 12 bytes per element
/// source: the derivative of clip
/// errors: bounds out of order
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClipMul {
    /// The lower bound.
    pub lo: f64,
    /// The upper bound.
    pub hi: f64,
}

impl Elementwise for ClipMul {
    const NAME: &'static str = "clip_mul";
    const ARITY: usize = 2;
    const CODE: Code = Code::ClipMul;

    const SAMPLES: &'static [Sample<ClipMul>] = &[
        Sample { op: ClipMul { lo: -0.5, hi: 1.0 }, inputs: &[input(&[7], Range::Away(-2.0, 2.0, &[-0.5, 1.0])), input(&[7], Range::Real(-2.0, 2.0))] },
        Sample { op: ClipMul { lo: -0.5, hi: 1.0 }, inputs: &[input(&[3, 1, 683], Range::Away(-2.0, 2.0, &[-0.5, 1.0])), input(&[3, 1, 683], Range::Real(-2.0, 2.0))] },
    ];

    fn check(&self) -> Result<(), String> {
        match self.lo <= self.hi {
            true => Ok(()),
            false => Err(format!("the bounds {} are no interval", self.attributes())),
        }
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 1).then(|| x[0].clip_mul(self.lo, self.hi, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        if self.lo <= x[0] && x[0] <= self.hi { x[1] } else { 0.0 }
    }

    fn f32(&self, x: &[View<f32>], y: &mut [f32]) {
        elementwise::clip_mul(self.lo as f32, self.hi as f32, x[0].data, x[1].data, y);
    }

    fn constants(&self) -> [f32; 2] {
        [self.lo as f32, self.hi as f32]
    }

    fn attributes(&self) -> String {
        format!("{}..{}", self.lo, self.hi)
    }
}

impl<'g> Var<'g> {
    /// y = v where lo ≤ self ≤ hi, else 0.
    #[track_caller]
    pub fn clip_mul(self, lo: f64, hi: f64, v: Var<'g>) -> Var<'g> {
        self.apply2(ClipMul { lo, hi }, v)
    }
}

