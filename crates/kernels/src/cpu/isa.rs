//! Detection of this machine's vector instructions, and the choice of those that the kernels use.

use std::sync::OnceLock;

/// The environment variable that makes the kernels use a narrower instruction set than the machine has.
pub const ISA_VARIABLE: &str = "GANFORGE_ISA";

/// An instruction set for which there are kernels, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compiler assumes of every machine; products by the `matrixmultiply` crate, which asks the machine itself.
    Portable,
    /// AVX2 with FMA: products in tiles of up to 6 × 16.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: products in tiles of up to 14 × 32.
    Avx512,
}

/// An unusable value of `GANFORGE_ISA`.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// No instruction set has this name.
    #[error("{ISA_VARIABLE}={0}: expected avx512, avx2 or portable")]
    Unknown(String),
    /// The processor lacks it.
    #[error(
        "{ISA_VARIABLE}={}: not supported by this processor; the widest supported is {}",
        .asked.name(), .widest.name()
    )]
    Unavailable {
        /// What was asked for.
        asked: Isa,
        /// What there is.
        widest: Isa,
    },
}

crate::debug_as_display!(IsaError);

impl Isa {
    /// All of them, narrowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// "portable", "avx2", "avx512".
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this machine can run it, whatever `GANFORGE_ISA` says.
    pub fn is_available(self) -> bool {
        self <= widest_isa()
    }
}

/// The instruction set that the kernels use: the widest of this machine, or what `GANFORGE_ISA` says; found out once.
///
/// # Panics
///
/// If `GANFORGE_ISA` cannot be obeyed; a program that asks [`chosen_isa`] first has the same as an error.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| chosen_isa().unwrap_or_else(|error| panic!("{error}")))
}

/// What [`isa`] gives.
///
/// # Errors
/// A value of `GANFORGE_ISA` that names no instruction set, or one that this machine lacks.
pub fn chosen_isa() -> Result<Isa, IsaError> {
    static CHOSEN: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
    let choice = || {
        let asked = std::env::var_os(ISA_VARIABLE).unwrap_or_default();
        choose(&asked.to_string_lossy(), widest_isa())
    };
    CHOSEN.get_or_init(choice).clone()
}

/// The widest instruction set of this machine; detected once.
pub fn widest_isa() -> Isa {
    static WIDEST: OnceLock<Isa> = OnceLock::new();
    *WIDEST.get_or_init(|| {
        let has = |needed: &[&str]| needed.iter().all(|n| cpu_features().contains(n));
        match () {
            () if has(&FEATURES) => Isa::Avx512,
            () if has(&FEATURES[..2]) => Isa::Avx2,
            () => Isa::Portable,
        }
    })
}

/// An empty text leaves the choice to the machine.
fn choose(asked: &str, widest: Isa) -> Result<Isa, IsaError> {
    if asked.is_empty() {
        return Ok(widest);
    }
    let found = Isa::ALL.into_iter().find(|isa| isa.name() == asked);
    match found {
        None => Err(IsaError::Unknown(asked.to_string())),
        Some(asked) if asked > widest => Err(IsaError::Unavailable { asked, widest }),
        Some(isa) => Ok(isa),
    }
}

/// What AVX-512 kernels need; the first two are all that those for AVX2 need.
const FEATURES: [&str; 6] = ["avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"];

/// The vector extensions of this processor that kernels make use of, detected once.
pub fn cpu_features() -> &'static [&'static str] {
    static FOUND: OnceLock<Vec<&'static str>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found = FEATURES.to_vec();
        found.retain(|name| detected(name));
        found
    })
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn detected(name: &str) -> bool {
    match name {
        "avx2" => is_x86_feature_detected!("avx2"),
        "fma" => is_x86_feature_detected!("fma"),
        "avx512f" => is_x86_feature_detected!("avx512f"),
        "avx512bw" => is_x86_feature_detected!("avx512bw"),
        "avx512dq" => is_x86_feature_detected!("avx512dq"),
        "avx512vl" => is_x86_feature_detected!("avx512vl"),
        _ => false,
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn detected(_: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_set_is_used_unless_another_is_named() {
        assert_eq!(choose("", Isa::Avx2), Ok(Isa::Avx2));
        for widest in Isa::ALL {
            for isa in Isa::ALL.into_iter().filter(|isa| *isa <= widest) {
                assert_eq!(choose(isa.name(), widest), Ok(isa));
            }
        }
    }

    #[test]
    fn a_set_that_is_not_there_is_refused_with_the_widest_that_is() {
        let message = |asked, widest| match choose(asked, widest) {
            Err(error) => error.to_string(),
            Ok(isa) => panic!("{asked} gave {isa:?}"),
        };
        let refused = message("avx512", Isa::Avx2);
        assert!(
            refused.starts_with("GANFORGE_ISA=avx512: ") && refused.ends_with("is avx2"),
            "{refused}"
        );
        assert!(message("avx2", Isa::Portable).ends_with("is portable"));
        for unknown in ["sse", "AVX2", " avx2", "avx512f"] {
            let refused = message(unknown, Isa::Avx512);
            assert!(
                refused.ends_with("expected avx512, avx2 or portable"),
                "{refused}"
            );
        }
    }

    /// What asks the one detector everywhere has no other way to be tried with another set.
    #[test]
    fn maxout_gradients_are_right_with_every_instruction_set() {
        let this = std::env::current_exe().expect("a test program");
        for other in Isa::ALL.into_iter().filter(|i| *i != isa()) {
            if !other.is_available() {
                testkit::skip(other.name(), "not on this processor");
                continue;
            }
            let mut command = std::process::Command::new(&this);
            command
                .arg("cpu::maxout_grad::")
                .env(ISA_VARIABLE, other.name());
            let done = command.output().expect("the test program runs");
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success(), "{}: {said}", other.name());
            assert!(!said.contains(" 0 passed"), "no test was run: {said}");
        }
    }
}
