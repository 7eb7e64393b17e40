//! Which vector instructions this machine has.

use std::sync::OnceLock;

/// An instruction set for which there is a kernel, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// The `matrixmultiply` crate, on every machine.
    Portable,
    /// AVX2 with FMA: tiles of up to 6 × 16.
    Avx2,
    /// AVX-512F: tiles of up to 14 × 32.
    Avx512,
}

impl Isa {
    /// All of them, narrowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Whether this machine can run it.
    pub fn is_available(self) -> bool {
        self <= isa()
    }
}

/// The widest instruction set of this machine; detected once.
pub fn isa() -> Isa {
    static FOUND: OnceLock<Isa> = OnceLock::new();
    *FOUND.get_or_init(detect)
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn detect() -> Isa {
    if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
        Isa::Portable
    } else if !is_x86_feature_detected!("avx512f") {
        Isa::Avx2
    } else {
        Isa::Avx512
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn detect() -> Isa {
    Isa::Portable
}

/// Defines functions with fused multiply-adds, compiled for AVX2 and for AVX-512; which one runs is a first argument.
///
/// `mul_add` rounds once on every path, so all give the same bits.
macro_rules! with_fma {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        fn $name(isa: $crate::cpu::gemm::Isa, $($arg: $ty),*) $(-> $ret)? {
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
                    $crate::cpu::gemm::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::cpu::gemm::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::cpu::gemm::Isa::Portable => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(in crate::cpu) use with_fma;
