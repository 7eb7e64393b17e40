//! cvt: conversion between numeric types.

use crate::alu::{Lanes, Map};
use crate::number::{
    Bits, Round, Type, bf16_of, bf16_value, canonical, f16_of, f16_value, f32_of, tf32_of,
};

/// A conversion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convert {
    from: Type,
    to: Type,
    round: Round,
    /// A float is rounded to an integer (rni, rzi, ..).
    whole: bool,
    /// Results are clamped to 0..=1.
    saturate: bool,
}

impl Convert {
    /// cvt with the modifiers `mods`, the types last; `None` if unsupported.
    pub(crate) fn new(mods: &[&str]) -> Option<Convert> {
        let (&[to, from], mods) = mods.split_last_chunk::<2>().map(|(m, t)| (t, m))?;
        let (to, from) = (Type::parse(to)?, Type::parse(from)?);
        let mut c = Convert {
            from,
            to,
            round: Round::Nearest,
            whole: false,
            saturate: false,
        };
        let mut rounded = false;
        for &m in mods {
            rounded |= m.starts_with('r');
            match m {
                "rn" => c.round = Round::Nearest,
                "rna" => c.round = Round::NearestAway,
                "rz" => c.round = Round::Zero,
                "rm" => c.round = Round::Down,
                "rp" => c.round = Round::Up,
                "rni" => (c.round, c.whole) = (Round::Nearest, true),
                "rzi" => (c.round, c.whole) = (Round::Zero, true),
                "rmi" => (c.round, c.whole) = (Round::Down, true),
                "rpi" => (c.round, c.whole) = (Round::Up, true),
                "sat" if to == Type::F32 && from == Type::F32 => c.saturate = true,
                _ => return None,
            }
        }
        let exact = |small: Type, large: Type| {
            small == large
                || matches!(
                    (small, large),
                    (Type::F16 | Type::BF16, Type::F32) | (Type::F32, Type::F64)
                )
        };
        let known = match (from.is_float(), to.is_float()) {
            (false, false) => !rounded,
            (true, false) => c.whole,
            (false, true) => rounded && !c.whole && matches!(to, Type::F32 | Type::F64 | Type::F16),
            (true, true) => rounded || c.saturate || exact(from, to),
        };
        // tf32 is only rounded to, ties away; nothing else is rounded so.
        let tf32 = (to == Type::TF32) == (c.round == Round::NearestAway);
        let types = !matches!(from, Type::TF32 | Type::BF16x2 | Type::Pred)
            && !matches!(to, Type::BF16x2 | Type::Pred)
            && (!matches!(to, Type::F16 | Type::BF16 | Type::TF32)
                || from == Type::F32
                || from == to);
        (known && tf32 && types).then_some(c)
    }

    /// The source's type.
    pub(crate) fn from(&self) -> Type {
        self.from
    }

    /// A fast path for the conversions of address arithmetic.
    pub(crate) fn map(&self) -> Option<Map> {
        macro_rules! each {
            ($from:ty, $x:ident => $e:expr) => {{
                fn f(a: &Lanes, _: &Lanes, _: &Lanes) -> Lanes {
                    a.map(|bits| {
                        let $x = <$from>::get(bits);
                        Bits::put($e)
                    })
                }
                Some(f as Map)
            }};
        }
        use Type::*;
        if !self.from.is_float() && !self.to.is_float() {
            // Readers look at the low bits only, so extending is all there is to do.
            return match self.from {
                S8 => each!(i8, x => x),
                S16 => each!(i16, x => x),
                S32 => each!(i32, x => x),
                U8 | B8 => each!(u8, x => x),
                U16 | B16 => each!(u16, x => x),
                U32 | B32 => each!(u32, x => x),
                _ => each!(u64, x => x),
            };
        }
        match (self.from, self.to, self.round) {
            (S32, F32, Round::Nearest) => each!(i32, x => x as f32),
            (U32, F32, Round::Nearest) => each!(u32, x => x as f32),
            (F32, S32, Round::Zero) => each!(f32, x => x as i32),
            (F32, U32, Round::Zero) => each!(f32, x => x as u32),
            _ => None,
        }
    }

    /// One value.
    pub(crate) fn value(&self, bits: u64) -> u64 {
        use Type::*;
        let x = match self.from {
            F32 => f64::from(f32::get(bits)),
            F64 => f64::get(bits),
            F16 => f16_value(bits as u16),
            BF16 => bf16_value(bits as u16),
            _ if !self.to.is_float() => return extend(bits, self.from) as u64,
            _ => return self.of_integer(extend(bits, self.from)),
        };
        if !self.to.is_float() {
            return self.to_integer(x);
        }
        let x = match (self.whole, self.round) {
            (false, _) => x,
            (true, Round::Zero) => x.trunc(),
            (true, Round::Down) => x.floor(),
            (true, Round::Up) => x.ceil(),
            (true, _) => x.round_ties_even(),
        };
        let x = match self.saturate {
            true if x > 0.0 => x.min(1.0),
            true => 0.0,
            false => x,
        };
        match self.to {
            F64 => x.to_bits(),
            F16 => u64::from(f16_of(x, self.round)),
            BF16 => u64::from(bf16_of(x, self.round)),
            TF32 => u64::from(tf32_of(x, self.round)),
            _ => f32_of(x, self.round).put(),
        }
    }

    fn of_integer(&self, x: i128) -> u64 {
        match (self.to, self.round) {
            (Type::F64, Round::Nearest) => (x as f64).to_bits(),
            (Type::F32, Round::Nearest) => canonical(x as f32).put(),
            // At most 64 bits in two parts, each exact in f64.
            (to, round) => {
                let low = (x & 0xffff_ffff) as f64;
                let sum = crate::number::add_odd((x >> 32) as f64 * 4_294_967_296.0, low);
                match to {
                    Type::F16 => u64::from(f16_of(sum, round)),
                    _ => f32_of(sum, round).put(),
                }
            }
        }
    }

    /// Rounded to an integer and clamped to the type's range; NaN as the ISA says.
    fn to_integer(self, x: f64) -> u64 {
        let bits = 8 * self.to.bytes();
        if x.is_nan() {
            let wide = self.from == Type::F64 || bits == 64;
            return if wide { 1 << (bits - 1) } else { 0 };
        }
        let whole = match self.round {
            Round::Zero => x.trunc(),
            Round::Down => x.floor(),
            Round::Up => x.ceil(),
            _ => x.round_ties_even(),
        };
        let (low, high) = if self.to.is_signed() {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        } else {
            (0, (1i128 << bits) - 1)
        };
        (whole as i128).clamp(low, high) as u64
    }
}

fn extend(bits: u64, ty: Type) -> i128 {
    match ty {
        Type::S8 => i128::from(bits as i8),
        Type::S16 => i128::from(bits as i16),
        Type::S32 => i128::from(bits as i32),
        Type::S64 => i128::from(bits as i64),
        _ => {
            let width = 8 * ty.bytes();
            (u128::from(bits) & ((1u128 << width) - 1)) as i128
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(name: &str, bits: u64) -> u64 {
        let mods: Vec<&str> = name.split('.').collect();
        let c = Convert::new(&mods).unwrap_or_else(|| panic!("{name} is not known"));
        if let Some(map) = c.map() {
            let fast = map(&[bits; 32], &[0; 32], &[0; 32])[0];
            let width = 8 * c.to.bytes();
            let mask = (u128::MAX >> (128 - width)) as u64;
            assert_eq!(fast & mask, c.value(bits) & mask, "{name}");
        }
        c.value(bits)
    }

    fn bits(x: f32) -> u64 {
        u64::from(x.to_bits())
    }

    #[test]
    fn floats_become_whole_numbers_in_range() {
        assert_eq!(convert("rzi.s32.f32", bits(-2.7)) as i32, -2);
        assert_eq!(convert("rni.s32.f32", bits(2.5)) as i32, 2);
        assert_eq!(convert("rmi.s32.f32", bits(-2.1)) as i32, -3);
        assert_eq!(convert("rpi.s32.f32", bits(2.1)) as i32, 3);
        assert_eq!(convert("rzi.u32.f32", bits(-5.0)), 0);
        assert_eq!(convert("rzi.s32.f32", bits(1e20)) as i32, i32::MAX);
        assert_eq!(convert("rzi.s32.f32", bits(f32::NAN)), 0);
        assert_eq!(convert("rzi.s64.f32", bits(f32::NAN)), 1 << 63);
        assert_eq!(convert("rzi.u8.f32", bits(300.0)), 255);
    }

    #[test]
    fn whole_numbers_become_floats_as_the_mode_says() {
        let x = 16_777_217; // 2^24 + 1
        assert_eq!(convert("rn.f32.u32", x), bits(16_777_216.0));
        assert_eq!(convert("rp.f32.u32", x), bits(16_777_218.0));
        assert_eq!(
            convert("rz.f32.s32", (-16_777_219i32) as u32 as u64),
            bits(-16_777_218.0)
        );
        assert_eq!(
            convert("rn.f32.u64", u64::MAX),
            bits(18_446_744_073_709_551_616.0)
        );
        assert_eq!(
            convert("rz.f32.u64", u64::MAX),
            bits(18_446_742_974_197_923_840.0)
        );
        assert_eq!(convert("rn.f64.s64", (-3i64) as u64), (-3f64).to_bits());
    }

    #[test]
    fn small_floats_are_rounded_and_widened() {
        assert_eq!(convert("rn.bf16.f32", bits(1.0 + 1.0 / 256.0)), 0x3f80);
        assert_eq!(convert("rn.bf16.f32", bits(1.0 + 3.0 / 256.0)), 0x3f82);
        assert_eq!(convert("f32.bf16", 0x3f82), bits(1.015_625));
        assert_eq!(convert("rn.f16.f32", bits(0.1)), 0x2e66);
        assert_eq!(convert("f32.f16", 0x2e66), bits(0.099_975_586));
        assert_eq!(
            convert("rna.tf32.f32", bits(f32::from_bits(0x3f80_1000))),
            0x3f80_2000
        );
        assert_eq!(convert("sat.f32.f32", bits(-1.0)), 0);
        assert_eq!(convert("sat.f32.f32", bits(1.5)), bits(1.0));
        assert_eq!(convert("sat.f32.f32", bits(f32::NAN)), 0);
        assert_eq!(convert("rmi.f32.f32", bits(-0.5)), bits(-1.0));
        assert_eq!(convert("rn.f32.f64", 0.1f64.to_bits()), bits(0.1));
    }

    #[test]
    fn extending_keeps_the_sign() {
        assert_eq!(convert("s64.s32", 0xffff_fffe), (-2i64) as u64);
        assert_eq!(convert("u64.u32", 0xffff_ffff_ffff_fffe), 0xffff_fffe);
        assert_eq!(convert("s32.s8", 0x80) as i32, -128);
        assert_eq!(convert("u32.u64", 0x1_0000_0005) as u32, 5);
    }

    #[test]
    fn what_the_isa_does_not_have_is_not_known() {
        for name in [
            "f32.s32",
            "s32.f32",
            "rn.tf32.f32",
            "rn.sat.f16.f32",
            "rz.f32.f64.x",
            "f16.f32",
        ] {
            assert!(
                Convert::new(&name.split('.').collect::<Vec<_>>()).is_none(),
                "{name}"
            );
        }
    }
}
