//! Generative adversarial nets (Goodfellow et al. 2014) on a tensor engine written from scratch.
//!
//! - [`tensor`]: records a computation as a graph, differentiates it by appending to it, compiles it to a plan, runs it.
//! - [`data`]: data sets, loaders, downloads, file formats with atomic writes.
//! - [`gan`]: networks, losses, optimisers, training, scores: from a configuration to a run folder.
//! - [`see`]: reports, diagrams, figures, profiles and benchmarks of what [`gan`] does.
//! - [`kernels`]: CPU and CUDA kernels, functions on slices.
//! - [`ptxvm`]: interprets the GPU kernels on the CPU and counts their work; [`inspect`] applies it to those that ship.
//!
//! # Getting started
//!
//! Digits at once, from the bundled generator:
//!
//! ```
//! let digits = ganforge::gan::generator::Generator::pretrained("mnist")?.samples(1, 3)?;
//! assert_eq!(digits.len(), 3 * 28 * 28);
//! # Ok::<(), ganforge::gan::Error>(())
//! ```
//!
//! A gradient, as a formula and as numbers:
//!
//! ```
//! use ganforge::tensor::{Cpu, Executor, Feed, Graph, Plan, Store};
//! let g = Graph::new();
//! let x = g.input("x", [3]);
//! let dx = g.grad((x * x * x).sum(), &[x])?[0];
//! println!("{g}");
//! let plan = Plan::of(&g).fetch("dx", dx).compile()?;
//! let (mut store, mut cpu) = (Store::new(1), Cpu::new(&plan));
//! cpu.run(&plan, &mut store, &[Feed::new("x", [3], &[1.0, 2.0, 3.0])])?;
//! assert_eq!(cpu.fetch(&plan, &store, "dx"), Some(&[3.0, 12.0, 27.0][..]));
//! # Ok::<(), ganforge::tensor::Error>(())
//! ```
//!
//! Training is shown on the page of [`gan`], an engine's own training loop on that of [`tensor`]; the [book] and the
//! numbered examples go on from there. A program that needs the engine alone depends on `ganforge-tensor`, which builds
//! twenty crates, itself among them.
//!
//! | feature | brings | without it |
//! |---|---|---|
//! | `cli` | the program `ganforge` | this library alone |
//! | `cuda` | devices of the CUDA driver | the CPU, and `ptxvm` |
//! | `fetch` | data sets from the network | those in files and in the program |
//! | `plots` | plots of toy sets in runs, the paper's figures | pictures of images alone |
//!
//! All of them are on by default.

#![forbid(unsafe_code)]

pub mod book;
pub mod inspect;

pub use ganforge_comm as comm;
pub use ganforge_data as data;
pub use ganforge_gan as gan;
pub use ganforge_kernels as kernels;
#[cfg(feature = "plots")]
pub use ganforge_plots as plots;
pub use ganforge_ptxvm as ptxvm;
pub use ganforge_see as see;
#[cfg(feature = "cli")]
pub use ganforge_study as study;
pub use ganforge_tensor as tensor;

/// The README's example, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
