//! Generative adversarial nets (Goodfellow et al. 2014) on a tensor engine written from scratch.
//!
//! - [`tensor`]: record a computation, differentiate it by appending to it, plan it, run it.
//! - [`data`]: data sets, loaders, fetching, files that survive.
//! - [`gan`]: nets, losses, optimisers, training, scores, from a configuration to a folder of results.
//! - [`see`]: pages, diagrams, figures, profiles and benchmarks of what [`gan`] does.
//! - [`kernels`]: what both stand on, slices in and slices out.
//! - [`ptxvm`]: runs the GPU kernels on the CPU and counts; [`inspect`] looks at those that ship.
//!
//! Digits at once, from the generator that comes with the program:
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
