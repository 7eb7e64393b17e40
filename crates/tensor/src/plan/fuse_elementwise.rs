//! Fuses dependent element-wise ops into one pass.

use std::collections::BTreeSet;

use ganforge_kernels::cpu::program::{MAX_INPUTS, MAX_INSTRUCTIONS, MAX_OUTPUTS};

use crate::ops::{Kind, Op};
use crate::plan::compile::{Draft, Group};
use crate::plan::{Arg, Inst, Kernel, Program};

/// The most ops that a program computes for itself, to read the value that another one would have written.
const REPEATED: usize = 4;

/// Pattern: element-wise ops and generators over as many elements, each read by the next.
/// Replacement: one program, run at its last member.
///
/// A node joins the groups of its inputs where nothing outside reads them before it: everything
/// the program reads is there by then, and nothing needs its results earlier.
///
/// What a program would write for others that are programs, too, and makes of one value in memory by a few cheap ops, such as
/// x - mean, is not written: each of them computes it again while it reads x, which is no more to read.
pub(super) fn fuse(draft: &mut Draft) {
    let mut groups = grouped(draft);
    while repeat(draft, &groups) {
        groups = grouped(draft);
    }
    for members in groups {
        let group = group(draft, members.into_iter().collect());
        draft.add_group(group);
    }
}

/// The members of each program.
fn grouped(draft: &Draft) -> Vec<BTreeSet<usize>> {
    let mut groups: Vec<BTreeSet<usize>> = Vec::new();
    let mut group_of: Vec<Option<usize>> = vec![None; draft.graph.nodes.len()];
    for v in 0..draft.graph.nodes.len() {
        if !draft.is_computed(v) || !draft.is_free(v) || !draft.is_elementwise(v) {
            continue;
        }
        let mut merged = BTreeSet::from([v]);
        let mut joined = Vec::new();
        let inputs: Vec<usize> = draft.inputs(v).collect();
        for input in inputs {
            let Some(g) = group_of[input].filter(|g| !joined.contains(g)) else {
                continue;
            };
            let union: BTreeSet<usize> = merged.union(&groups[g]).copied().collect();
            if may_run_at(draft, &union, v) {
                merged = union;
                joined.push(g);
            }
        }
        for g in joined {
            groups[g].clear();
        }
        for &m in &merged {
            group_of[m] = Some(groups.len());
        }
        groups.push(merged);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// Marks what is computed again rather than written; whether there was anything.
fn repeat(draft: &mut Draft, groups: &[BTreeSet<usize>]) -> bool {
    let mut found = BTreeSet::new();
    for group in groups {
        for &m in group {
            if draft.readers[m].iter().any(|r| !group.contains(r)) {
                let (mut chain, mut from) = (BTreeSet::new(), None);
                if is_cheap(draft, m, &mut chain, &mut from) && from.is_some() {
                    found.append(&mut chain);
                }
            }
        }
    }
    for &node in &found {
        draft.is_repeated[node] = true;
    }
    for &node in found.iter().rev() {
        // Those of a repeated one have been handed on to it: a reader comes behind what it reads.
        let readers = std::mem::take(&mut draft.readers[node]);
        for input in draft.inputs(node).collect::<Vec<_>>() {
            let (source, _) = draft.source(input);
            let (list, is_repeated) = (&mut draft.readers[source], &draft.is_repeated);
            list.retain(|r| !is_repeated[*r]);
            list.extend(&readers);
            list.sort_unstable();
            list.dedup();
        }
    }
    !found.is_empty()
}

/// Whether `node` is made by at most [`REPEATED`] cheap ops, `chain`, of at most one value in memory, `from`, for programs alone.
fn is_cheap(
    draft: &Draft,
    node: usize,
    chain: &mut BTreeSet<usize>,
    from: &mut Option<usize>,
) -> bool {
    let cheap = matches!(
        draft.node(node).op,
        Op::Add(_)
            | Op::Sub(_)
            | Op::Mul(_)
            | Op::Neg(_)
            | Op::AddScalar(_)
            | Op::MulScalar(_)
            | Op::Square(_)
            | Op::Relu(_)
            | Op::LeakyRelu(_)
            | Op::StepMul(_)
    );
    let of_program = |&r: &usize| {
        draft.is_open(r) && draft.kind(r) == Kind::Elementwise && draft.inputs(r).count() <= 2
    };
    if !cheap || draft.root[node] || !draft.readers[node].iter().all(of_program) {
        return false;
    }
    // Read through a broadcast, perhaps by what is repeated itself, it is an input.
    if draft.is_spread[node] {
        return false;
    }
    chain.insert(node);
    chain.len() <= REPEATED
        && draft.inputs(node).all(|input| {
            if draft.is_virtual[input] {
                return true;
            }
            if draft.is_repeated[input] || draft.is_open(input) && draft.is_elementwise(input) {
                return chain.contains(&input) || is_cheap(draft, input, chain, from);
            }
            *from.get_or_insert(input) == input
        })
}

/// What a program of these members computes, in an order that it can be computed in: what it repeats comes before them.
fn with_repeated(draft: &Draft, members: impl IntoIterator<Item = usize>) -> Vec<usize> {
    fn add(draft: &Draft, node: usize, all: &mut Vec<usize>) {
        for input in draft.inputs(node) {
            if draft.is_repeated[input] && !all.contains(&input) {
                add(draft, input, all);
            }
        }
        all.push(node);
    }
    let mut all = Vec::new();
    for member in members {
        add(draft, member, &mut all);
    }
    all
}

/// The program that computes `members`, which are in the order of the list.
pub(super) fn group(draft: &Draft, members: Vec<usize>) -> Group {
    let (mut sources, mut ins, mut insts) = (Vec::new(), Vec::new(), Vec::new());
    let all = with_repeated(draft, members.iter().copied());
    for &m in &all {
        let args = draft.inputs(m).map(|base| {
            if let Some(k) = all.iter().position(|&other| other == base) {
                return Arg::Inst(k as u8);
            }
            let source = draft.source(base);
            let known = sources.iter().position(|s| *s == source);
            let at = known.unwrap_or_else(|| {
                ins.push((source.0, draft.shape(source.0)));
                sources.push(source);
                sources.len() - 1
            });
            Arg::In(at as u8)
        });
        let args = args.collect();
        let op = draft.node(m).op;
        insts.push(Inst { op, args });
    }
    let leaves = |m: usize| draft.root[m] || draft.readers[m].iter().any(|r| !members.contains(r));
    let outputs = (0..all.len()).filter(|&i| !draft.is_repeated[all[i]] && leaves(all[i]));
    let outputs: Vec<u8> = outputs.map(|i| i as u8).collect();
    let outs = outputs.iter().map(|&o| all[usize::from(o)]).collect();
    // What is repeated counts as a member of the first program that computes it.
    let new = |m: &usize| draft.owner[*m].is_none();
    let mut nodes: Vec<usize> = all.iter().copied().filter(new).collect();
    nodes.sort_unstable();
    let accesses = sources.iter().map(|s| s.1).collect();
    let elements = draft.shape(members[0]).elements();
    Group {
        kernel: Kernel::Elementwise(Program::new(insts, accesses, outputs, elements)),
        ins,
        outs,
        members: nodes,
        early: None,
    }
}

fn may_run_at(draft: &Draft, members: &BTreeSet<usize>, v: usize) -> bool {
    let elements = draft.shape(v).elements();
    let mut inputs = Vec::new();
    let mut outputs = 0;
    let all = with_repeated(draft, members.iter().copied());
    for &m in members {
        let outside = || draft.readers[m].iter().filter(|r| !members.contains(r));
        if draft.shape(m).elements() != elements || outside().any(|&r| r < v) {
            return false;
        }
        outputs += usize::from(outside().next().is_some() || draft.root[m]);
    }
    for &m in &all {
        let reads = draft.inputs(m).filter(|i| !all.contains(i));
        for source in reads.map(|i| draft.source(i)) {
            if !inputs.contains(&source) {
                inputs.push(source);
            }
        }
        // A member read through a broadcast would be an input and a result of one pass.
        if draft
            .inputs(m)
            .any(|i| draft.is_virtual[i] && all.contains(&draft.source(i).0))
        {
            return false;
        }
    }
    all.len() <= MAX_INSTRUCTIONS && inputs.len() <= MAX_INPUTS && outputs <= MAX_OUTPUTS
}
