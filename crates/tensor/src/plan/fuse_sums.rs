//! Sums over the same dimensions, of what is made from the same values, in one pass over them.

use ganforge_kernels::cpu::program::{Access, MAX_INPUTS, MAX_INSTRUCTIONS, MAX_OUTPUTS, MAX_SUMS};
use ganforge_kernels::cpu::reduce::PartialSums;

use crate::ops::Op;
use crate::plan::compile::{Draft, Group};
use crate::plan::program::{Arg, Sum};
use crate::plan::{Kernel, Program};

/// Pattern: programs that end in sums, and plain sums, over the same dimensions of as many elements, which read one value
/// element by element: the gradients of a bias and of a gain, say. Replacement: one program that ends in all the sums.
///
/// It runs where the first of them did, since what the others read is there by then; so nobody waits for any of them.
pub(super) fn fuse(draft: &mut Draft) {
    let mut all: Vec<Candidate> = (0..draft.graph.nodes.len())
        .filter_map(|node| Candidate::ending_in(draft, node))
        .collect();
    all.sort_by_key(|c| c.group.position());
    let mut joined: Vec<Candidate> = Vec::new();
    for candidate in all {
        let taken = joined
            .iter_mut()
            .any(|first| match first.with(&candidate, draft) {
                Some(both) => {
                    *first = both;
                    true
                }
                None => false,
            });
        if !taken {
            joined.push(candidate);
        }
    }
    for Candidate { group, owned } in joined {
        if group.early.is_none() {
            continue; // alone
        }
        // The groups that it replaces stay in the list, empty, until the end.
        for at in owned {
            draft.groups[at].members.clear();
        }
        draft.add_group(group);
    }
    draft.drop_empty_groups();
}

/// A group that ends in sums, and the draft's groups that it stands for.
struct Candidate {
    group: Group,
    owned: Vec<usize>,
}

impl Candidate {
    /// That of which `sum` is the last member.
    fn ending_in(draft: &Draft, sum: usize) -> Option<Candidate> {
        if let Some(at) = draft.owner[sum] {
            let group = draft.groups[at].clone();
            let is_last = group.members.last() == Some(&sum);
            let ends_in_sums =
                matches!(&group.kernel, Kernel::Elementwise(p) if !p.sums.is_empty());
            let owned = vec![at];
            return (is_last && ends_in_sums).then_some(Candidate { group, owned });
        }
        if !matches!(draft.node(sum).op, Op::SumTo(_)) || !draft.is_open(sum) {
            return None;
        }
        let ins = draft.reads(sum);
        let (_, large) = ins[0];
        let sizes = PartialSums::new(large.dims(), draft.shape(sum).dims())?;
        let mut program = Program::new(vec![], vec![Access::Full], vec![], large.elements());
        let of = Arg::In(0);
        program.end_in(Sum { of, sizes });
        let group = Group {
            kernel: Kernel::Elementwise(program),
            ins,
            outs: vec![sum],
            members: vec![sum],
            early: None,
        };
        let owned = Vec::new();
        Some(Candidate { group, owned })
    }

    fn program(&self) -> &Program {
        match &self.group.kernel {
            Kernel::Elementwise(program) => program,
            _ => unreachable!("a program"),
        }
    }

    /// Both in one pass at the place of this one, where that can be.
    fn with(&self, later: &Candidate, draft: &Draft) -> Option<Candidate> {
        let (a, b) = (self.program(), later.program());
        let position = self.group.position();
        let is_alike = a.elements == b.elements && a.sums[0].sizes == b.sums[0].sizes;
        let mut reads = later.group.ins.iter();
        if !is_alike || !reads.all(|i| draft.is_there(i.0, position)) {
            return None;
        }
        let (mut ins, mut accesses) = (self.group.ins.clone(), a.inputs.clone());
        let (mut places, mut shares) = (Vec::new(), false);
        for (&input, &access) in later.group.ins.iter().zip(&b.inputs) {
            let mut known = ins.iter().zip(&accesses);
            let known = known.position(|(i, a)| i.0 == input.0 && *a == access);
            shares |= known.is_some() && access == Access::Full;
            places.push(known.unwrap_or_else(|| {
                ins.push(input);
                accesses.push(access);
                ins.len() - 1
            }));
        }
        let fits = a.insts.len() + b.insts.len() <= MAX_INSTRUCTIONS
            && ins.len() <= MAX_INPUTS
            && a.outputs.len() + b.outputs.len() <= MAX_OUTPUTS
            && a.sums.len() + b.sums.len() <= MAX_SUMS;
        if !shares || !fits {
            return None;
        }
        let mut program = a.clone();
        program.join(b.clone(), &places);
        let (outs, more) = (&self.group.outs, &later.group.outs);
        let ((written, sums), (more_written, more_sums)) = (
            outs.split_at(a.outputs.len()),
            more.split_at(b.outputs.len()),
        );
        let mut members = [&self.group.members[..], &later.group.members].concat();
        members.sort_unstable();
        let group = Group {
            kernel: Kernel::Elementwise(program),
            ins,
            outs: [written, more_written, sums, more_sums].concat(),
            members,
            early: Some(position),
        };
        let owned = [&self.owned[..], &later.owned].concat();
        Some(Candidate { group, owned })
    }
}
