//! From a graph to a plan: live nodes, fused kernels, buffers.
//!
//! The passes, in order: liveness of nodes, aliases, fusions (each in its own `fuse_*` file),
//! the order of calls, updates in place, buffers.

mod account;
mod compile;
mod fuse_accumulate;
mod fuse_bias;
mod fuse_elementwise;
mod fuse_factor;
mod fuse_maxout;
mod fuse_maxout_grad;
mod fuse_sum;
mod fuse_sums;
mod fuse_update;
mod kernel;
mod memory;
mod product;
mod program;
mod shards;

use crate::words::{counted, size};
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::graph::{Graph, Inner, Node, NodeId, Var};
use crate::ops::{Cost, Op};
use crate::shape::Shape;

pub use account::Lifetime;
pub use fuse_maxout::Maxout;
pub use fuse_maxout_grad::{MaxoutGrad, PutSum};
pub use kernel::{Call, Kernel, Run};
pub use product::{AdamRule, Contract, Contraction, Epilogue, Product, Stage};
pub use program::{Access, Arg, Inst, Program, Sum};
pub use shards::Shards;

/// Which values a plan keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Every one, each in a buffer of its own, nothing fused: for study.
    All,
    /// Those fetched; all other buffers are used again: for speed. Same bits as [`Keep::All`] while all
    /// values are finite: the zeros of a maxout gradient are left out, and so is a 0 · ∞.
    Fetched,
}

/// Where a value lies while a plan runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Loc {
    /// A buffer of the executor.
    Temp(u32),
    /// A tensor of the store, by its place in [`Plan::states`].
    State(u32),
    /// What was fed, by its place in [`Plan::inputs`].
    Feed(u32),
    /// A number of the control block, by its place in [`Plan::scalars`].
    Scalar(u32),
}

/// A value that a call reads or writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operand {
    /// Where it lies.
    pub loc: Loc,
    /// Its shape.
    pub shape: Shape,
}

/// A leaf that a plan reads from outside, or a tensor it updates.
#[derive(Clone, PartialEq, Debug)]
pub struct Leaf {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Where it was declared.
    pub site: String,
}

/// A value that a plan hands out.
#[derive(Clone, PartialEq, Debug)]
pub struct Fetch {
    /// The name it was asked for by.
    pub name: String,
    /// The node.
    pub node: NodeId,
    /// Where it lies after a run.
    pub at: Operand,
}

/// A fixed list of kernel calls on fixed buffers, run any number of times.
///
/// ```
/// use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan, Store};
/// let g = Graph::new();
/// let x = g.input("x", [3]);
/// let plan = Plan::of(&g).fetch("y", x.square().sum()).compile()?;
/// let (mut store, mut cpu) = (Store::new(0), Cpu::new(&plan));
/// cpu.run(&plan, &mut store, &[Feed::new("x", [3], &[1.0, 2.0, 3.0])])?;
/// assert_eq!(cpu.fetch(&plan, &store, "y"), Some(&[14.0][..]));
/// # Ok::<(), ganforge_tensor::Error>(())
/// ```
#[derive(Clone)]
pub struct Plan {
    /// The kernel calls in order.
    pub calls: Vec<Call>,
    /// The number of f32 in each buffer.
    pub buffers: Vec<usize>,
    /// The most floats of memory beside its operands that a call needs, on the rayon pool where it was compiled. Calls run
    /// one after another: all have the same.
    pub workspace: usize,
    /// The tensors of the store that it reads or updates.
    pub states: Vec<Leaf>,
    /// The inputs that it reads.
    pub inputs: Vec<Leaf>,
    /// The control block's numbers that it reads.
    pub scalars: Vec<Leaf>,
    /// What it hands out.
    pub fetches: Vec<Fetch>,
    /// Which value each updated tensor takes, by place in `states`.
    pub updates: Vec<(u32, NodeId)>,
    /// Where each node's value lies while it is alive; `None` where no call writes it.
    pub locations: Vec<Option<Loc>>,
    /// What is kept.
    pub keep: Keep,
    /// How many ranks run it together, each a plan of its own shards.
    pub ranks: usize,
    /// Of a plan of shards, which of its nodes are in the place of which recorded ones.
    pub(crate) places: Option<shards::Places>,
    pub(crate) graph: Inner,
    pub(crate) live: Vec<bool>,
    /// Tells it from every other plan; its clones are the same one.
    pub(crate) identity: Arc<()>,
}

/// Says what a plan computes; see [`Plan::of`].
pub struct Builder<'g> {
    graph: &'g Graph,
    fetches: Vec<(String, NodeId)>,
    updates: Vec<(NodeId, NodeId)>,
    keep: Keep,
    shards: Shards,
    fault: Option<Error>,
}

impl Plan {
    /// Begins a plan of `graph` that computes nothing yet.
    pub fn of(graph: &Graph) -> Builder<'_> {
        Builder {
            graph,
            fetches: Vec::new(),
            updates: Vec::new(),
            keep: Keep::Fetched,
            shards: Shards::ONE,
            fault: None,
        }
    }

    /// The nodes of the graph it was made from.
    pub fn nodes(&self) -> &[Node] {
        &self.graph.nodes
    }

    /// The id of the node at `index` in [`Plan::nodes`].
    pub fn node_id(&self, index: usize) -> NodeId {
        NodeId(index as u32)
    }

    /// The node of the plan that the node `recorded` of the graph became, of several shards that of the first one; none where
    /// the plan does not compute it.
    pub fn of_recorded(&self, recorded: NodeId) -> Option<NodeId> {
        match &self.places {
            None => Some(recorded).filter(|&id| self.is_live(id)),
            Some(places) => places.first.get(recorded.index()).copied().flatten(),
        }
    }

    /// The node of the recorded graph in whose place a node of the plan is; a plan of several shards has several nodes for one.
    pub fn recorded(&self, node: NodeId) -> NodeId {
        match &self.places {
            None => node,
            Some(places) => places.recorded[node.index()],
        }
    }

    /// Whether the plan computes a node.
    pub fn is_live(&self, node: NodeId) -> bool {
        self.live.get(node.index()).is_some_and(|live| *live)
    }

    /// How an operand is called: `b3` for a buffer, else by its name.
    pub fn operand_name(&self, loc: Loc) -> String {
        match loc {
            Loc::Temp(b) => format!("b{b}"),
            Loc::State(s) => self.states[s as usize].name.clone(),
            Loc::Feed(s) => self.inputs[s as usize].name.clone(),
            Loc::Scalar(s) => self.scalars[s as usize].name.clone(),
        }
    }

    /// Which part of the model a call belongs to: that of its last node.
    pub fn scope_of(&self, call: &Call) -> &str {
        call.nodes.last().map_or("", |n| {
            let node = &self.graph.nodes[n.index()];
            self.graph.scope_name(node.scope)
        })
    }

    /// How a node is called in messages.
    pub fn label(&self, node: NodeId) -> String {
        self.graph.label(node)
    }

    /// A node with its op, shape, scope and site, for messages.
    pub fn describe(&self, id: NodeId) -> String {
        let Some(node) = self.graph.nodes.get(id.index()) else {
            return self.graph.label(id);
        };
        let args = node.inputs.as_slice().iter();
        let args: Vec<String> = args.map(|&i| self.graph.label(i)).collect();
        format!(
            "%{} {} = {} in {} ({})",
            id.0,
            node.shape,
            crate::ops::describe(&node.op, &self.graph, &args),
            self.graph.scope_name(node.scope),
            node.site
        )
    }

    /// What one run costs, by the ops' own account: fusing changes nothing here.
    pub fn cost(&self) -> Cost {
        let mut total = Cost::default();
        for i in (0..self.live.len()).filter(|&i| self.live[i]) {
            total += self.node_cost(i);
        }
        total
    }

    pub(crate) fn node_cost(&self, i: usize) -> Cost {
        let node = &self.graph.nodes[i];
        let shapes = node.inputs.as_slice().iter();
        let shapes: Vec<Shape> = shapes.map(|i| self.graph.nodes[i.index()].shape).collect();
        node.op.cost(&shapes, node.shape)
    }

    /// The bytes of all buffers.
    pub fn buffer_bytes(&self) -> usize {
        4 * self.buffers.iter().sum::<usize>()
    }
}

impl<'g> Builder<'g> {
    /// Hands out `value` as `name`.
    #[track_caller]
    pub fn fetch(mut self, name: &str, value: Var<'g>) -> Self {
        self.check_own("fetch", value);
        self.fetches.push((name.to_string(), value.id()));
        self
    }

    /// Gives the parameter `param` the value `value` once all readers of the old one have run.
    #[track_caller]
    pub fn update(mut self, param: Var<'g>, value: Var<'g>) -> Self {
        self.check_own("update", param);
        self.check_own("update", value);
        self.updates.push((param.id(), value.id()));
        self
    }

    /// Says which values are kept; [`Keep::Fetched`] unless told.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// The graph is what one shard of a minibatch computes, and the plan is to compute these: what is fed has the rows of
    /// all of them, shard by shard, and a fetched value that differs between shards is handed out likewise. Random numbers
    /// are drawn by the place in the whole minibatch. Unless told, there is one shard.
    ///
    /// ```
    /// use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan, Store, plan::Shards};
    /// let g = Graph::new();
    /// let x = g.input("x", [2]); // of a shard
    /// let mean = x.mean().mean_over(2);
    /// let plan = Plan::of(&g).shards(Shards { own: 0..2, of: 2 }).fetch("mean", mean).compile()?;
    /// let (mut store, mut cpu) = (Store::new(0), Cpu::new(&plan));
    /// cpu.run(&plan, &mut store, &[Feed::new("x", [4], &[1.0, 2.0, 3.0, 4.0])])?;
    /// assert_eq!(cpu.fetch(&plan, &store, "mean"), Some(&[2.5][..]));
    /// # Ok::<(), ganforge_tensor::Error>(())
    /// ```
    pub fn shards(mut self, shards: Shards) -> Self {
        self.shards = shards;
        self
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// The graph's first fault; [`Error::Foreign`] for a variable of another graph; [`Error::Update`] where what is updated is no parameter, is
    /// updated twice, or takes a value of another shape or one that differs between shards; [`Error::Fetch`] for a name used twice;
    /// [`Error::Shards`] for shards that are no rank's part ([`Shards::of_rank`]), [`Error::TooManyShards`] for more than 1,024
    /// of one rank, [`Error::OtherShards`] where values of another number of shards are gathered.
    pub fn compile(self) -> Result<Plan> {
        if let Some(fault) = self.graph.fault() {
            return Err(fault);
        }
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let graph = self.graph.inner().clone();
        self.check(&graph)?;
        self.shards.check()?;
        let ranks = self.shards.ranks();
        let asked = (graph, self.fetches, self.updates);
        shards::check_recorded(&asked, self.shards.of)?;
        let ((graph, fetches, updates), places) = match self.shards.of {
            1 => (asked, None),
            _ => {
                let (asked, places) = shards::expand(asked, &self.shards)?;
                (asked, Some(places))
            }
        };
        let plan = compile::compile(graph, fetches, updates, self.keep);
        Ok(Plan {
            ranks,
            places,
            ..plan
        })
    }

    #[track_caller]
    fn check_own(&mut self, what: &'static str, var: Var<'g>) {
        if let Err(error) = self.graph.check_own(what, var) {
            self.fault.get_or_insert(error);
        }
    }

    fn check(&self, graph: &Inner) -> Result<()> {
        for (i, (name, _)) in self.fetches.iter().enumerate() {
            if self.fetches[..i].iter().any(|(n, _)| n == name) {
                return Err(Error::Fetch {
                    name: name.clone(),
                    reason: "the name is already used".into(),
                });
            }
        }
        for (i, (param, value)) in self.updates.iter().enumerate() {
            let (p, v) = (&graph.nodes[param.index()], &graph.nodes[value.index()]);
            let reason = if !matches!(p.op, Op::Param(_)) {
                Some(format!("{} is not a parameter", p.op.name()))
            } else if p.shape != v.shape {
                Some(format!("its shape is {}, the value's {}", p.shape, v.shape))
            } else if self.updates[..i].iter().any(|(other, _)| other == param) {
                Some("it is updated twice".into())
            } else {
                None
            };
            if let Some(reason) = reason {
                let name = graph.label(*param);
                return Err(Error::Update { name, reason });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Kernel {
    /// Its ops, as `matmul+bias+relu`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kernel::Elementwise(program) => {
                let ops = program.insts.iter().map(|i| i.op.name());
                let sums = program.sums.iter().map(|_| "sum_to");
                f.write_str(&ops.chain(sums).collect::<Vec<_>>().join("+"))
            }
            Kernel::Maxout(Maxout { pieces, mask }) => {
                let dropout = if mask.is_some() { "+dropout" } else { "" };
                write!(f, "maxout{dropout} of {pieces}")
            }
            _ => f.write_str(&self.get().kind()),
        }
    }
}

impl fmt::Display for Plan {
    /// One line per kernel call, then the buffers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, call) in self.calls.iter().enumerate() {
            let name = |o: &Operand| self.operand_name(o.loc);
            let list = |os: &[Operand]| os.iter().map(name).collect::<Vec<_>>().join(", ");
            let (kernel, scope) = (&call.kernel, self.scope_of(call));
            let shape = call.outs[0].shape.to_string();
            writeln!(
                f,
                "{i:>3} {:<24} {shape:<14} {kernel}({}) # {scope}",
                list(&call.outs),
                list(&call.ins)
            )?;
        }
        let buffers = counted(self.buffers.len(), "buffer");
        writeln!(f, "{buffers}, {}", size(self.buffer_bytes() as u64))
    }
}
