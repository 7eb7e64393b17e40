//! Integer and bit operations.

use super::{Arithmetic, Lanes, Map};
use crate::number::{Bits, Type};

/// Integer arithmetic; results wrap.
pub(super) fn integer(
    base: &str,
    mods: &[&str],
    ty: Type,
    out: &mut Arithmetic,
) -> Option<(Map, usize)> {
    let f = match (base, mods) {
        ("mov", []) => (lanes!(a: u64 => a), 1),
        ("add", []) => (
            integer_type!(ty; T => lanes!(a: T, b: T => a.wrapping_add(b)))?,
            2,
        ),
        ("sub", []) => (
            integer_type!(ty; T => lanes!(a: T, b: T => a.wrapping_sub(b)))?,
            2,
        ),
        ("mul", ["lo"]) => (
            integer_type!(ty; T => lanes!(a: T, b: T => a.wrapping_mul(b)))?,
            2,
        ),
        ("mad", ["lo"]) => {
            let f = integer_type!(ty; T => lanes!(a: T, b: T, c: T => a.wrapping_mul(b).wrapping_add(c)));
            (f?, 3)
        }
        ("mul", ["hi"]) => (high(ty)?, 2),
        ("mad", ["hi"]) if ty == Type::U32 => (
            lanes!(a: u32, b: u32, c: u32 => (((u64::from(a) * u64::from(b)) >> 32) as u32).wrapping_add(c)),
            3,
        ),
        ("mul", ["wide"]) => (wide(ty)?, 2),
        ("mad", ["wide"]) => {
            out.types[2] = match ty {
                Type::U16 => Type::U32,
                Type::S16 => Type::S32,
                Type::U32 => Type::U64,
                _ => Type::S64,
            };
            (wide_add(ty)?, 3)
        }
        // A division by zero has no specified result on the hardware: here all bits are set.
        ("div", []) => (
            integer_type!(ty; T => lanes!(a: T, b: T => if b == 0 { !0 } else { a.wrapping_div(b) }))?,
            2,
        ),
        ("rem", []) => (
            integer_type!(ty; T => lanes!(a: T, b: T => if b == 0 { !0 } else { a.wrapping_rem(b) }))?,
            2,
        ),
        ("min", []) => (integer_type!(ty; T => lanes!(a: T, b: T => a.min(b)))?, 2),
        ("max", []) => (integer_type!(ty; T => lanes!(a: T, b: T => a.max(b)))?, 2),
        ("abs", []) => (
            by_type!(ty; S16, S32, S64; T => lanes!(a: T => a.wrapping_abs()))?,
            1,
        ),
        ("neg", []) => (
            by_type!(ty; S16, S32, S64; T => lanes!(a: T => a.wrapping_neg()))?,
            1,
        ),
        ("and", []) => (bit_type!(ty; T => lanes!(a: T, b: T => a & b))?, 2),
        ("or", []) => (bit_type!(ty; T => lanes!(a: T, b: T => a | b))?, 2),
        ("xor", []) => (bit_type!(ty; T => lanes!(a: T, b: T => a ^ b))?, 2),
        ("not", []) => (bit_type!(ty; T => lanes!(a: T => !a))?, 1),
        ("cnot", []) => (
            bit_type!(ty; T => lanes!(a: T => if a == 0 { 1 as T } else { 0 }))?,
            1,
        ),
        ("shl", []) => {
            out.types[1] = Type::U32;
            (
                bit_type!(ty; T => lanes!(a: T, n: u32 => a.checked_shl(n).unwrap_or(0)))?,
                2,
            )
        }
        ("shr", []) => {
            out.types[1] = Type::U32;
            let logical = bit_type!(ty; T => lanes!(a: T, n: u32 => a.checked_shr(n).unwrap_or(0)));
            let f = logical.or(integer_type!(ty; T => lanes!(a: T, n: u32 => a >> n.min(T::BITS - 1) >> u32::from(n >= T::BITS && T::MIN == 0))));
            (f?, 2)
        }
        _ => return bits(base, mods, ty, out),
    };
    Some(f)
}

/// The upper half of a product.
fn high(ty: Type) -> Option<Map> {
    Some(match ty {
        Type::U32 => lanes!(a: u32, b: u32 => ((u64::from(a) * u64::from(b)) >> 32) as u32),
        Type::S32 => lanes!(a: i32, b: i32 => ((i64::from(a) * i64::from(b)) >> 32) as i32),
        Type::U64 => lanes!(a: u64, b: u64 => ((u128::from(a) * u128::from(b)) >> 64) as u64),
        Type::S64 => lanes!(a: i64, b: i64 => ((i128::from(a) * i128::from(b)) >> 64) as i64),
        _ => return None,
    })
}

/// The full product, of twice the size.
fn wide(ty: Type) -> Option<Map> {
    Some(match ty {
        Type::U16 => lanes!(a: u16, b: u16 => u32::from(a) * u32::from(b)),
        Type::S16 => lanes!(a: i16, b: i16 => i32::from(a) * i32::from(b)),
        Type::U32 => lanes!(a: u32, b: u32 => u64::from(a) * u64::from(b)),
        Type::S32 => lanes!(a: i32, b: i32 => i64::from(a) * i64::from(b)),
        _ => return None,
    })
}

fn wide_add(ty: Type) -> Option<Map> {
    Some(match ty {
        Type::U32 => {
            lanes!(a: u32, b: u32, c: u64 => (u64::from(a) * u64::from(b)).wrapping_add(c))
        }
        Type::S32 => {
            lanes!(a: i32, b: i32, c: i64 => (i64::from(a) * i64::from(b)).wrapping_add(c))
        }
        _ => return None,
    })
}

/// Single bits, fields and bytes of registers.
fn bits(base: &str, mods: &[&str], ty: Type, out: &mut Arithmetic) -> Option<(Map, usize)> {
    let f = match (base, mods, ty) {
        ("popc", [], Type::B32) => (lanes!(a: u32 => a.count_ones()), 1),
        ("popc", [], Type::B64) => (lanes!(a: u64 => a.count_ones()), 1),
        ("clz", [], Type::B32) => (lanes!(a: u32 => a.leading_zeros()), 1),
        ("clz", [], Type::B64) => (lanes!(a: u64 => a.leading_zeros()), 1),
        ("brev", [], Type::B32) => (lanes!(a: u32 => a.reverse_bits()), 1),
        ("brev", [], Type::B64) => (lanes!(a: u64 => a.reverse_bits()), 1),
        ("bfind", [], Type::U32) => (lanes!(a: u32 => 31u32.wrapping_sub(a.leading_zeros())), 1),
        ("bfe", [], Type::U32) => {
            out.types = [Type::U32; 3];
            (
                lanes!(a: u32, p: u32, n: u32 => field(a, p & 255, n & 255)),
                3,
            )
        }
        ("bfe", [], Type::S32) => (
            lanes!(a: i32, p: u32, n: u32 => signed_field(a, p & 255, n & 255)),
            3,
        ),
        ("shf", ["l", "wrap"], Type::B32) => (
            lanes!(a: u32, b: u32, n: u32 => (joined(a, b) << (n & 31) >> 32) as u32),
            3,
        ),
        ("shf", ["l", "clamp"], Type::B32) => (
            lanes!(a: u32, b: u32, n: u32 => (joined(a, b) << n.min(32) >> 32) as u32),
            3,
        ),
        ("shf", ["r", "wrap"], Type::B32) => (
            lanes!(a: u32, b: u32, n: u32 => (joined(a, b) >> (n & 31)) as u32),
            3,
        ),
        ("shf", ["r", "clamp"], Type::B32) => (
            lanes!(a: u32, b: u32, n: u32 => (joined(a, b) >> n.min(32)) as u32),
            3,
        ),
        ("prmt", [], Type::B32) => (
            lanes!(a: u32, b: u32, s: u32 => permute_bytes(joined(a, b), s)),
            3,
        ),
        _ => return None,
    };
    Some(f)
}

/// `low` and above it `high`.
fn joined(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// `length` bits from `position` on; bits beyond the 32nd are 0.
fn field(a: u32, position: u32, length: u32) -> u32 {
    let shifted = a.checked_shr(position).unwrap_or(0);
    if length >= 32 {
        shifted
    } else {
        shifted & ((1 << length) - 1)
    }
}

/// The same, extended with its sign: that of its last bit, or of the register where the field ends beyond.
fn signed_field(a: i32, position: u32, length: u32) -> i32 {
    if length == 0 {
        return 0;
    }
    let sign = a >> (position + length - 1).min(31) & 1;
    let value = field(a as u32, position, length);
    let kept = length.min(32u32.saturating_sub(position));
    let above = u32::MAX.checked_shl(kept).unwrap_or(0);
    (if sign == 1 { value | above } else { value }) as i32
}

/// Four bytes of eight, each named by three bits; with the fourth bit set, its sign eight times.
fn permute_bytes(bytes: u64, selectors: u32) -> u32 {
    (0..4).fold(0, |d, i| {
        let s = selectors >> (4 * i) & 15;
        let byte = (bytes >> (8 * (s & 7))) as u8;
        let byte = if s & 8 == 0 {
            byte
        } else {
            (byte as i8 >> 7) as u8
        };
        d | u32::from(byte) << (8 * i)
    })
}

/// lop3.b32: any function of three bits, given as a table of eight.
pub(crate) fn logic3(a: u32, b: u32, c: u32, table: u8) -> u32 {
    (0..8u32).filter(|i| table >> i & 1 == 1).fold(0, |d, i| {
        let pick = |x: u32, bit: u32| if i >> bit & 1 == 1 { x } else { !x };
        d | pick(a, 2) & pick(b, 1) & pick(c, 0)
    })
}

/// bfi: b with `length` bits from `position` on taken from a. With 32 bits the upper half of the result is not read.
pub(crate) fn insert(a: u64, b: u64, position: u32, length: u32) -> u64 {
    let ones = 1u64.checked_shl(length).map_or(u64::MAX, |x| x - 1);
    let mask = ones.checked_shl(position).unwrap_or(0);
    b & !mask | a.checked_shl(position).unwrap_or(0) & mask
}
