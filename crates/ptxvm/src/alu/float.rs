//! Floating-point arithmetic in `f32` and `f64`.

use super::{Lanes, Map};
use crate::number::{Bits, Round, Type, add_odd, canonical, f32_of, fma_f32};

/// Arithmetic in f32 and f64; subnormal numbers are kept (.ftz is supported for ex2 only).
pub(super) fn float(base: &str, mods: &[&str], ty: Type) -> Option<(Map, usize)> {
    let double = ty == Type::F64;
    let round = match mods {
        [] | ["rn"] => Some(Round::Nearest),
        ["rz"] => Some(Round::Zero),
        ["rm"] => Some(Round::Down),
        ["rp"] => Some(Round::Up),
        _ => None,
    };
    let nearest = round == Some(Round::Nearest);
    let plain = mods.is_empty();
    let f = match base {
        "abs" if plain && !double => (lanes!(a: u32 => a & 0x7fff_ffff), 1),
        "neg" if plain && !double => (lanes!(a: u32 => a ^ 0x8000_0000), 1),
        "abs" if plain => (lanes!(a: f64 => a.abs()), 1),
        "neg" if plain => (lanes!(a: f64 => -a), 1),
        "min" if plain && !double => (lanes!(a: f32, b: f32 => smaller(a, b)), 2),
        "max" if plain && !double => (lanes!(a: f32, b: f32 => canonical(-smaller(-a, -b))), 2),
        "min" if plain => (lanes!(a: f64, b: f64 => smaller_f64(a, b)), 2),
        "max" if plain => (lanes!(a: f64, b: f64 => -smaller_f64(-a, -b)), 2),
        "copysign" if plain && !double => (
            lanes!(a: u32, b: u32 => b & 0x7fff_ffff | a & 0x8000_0000),
            2,
        ),
        "add" if nearest && !double => (lanes!(a: f32, b: f32 => canonical(a + b)), 2),
        "sub" if nearest && !double => (lanes!(a: f32, b: f32 => canonical(a - b)), 2),
        "mul" if nearest && !double => (lanes!(a: f32, b: f32 => canonical(a * b)), 2),
        "add" | "sub" | "mul" | "fma" | "mad" if !double => directed(base, round?)?,
        "div" if mods == ["rn"] && !double => (lanes!(a: f32, b: f32 => canonical(a / b)), 2),
        "sqrt" if mods == ["rn"] && !double => (lanes!(a: f32 => canonical(a.sqrt())), 1),
        "rcp" if mods == ["rn"] && !double => (lanes!(a: f32 => canonical(1.0 / a)), 1),
        "add" if nearest => (lanes!(a: f64, b: f64 => a + b), 2),
        "sub" if nearest => (lanes!(a: f64, b: f64 => a - b), 2),
        "mul" if nearest => (lanes!(a: f64, b: f64 => a * b), 2),
        "fma" | "mad" if nearest && double => {
            (lanes!(a: f64, b: f64, c: f64 => a.mul_add(b, c)), 3)
        }
        "div" if mods == ["rn"] => (lanes!(a: f64, b: f64 => a / b), 2),
        "sqrt" if mods == ["rn"] => (lanes!(a: f64 => a.sqrt()), 1),
        "rcp" if mods == ["rn"] => (lanes!(a: f64 => 1.0 / a), 1),
        _ if double => return None,
        "ex2" if mods == ["approx", "ftz"] => {
            (lanes!(a: f32 => flush(near(flush(a), f64::exp2))), 1)
        }
        _ if mods != ["approx"] => return None,
        "div" => (
            lanes!(a: f32, b: f32 => f32_of(f64::from(a) / f64::from(b), Round::Nearest)),
            2,
        ),
        "rcp" => (lanes!(a: f32 => near(a, f64::recip)), 1),
        "sqrt" => (lanes!(a: f32 => near(a, f64::sqrt)), 1),
        "rsqrt" => (lanes!(a: f32 => near(a, |x| 1.0 / x.sqrt())), 1),
        "ex2" => (lanes!(a: f32 => near(a, f64::exp2)), 1),
        "lg2" => (lanes!(a: f32 => near(a, f64::log2)), 1),
        "sin" => (lanes!(a: f32 => near(a, f64::sin)), 1),
        "cos" => (lanes!(a: f32 => near(a, f64::cos)), 1),
        "tanh" => (lanes!(a: f32 => near(a, f64::tanh)), 1),
        _ => return None,
    };
    Some(f)
}

/// f32 arithmetic with one rounding of the given kind.
fn directed(base: &str, round: Round) -> Option<(Map, usize)> {
    macro_rules! with {
        ($r:expr) => {
            match base {
                "fma" | "mad" => (lanes!(a: f32, b: f32, c: f32 => fma_f32(a, b, c, $r)), 3),
                "mul" => (lanes!(a: f32, b: f32 => f32_of(f64::from(a) * f64::from(b), $r)), 2),
                "sub" => (lanes!(a: f32, b: f32 => f32_of(add_odd(f64::from(a), -f64::from(b)), $r)), 2),
                _ => (lanes!(a: f32, b: f32 => f32_of(add_odd(f64::from(a), f64::from(b)), $r)), 2),
            }
        };
    }
    Some(match round {
        Round::Nearest => with!(Round::Nearest),
        Round::Zero => with!(Round::Zero),
        Round::Down => with!(Round::Down),
        Round::Up => with!(Round::Up),
        Round::NearestAway => return None,
    })
}

/// A function of f64 rounded to f32.
fn near(x: f32, f: fn(f64) -> f64) -> f32 {
    f32_of(f(f64::from(x)), Round::Nearest)
}

/// Flushes subnormal numbers to zero.
fn flush(x: f32) -> f32 {
    if x.is_subnormal() {
        0.0f32.copysign(x)
    } else {
        x
    }
}

/// The smaller one; of a number and a NaN the number; -0 is below 0.
fn smaller(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        canonical(if a.is_nan() { b } else { a })
    } else if a == b {
        f32::from_bits(a.to_bits() | b.to_bits())
    } else if a < b {
        a
    } else {
        b
    }
}

fn smaller_f64(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        if a.is_nan() { b } else { a }
    } else if a == b {
        f64::from_bits(a.to_bits() | b.to_bits())
    } else if a < b {
        a
    } else {
        b
    }
}
