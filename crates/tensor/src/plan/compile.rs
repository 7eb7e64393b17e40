//! The draft of a plan: live nodes, their readers, and the groups that compute them.

use std::collections::HashMap;

use crate::graph::{Inner, Node, NodeId};
use crate::ops::{Kind, Op};
use crate::plan::program::Access;
use crate::plan::{
    Contraction, Epilogue, Keep, Kernel, Plan, Product, Stage, fuse_accumulate, fuse_bias,
    fuse_elementwise, fuse_factor, fuse_maxout, fuse_maxout_grad, fuse_sum, fuse_sums, fuse_update,
    memory,
};
use crate::shape::Shape;

/// Nodes that one call computes.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Group {
    pub kernel: Kernel,
    /// What it reads: bases, with the shapes under which they are read.
    pub ins: Vec<(usize, Shape)>,
    pub outs: Vec<usize>,
    /// In the order of the list.
    pub members: Vec<usize>,
    /// When it runs, if before its last member.
    pub early: Option<usize>,
}

impl Group {
    /// When it runs: mostly at its last member.
    pub fn position(&self) -> usize {
        let last = self.members.last().copied().unwrap_or(0);
        self.early.unwrap_or(last)
    }
}

/// A stage with its operands and the node that it computes.
pub(super) type Follows<'a> = (Stage, &'a [(usize, Shape)], usize);

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
    /// By base: whether such a broadcast reads it.
    pub is_spread: Vec<bool>,
    /// Element-wise results that every program which reads them computes for itself.
    pub is_repeated: Vec<bool>,
    /// Gradients of maxout pieces that no call writes.
    pub is_skipped: Vec<bool>,
    /// Products that are other contractions than their op says, and what those read.
    pub contractions: HashMap<usize, (Contraction, Vec<(usize, Shape)>)>,
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
        fuse_factor::fuse(&mut draft);
        fuse_maxout::fuse(&mut draft);
        fuse_elementwise::fuse(&mut draft);
        fuse_sum::fuse(&mut draft);
        fuse_sums::fuse(&mut draft);
    }
    draft.own_the_rest();
    draft.find_updates_in_place();
    if keep == Keep::Fetched {
        fuse_update::fuse(&mut draft);
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
            is_spread: vec![false; n],
            is_repeated: vec![false; n],
            is_skipped: vec![false; n],
            contractions: HashMap::new(),
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

    /// A value that a call must compute.
    pub fn is_computed(&self, i: usize) -> bool {
        self.live[i]
            && !self.is_virtual[i]
            && !self.is_repeated[i]
            && !self.is_skipped[i]
            && !matches!(self.kind(i), Kind::Leaf | Kind::Alias)
    }

    /// A value that must be computed and that no group computes yet.
    pub fn is_open(&self, i: usize) -> bool {
        self.is_computed(i) && self.owner[i].is_none()
    }

    /// What a node contracts, if anything, and what that reads.
    fn contraction(&self, i: usize) -> Option<(Contraction, Vec<(usize, Shape)>)> {
        let own = || Some((Contraction::of(&self.node(i).op)?, self.reads(i)));
        self.contractions.get(&i).cloned().or_else(own)
    }

    pub fn is_product(&self, i: usize) -> bool {
        self.contraction(i).is_some()
    }

    /// The group of a product that no group computes yet, without an epilogue.
    pub fn product(&self, i: usize) -> Option<Group> {
        let (contraction, ins) = self.contraction(i).filter(|_| self.is_open(i))?;
        let epilogue = Epilogue::default();
        Some(Group {
            kernel: Kernel::Product(Product {
                contraction,
                epilogue,
            }),
            ins,
            outs: vec![i],
            members: vec![i],
            early: None,
        })
    }

    /// Adds the group of a product with stages behind it.
    pub fn add_product(&mut self, mut group: Group, stages: &[Follows]) {
        for &(stage, operands, node) in stages {
            let Kernel::Product(product) = &mut group.kernel else {
                unreachable!("a product")
            };
            let epilogue = product.epilogue.then(stage);
            product.epilogue = epilogue.expect("fusions add what kernels do");
            group.ins.extend(operands);
            group.outs = vec![node];
            group.members.push(node);
        }
        self.add_group(group);
    }

    /// A node's inputs: their bases, with the shapes under which it reads them.
    pub fn reads(&self, i: usize) -> Vec<(usize, Shape)> {
        let inputs = self.node(i).inputs.as_slice().iter();
        inputs
            .map(|i| (self.base[i.index()], self.shape(i.index())))
            .collect()
    }

    /// The other input of a node that reads `value` once and something else.
    pub fn partner(&self, node: usize, value: usize) -> Option<usize> {
        let inputs: Vec<usize> = self.inputs(node).collect();
        match inputs[..] {
            [a, b] if (a == value) != (b == value) => Some(if a == value { b } else { a }),
            _ => None,
        }
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
        let access = Access::broadcast(self.shape(from).dims(), self.shape(i).dims());
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

    pub fn add_group(&mut self, mut group: Group) {
        group.members.sort_unstable();
        for &m in &group.members {
            self.owner[m] = Some(self.groups.len());
        }
        self.groups.push(group);
    }

    /// Forgets the groups that others have replaced.
    pub fn drop_empty_groups(&mut self) {
        self.groups.retain(|group| !group.members.is_empty());
        for (at, group) in self.groups.iter().enumerate() {
            for &m in &group.members {
                self.owner[m] = Some(at);
            }
        }
    }

    /// When a group runs.
    pub fn position(&self, group: usize) -> usize {
        self.groups[group].position()
    }

    /// Whether what a base holds is there before the call at `position`.
    pub fn is_there(&self, base: usize, position: usize) -> bool {
        match self.owner[base] {
            Some(group) => self.position(group) < position,
            None => self.kind(base) == Kind::Leaf || base < position,
        }
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
                self.is_spread[from] |= self.is_virtual[i];
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
            if !self.is_open(i) {
                continue;
            }
            let group = match self.product(i) {
                Some(product) => product,
                None if self.is_elementwise(i) => fuse_elementwise::group(self, vec![i]),
                None => Group {
                    kernel: Kernel::Op(self.node(i).op),
                    ins: self.reads(i),
                    outs: vec![i],
                    members: vec![i],
                    early: None,
                },
            };
            self.add_group(group);
        }
    }

    /// An update needs no copy where its value can be written straight over the old one: all
    /// other readers of the old one have run by then, and the call itself reads it element by
    /// element.
    fn find_updates_in_place(&mut self) {
        for (param, value) in self.updates.clone() {
            let Some(group) = self.owner[value] else {
                continue;
            };
            let kernel = &self.groups[group].kernel;
            let is_elementwise = matches!(kernel, Kernel::Elementwise(_));
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
            let fits = fits && !kernel.accumulates();
            if fits && !taken && !self.root[param] && self.keep == Keep::Fetched {
                self.in_place.insert(value, param);
            }
        }
    }
}
