//! Element-wise kernels on slices of equal length. Single-threaded: the caller distributes chunks over threads.
//!
//! Each output depends on the inputs at its own index only, through plain multiplications and additions, so results
//! are the same for every chunking and instruction set. NaN propagates unless a doc comment says otherwise.
//! Each function panics if the lengths differ; nothing allocates.

use super::multiversion::multiversion;
use crate::cuda::elementwise::Opcode;

pub use super::approx::{exp_f32, log_f32, sigmoid_f32, softplus_f32, tanh_f32};

#[inline(always)]
fn map(name: &str, x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32) {
    assert_eq!(x.len(), y.len(), "{name}: lengths of x and y differ");
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

#[inline(always)]
fn zip(name: &str, a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    assert_eq!(
        a.len(),
        y.len(),
        "{name}: lengths of the first input and the output differ"
    );
    assert_eq!(
        b.len(),
        y.len(),
        "{name}: lengths of the second input and the output differ"
    );
    for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
        *y = f(a, b);
    }
}

#[inline(always)]
fn sign_f32(x: f32) -> f32 {
    let y = if x < 0.0 { -1.0 } else { x };
    let y = if x > 0.0 { 1.0 } else { y };
    if x == 0.0 { 0.0 } else { y }
}

/// What an opcode computes, with its constants and operands; of one operand it is `a`.
///
/// # Panics
/// As the functions below; for random numbers, which [`super::rng`] draws.
pub fn run(code: Opcode, [c, d]: [f32; 2], a: &[f32], b: &[f32], y: &mut [f32]) {
    match code {
        Opcode::Constant => y.fill(c),
        Opcode::Uniform | Opcode::Normal | Opcode::Bernoulli => panic!("{code:?} has a stream"),
        Opcode::Add => add(a, b, y),
        Opcode::Sub => sub(a, b, y),
        Opcode::Mul => mul(a, b, y),
        Opcode::Div => div(a, b, y),
        Opcode::StepMul => step_mul(c, a, b, y),
        Opcode::ClipMul => clip_mul(c, d, a, b, y),
        Opcode::Neg => neg(a, y),
        Opcode::AddScalar => add_scalar(c, a, y),
        Opcode::MulScalar => mul_scalar(c, a, y),
        Opcode::Exp => exp(a, y),
        Opcode::Log => log(a, y),
        Opcode::Sqrt => sqrt(a, y),
        Opcode::Square => square(a, y),
        Opcode::Abs => abs(a, y),
        Opcode::Sign => sign(a, y),
        Opcode::Tanh => tanh(a, y),
        Opcode::Sigmoid => sigmoid(a, y),
        Opcode::Softplus => softplus(a, y),
        Opcode::Relu => relu(a, y),
        Opcode::LeakyRelu => leaky_relu(c, a, y),
        Opcode::Clip => clip(c, d, a, y),
        Opcode::Rsqrt => rsqrt(a, y),
        Opcode::Copy => y.copy_from_slice(a),
    }
}

multiversion! {
    /// y = -x.
    pub fn neg(x: &[f32], y: &mut [f32]) {
        map("neg", x, y, |x| -x);
    }

    /// y = e^x, see [`exp_f32`].
    pub fn exp(x: &[f32], y: &mut [f32]) {
        map("exp", x, y, exp_f32);
    }

    /// y = ln x, see [`log_f32`].
    pub fn log(x: &[f32], y: &mut [f32]) {
        map("log", x, y, log_f32);
    }

    /// y = sqrt(x), correctly rounded.
    pub fn sqrt(x: &[f32], y: &mut [f32]) {
        map("sqrt", x, y, f32::sqrt);
    }

    /// y = 1 / sqrt(x), both rounded.
    pub fn rsqrt(x: &[f32], y: &mut [f32]) {
        map("rsqrt", x, y, |x| 1.0 / x.sqrt());
    }

    /// y = x^2.
    pub fn square(x: &[f32], y: &mut [f32]) {
        map("square", x, y, |x| x * x);
    }

    /// y = |x|.
    pub fn abs(x: &[f32], y: &mut [f32]) {
        map("abs", x, y, f32::abs);
    }

    /// y = 1 above 0, -1 below, 0 at 0 (both zeros), NaN at NaN.
    pub fn sign(x: &[f32], y: &mut [f32]) {
        map("sign", x, y, sign_f32);
    }

    /// y = tanh x, see [`tanh_f32`].
    pub fn tanh(x: &[f32], y: &mut [f32]) {
        map("tanh", x, y, tanh_f32);
    }

    /// y = 1 / (1 + e^-x), see [`sigmoid_f32`].
    pub fn sigmoid(x: &[f32], y: &mut [f32]) {
        map("sigmoid", x, y, sigmoid_f32);
    }

    /// y = ln(1 + e^x), see [`softplus_f32`].
    pub fn softplus(x: &[f32], y: &mut [f32]) {
        map("softplus", x, y, softplus_f32);
    }

    /// y = max(x, 0).
    pub fn relu(x: &[f32], y: &mut [f32]) {
        map("relu", x, y, |x| if x <= 0.0 { 0.0 } else { x });
    }

    /// y = x + c.
    pub fn add_scalar(c: f32, x: &[f32], y: &mut [f32]) {
        map("add_scalar", x, y, |x| x + c);
    }

    /// y = c x.
    pub fn mul_scalar(c: f32, x: &[f32], y: &mut [f32]) {
        map("mul_scalar", x, y, |x| x * c);
    }

    /// y = x above 0, slope x elsewhere (Maas et al. 2013).
    pub fn leaky_relu(slope: f32, x: &[f32], y: &mut [f32]) {
        map("leaky_relu", x, y, |x| if x > 0.0 { x } else { slope * x });
    }

    /// y = min(max(x, lo), hi), for lo <= hi.
    pub fn clip(lo: f32, hi: f32, x: &[f32], y: &mut [f32]) {
        map("clip", x, y, |x| {
            let x = if x < lo { lo } else { x };
            if x > hi { hi } else { x }
        });
    }

    /// y = a + b.
    pub fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
        zip("add", a, b, y, |a, b| a + b);
    }

    /// y = a - b.
    pub fn sub(a: &[f32], b: &[f32], y: &mut [f32]) {
        zip("sub", a, b, y, |a, b| a - b);
    }

    /// y = a b.
    pub fn mul(a: &[f32], b: &[f32], y: &mut [f32]) {
        zip("mul", a, b, y, |a, b| a * b);
    }

    /// y = a / b.
    pub fn div(a: &[f32], b: &[f32], y: &mut [f32]) {
        zip("div", a, b, y, |a, b| a / b);
    }

    /// The gate of a rectifier: dx = dy where x > 0, below dy elsewhere.
    ///
    /// `below` = 0 is the vjp of [`relu`] and gives exactly 0 there, even where dy is infinite or NaN;
    /// `below` = slope is that of [`leaky_relu`]. Linear in dy, hence its own vjp.
    pub fn step_mul(below: f32, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        if below == 0.0 {
            zip("step_mul", x, dy, dx, |x, dy| if x > 0.0 { dy } else { 0.0 });
        } else {
            zip("step_mul", x, dy, dx, |x, dy| if x > 0.0 { dy } else { below * dy });
        }
    }

    /// dx = dy sign(x): the vjp of [`abs`], 0 at 0.
    pub fn sign_mul(x: &[f32], dy: &[f32], dx: &mut [f32]) {
        zip("sign_mul", x, dy, dx, |x, dy| dy * sign_f32(x));
    }

    /// dx = dy where lo <= x <= hi, exactly 0 elsewhere: the vjp of [`clip`].
    pub fn clip_mul(lo: f32, hi: f32, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        zip("clip_mul", x, dy, dx, |x, dy| if (lo <= x) & (x <= hi) { dy } else { 0.0 });
    }
}

#[cfg(test)]
mod tests;
