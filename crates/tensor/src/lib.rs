//! The tensor engine: a graph recorded once, differentiated by appending, planned, executed.
//!
//! - [`Graph`] and [`Var`]: record a computation; `println!("{graph}")` is the formula.
//! - [`Graph::grad`]: append the chain rule to the same list; any order.
//! - [`Plan`]: what runs, in which buffers; fusions live here and nowhere else.
//! - [`Device`] and its [`Executor`] ([`Cpu`] or [`Cuda`], f32), [`Reference`] (f64, plain loops): run a plan on a [`Store`].
//! - [`gradcheck`]: finite differences against the chain rule.
#![forbid(unsafe_code)]

mod autodiff;
mod error;
pub mod exec;
pub mod gradcheck;
mod graph;
pub mod ops;
pub mod plan;
mod shape;
mod store;
mod view;
pub mod words;

pub use error::{Error, Result};
pub use exec::{Cpu, Cuda, Device, Executor, Feed, Reference};
pub use graph::{GradPass, Graph, Node, NodeId, ScopeGuard, Var, stream_number};
pub use ops::Op;
pub use plan::{Keep, Plan};
pub use shape::{MAX_RANK, Shape};
pub use store::{Control, Entry, Store};
pub use view::View;
