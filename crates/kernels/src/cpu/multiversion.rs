//! One body, several instruction sets: the macros behind the vectorised kernels.

/// Defines functions whose body is compiled for the baseline, for AVX2 and for AVX-512, and chosen at run time.
///
/// The bodies use plain multiplications and additions, never a fused one, so the three give the same bits; they
/// differ in speed only. Other architectures get the baseline. What a body calls must be `#[inline(always)]`,
/// or it is compiled for the baseline alone.
macro_rules! multiversion {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    )*) => {$(
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                use crate::cpu::isa::{Isa, isa};

                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn with_avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn with_avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                match isa() {
                    // SAFETY: `isa` detected the four subsets on this processor; the function is otherwise safe.
                    Isa::Avx512 => return unsafe { with_avx512($($arg),*) },
                    // SAFETY: `isa` detected AVX2 on this processor; the function is otherwise safe.
                    Isa::Avx2 => return unsafe { with_avx2($($arg),*) },
                    Isa::Portable => {}
                }
            }
            body($($arg),*)
        }
    )*};
}
pub(crate) use multiversion;

/// Defines functions with fused multiply-adds, compiled for AVX2 and for AVX-512; which one runs is a first argument.
///
/// `mul_add` rounds once on every path, so all give the same bits.
macro_rules! with_fma {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        fn $name(isa: $crate::cpu::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            assert!(isa.is_available(), "this machine has no {isa:?}");
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            {
                #[target_feature(enable = "avx512f")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                match isa {
                    // SAFETY: this machine has `isa`, asserted above; the function is otherwise safe.
                    $crate::cpu::isa::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::cpu::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::cpu::isa::Isa::Portable => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(in crate::cpu) use with_fma;
