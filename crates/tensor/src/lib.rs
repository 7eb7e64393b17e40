//! The tensor engine: a graph recorded once, differentiated by appending, planned, executed.
//!
//! - [`Graph`] and [`Var`]: record a computation; `println!("{graph}")` is the formula.
//! - [`Graph::grad`]: append the backward pass to the same list; any order.
//! - [`Plan`]: the kernel calls and buffers; fusions happen here only.
//! - [`Device`] and its [`Executor`] ([`Cpu`] or [`Cuda`], f32), [`Reference`] (f64, plain loops): run a plan on a [`Store`].
//! - [`gradcheck`]: gradients against finite differences.
//!
//! # Getting started
//!
//! The crate stands alone: `ganforge-tensor = { path = "ganforge/crates/tensor" }` builds twenty crates, itself among them. Feature
//! `cuda` adds the devices of the CUDA driver; nothing of CUDA is needed to build.
//!
//! A computation is recorded once as a formula, differentiated by appending to it, compiled to a plan, and run as often as
//! one likes. This one fits a line to four points by gradient descent:
//!
//! ```
//! use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan, Result, Store};
//!
//! fn main() -> Result<()> {
//!     let g = Graph::new();
//!     let (x, y) = (g.input("x", [4]), g.input("y", [4]));
//!     let (a, b) = (g.param("a", []), g.param("b", []));
//!     let residual = a * x + b - y;
//!     let loss = (residual * residual).mean();
//!     let gradients = g.grad(loss, &[a, b])?; // appended to the graph, and differentiable again
//!
//!     // Updates take effect after all that read the old value.
//!     let step = Plan::of(&g)
//!         .fetch("loss", loss)
//!         .update(a, a - gradients[0] * 0.1)
//!         .update(b, b - gradients[1] * 0.1)
//!         .compile()?;
//!
//!     let mut store = Store::new(1); // what lasts: parameters, and the key 1 of all random numbers
//!     store.insert("a", [], vec![0.0])?;
//!     store.insert("b", [], vec![0.0])?;
//!     let mut cpu = Cpu::new(&step);
//!     let feeds = [
//!         Feed::new("x", [4], &[0.0, 1.0, 2.0, 3.0]),
//!         Feed::new("y", [4], &[1.0, 3.0, 5.0, 7.0]), // 2 x + 1
//!     ];
//!     for _ in 0..200 {
//!         cpu.run(&step, &mut store, &feeds)?;
//!     }
//!     let fitted = ["a", "b"].map(|name| store.get(name).expect("inserted").data[0]);
//!     assert!((fitted[0] - 2.0).abs() < 0.01 && (fitted[1] - 1.0).abs() < 0.01, "{fitted:?}");
//!     Ok(())
//! }
//! ```
//!
//! A mistake in a formula, such as a shape that does not fit, comes back once, from [`Graph::grad`] or from compiling, with the
//! line that made it.
#![forbid(unsafe_code)]

mod autodiff;
mod error;
pub mod exec;
pub mod gradcheck;
mod graph;
pub mod ops;
pub mod plan;
mod resampled;
mod shape;
mod store;
mod view;
pub mod words;

pub use error::{Error, Result};
pub use exec::{Cpu, Cuda, Device, Executor, Feed, Reference};
pub use ganforge_kernels::cpu::Floats;
pub use graph::{GradPass, Graph, Node, NodeId, ScopeGuard, Var, stream_number};
pub use ops::Op;
pub use plan::{Keep, Plan};
pub use shape::{MAX_RANK, Shape};
pub use store::{Control, Entry, Store};
pub use view::View;
