//! The draft of a plan: which nodes live, what reads what, which group computes what.

use std::collections::HashMap;

use crate::graph::{Inner, Node, NodeId};
use crate::ops::{Kind, MatMul, Op};
use crate::plan::program::Access;
use crate::plan::{
    Finish, Keep, Plan, fuse_accumulate, fuse_bias, fuse_elementwise, fuse_maxout,
    fuse_maxout_grad, fuse_momentum, memory,
};
use crate::shape::Shape;

/// What a group of nodes runs as.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Form {
    /// One op by itself.
    Single,
    /// An element-wise program.
    Elementwise,
    /// A matrix product and what follows; `extra` are the operands beside its two factors.
    Gemm {
        matmul: usize,
        finish: Finish,
        extra: Vec<usize>,
    },
    /// argmax and take.
    Maxout { x: usize, pieces: usize },
}

/// Nodes that one step computes.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Group {
    pub form: Form,
    /// In the order of the list.
    pub members: Vec<usize>,
}

/// A plan in the making. Nodes are numbered as in the graph; "base" is a node with aliases
/// (reshapes) followed to the value that they rename.
pub(super) struct Draft {
    pub graph: Inner,
    pub keep: Keep,
    pub live: Vec<bool>,
    /// Fetched, or the value of an update: must be in memory at the end.
    pub root: Vec<bool>,
    /// By node: the node whose value it is.
    pub base: Vec<usize>,
    /// By base: the live nodes that read it, aliases and virtual broadcasts followed.
    pub readers: Vec<Vec<usize>>,
    /// Broadcasts that are read with stride 0 and never written.
    pub is_virtual: Vec<bool>,
    /// Gradients of maxout pieces that no step writes.
    pub is_skipped: Vec<bool>,
    /// Products that read such a gradient as it was before it was put to its places.
    pub put_of: HashMap<usize, usize>,
    /// By node: its group.
    pub owner: Vec<Option<usize>>,
    pub groups: Vec<Group>,
    /// Updates: parameter node, base of its new value.
    pub updates: Vec<(usize, usize)>,
    /// Values written straight into the tensor they update: base to parameter node.
    pub in_place: HashMap<usize, usize>,
}

pub(super) fn compile(
    graph: Inner,
    fetches: Vec<(String, NodeId)>,
    updates: Vec<(NodeId, NodeId)>,
    keep: Keep,
) -> Plan {
    let mut draft = Draft::new(graph, &fetches, &updates, keep);
    if keep == Keep::Fetched {
        fuse_maxout_grad::fuse(&mut draft);
        fuse_accumulate::fuse(&mut draft);
        fuse_bias::fuse(&mut draft);
        fuse_maxout::fuse(&mut draft);
        fuse_elementwise::fuse(&mut draft);
    }
    draft.own_the_rest();
    draft.find_updates_in_place();
    if keep == Keep::Fetched {
        fuse_momentum::fuse(&mut draft);
    }
    memory::finish(draft, fetches)
}

impl Draft {
    fn new(
        graph: Inner,
        fetches: &[(String, NodeId)],
        updates: &[(NodeId, NodeId)],
        keep: Keep,
    ) -> Draft {
        let n = graph.nodes.len();
        let mut base: Vec<usize> = (0..n).collect();
        for (i, node) in graph.nodes.iter().enumerate() {
            if node.op.kind() == Kind::Alias {
                base[i] = base[node.inputs.as_slice()[0].index()];
            }
        }
        let updates: Vec<(usize, usize)> = updates
            .iter()
            .map(|(p, v)| (p.index(), base[v.index()]))
            .collect();
        let (mut live, mut root) = (vec![false; n], vec![false; n]);
        let fetched = fetches.iter().map(|(_, id)| id.index());
        for i in fetched.chain(updates.iter().map(|u| u.1)) {
            live[i] = true;
            live[base[i]] = true;
            root[base[i]] = true;
        }
        for i in (0..n).rev() {
            if live[i] {
                for input in graph.nodes[i].inputs.as_slice() {
                    live[input.index()] = true;
                }
            }
        }
        let mut draft = Draft {
            keep,
            live,
            root,
            base,
            readers: vec![Vec::new(); n],
            is_virtual: vec![false; n],
            is_skipped: vec![false; n],
            put_of: HashMap::new(),
            owner: vec![None; n],
            groups: Vec::new(),
            updates,
            in_place: HashMap::new(),
            graph,
        };
        draft.find_virtual_broadcasts();
        draft.find_readers();
        draft
    }

    pub fn node(&self, i: usize) -> &Node {
        &self.graph.nodes[i]
    }

    pub fn shape(&self, i: usize) -> Shape {
        self.graph.nodes[i].shape
    }

    /// The bases of a node's inputs.
    pub fn inputs(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        let inputs = self.graph.nodes[i].inputs.as_slice();
        inputs.iter().map(|id| self.base[id.index()])
    }

    pub fn kind(&self, i: usize) -> Kind {
        self.node(i).op.kind()
    }

    pub fn is_elementwise(&self, i: usize) -> bool {
        matches!(self.kind(i), Kind::Elementwise | Kind::Generator)
    }

    /// A value that a step must compute.
    pub fn is_computed(&self, i: usize) -> bool {
        self.live[i]
            && !self.is_virtual[i]
            && !self.is_skipped[i]
            && !matches!(self.kind(i), Kind::Leaf | Kind::Alias)
    }

    pub fn matmul(&self, i: usize) -> Option<MatMul> {
        match self.node(i).op {
            Op::MatMul(op) if self.live[i] => Some(op),
            _ => None,
        }
    }

    /// Whether a step of this product can do more with its result than store it.
    pub fn has_epilogue(&self, product: usize) -> bool {
        !self.put_of.contains_key(&product) || self.matmul(product).is_some_and(|op| op.ta)
    }

    /// What a read of base `i` means: the base that is in memory and how it is accessed there.
    pub fn source(&self, i: usize) -> (usize, Access) {
        if !self.is_virtual[i] {
            return (i, Access::Full);
        }
        let (from, access) = self.broadcast(i);
        (from, access.expect("checked when it was made virtual"))
    }

    /// What a broadcast repeats, and how the repetition is read where that is simple. Only the
    /// shape before the broadcast tells: its base may have another one.
    fn broadcast(&self, i: usize) -> (usize, Option<Access>) {
        let from = self.node(i).inputs.as_slice()[0].index();
        let access = Access::broadcast(self.shape(from), self.shape(i));
        (self.base[from], access)
    }

    /// The single reader of a base that nothing else needs.
    pub fn only_reader(&self, i: usize) -> Option<usize> {
        match self.readers[i][..] {
            [reader] if !self.root[i] => Some(reader),
            _ => None,
        }
    }

    pub fn is_free(&self, i: usize) -> bool {
        self.owner[i].is_none()
    }

    pub fn add_group(&mut self, form: Form, mut members: Vec<usize>) {
        members.sort_unstable();
        for &m in &members {
            self.owner[m] = Some(self.groups.len());
        }
        self.groups.push(Group { form, members });
    }

    /// When a group runs: at its last member.
    pub fn position(&self, group: usize) -> usize {
        self.groups[group].members.last().copied().unwrap_or(0)
    }

    fn find_virtual_broadcasts(&mut self) {
        if self.keep == Keep::All {
            return;
        }
        let n = self.graph.nodes.len();
        let mut only_elementwise = vec![true; n];
        for i in (0..n).filter(|&i| self.live[i]) {
            if !self.is_elementwise(i) && self.kind(i) != Kind::Alias {
                let inputs: Vec<usize> = self.inputs(i).collect();
                for input in inputs {
                    only_elementwise[input] = false;
                }
            }
        }
        for i in (0..n).filter(|&i| self.live[i] && !self.root[i]) {
            if let Op::BroadcastTo(_) = self.node(i).op {
                let (from, access) = self.broadcast(i);
                self.is_virtual[i] =
                    access.is_some() && only_elementwise[i] && !self.is_virtual[from];
            }
        }
    }

    fn find_readers(&mut self) {
        for i in 0..self.graph.nodes.len() {
            if !self.is_computed(i) {
                continue;
            }
            let sources: Vec<usize> = self.inputs(i).map(|b| self.source(b).0).collect();
            for source in sources {
                if self.readers[source].last() != Some(&i) {
                    self.readers[source].push(i);
                }
            }
        }
    }

    fn own_the_rest(&mut self) {
        for i in 0..self.graph.nodes.len() {
            if self.is_computed(i) && self.is_free(i) {
                let form = match self.is_elementwise(i) {
                    true => Form::Elementwise,
                    false => Form::Single,
                };
                self.add_group(form, vec![i]);
            }
        }
    }

    /// An update needs no copy where its value can be written straight over the old one: all
    /// other readers of the old one have run by then, and the step itself reads it element by
    /// element.
    fn find_updates_in_place(&mut self) {
        for (param, value) in self.updates.clone() {
            let Some(group) = self.owner[value] else {
                continue;
            };
            let form = &self.groups[group].form;
            let is_elementwise = *form == Form::Elementwise;
            let accumulates = matches!(
                form,
                Form::Gemm {
                    finish: Finish::Accumulate,
                    ..
                }
            );
            let fits = self.readers[param].iter().all(|&r| {
                let other = self.owner[r].expect("every reader is computed");
                let direct = self.inputs(r).all(|b| {
                    let (source, access) = self.source(b);
                    source != param || access == Access::Full
                });
                match other == group {
                    true => is_elementwise && direct,
                    false => self.position(other) < self.position(group),
                }
            });
            let taken = self.in_place.contains_key(&value);
            // A product that adds to an earlier one is written where that one lies.
            let fits = fits && !accumulates;
            if fits && !taken && !self.root[param] && self.keep == Keep::Fetched {
                self.in_place.insert(value, param);
            }
        }
    }
}
