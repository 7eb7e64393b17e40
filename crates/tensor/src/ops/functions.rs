//! Element-wise elementary functions.

use ganforge_kernels::cuda::elementwise::Opcode;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, large, small, two_sizes};

const R: Range = Range::Real(-2.0, 2.0);
const POSITIVE: Range = Range::Real(0.5, 3.0);
const NOT_ZERO: Range = Range::Away(-2.0, 2.0, &[0.0]);

/// Exponential, element by element.
///
/// ```text
/// y = exp(x)                                       x: [..] f32, y: same shape
/// vjp:   dx = dy · y
/// order 2: d(dx)/dx = dy · y
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none; above 88.7 the result is an infinity
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Exp;

impl Elementwise for Exp {
    const NAME: &'static str = "exp";
    const ULPS: f64 = 1.1;
    const OPCODE: Option<Opcode> = Some(Opcode::Exp);
    const SAMPLES: &'static [Sample<Exp>] =
        &two_sizes(Exp, &[small(R)], &[large(Range::Real(-20.0, 20.0))]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * y)
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].exp()
    }
}

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
    const ULPS: f64 = 1.0;
    const OPCODE: Option<Opcode> = Some(Opcode::Log);
    const SAMPLES: &'static [Sample<Log>] =
        &two_sizes(Log, &[small(POSITIVE)], &[large(Range::Real(0.01, 900.0))]);

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy / x[0])
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].ln()
    }
}

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
    const ULPS: f64 = 0.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Sqrt);
    const SAMPLES: &'static [Sample<Sqrt>] =
        &two_sizes(Sqrt, &[small(POSITIVE)], &[large(POSITIVE)]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some((dy / y).mul_scalar(0.5))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].sqrt()
    }
}

/// Reciprocal of the square root, element by element.
///
/// ```text
/// y = 1 / √x                                       x: [..] f32, y: same shape
/// vjp:   dx = -dy · y³ / 2
/// order 2: d(dx)/dx = 3 dy · y⁵ / 4
/// cost:  2 flop, 8 bytes per element
/// source: elementary; what normalisers multiply with
/// errors: none; an infinity at 0, NaN below
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rsqrt;

impl Elementwise for Rsqrt {
    const NAME: &'static str = "rsqrt";
    // The rounding of the root, and that of its reciprocal.
    const ULPS: f64 = 1.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Rsqrt);
    const FLOPS: u64 = 2;
    const SAMPLES: &'static [Sample<Rsqrt>] =
        &two_sizes(Rsqrt, &[small(POSITIVE)], &[large(POSITIVE)]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some((dy * y * y.square()).mul_scalar(-0.5))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        1.0 / x[0].sqrt()
    }
}

/// Square, element by element.
///
/// ```text
/// y = x²                                           x: [..] f32, y: same shape
/// vjp:   dx = 2 x · dy
/// order 2: d(dx)/dx = 2 dy
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Square;

impl Elementwise for Square {
    const NAME: &'static str = "square";
    const ULPS: f64 = 0.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Square);
    const SAMPLES: &'static [Sample<Square>] = &two_sizes(Square, &[small(R)], &[large(R)]);

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some((dy * x[0]).mul_scalar(2.0))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] * x[0]
    }
}

/// Absolute value, element by element.
///
/// ```text
/// y = |x|                                          x: [..] f32, y: same shape
/// vjp:   dx = dy · sign(x)        (0 at x = 0)
/// order 2: zero almost everywhere
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Abs;

impl Elementwise for Abs {
    const NAME: &'static str = "abs";
    const ULPS: f64 = 0.0;
    const OPCODE: Option<Opcode> = Some(Opcode::Abs);
    const SAMPLES: &'static [Sample<Abs>] = &two_sizes(Abs, &[small(NOT_ZERO)], &[large(NOT_ZERO)]);

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * x[0].sign())
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].abs()
    }
}

/// Sign: -1, 0 or 1, element by element.
///
/// ```text
/// y = sign(x)                                      x: [..] f32, y: same shape
/// vjp:   none: flat almost everywhere
/// order 2: zero
/// cost:  1 flop, 8 bytes per element
/// source: elementary; the derivative of the absolute value
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sign;

impl Elementwise for Sign {
    const NAME: &'static str = "sign";
    const ULPS: f64 = 0.0;
    const OPCODE: Option<Opcode> = Some(Opcode::Sign);
    const SAMPLES: &'static [Sample<Sign>] =
        &two_sizes(Sign, &[small(NOT_ZERO)], &[large(NOT_ZERO)]);

    fn f64(&self, x: &[f64]) -> f64 {
        if x[0] == 0.0 { 0.0 } else { x[0].signum() }
    }
}

/// Hyperbolic tangent, element by element.
///
/// ```text
/// y = tanh(x)                                      x: [..] f32, y: same shape
/// vjp:   dx = dy · (1 - y²)
/// order 2: d(dx)/dx = -2 y (1 - y²) dy
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tanh;

impl Elementwise for Tanh {
    const NAME: &'static str = "tanh";
    const ULPS: f64 = 1.6;
    const OPCODE: Option<Opcode> = Some(Opcode::Tanh);
    const SAMPLES: &'static [Sample<Tanh>] =
        &two_sizes(Tanh, &[small(R)], &[large(Range::Real(-9.0, 9.0))]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * (1.0 - y.square()))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].tanh()
    }
}

/// Logistic sigmoid, element by element.
///
/// ```text
/// y = 1 / (1 + exp(-x))                            x: [..] f32, y: same shape
/// vjp:   dx = dy · y · (1 - y)
/// order 2: d(dx)/dx = dy · y (1 - y)(1 - 2 y)
/// cost:  1 flop, 8 bytes per element
/// source: Goodfellow et al. 2014, section 5 (output of G and D)
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sigmoid;

impl Elementwise for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const ULPS: f64 = 2.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Sigmoid);
    const SAMPLES: &'static [Sample<Sigmoid>] =
        &two_sizes(Sigmoid, &[small(R)], &[large(Range::Real(-30.0, 30.0))]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * (y - y.square()))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        1.0 / (1.0 + (-x[0]).exp())
    }
}

/// Softplus, the smooth maximum of 0 and x, element by element.
///
/// ```text
/// y = ln(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))   x: [..] f32, y: same shape
/// vjp:   dx = dy · sigmoid(x)
/// order 2: d(dx)/dx = dy · s (1 - s), s = sigmoid(x)
/// cost:  1 flop, 8 bytes per element
/// source: the stable form of -log(1 - D): Goodfellow et al. 2014, equation 1, from logits; docs/book/src/loss-from-logits.md
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Softplus;

impl Elementwise for Softplus {
    const NAME: &'static str = "softplus";
    const ULPS: f64 = 2.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Softplus);
    const SAMPLES: &'static [Sample<Softplus>] =
        &two_sizes(Softplus, &[small(R)], &[large(Range::Real(-80.0, 80.0))]);

    fn vjp<'g>(&self, _: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * x[0].sigmoid())
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0].max(0.0) + (-x[0].abs()).exp().ln_1p()
    }
}

impl<'g> Var<'g> {
    /// y = exp(x).
    #[track_caller]
    pub fn exp(self) -> Var<'g> {
        self.apply(Exp)
    }

    /// y = ln(x).
    #[track_caller]
    pub fn log(self) -> Var<'g> {
        self.apply(Log)
    }

    /// y = √x.
    #[track_caller]
    pub fn sqrt(self) -> Var<'g> {
        self.apply(Sqrt)
    }

    /// y = 1 / √x.
    #[track_caller]
    pub fn rsqrt(self) -> Var<'g> {
        self.apply(Rsqrt)
    }

    /// y = x².
    #[track_caller]
    pub fn square(self) -> Var<'g> {
        self.apply(Square)
    }

    /// y = |x|.
    #[track_caller]
    pub fn abs(self) -> Var<'g> {
        self.apply(Abs)
    }

    /// y = sign(x), 0 at 0.
    #[track_caller]
    pub fn sign(self) -> Var<'g> {
        self.apply(Sign)
    }

    /// y = tanh(x).
    #[track_caller]
    pub fn tanh(self) -> Var<'g> {
        self.apply(Tanh)
    }

    /// y = 1 / (1 + exp(-x)).
    #[track_caller]
    pub fn sigmoid(self) -> Var<'g> {
        self.apply(Sigmoid)
    }

    /// y = ln(1 + exp(x)), without overflow.
    #[track_caller]
    pub fn softplus(self) -> Var<'g> {
        self.apply(Softplus)
    }
}
