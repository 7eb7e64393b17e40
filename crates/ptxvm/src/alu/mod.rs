//! Arithmetic of each instruction on 32 lanes.

use crate::counts::Class;
use crate::number::{Bits, Type};

/// A function on lanes from one on values.
macro_rules! lanes {
    ($a:ident: $ta:ty, $b:ident: $tb:ty, $c:ident: $tc:ty => $e:expr) => {{
        fn f(a: &Lanes, b: &Lanes, c: &Lanes) -> Lanes {
            std::array::from_fn(|i| {
                let ($a, $b, $c) = (<$ta>::get(a[i]), <$tb>::get(b[i]), <$tc>::get(c[i]));
                Bits::put($e)
            })
        }
        f as Map
    }};
    ($a:ident: $ta:ty, $b:ident: $tb:ty => $e:expr) => {{
        fn f(a: &Lanes, b: &Lanes, _: &Lanes) -> Lanes {
            std::array::from_fn(|i| {
                let ($a, $b) = (<$ta>::get(a[i]), <$tb>::get(b[i]));
                Bits::put($e)
            })
        }
        f as Map
    }};
    ($a:ident: $ta:ty => $e:expr) => {{
        fn f(a: &Lanes, _: &Lanes, _: &Lanes) -> Lanes {
            std::array::from_fn(|i| {
                let $a = <$ta>::get(a[i]);
                Bits::put($e)
            })
        }
        f as Map
    }};
}

/// One function for each of the given integer types.
macro_rules! by_type {
    ($ty:expr; $($name:ident),+; $t:ident => $f:expr) => {
        match $ty { $(Type::$name => { type $t = rust!($name); Some($f) })+ _ => None }
    };
}

macro_rules! rust {
    (U16) => {
        u16
    };
    (U32) => {
        u32
    };
    (U64) => {
        u64
    };
    (S16) => {
        i16
    };
    (S32) => {
        i32
    };
    (S64) => {
        i64
    };
    (B16) => {
        u16
    };
    (B32) => {
        u32
    };
    (B64) => {
        u64
    };
    (F32) => {
        f32
    };
    (F64) => {
        f64
    };
}

macro_rules! integer_type {
    ($ty:expr; $t:ident => $f:expr) => { by_type!($ty; U16, U32, U64, S16, S32, S64; $t => $f) };
}

macro_rules! bit_type {
    ($ty:expr; $t:ident => $f:expr) => { by_type!($ty; B16, B32, B64; $t => $f) };
}

mod compare;
mod float;
mod integer;

pub(crate) use compare::test;
pub(crate) use integer::{insert, logic3};

use float::float;
use integer::integer;

/// A register: one value per lane, of which the low bits are used.
pub(crate) type Lanes = [u64; 32];

/// d = f(a, b, c) in every lane.
pub(crate) type Map = fn(&Lanes, &Lanes, &Lanes) -> Lanes;

/// A predicate (one bit per lane) from two registers.
pub(crate) type Test = fn(&Lanes, &Lanes) -> u32;

/// The function and cost of an instruction of [`map`].
pub(crate) struct Arithmetic {
    pub(crate) f: Map,
    pub(crate) class: Class,
    pub(crate) flops: u32,
    /// Types of the operands, for immediates.
    pub(crate) types: [Type; 3],
    pub(crate) arity: usize,
}

/// The instruction `base` with the modifiers `mods`; `None` if unsupported.
pub(crate) fn map(base: &str, mods: &[&str]) -> Option<Arithmetic> {
    let (&last, mods) = mods.split_last()?;
    let ty = Type::parse(last)?;
    let by_class = if ty == Type::F64 {
        Class::Double
    } else if ty.is_float() {
        Class::Float
    } else {
        Class::Integer
    };
    let mut out = Arithmetic {
        f: lanes!(a: u64 => a),
        class: by_class,
        flops: 0,
        types: [ty; 3],
        arity: 2,
    };
    if ty == Type::F32 || ty == Type::F64 {
        if let Some((f, arity)) = float(base, mods, ty) {
            (out.f, out.arity) = (f, arity);
            out.flops = match base {
                "fma" | "mad" => 2,
                "add" | "sub" | "mul" | "div" => 1,
                _ => 0,
            };
            if matches!(base, "fma" | "mad") && ty == Type::F32 {
                out.class = Class::Fma;
            }
            let special = [
                "div", "sqrt", "rcp", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh",
            ];
            if special.contains(&base) {
                out.class = Class::Special;
            }
            return Some(out);
        }
        // Bits of numbers may be moved and chosen like any others.
        if !matches!(base, "mov") {
            return None;
        }
    }
    (out.f, out.arity) = integer(base, mods, ty, &mut out)?;
    Some(out)
}
