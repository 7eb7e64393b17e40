//! `ab + c` where c is an earlier product: one GEMM that adds to c in place.

use crate::ops::Op;
use crate::plan::Finish;
use crate::plan::compile::{Draft, Form};

/// Pattern: add(p, matmul) or add(matmul, p), both read by nothing else.
/// Replacement: a GEMM onto p's buffer.
pub(super) fn fuse(draft: &mut Draft) {
    for add in 0..draft.graph.nodes.len() {
        let is_add = matches!(draft.node(add).op, Op::Add(_));
        if !draft.live[add] || !is_add || !draft.is_free(add) {
            continue;
        }
        let inputs: Vec<usize> = draft.inputs(add).collect();
        let [first, second] = inputs[..] else {
            continue;
        };
        // The later product adds to the earlier one; adding is commutative to the bit.
        let (earlier, later) = (first.min(second), first.max(second));
        let alone = |i: usize| draft.only_reader(i) == Some(add);
        let both = draft.matmul(earlier).is_some() && draft.matmul(later).is_some();
        let both = both && draft.has_epilogue(later);
        if earlier != later && both && alone(earlier) && alone(later) && draft.is_free(later) {
            let form = Form::Gemm {
                matmul: later,
                finish: Finish::Accumulate,
                extra: vec![earlier],
            };
            draft.add_group(form, vec![later, add]);
        }
    }
}
