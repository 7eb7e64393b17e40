//! Fuses dependent element-wise ops into one pass.

use std::collections::BTreeSet;

use ganforge_kernels::cpu::program::{MAX_INPUTS, MAX_INSTRUCTIONS, MAX_OUTPUTS};

use crate::plan::compile::{Draft, Group};
use crate::plan::{Arg, Inst, Kernel, Program};

/// Pattern: element-wise ops and generators over as many elements, each read by the next.
/// Replacement: one program, run at its last member.
///
/// A node joins the groups of its inputs where nothing outside reads them before it: everything
/// the program reads is there by then, and nothing needs its results earlier.
pub(super) fn fuse(draft: &mut Draft) {
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
    for members in groups.into_iter().filter(|g| !g.is_empty()) {
        let group = group(draft, members.into_iter().collect());
        draft.add_group(group);
    }
}

/// The program that computes `members`, which are in the order of the list.
pub(super) fn group(draft: &Draft, members: Vec<usize>) -> Group {
    let (mut sources, mut ins, mut insts) = (Vec::new(), Vec::new(), Vec::new());
    for &m in &members {
        let args = draft.inputs(m).map(|base| {
            if let Some(k) = members.iter().position(|&other| other == base) {
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
    let outputs = (0..members.len()).filter(|&i| leaves(members[i]));
    let outputs: Vec<u8> = outputs.map(|i| i as u8).collect();
    let outs = outputs.iter().map(|&o| members[usize::from(o)]).collect();
    let accesses = sources.iter().map(|s| s.1).collect();
    let elements = draft.shape(members[0]).elements();
    Group {
        kernel: Kernel::Elementwise(Program::new(insts, accesses, outputs, elements)),
        ins,
        outs,
        members,
    }
}

fn may_run_at(draft: &Draft, members: &BTreeSet<usize>, v: usize) -> bool {
    let elements = draft.shape(v).elements();
    let mut inputs = Vec::new();
    let mut outputs = 0;
    for &m in members {
        let outside = || draft.readers[m].iter().filter(|r| !members.contains(r));
        if draft.shape(m).elements() != elements || outside().any(|&r| r < v) {
            return false;
        }
        outputs += usize::from(outside().next().is_some() || draft.root[m]);
        let reads = draft.inputs(m).filter(|i| !members.contains(i));
        for source in reads.map(|i| draft.source(i)) {
            if !inputs.contains(&source) {
                inputs.push(source);
            }
        }
        // A member read through a broadcast would be an input and a result of one pass.
        if draft
            .inputs(m)
            .any(|i| draft.is_virtual[i] && members.contains(&draft.source(i).0))
        {
            return false;
        }
    }
    members.len() <= MAX_INSTRUCTIONS && inputs.len() <= MAX_INPUTS && outputs <= MAX_OUTPUTS
}
