//! Errors of recording, compiling and running a graph.

use crate::shape::Shape;

/// An error of the graph, its plan or its execution.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An op was recorded with shapes it does not take.
    #[error("{op}: {reason}: {} in {scope} ({site})", join(.shapes))]
    Shape {
        /// The op's name.
        op: &'static str,
        /// What was expected and what came.
        reason: String,
        /// The shapes of its inputs.
        shapes: Vec<Shape>,
        /// Where in the model, such as `D/h0`.
        scope: String,
        /// The caller's file:line.
        site: String,
    },
    /// A variable of another graph was used.
    #[error("{op}: {var} belongs to another graph, in {scope} ({site})")]
    Foreign {
        /// The op, or `grad`, `fetch`, `update`.
        op: &'static str,
        /// The variable.
        var: String,
        /// Where in the model, such as `D/h0`.
        scope: String,
        /// The caller's file:line.
        site: String,
    },
    /// Two leaves share a name but not a shape or kind, or two stream names share a number.
    #[error("{name}: declared twice: {first} and {second} ({site})")]
    Redeclared {
        /// The name.
        name: String,
        /// The first declaration.
        first: String,
        /// The second one.
        second: String,
        /// The second caller's file:line.
        site: String,
    },
    /// A gradient was asked for in something that the value does not depend on.
    #[error("grad: {y} does not depend on {wrt}, so there is no gradient to compute ({site})")]
    NotReached {
        /// The value differentiated.
        y: String,
        /// What it was to be differentiated by.
        wrt: String,
        /// The caller's file:line.
        site: String,
    },
    /// A gradient was asked of a value that is not a single number.
    #[error("grad: expected a scalar to differentiate, got {y} of shape {shape} ({site})")]
    NotScalar {
        /// The value.
        y: String,
        /// Its shape.
        shape: Shape,
        /// The caller's file:line.
        site: String,
    },
    /// A plan's update does not fit what it updates.
    #[error("update of {name}: {reason}")]
    Update {
        /// The parameter's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A fetched name was not declared, or declared twice.
    #[error("fetch {name}: {reason}")]
    Fetch {
        /// The name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// An input of the plan was given no value.
    #[error("input {name} of shape {shape} is not fed (declared at {site})")]
    Unfed {
        /// The input's name.
        name: String,
        /// Its shape.
        shape: Shape,
        /// Where it was declared.
        site: String,
    },
    /// A value was fed that no input of the plan takes.
    #[error("fed {name}, but the plan has no such input (it has: {known})")]
    UnknownFeed {
        /// The name.
        name: String,
        /// The inputs there are.
        known: String,
    },
    /// A value was fed with another shape than its input has.
    #[error("input {name}: expected shape {expected}, fed {got}")]
    FeedShape {
        /// The input's name.
        name: String,
        /// Its shape.
        expected: Shape,
        /// What came, with the number of values where that differs.
        got: String,
    },
    /// A fed index points outside of its table.
    #[error("{op}: index {index} at position {position} is outside 0..{rows} ({site})")]
    Index {
        /// The op's name.
        op: &'static str,
        /// The value found.
        index: f32,
        /// Where in the list of indices.
        position: usize,
        /// How many rows the table has.
        rows: usize,
        /// The caller's file:line.
        site: String,
    },
    /// The store has no entry of the name that the plan reads.
    #[error("the store has no {name}, which the plan reads")]
    MissingParam {
        /// The name.
        name: String,
    },
    /// The store's entry has another shape than the graph declared.
    #[error("{name}: the graph declares shape {expected}, the store holds {got}")]
    ParamShape {
        /// The name.
        name: String,
        /// The declared shape.
        expected: Shape,
        /// The stored shape.
        got: Shape,
    },
    /// An op that no kernel computes on a device.
    #[error("{op} has no CUDA kernel yet: compute it on the CPU")]
    NoKernel {
        /// The op's name.
        op: &'static str,
    },
    /// A tensor with more elements than kernels count.
    #[error(
        "a tensor of shape {shape} has more than 2^31 elements, the limit of the device kernels"
    )]
    TooLarge {
        /// Its shape.
        shape: Shape,
    },
    /// What a captured loop cannot run.
    #[error("captured loop: {what}")]
    CapturedLoop {
        /// What was expected and what came.
        what: String,
    },
    /// The steps of a run on a GPU were to be timed.
    #[error("calls can be timed on the CPU only: on a GPU they run concurrently")]
    Untimed,
    /// Shards that cannot be shared out.
    #[error(
        "rank {rank} of {ranks} ranks cannot have an equal share of {of} shards: both must be powers of two, and there are no \
         more ranks than shards"
    )]
    Shards {
        /// The rank.
        rank: usize,
        /// How many ranks there are.
        ranks: usize,
        /// How many shards there are.
        of: usize,
    },
    /// Shards of one rank that a plan would take too long to make for.
    #[error(
        "a rank would have {own} shards, and can have {most}: there must be fewer shards (train.shards), or more ranks"
    )]
    TooManyShards {
        /// Those of the rank.
        own: usize,
        /// The most that it can have.
        most: usize,
    },
    /// What was recorded for one number of shards, in a plan of another one.
    #[error("{op} at {site} is of {shards} shards, and the plan of {of}")]
    OtherShards {
        /// The op.
        op: &'static str,
        /// The shards that it was recorded for.
        shards: usize,
        /// Those of the plan.
        of: usize,
        /// Where it was recorded.
        site: String,
    },
    /// A plan of one number of ranks was to be run by another one.
    #[error("the plan is that of one of {plan} ranks, and there are {ranks}")]
    Ranks {
        /// The ranks of the plan.
        plan: usize,
        /// The ranks there are.
        ranks: usize,
    },
    /// What ranks say to each other.
    #[error(transparent)]
    Comm(#[from] ganforge_comm::Error),
    /// A device refused something.
    #[error(transparent)]
    Device(#[from] ganforge_kernels::cuda::Error),
    /// The control block has no scalar of the name that the plan reads.
    #[error("the control block has no scalar {name}, which the plan reads")]
    MissingScalar {
        /// The name.
        name: String,
    },
}

ganforge_kernels::debug_as_display!(Error);

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn join(shapes: &[Shape]) -> String {
    let text: Vec<String> = shapes.iter().map(|s| s.to_string()).collect();
    text.join(" · ")
}
