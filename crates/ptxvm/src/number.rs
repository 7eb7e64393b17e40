//! Numeric types, and rounding between them as specified by PTX.

/// A type that an instruction's name ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
    S64,
    B8,
    B16,
    B32,
    B64,
    F16,
    BF16,
    BF16x2,
    TF32,
    F32,
    F64,
    Pred,
}

impl Type {
    pub(crate) fn parse(name: &str) -> Option<Type> {
        Some(match name {
            "u8" => Type::U8,
            "u16" => Type::U16,
            "u32" => Type::U32,
            "u64" => Type::U64,
            "s8" => Type::S8,
            "s16" => Type::S16,
            "s32" => Type::S32,
            "s64" => Type::S64,
            "b8" => Type::B8,
            "b16" => Type::B16,
            "b32" => Type::B32,
            "b64" => Type::B64,
            "f16" => Type::F16,
            "bf16" => Type::BF16,
            "bf16x2" => Type::BF16x2,
            "tf32" => Type::TF32,
            "f32" => Type::F32,
            "f64" => Type::F64,
            "pred" => Type::Pred,
            _ => return None,
        })
    }

    /// Bytes of a value.
    pub(crate) fn bytes(self) -> u32 {
        use Type::*;
        match self {
            U8 | S8 | B8 | Pred => 1,
            U16 | S16 | B16 | F16 | BF16 => 2,
            U32 | S32 | B32 | F32 | BF16x2 | TF32 => 4,
            U64 | S64 | B64 | F64 => 8,
        }
    }

    pub(crate) fn is_float(self) -> bool {
        use Type::*;
        matches!(self, F16 | BF16 | BF16x2 | TF32 | F32 | F64)
    }

    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Type::S8 | Type::S16 | Type::S32 | Type::S64)
    }
}

/// A value in a register: readers use as many low bits as their type has.
pub(crate) trait Bits: Copy {
    fn get(bits: u64) -> Self;
    fn put(self) -> u64;
}

macro_rules! integers {
    ($($t:ty),*) => {
        $(impl Bits for $t {
            #[inline(always)]
            fn get(bits: u64) -> Self { bits as $t }
            #[inline(always)]
            fn put(self) -> u64 { self as u64 }
        })*
    };
}

integers!(u8, u16, u32, u64, i8, i16, i32, i64);

impl Bits for f32 {
    #[inline(always)]
    fn get(bits: u64) -> f32 {
        f32::from_bits(bits as u32)
    }
    #[inline(always)]
    fn put(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Bits for f64 {
    #[inline(always)]
    fn get(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
    #[inline(always)]
    fn put(self) -> u64 {
        self.to_bits()
    }
}

/// The rounding mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// To nearest, ties to even.
    Nearest,
    /// To nearest, ties away from zero.
    NearestAway,
    Zero,
    Down,
    Up,
}

/// The one NaN that `f32` arithmetic produces.
pub(crate) const NAN: f32 = f32::from_bits(0x7fff_ffff);

#[inline(always)]
pub(crate) fn canonical(x: f32) -> f32 {
    if x.is_nan() { NAN } else { x }
}

/// a + b rounded to odd: an inexact result has its last bit set, and may then be rounded to at least two bits fewer as if it
/// were exact (Boldo and Melquiond 2008).
pub(crate) fn add_odd(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if !sum.is_finite() {
        return sum;
    }
    let of_b = sum - a;
    let error = (a - (sum - of_b)) + (b - of_b);
    if error == 0.0 || sum.to_bits() & 1 == 1 {
        return sum;
    }
    let outwards = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if outwards {
        sum.to_bits() + 1
    } else {
        sum.to_bits() - 1
    })
}

/// `x` with `bits` bits of significand and exponents down to `lowest`, that of the smallest normal number; a magnitude of
/// `limit` or more is infinite.
pub(crate) fn round_to(x: f64, bits: i32, lowest: i32, limit: f64, mode: Round) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let exponent = ((x.to_bits() >> 52) as i32 & 0x7ff) - 1023;
    // Units of the last place: powers of two, so that scaling is exact. Two steps, because 2^1074 is no f64.
    let last = exponent.max(lowest) - (bits - 1);
    let scaled = x * 2f64.powi(-(last / 2)) * 2f64.powi(-(last - last / 2));
    let whole = match mode {
        Round::Nearest => scaled.round_ties_even(),
        Round::NearestAway => scaled.round(),
        Round::Zero => scaled.trunc(),
        Round::Down => scaled.floor(),
        Round::Up => scaled.ceil(),
    };
    let rounded = whole * 2f64.powi(last / 2) * 2f64.powi(last - last / 2);
    if rounded.abs() < limit {
        return rounded.copysign(x);
    }
    let stays = match mode {
        Round::Nearest | Round::NearestAway => false,
        Round::Zero => true,
        Round::Down => x > 0.0,
        Round::Up => x < 0.0,
    };
    let largest = limit - limit * 2f64.powi(-bits);
    (if stays { largest } else { f64::INFINITY }).copysign(x)
}

/// An f64 to f32; exact values or those of [`add_odd`] are rounded correctly.
pub(crate) fn f32_of(x: f64, mode: Round) -> f32 {
    match mode {
        Round::Nearest => canonical(x as f32),
        _ => canonical(round_to(x, 24, -126, 2f64.powi(128), mode) as f32),
    }
}

/// a · b + c, rounded once.
pub(crate) fn fma_f32(a: f32, b: f32, c: f32, mode: Round) -> f32 {
    match mode {
        Round::Nearest => canonical(a.mul_add(b, c)),
        // The product of two f32 is exact in f64.
        _ => f32_of(add_odd(f64::from(a) * f64::from(b), f64::from(c)), mode),
    }
}

/// The bits of an f16.
pub(crate) fn f16_of(x: f64, mode: Round) -> u16 {
    if x.is_nan() {
        return 0x7fff;
    }
    small_float(round_to(x, 11, -14, 65536.0, mode), 10, 15)
}

/// The bits of a bf16.
pub(crate) fn bf16_of(x: f64, mode: Round) -> u16 {
    if x.is_nan() {
        return 0x7fff;
    }
    let rounded = round_to(x, 8, -126, 2f64.powi(128), mode);
    ((rounded as f32).to_bits() >> 16) as u16
}

/// The bits of an f32 rounded to the 10 fraction bits of tf32.
pub(crate) fn tf32_of(x: f64, mode: Round) -> u32 {
    if x.is_nan() {
        return NAN.to_bits();
    }
    (round_to(x, 11, -126, 2f64.powi(128), mode) as f32).to_bits()
}

/// Bits of a number that a format with `fraction` bits and exponent bias `bias` holds exactly.
fn small_float(x: f64, fraction: i32, bias: i32) -> u16 {
    let sign = u16::from(x.is_sign_negative()) << 15;
    let x = x.abs();
    let infinity = ((2 * bias + 1) as u16) << fraction;
    if x.is_infinite() {
        return sign | infinity;
    }
    let lowest = 1 - bias;
    if x < 2f64.powi(lowest) {
        return sign | (x * 2f64.powi(fraction - lowest)) as u16;
    }
    let exponent = ((x.to_bits() >> 52) as i32) - 1023;
    let significand = x * 2f64.powi(fraction - exponent); // in 2^fraction .. 2^(fraction + 1)
    sign | ((((exponent + bias - 1) as u16) << fraction) + significand as u16)
}

pub(crate) fn f16_value(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

pub(crate) fn bf16_value(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_survives_the_way_through_f64() {
        for bits in 0..=u16::MAX {
            let x = f16_value(bits);
            if x.is_nan() {
                assert_eq!(f16_of(x, Round::Nearest), 0x7fff);
            } else {
                for mode in [Round::Nearest, Round::Zero, Round::Down, Round::Up] {
                    assert_eq!(f16_of(x, mode), bits, "{bits:#06x} {mode:?}");
                }
            }
        }
    }

    #[test]
    fn every_bf16_survives_and_lies_between_its_neighbours_roundings() {
        for bits in 0..0x7f7f_u16 {
            let (x, above) = (bf16_value(bits), bf16_value(bits + 1));
            assert_eq!(bf16_of(x, Round::Nearest), bits);
            let middle = (x + above) / 2.0;
            let even = if bits & 1 == 0 { bits } else { bits + 1 };
            assert_eq!(bf16_of(middle, Round::Nearest), even);
            assert_eq!(bf16_of(middle, Round::Zero), bits);
            assert_eq!(bf16_of(middle, Round::Up), bits + 1);
            assert_eq!(bf16_of(-middle, Round::Down), (bits + 1) | 0x8000);
        }
    }

    #[test]
    fn overflow_goes_where_the_mode_says() {
        assert_eq!(f16_of(65519.0, Round::Nearest), 0x7bff);
        assert_eq!(f16_of(65520.0, Round::Nearest), 0x7c00);
        assert_eq!(f16_of(1e9, Round::Zero), 0x7bff);
        assert_eq!(f16_of(-1e9, Round::Up), 0xfbff);
        assert_eq!(f16_of(-1e9, Round::Down), 0xfc00);
        assert_eq!(bf16_of(f64::from(f32::MAX), Round::Nearest), 0x7f80);
        assert_eq!(f32_of(1e300, Round::Zero), f32::MAX);
    }

    #[test]
    fn tf32_rounds_ties_away_from_zero() {
        let one = 1.0f32.to_bits();
        let tie = f64::from(f32::from_bits(one | 0x1000));
        assert_eq!(tf32_of(tie, Round::NearestAway), one + 0x2000);
        assert_eq!(
            tf32_of(-tie, Round::NearestAway),
            (one + 0x2000) | 0x8000_0000
        );
        assert_eq!(tf32_of(tie, Round::Nearest), one);
        assert_eq!(
            tf32_of(f64::from(f32::from_bits(one | 0xfff)), Round::NearestAway),
            one
        );
    }

    #[test]
    fn directed_fused_multiply_adds_enclose_the_exact_value() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from_bits((state >> 9) | 0x3f80_0000) - 1.5
        };
        for _ in 0..10_000 {
            let (a, b, c) = (next(), next(), next() * 1e-7);
            let (down, up) = (fma_f32(a, b, c, Round::Down), fma_f32(a, b, c, Round::Up));
            let nearest = fma_f32(a, b, c, Round::Nearest);
            assert!(down <= nearest && nearest <= up && up <= down.next_up());
            let zero = fma_f32(a, b, c, Round::Zero);
            assert_eq!(zero, if nearest > 0.0 { down } else { up });
        }
        assert_eq!(fma_f32(1.0, 1.0, 1e-30, Round::Up), 1.0f32.next_up());
        assert_eq!(fma_f32(1.0, 1.0, 1e-30, Round::Down), 1.0);
        assert_eq!(
            fma_f32(f32::INFINITY, 0.0, 1.0, Round::Nearest).to_bits(),
            0x7fff_ffff
        );
    }
}
