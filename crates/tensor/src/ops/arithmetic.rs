//! Element-wise arithmetic: sums, products and their inverses.

use ganforge_kernels::cuda::elementwise::Opcode;

use crate::graph::Var;
use crate::ops::{Elementwise, Range, Sample, large, small, two_sizes};

const R: Range = Range::Real(-2.0, 2.0);

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
    const ULPS: f64 = 0.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Add);
    const SAMPLES: &'static [Sample<Add>] =
        &two_sizes(Add, &[small(R), small(R)], &[large(R), large(R)]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy)
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] + x[1]
    }
}

/// Difference, element by element.
///
/// ```text
/// y = a - b                                        a, b: [..] f32, y: same shape
/// vjp:   da = dy,  db = -dy
/// order 2: zero
/// cost:  1 flop, 12 bytes per element
/// source: elementary
/// errors: shapes that do not broadcast
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sub;

impl Elementwise for Sub {
    const NAME: &'static str = "sub";
    const ULPS: f64 = 0.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Sub);
    const SAMPLES: &'static [Sample<Sub>] =
        &two_sizes(Sub, &[small(R), small(R)], &[large(R), large(R)]);

    fn vjp<'g>(&self, wrt: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(if wrt == 0 { dy } else { -dy })
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] - x[1]
    }
}

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
    const ULPS: f64 = 0.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Mul);
    const SAMPLES: &'static [Sample<Mul>] =
        &two_sizes(Mul, &[small(R), small(R)], &[large(R), large(R)]);

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy * x[1 - wrt])
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] * x[1]
    }
}

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

/// The divisors of the samples: away from 0.
const DIVISOR: Range = Range::Real(0.5, 2.0);

impl Elementwise for Div {
    const NAME: &'static str = "div";
    const ULPS: f64 = 0.5;
    const OPCODE: Option<Opcode> = Some(Opcode::Div);
    const SAMPLES: &'static [Sample<Div>] = &two_sizes(
        Div,
        &[small(R), small(DIVISOR)],
        &[large(R), large(DIVISOR)],
    );

    fn vjp<'g>(&self, wrt: usize, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        let da = dy / x[1];
        Some(if wrt == 0 { da } else { -(da * y) })
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] / x[1]
    }
}

/// Negative, element by element.
///
/// ```text
/// y = -x                                           x: [..] f32, y: same shape
/// vjp:   dx = -dy
/// order 2: zero
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Neg;

impl Elementwise for Neg {
    const NAME: &'static str = "neg";
    const ULPS: f64 = 0.0;
    const OPCODE: Option<Opcode> = Some(Opcode::Neg);
    const SAMPLES: &'static [Sample<Neg>] = &two_sizes(Neg, &[small(R)], &[large(R)]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(-dy)
    }

    fn f64(&self, x: &[f64]) -> f64 {
        -x[0]
    }
}

/// Adds a constant to each element.
///
/// ```text
/// y = x + c                                        x: [..] f32, y: same shape
/// vjp:   dx = dy
/// order 2: zero
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AddScalar {
    /// The constant.
    pub c: f64,
}

impl Elementwise for AddScalar {
    const NAME: &'static str = "add_scalar";
    // One rounding, and that of the constant.
    const ULPS: f64 = 1.5;
    const OPCODE: Option<Opcode> = Some(Opcode::AddScalar);
    const SAMPLES: &'static [Sample<AddScalar>] =
        &two_sizes(AddScalar { c: 0.3 }, &[small(R)], &[large(R)]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy)
    }

    fn f64(&self, x: &[f64]) -> f64 {
        x[0] + self.c
    }

    fn constants(&self) -> [Option<f64>; 2] {
        [Some(self.c), None]
    }
}

/// Multiplies each element by a constant.
///
/// ```text
/// y = c · x                                        x: [..] f32, y: same shape
/// vjp:   dx = c · dy
/// order 2: zero
/// cost:  1 flop, 8 bytes per element
/// source: elementary
/// errors: none
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MulScalar {
    /// The constant.
    pub c: f64,
}

impl Elementwise for MulScalar {
    const NAME: &'static str = "mul_scalar";
    const ULPS: f64 = 1.5;
    const OPCODE: Option<Opcode> = Some(Opcode::MulScalar);
    const SAMPLES: &'static [Sample<MulScalar>] =
        &two_sizes(MulScalar { c: 0.3 }, &[small(R)], &[large(R)]);

    fn vjp<'g>(&self, _: usize, _: &[Var<'g>], _: Var<'g>, dy: Var<'g>) -> Option<Var<'g>> {
        Some(dy.mul_scalar(self.c))
    }

    fn f64(&self, x: &[f64]) -> f64 {
        self.c * x[0]
    }

    fn constants(&self) -> [Option<f64>; 2] {
        [Some(self.c), None]
    }
}

impl<'g> Var<'g> {
    /// y = x + c.
    #[track_caller]
    pub fn add_scalar(self, c: f64) -> Var<'g> {
        self.apply(AddScalar { c })
    }

    /// y = c · x.
    #[track_caller]
    pub fn mul_scalar(self, c: f64) -> Var<'g> {
        self.apply(MulScalar { c })
    }
}

impl<'g> std::ops::Neg for Var<'g> {
    type Output = Var<'g>;

    #[track_caller]
    fn neg(self) -> Var<'g> {
        self.apply(Neg)
    }
}

/// The operators of an op: of two variables, of a variable and a number, of a number and a variable.
macro_rules! operators {
    ($op:ident, $method:ident, |$x:ident, $c:ident| $right:expr, $left:expr) => {
        impl<'g> std::ops::$op for Var<'g> {
            type Output = Var<'g>;

            #[track_caller]
            fn $method(self, other: Var<'g>) -> Var<'g> {
                self.broadcast_apply($op, other)
            }
        }

        impl<'g> std::ops::$op<f64> for Var<'g> {
            type Output = Var<'g>;

            #[track_caller]
            fn $method(self, $c: f64) -> Var<'g> {
                let $x = self;
                $right
            }
        }

        impl<'g> std::ops::$op<Var<'g>> for f64 {
            type Output = Var<'g>;

            #[track_caller]
            fn $method(self, $x: Var<'g>) -> Var<'g> {
                let $c = self;
                $left
            }
        }
    };
}

operators!(Add, add, |x, c| x.add_scalar(c), x.add_scalar(c));
operators!(Sub, sub, |x, c| x.add_scalar(-c), (-x).add_scalar(c));
operators!(Mul, mul, |x, c| x.mul_scalar(c), x.mul_scalar(c));
operators!(
    Div,
    div,
    |x, c| x.mul_scalar(1.0 / c),
    x.graph.constant(c, x.shape()) / x
);
