//! The last pass: groups in order, buffers by liveness, steps.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::graph::NodeId;
use crate::ops::{Kind, Op};
use crate::plan::compile::{Draft, Form, Group};
use crate::plan::program::{Access, Arg, Inst, Program};
use crate::plan::{Fetch, Finish, Keep, Kernel, Leaf, Loc, Operand, Plan, Step};
use crate::shape::Shape;

/// Never freed.
const FOREVER: usize = usize::MAX;

/// A step before it has buffers.
struct Proto {
    form: Form,
    /// Bases with the shapes under which they are read.
    ins: Vec<(usize, Shape)>,
    outs: Vec<usize>,
    insts: Vec<Inst>,
    access: Vec<Access>,
    members: Vec<usize>,
}

struct Memory {
    draft: Draft,
    last_use: Vec<usize>,
    locations: Vec<Option<Loc>>,
    buffers: Vec<usize>,
    free: Vec<u32>,
    /// Copies of leaves, made before anything changes them.
    saved: HashMap<usize, Loc>,
    states: Vec<Leaf>,
    inputs: Vec<Leaf>,
    scalars: Vec<Leaf>,
}

pub(super) fn finish(mut draft: Draft, fetches: Vec<(String, NodeId)>) -> Plan {
    let mut groups = std::mem::take(&mut draft.groups);
    groups.sort_by_key(|g| g.members.last().copied());
    let protos: Vec<Proto> = groups.iter().map(|g| proto(&draft, g)).collect();
    let mut memory = Memory::new(draft, &protos);
    let fetched: Vec<usize> = fetches
        .iter()
        .map(|(_, node)| memory.draft.base[node.index()])
        .collect();
    let mut steps = memory.copies_before(&fetched);
    for (at, proto) in protos.into_iter().enumerate() {
        steps.push(memory.step(at, proto));
    }
    steps.extend(memory.copies_after());
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
    memory.plan(steps, fetches)
}

/// What a group reads, computes and writes.
fn proto(draft: &Draft, group: &Group) -> Proto {
    let members = group.members.clone();
    let last = *members.last().expect("groups are not empty");
    let mut proto = Proto {
        form: group.form.clone(),
        ins: Vec::new(),
        outs: vec![last],
        insts: Vec::new(),
        access: Vec::new(),
        members: members.clone(),
    };
    match &group.form {
        Form::Single => proto.ins = factors(draft, last),
        Form::Maxout { x, .. } => {
            let shape = read(draft, members[0])[0].1;
            proto.ins = vec![(*x, shape)];
            proto.outs = vec![last, members[0]];
        }
        Form::Gemm {
            matmul,
            finish,
            extra,
        } => {
            proto.ins = factors(draft, *matmul);
            proto.ins.extend(extra.iter().map(|&e| (e, draft.shape(e))));
            if *finish == Finish::Momentum {
                proto.outs = members[members.len() - 2..].to_vec();
            }
        }
        Form::Elementwise => elementwise(draft, &mut proto),
    }
    proto
}

/// A node's inputs: their bases, with the shapes under which it reads them.
fn read(draft: &Draft, node: usize) -> Vec<(usize, Shape)> {
    let inputs = draft.node(node).inputs.as_slice().iter();
    inputs
        .map(|i| (draft.base[i.index()], draft.shape(i.index())))
        .collect()
}

/// As [`read`]; a product with a maxout gradient reads the other factor, dy and the index.
fn factors(draft: &Draft, node: usize) -> Vec<(usize, Shape)> {
    let mut ins = read(draft, node);
    if let Some(&put) = draft.put_of.get(&node) {
        ins.retain(|i| i.0 != put);
        ins.extend(read(draft, put));
    }
    ins
}

fn elementwise(draft: &Draft, proto: &mut Proto) {
    let members = &proto.members;
    for &m in members {
        let args = draft
            .inputs(m)
            .map(|base| {
                if let Some(k) = members.iter().position(|&other| other == base) {
                    return Arg::Inst(k as u8);
                }
                let (source, access) = draft.source(base);
                let known = proto.ins.iter().zip(&proto.access);
                let mut known = known.map(|(i, a)| (i.0, *a));
                let at = known
                    .position(|k| k == (source, access))
                    .unwrap_or_else(|| {
                        proto.ins.push((source, draft.shape(source)));
                        proto.access.push(access);
                        proto.ins.len() - 1
                    });
                Arg::In(at as u8)
            })
            .collect();
        proto.insts.push(Inst {
            op: draft.node(m).op,
            args,
        });
    }
    let leaves =
        |m: &&usize| draft.root[**m] || draft.readers[**m].iter().any(|r| !members.contains(r));
    proto.outs = members.iter().filter(leaves).copied().collect();
}

impl Memory {
    fn new(draft: Draft, protos: &[Proto]) -> Memory {
        let n = draft.graph.nodes.len();
        let mut last_use = vec![0; n];
        for (at, proto) in protos.iter().enumerate() {
            for &(base, _) in &proto.ins {
                last_use[base] = at;
            }
            for &out in &proto.outs {
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
            _ => unreachable!("a value is located by the step that writes it"),
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

    fn step(&mut self, at: usize, mut proto: Proto) -> Step {
        let ins: Vec<Operand> = proto.ins.iter().map(|&i| self.operand(i)).collect();
        for o in 0..proto.outs.len() {
            let out = proto.outs[o];
            let loc = match self.draft.in_place.get(&out).copied() {
                Some(param) => {
                    let loc = self.locate(param);
                    self.alias(&mut proto, &ins, loc, o);
                    loc
                }
                None => match self.dying_twin(at, &proto, &ins, o) {
                    Some(loc) => {
                        self.alias(&mut proto, &ins, loc, o);
                        loc
                    }
                    None => Loc::Temp(self.allocate(self.draft.shape(out).elements())),
                },
            };
            self.locations[out] = Some(loc);
        }
        let outs: Vec<Operand> = proto
            .outs
            .iter()
            .map(|&o| self.operand((o, self.draft.shape(o))))
            .collect();
        let frees = self.release(at, &proto, &outs);
        Step {
            kernel: self.kernel(&proto),
            ins,
            outs,
            nodes: proto.members.iter().map(|&m| NodeId(m as u32)).collect(),
            frees,
        }
    }

    /// Marks the input that lies where output `o` will be written.
    fn alias(&self, proto: &mut Proto, ins: &[Operand], loc: Loc, o: usize) {
        for (access, input) in proto.access.iter_mut().zip(ins) {
            if input.loc == loc && *access == Access::Full {
                *access = Access::Aliased(o as u8);
            }
        }
    }

    /// The buffer of an input that nothing reads after this step and that output `o` may take.
    fn dying_twin(&self, at: usize, proto: &Proto, ins: &[Operand], o: usize) -> Option<Loc> {
        let elements = self.draft.shape(proto.outs[o]).elements();
        let candidate = |i: usize| {
            let dies = self.last_use[proto.ins[i].0] == at;
            let temp = matches!(ins[i].loc, Loc::Temp(_));
            (dies && temp && ins[i].shape.elements() == elements).then_some(ins[i].loc)
        };
        match &proto.form {
            Form::Gemm {
                finish: Finish::Accumulate,
                ..
            } => candidate(ins.len() - 1),
            Form::Elementwise => (0..ins.len())
                .filter(|&i| proto.access[i] == Access::Full)
                .find_map(candidate),
            _ => None,
        }
    }

    /// Frees what nothing reads after step `at`.
    fn release(&mut self, at: usize, proto: &Proto, outs: &[Operand]) -> Vec<u32> {
        let mut frees = Vec::new();
        let bases = proto.ins.iter().map(|i| i.0);
        for base in bases.chain(proto.outs.iter().copied()) {
            let Some(Loc::Temp(b)) = self.locations[base] else {
                continue;
            };
            let taken = outs
                .iter()
                .zip(&proto.outs)
                .any(|(o, &n)| o.loc == Loc::Temp(b) && self.last_use[n] != at);
            if self.last_use[base] == at && !taken && !frees.contains(&b) {
                frees.push(b);
            }
        }
        self.free.extend(&frees);
        frees
    }

    fn kernel(&self, proto: &Proto) -> Kernel {
        let last = *proto.members.last().expect("groups are not empty");
        match &proto.form {
            Form::Single => self.product(last, None),
            Form::Maxout { pieces, .. } => Kernel::Maxout { pieces: *pieces },
            Form::Gemm { matmul, finish, .. } => self.product(*matmul, Some(*finish)),
            Form::Elementwise => {
                let position = |o: &usize| proto.members.iter().position(|m| m == o);
                let outputs = proto.outs.iter().filter_map(position);
                Kernel::Elementwise(Program::new(
                    proto.insts.clone(),
                    proto.access.clone(),
                    outputs.map(|o| o as u8).collect(),
                    self.draft.shape(last).elements(),
                ))
            }
        }
    }

    /// The kernel of a node by itself, or of a product with what follows it.
    fn product(&self, node: usize, finish: Option<Finish>) -> Kernel {
        let put = self.draft.put_of.get(&node).map(|&p| self.draft.node(p).op);
        match (self.draft.node(node).op, put, finish) {
            (Op::MatMul(op), Some(Op::Put(put)), finish) => Kernel::MaxoutGrad {
                op,
                pieces: put.pieces,
                finish,
            },
            (Op::MatMul(op), _, Some(finish)) => Kernel::Gemm(op, finish),
            (op, ..) => Kernel::Op(op),
        }
    }

    fn copy(&mut self, node: usize, from: Loc, to: Loc) -> Step {
        let shape = self.draft.shape(node);
        let operand = |loc| Operand { loc, shape };
        Step {
            kernel: Kernel::Copy,
            ins: vec![operand(from)],
            outs: vec![operand(to)],
            nodes: vec![NodeId(node as u32)],
            frees: Vec::new(),
        }
    }

    /// Saves what leaves hold before the run: those handed out that do not last in the store, and
    /// those that an update overwrites while another one, or a fetch, takes their old value.
    fn copies_before(&mut self, fetched: &[usize]) -> Vec<Step> {
        let draft = &self.draft;
        let is_param = |i: usize| matches!(draft.node(i).op, Op::Param(_));
        let is_updated = |i: usize| draft.updates.iter().any(|u| u.0 == i);
        let fetched = fetched.iter().copied();
        let fetched =
            fetched.filter(|&i| draft.kind(i) == Kind::Leaf && (!is_param(i) || is_updated(i)));
        let values = draft.updates.iter().map(|u| u.1);
        let values = values.filter(|&i| is_param(i) && is_updated(i));
        let leaves: BTreeSet<usize> = fetched.chain(values).collect();
        let mut steps = Vec::new();
        for leaf in leaves {
            let from = self.locate(leaf);
            let to = Loc::Temp(self.allocate(self.draft.shape(leaf).elements()));
            self.saved.insert(leaf, to);
            steps.push(self.copy(leaf, from, to));
        }
        steps
    }

    /// Where a value lies at the end.
    fn kept(&mut self, base: usize) -> Loc {
        match self.saved.get(&base) {
            Some(&loc) => loc,
            None => self.locate(base),
        }
    }

    /// Updates that no step has made in place.
    fn copies_after(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for i in 0..self.draft.updates.len() {
            let (param, value) = self.draft.updates[i];
            let (from, to) = (self.kept(value), self.locate(param));
            if from != to {
                steps.push(self.copy(value, from, to));
            }
        }
        steps
    }

    fn plan(mut self, steps: Vec<Step>, fetches: Vec<Fetch>) -> Plan {
        let updates = self.draft.updates.clone();
        let updates = updates
            .into_iter()
            .map(|(param, value)| match self.locate(param) {
                Loc::State(s) => (s, NodeId(value as u32)),
                _ => unreachable!("only parameters are updated"),
            })
            .collect();
        let locations = (0..self.locations.len())
            .map(|i| self.locations[self.draft.base[i]])
            .collect();
        Plan {
            steps,
            buffers: self.buffers,
            states: self.states,
            inputs: self.inputs,
            scalars: self.scalars,
            fetches,
            updates,
            locations,
            keep: self.draft.keep,
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
