//! Executors, which run plans.

mod cpu;
pub mod cuda;
mod device;
mod reference;

use std::borrow::Cow;
use std::time::Duration;

pub use cpu::Cpu;
pub use cuda::Cuda;
pub use device::Device;
pub use reference::Reference;

use crate::error::{Error, Result};
use crate::graph::{Node, NodeId};
use crate::plan::Plan;
use crate::shape::Shape;
use crate::store::Store;
use crate::view::View;

/// A value for an input of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// The input's name.
    pub name: &'a str,
    /// The value's shape.
    pub shape: Shape,
    /// The values, row-major; indices such as labels as whole numbers, at most 2^24.
    pub data: &'a [f32],
}

impl<'a> Feed<'a> {
    /// The value `data` of `shape` for the input `name`.
    pub fn new(name: &'a str, shape: impl Into<Shape>, data: &'a [f32]) -> Feed<'a> {
        Feed {
            name,
            shape: shape.into(),
            data,
        }
    }
}

/// When a call of a plan ran, from the beginning of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Its beginning.
    pub start: Duration,
    /// How long it took.
    pub length: Duration,
}

/// Runs plans in f32.
pub trait Executor: Send {
    /// Runs every call once: reads the feeds and the store, updates the store.
    ///
    /// # Errors
    /// An input that is not fed, fed with another shape, or unknown; a tensor or number that the
    /// store lacks; an index out of range. The store is unchanged then, but for the last case,
    /// where updates that came before the failing call have been applied.
    fn run(&mut self, plan: &Plan, store: &mut Store, feeds: &[Feed]) -> Result<()>;

    /// As [`Executor::run`], noting in `spans` when each call of the plan ran; of those that have a place there.
    ///
    /// # Errors
    /// As [`Executor::run`]; [`Error::Untimed`] where calls are not run one by one.
    fn run_timed(
        &mut self,
        plan: &Plan,
        store: &mut Store,
        feeds: &[Feed],
        spans: &mut [Span],
    ) -> Result<()>;

    /// The value that the last run left under a fetched name.
    fn fetch<'a>(&'a self, plan: &Plan, store: &'a Store, name: &str) -> Option<&'a [f32]>;

    /// The value of a node after a run of a plan with [`Keep::All`](crate::Keep::All); `None` for values that came from
    /// outside or that were never written.
    ///
    /// # Errors
    /// The device's.
    fn value<'a>(
        &'a self,
        plan: &Plan,
        store: &'a Store,
        node: NodeId,
    ) -> Result<Option<Cow<'a, [f32]>>>;

    /// The executor of a GPU, for what only that does: tensors that stay there, captured loops.
    fn cuda(&mut self) -> Option<&mut Cuda> {
        None
    }
}

/// Checks the feeds against the plan's inputs.
fn check_feeds(plan: &Plan, feeds: &[Feed]) -> Result<()> {
    for feed in feeds {
        let Some(input) = plan.inputs.iter().find(|i| i.name == feed.name) else {
            let known: Vec<&str> = plan.inputs.iter().map(|i| i.name.as_str()).collect();
            return Err(Error::UnknownFeed {
                name: feed.name.to_string(),
                known: known.join(", "),
            });
        };
        if input.shape != feed.shape || feed.data.len() != feed.shape.elements() {
            return Err(Error::FeedShape {
                name: feed.name.to_string(),
                expected: input.shape,
                got: format!("{} with {} values", feed.shape, feed.data.len()),
            });
        }
    }
    for input in &plan.inputs {
        if !feeds.iter().any(|f| f.name == input.name) {
            return Err(Error::Unfed {
                name: input.name.clone(),
                shape: input.shape,
                site: input.site.clone(),
            });
        }
    }
    Ok(())
}

/// Refuses a plan of another number of ranks than there are.
fn check_ranks(plan: &Plan, ranks: usize) -> Result<()> {
    let plan = plan.ranks;
    match plan == ranks {
        true => Ok(()),
        false => Err(Error::Ranks { plan, ranks }),
    }
}

/// Refuses an index outside of its table before a kernel reads it.
fn check_index<T: Copy + Into<f64>>(node: &Node, ins: &[View<T>]) -> Result<()> {
    let [x, index, ..] = ins else {
        return Ok(());
    };
    match node.op.rows(x.shape) {
        Some(rows) => check_rows(node, rows, index.data),
        None => Ok(()),
    }
}

/// Refuses an index that is none of 0..rows.
fn check_rows<T: Copy + Into<f64>>(node: &Node, rows: usize, index: &[T]) -> Result<()> {
    let outside = |i: &T| {
        let i: f64 = (*i).into();
        !(i >= 0.0 && i < rows as f64 && i.fract() == 0.0)
    };
    match index.iter().position(outside) {
        None => Ok(()),
        Some(position) => Err(outside_of(node, rows, index[position].into(), position)),
    }
}

/// The index at `position`, which is none of 0..rows.
fn outside_of(node: &Node, rows: usize, index: f64, position: usize) -> Error {
    Error::Index {
        op: node.op.name(),
        index: index as f32,
        position,
        rows,
        site: node.site.to_string(),
    }
}
