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
