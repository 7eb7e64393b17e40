//! Piecewise linear functions, element by element, and their derivatives.

use ganforge_kernels::cuda::elementwise::Opcode;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, large, small, two_sizes};

const R: Range = Range::Real(-2.0, 2.0);
const NOT_ZERO: Range = Range::Away(-2.0, 2.0, &[0.0]);
/// Away from the bounds of the samples' clip.
const NOT_BOUND: Range = Range::Away(-2.0, 2.0, &[-0.5, 1.0]);

/// Rectified linear unit, element by element.
///
/// ```text
/// y = max(x, 0)                                    x: [..] f32, y: same shape
/// vjp:   dx = dy · 1[x > 0]        (0 at x = 0, as in PyTorch and Pylearn2)
/// order 2: d(dx)/d(dy) = 1[x > 0]; zero in x almost everywhere
/// cost:  1 flop, 8 bytes per element
/// source: Goodfellow et al. 2014, section 5 (hidden layers of G)
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Relu;

impl Elementwise for Relu {
    const NAME: &'static str = "relu";
    const ULPS: f64 = 0.0;
    const OPCODE: Option<Opcode> = Some(Opcode::Relu);
    const SAMPLES: &'static [Sample<Relu>] =
        &two_sizes(Relu, &[small(NOT_ZERO)], &[large(NOT_ZERO)]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        // y > 0 just where x > 0, and so x itself need not be kept.
        Some(y.step_mul(0.0, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].max(0.0)
    }
}

/// Leaky rectified linear unit, element by element.
///
/// ```text
/// y = x where x > 0, else slope · x                x: [..] f32, y: same shape
/// vjp:   dx = dy where x > 0, else slope · dy
/// order 2: d(dx)/d(dy) = 1 or slope; zero in x almost everywhere
/// cost:  1 flop, 8 bytes per element
/// source: Maas et al. 2013; DCGAN: Radford et al. 2015
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeakyRelu {
    /// The slope below 0.
    pub slope: f64,
}

impl Elementwise for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    // One rounding, and that of the slope.
    const ULPS: f64 = 1.5;
    const OPCODE: Option<Opcode> = Some(Opcode::LeakyRelu);
    const SAMPLES: &'static [Sample<LeakyRelu>] = &two_sizes(
        LeakyRelu { slope: 0.2 },
        &[small(NOT_ZERO)],
        &[large(NOT_ZERO)],
    );

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        // With a slope that is not below 0, y > 0 just where x > 0, and so x itself need not be kept.
        let gate = if self.slope >= 0.0 { y } else { x[0] };
        Some(gate.step_mul(self.slope, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        if x[0] > 0.0 { x[0] } else { self.slope * x[0] }
    }

    fn constants(&self) -> [Option<f64>; 2] {
        [Some(self.slope), None]
    }
}

/// ReLU gate: v where x > 0, scaled elsewhere: the derivative of relu and leaky relu.
///
/// ```text
/// y = v where x > 0, else below · v                x, v: [..] f32, y: same shape
/// vjp:   dx = none (flat almost everywhere),  dv = dy where x > 0, else below · dy
/// order 2: d(dv)/d(dy) = 1 or below
/// cost:  1 flop, 12 bytes per element
/// source: the derivative of Goodfellow et al. 2014, section 5 (hidden layers of G)
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StepMul {
    /// The factor where x is not above 0.
    pub below: f64,
}

impl Elementwise for StepMul {
    const NAME: &'static str = "step_mul";
    const ULPS: f64 = 1.5;
    const OPCODE: Option<Opcode> = Some(Opcode::StepMul);
    const SAMPLES: &'static [Sample<StepMul>] = &two_sizes(
        StepMul { below: 0.2 },
        &[small(NOT_ZERO), small(R)],
        &[large(NOT_ZERO), large(R)],
    );

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 1).then(|| x[0].step_mul(self.below, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        if x[0] > 0.0 { x[1] } else { self.below * x[1] }
    }

    fn constants(&self) -> [Option<f64>; 2] {
        [Some(self.below), None]
    }
}

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
    // The rounding of a bound.
    const ULPS: f64 = 0.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Clip);
    const SAMPLES: &'static [Sample<Clip>] = &two_sizes(
        Clip { lo: -0.5, hi: 1.0 },
        &[small(NOT_BOUND)],
        &[large(NOT_BOUND)],
    );

    fn check(&self) -> Result<(), String> {
        interval(self.lo, self.hi)
    }

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(x[0].clip_mul(self.lo, self.hi, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].clamp(self.lo, self.hi)
    }

    fn constants(&self) -> [Option<f64>; 2] {
        [Some(self.lo), Some(self.hi)]
    }
}

/// Clip gate: v where x is inside an interval: the derivative of clip.
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
    const ULPS: f64 = 0.0;
    const OPCODE: Option<Opcode> = Some(Opcode::ClipMul);
    const SAMPLES: &'static [Sample<ClipMul>] = &two_sizes(
        ClipMul { lo: -0.5, hi: 1.0 },
        &[small(NOT_BOUND), small(R)],
        &[large(NOT_BOUND), large(R)],
    );

    fn check(&self) -> Result<(), String> {
        interval(self.lo, self.hi)
    }

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        (wrt == 1).then(|| x[0].clip_mul(self.lo, self.hi, dy))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        if self.lo <= x[0] && x[0] <= self.hi {
            x[1]
        } else {
            0.0
        }
    }

    fn constants(&self) -> [Option<f64>; 2] {
        [Some(self.lo), Some(self.hi)]
    }
}

fn interval(lo: f64, hi: f64) -> Result<(), String> {
    match lo <= hi {
        true => Ok(()),
        false => Err(format!("the bounds {lo}..{hi} are not an interval")),
    }
}

impl<'g> Var<'g> {
    /// y = max(x, 0).
    #[track_caller]
    pub fn relu(self) -> Var<'g> {
        self.apply(Relu)
    }

    /// y = x where x > 0, else slope · x.
    #[track_caller]
    pub fn leaky_relu(self, slope: f64) -> Var<'g> {
        self.apply(LeakyRelu { slope })
    }

    /// y = v where self > 0, else below · v (exactly 0 where `below` is 0).
    #[track_caller]
    pub fn step_mul(self, below: f64, v: Var<'g>) -> Var<'g> {
        self.apply2(StepMul { below }, v)
    }

    /// y = min(max(x, lo), hi).
    #[track_caller]
    pub fn clip(self, lo: f64, hi: f64) -> Var<'g> {
        self.apply(Clip { lo, hi })
    }

    /// y = v where lo ≤ self ≤ hi, else 0.
    #[track_caller]
    pub fn clip_mul(self, lo: f64, hi: f64, v: Var<'g>) -> Var<'g> {
        self.apply2(ClipMul { lo, hi }, v)
    }
}
