//! ganforge: the facade over the kernels, tensor and gan crates.

#![forbid(unsafe_code)]

#[cfg(doctest)]
mod book;
pub mod inspect;

pub use ganforge_gan as gan;
pub use ganforge_kernels as kernels;
pub use ganforge_ptxvm as ptxvm;
pub use ganforge_tensor as tensor;

/// The README's example, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
