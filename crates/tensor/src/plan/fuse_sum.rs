//! Sums fused into the program that computes the summands.

use ganforge_kernels::cpu::reduce::PartialSums;

use crate::ops::Op;
use crate::plan::Kernel;
use crate::plan::compile::Draft;
use crate::plan::program::{Arg, Sum};

/// Pattern: sum_to of a result of an element-wise program over its first or its last dimensions, the result read by nothing
/// else. Replacement: a program that ends in the sum; what is summed is never written.
///
/// The program then runs where the sum did, so that nothing outside may read its other results before.
pub(super) fn fuse(draft: &mut Draft) {
    for sum in 0..draft.graph.nodes.len() {
        if !matches!(draft.node(sum).op, Op::SumTo(_)) || !draft.is_open(sum) {
            continue;
        }
        let (x, large) = draft.reads(sum)[0];
        let sizes = PartialSums::new(large.dims(), draft.shape(sum).dims());
        let (Some(sizes), Some(at)) = (sizes, draft.owner[x]) else {
            continue;
        };
        let group = &draft.groups[at];
        let outside = |m: &usize| {
            draft.readers[*m]
                .iter()
                .all(|r| group.members.contains(r) || *r >= sum)
        };
        let own = |m: &&usize| !draft.is_repeated[**m];
        let waits = group.members.iter().filter(own).all(outside);
        let (Kernel::Elementwise(program), Some(out)) =
            (&group.kernel, group.outs.iter().position(|&o| o == x))
        else {
            continue;
        };
        if !program.sums.is_empty() || draft.only_reader(x) != Some(sum) || !waits {
            continue;
        }
        let of = Arg::Inst(program.outputs[out]);
        let mut group = group.clone();
        if let Kernel::Elementwise(program) = &mut group.kernel {
            program.end_in(Sum { of, sizes });
        }
        group.outs.retain(|&o| o != x);
        group.outs.push(sum);
        group.members.push(sum);
        draft.owner[sum] = Some(at);
        draft.groups[at] = group;
    }
}
