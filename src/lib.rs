//! Generative adversarial nets (Goodfellow et al. 2014) on a tensor engine written from scratch.
//!
//! - [`tensor`]: records a computation as a graph, differentiates it by appending to it, compiles it to a plan, runs it.
//! - [`data`]: data sets, loaders, downloads, file formats with atomic writes.
//! - [`gan`]: networks, losses, optimisers, training, scores: from a configuration to a run folder.
//! - [`see`]: reports, diagrams, figures, profiles and benchmarks of what [`gan`] does.
//! - [`kernels`]: CPU and CUDA kernels, functions on slices.
//! - [`ptxvm`]: interprets the GPU kernels on the CPU and counts their work; [`inspect`] applies it to those that ship.
//!
//! Digits at once, from the bundled generator:
//!
//! ```
//! let digits = ganforge::gan::generator::Generator::pretrained("mnist")?.samples(1, 3)?;
//! assert_eq!(digits.len(), 3 * 28 * 28);
//! # Ok::<(), ganforge::gan::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod book;
pub mod inspect;

pub use ganforge_data as data;
pub use ganforge_gan as gan;
pub use ganforge_kernels as kernels;
#[cfg(feature = "plots")]
pub use ganforge_plots as plots;
pub use ganforge_ptxvm as ptxvm;
pub use ganforge_see as see;
pub use ganforge_tensor as tensor;

/// The README's example, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
