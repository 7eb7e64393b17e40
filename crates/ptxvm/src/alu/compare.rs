//! setp: comparisons.

use super::{Lanes, Test};
use crate::number::{Bits, Type};

/// The comparison `name` of setp on values of type `ty`.
pub(crate) fn test(name: &str, ty: Type) -> Option<Test> {
    macro_rules! compare {
        ($t:ty, $a:ident, $b:ident, $e:expr) => {{
            fn f(a: &Lanes, b: &Lanes) -> u32 {
                (0..32).fold(0, |mask, i| {
                    let ($a, $b) = (<$t>::get(a[i]), <$t>::get(b[i]));
                    mask | u32::from($e) << i
                })
            }
            f as Test
        }};
    }
    if ty.is_float() {
        return by_type!(ty; F32, F64; T => match name {
            "eq" => compare!(T, a, b, a == b),
            "ne" => compare!(T, a, b, a.partial_cmp(&b).is_some_and(|o| o.is_ne())),
            "lt" => compare!(T, a, b, a < b),
            "le" => compare!(T, a, b, a <= b),
            "gt" => compare!(T, a, b, a > b),
            "ge" => compare!(T, a, b, a >= b),
            "equ" => compare!(T, a, b, a.partial_cmp(&b).is_none_or(|o| o.is_eq())),
            "neu" => compare!(T, a, b, a != b),
            "ltu" => compare!(T, a, b, a.partial_cmp(&b).is_none_or(|o| o.is_lt())),
            "leu" => compare!(T, a, b, a.partial_cmp(&b).is_none_or(|o| o.is_le())),
            "gtu" => compare!(T, a, b, a.partial_cmp(&b).is_none_or(|o| o.is_gt())),
            "geu" => compare!(T, a, b, a.partial_cmp(&b).is_none_or(|o| o.is_ge())),
            "num" => compare!(T, a, b, !a.is_nan() && !b.is_nan()),
            "nan" => compare!(T, a, b, a.is_nan() || b.is_nan()),
            _ => return None,
        });
    }
    let equal = match name {
        "eq" => bit_type!(ty; T => compare!(T, a, b, a == b)),
        "ne" => bit_type!(ty; T => compare!(T, a, b, a != b)),
        _ => None,
    };
    equal.or(integer_type!(ty; T => match name {
        "eq" => compare!(T, a, b, a == b),
        "ne" => compare!(T, a, b, a != b),
        "lt" | "lo" => compare!(T, a, b, a < b),
        "le" | "ls" => compare!(T, a, b, a <= b),
        "gt" | "hi" => compare!(T, a, b, a > b),
        "ge" | "hs" => compare!(T, a, b, a >= b),
        _ => return None,
    }))
}
