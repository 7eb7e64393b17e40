//! The last pass: groups in order, buffers by liveness, calls.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::graph::NodeId;
use crate::ops::{Kind, Op};
use crate::plan::compile::{Draft, Group};
use crate::plan::program::Access;
use crate::plan::{Call, Fetch, Keep, Kernel, Leaf, Loc, Operand, Plan};
use crate::shape::Shape;

/// Never freed.
const FOREVER: usize = usize::MAX;

struct Memory {
    draft: Draft,
    last_use: Vec<usize>,
    locations: Vec<Option<Loc>>,
    buffers: Vec<usize>,
    workspace: usize,
    free: Vec<u32>,
    /// Copies of leaves, made before anything changes them.
    saved: HashMap<usize, Loc>,
    states: Vec<Leaf>,
    inputs: Vec<Leaf>,
    scalars: Vec<Leaf>,
}

pub(super) fn finish(mut draft: Draft, fetches: Vec<(String, NodeId)>) -> Plan {
    let mut groups = std::mem::take(&mut draft.groups);
    groups.sort_by_key(Group::position);
    let mut memory = Memory::new(draft, &groups);
    let base = |fetch: &(String, NodeId)| memory.draft.base[fetch.1.index()];
    let fetched: Vec<usize> = fetches.iter().map(base).collect();
    let mut calls = memory.copies_before(&fetched);
    for (at, group) in groups.into_iter().enumerate() {
        calls.push(memory.call(at, group));
    }
    calls.extend(memory.copies_after());
    let fetches = fetches
        .into_iter()
        .map(|(name, node)| {
            let base = memory.draft.base[node.index()];
            let shape = memory.draft.shape(node.index());
            let loc = memory.kept(base);
            let at = Operand { loc, shape };
            Fetch { name, node, at }
        })
        .collect();
    memory.plan(calls, fetches)
}

impl Memory {
    fn new(draft: Draft, groups: &[Group]) -> Memory {
        let n = draft.graph.nodes.len();
        let mut last_use = vec![0; n];
        for (at, group) in groups.iter().enumerate() {
            for &(base, _) in &group.ins {
                last_use[base] = at;
            }
            for &out in &group.outs {
                last_use[out] = last_use[out].max(at);
            }
        }
        for (i, last) in last_use.iter_mut().enumerate() {
            if draft.root[i] || draft.keep == Keep::All {
                *last = FOREVER;
            }
        }
        Memory {
            last_use,
            locations: vec![None; n],
            buffers: Vec::new(),
            workspace: 0,
            free: Vec::new(),
            saved: HashMap::new(),
            states: Vec::new(),
            inputs: Vec::new(),
            scalars: Vec::new(),
            draft,
        }
    }

    fn leaf(&self, node: usize) -> Leaf {
        Leaf {
            name: self.draft.graph.label(NodeId(node as u32)),
            shape: self.draft.shape(node),
            site: self.draft.node(node).site.to_string(),
        }
    }

    /// Where a base lies: leaves get their place when first read.
    fn locate(&mut self, base: usize) -> Loc {
        if let Some(loc) = self.locations[base] {
            return loc;
        }
        let leaf = self.leaf(base);
        let loc = match self.draft.node(base).op {
            Op::Param(_) => Loc::State(place(&mut self.states, leaf)),
            Op::Input(_) => Loc::Feed(place(&mut self.inputs, leaf)),
            Op::Scalar(_) => Loc::Scalar(place(&mut self.scalars, leaf)),
            _ => unreachable!("a value is located by the call that writes it"),
        };
        self.locations[base] = Some(loc);
        loc
    }

    fn operand(&mut self, (base, shape): (usize, Shape)) -> Operand {
        let loc = self.locate(base);
        Operand { loc, shape }
    }

    /// A buffer of at least `elements`: the smallest free one that fits, else the largest free
    /// one, grown, else a new one.
    fn allocate(&mut self, elements: usize) -> u32 {
        let size = |b: u32| self.buffers[b as usize];
        let fitting = self.free.iter().filter(|&&b| size(b) >= elements);
        let best = fitting.min_by_key(|&&b| size(b));
        let best = best.or_else(|| self.free.iter().max_by_key(|&&b| size(b)));
        match best.copied() {
            Some(b) => {
                self.free.retain(|&f| f != b);
                let len = &mut self.buffers[b as usize];
                *len = elements.max(*len);
                b
            }
            None => {
                self.buffers.push(elements);
                self.buffers.len() as u32 - 1
            }
        }
    }

    fn call(&mut self, at: usize, mut group: Group) -> Call {
        let ins: Vec<Operand> = group.ins.iter().map(|&i| self.operand(i)).collect();
        for (o, &out) in group.outs.iter().enumerate() {
            let taken = match self.draft.in_place.get(&out).copied() {
                Some(param) => Some(self.locate(param)),
                None => self.dying_twin(at, &group, &ins, out),
            };
            if let (Some(loc), Kernel::Elementwise(program)) = (taken, &mut group.kernel) {
                let lies_there = |i: usize| ins[i].loc == loc;
                program.alias(lies_there, o);
            }
            let elements = self.draft.shape(out).elements();
            let loc = taken.unwrap_or_else(|| Loc::Temp(self.allocate(elements)));
            self.locations[out] = Some(loc);
        }
        let outs = group.outs.iter();
        let outs = outs.map(|&o| self.operand((o, self.draft.shape(o))));
        let outs: Vec<Operand> = outs.collect();
        let frees = self.release(at, &group, &outs);
        let needed = group.kernel.get().workspace(&ins, &outs);
        self.workspace = needed.max(self.workspace);
        let ids = |nodes: Vec<usize>| nodes.iter().map(|&n| NodeId(n as u32)).collect();
        Call {
            kernel: group.kernel,
            ins,
            outs,
            values: ids(group.outs),
            nodes: ids(group.members),
            frees,
        }
    }

    /// The buffer of an input that nothing reads after this call and that the output `out` may take.
    fn dying_twin(&self, at: usize, group: &Group, ins: &[Operand], out: usize) -> Option<Loc> {
        let elements = self.draft.shape(out).elements();
        let candidate = |i: usize| {
            let dies = self.last_use[group.ins[i].0] == at;
            let temp = matches!(ins[i].loc, Loc::Temp(_));
            (dies && temp && ins[i].shape.elements() == elements).then_some(ins[i].loc)
        };
        match &group.kernel {
            kernel if kernel.accumulates() => candidate(ins.len() - 1),
            Kernel::Op(Op::AllReduce(_)) => candidate(0),
            Kernel::Elementwise(program) => (0..ins.len())
                .filter(|&i| program.inputs[i] == Access::Full)
                .find_map(candidate),
            _ => None,
        }
    }

    /// Frees what nothing reads after call `at`.
    fn release(&mut self, at: usize, group: &Group, outs: &[Operand]) -> Vec<u32> {
        let mut frees = Vec::new();
        let bases = group.ins.iter().map(|i| i.0);
        for base in bases.chain(group.outs.iter().copied()) {
            let Some(Loc::Temp(b)) = self.locations[base] else {
                continue;
            };
            let taken = outs
                .iter()
                .zip(&group.outs)
                .any(|(o, &n)| o.loc == Loc::Temp(b) && self.last_use[n] != at);
            if self.last_use[base] == at && !taken && !frees.contains(&b) {
                frees.push(b);
            }
        }
        self.free.extend(&frees);
        frees
    }

    fn copy(&mut self, node: usize, from: Loc, to: Loc) -> Call {
        let shape = self.draft.shape(node);
        let operand = |loc| Operand { loc, shape };
        let node = NodeId(node as u32);
        Call {
            kernel: Kernel::Copy,
            ins: vec![operand(from)],
            outs: vec![operand(to)],
            values: vec![node],
            nodes: vec![node],
            frees: Vec::new(),
        }
    }

    /// Saves what leaves hold before the run: those handed out that do not last in the store, and
    /// those that an update overwrites while another one, or a fetch, takes their old value.
    fn copies_before(&mut self, fetched: &[usize]) -> Vec<Call> {
        let draft = &self.draft;
        let is_param = |i: usize| matches!(draft.node(i).op, Op::Param(_));
        let is_updated = |i: usize| draft.updates.iter().any(|u| u.0 == i);
        let fetched = fetched.iter().copied();
        let fetched =
            fetched.filter(|&i| draft.kind(i) == Kind::Leaf && (!is_param(i) || is_updated(i)));
        let values = draft.updates.iter().map(|u| u.1);
        let values = values.filter(|&i| is_param(i) && is_updated(i));
        let leaves: BTreeSet<usize> = fetched.chain(values).collect();
        let mut calls = Vec::new();
        for leaf in leaves {
            let from = self.locate(leaf);
            let to = Loc::Temp(self.allocate(self.draft.shape(leaf).elements()));
            self.saved.insert(leaf, to);
            calls.push(self.copy(leaf, from, to));
        }
        calls
    }

    /// Where a value lies at the end.
    fn kept(&mut self, base: usize) -> Loc {
        match self.saved.get(&base) {
            Some(&loc) => loc,
            None => self.locate(base),
        }
    }

    /// Updates that no call has made in place.
    fn copies_after(&mut self) -> Vec<Call> {
        let mut calls = Vec::new();
        for i in 0..self.draft.updates.len() {
            let (param, value) = self.draft.updates[i];
            let (from, to) = (self.kept(value), self.locate(param));
            if from != to {
                calls.push(self.copy(value, from, to));
            }
        }
        calls
    }

    fn plan(mut self, calls: Vec<Call>, fetches: Vec<Fetch>) -> Plan {
        let updates = self.draft.updates.clone();
        let updates = updates
            .into_iter()
            .map(|(param, value)| match self.locate(param) {
                Loc::State(s) => (s, NodeId(value as u32)),
                _ => unreachable!("only parameters are updated"),
            })
            .collect();
        let bases = self.draft.base.iter();
        let locations = bases.map(|&base| self.locations[base]).collect();
        Plan {
            calls,
            buffers: self.buffers,
            workspace: self.workspace,
            states: self.states,
            inputs: self.inputs,
            scalars: self.scalars,
            fetches,
            updates,
            locations,
            keep: self.draft.keep,
            ranks: 1,
            places: None,
            graph: self.draft.graph,
            live: self.draft.live,
            identity: Arc::new(()),
        }
    }
}

fn place(list: &mut Vec<Leaf>, leaf: Leaf) -> u32 {
    list.push(leaf);
    list.len() as u32 - 1
}
