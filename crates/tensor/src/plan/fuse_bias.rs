//! `ab + bias` and `relu(ab + bias)` in one GEMM.

use crate::ops::Op;
use crate::plan::Finish;
use crate::plan::compile::{Draft, Form};
use crate::plan::program::Access;

/// Pattern: add(matmul, broadcast(bias)), the product read by nothing else, then relu, the sum
/// read by nothing else. Replacement: a GEMM with the bias in its epilogue.
pub(super) fn fuse(draft: &mut Draft) {
    for matmul in 0..draft.graph.nodes.len() {
        let is_dense = !draft.put_of.contains_key(&matmul);
        if draft.matmul(matmul).is_none() || !is_dense || !draft.is_free(matmul) {
            continue;
        }
        let Some((add, bias)) = bias_of(draft, matmul) else {
            continue;
        };
        let mut members = vec![matmul, add];
        let relu = draft
            .only_reader(add)
            .filter(|&r| matches!(draft.node(r).op, Op::Relu(_)) && draft.is_free(r));
        members.extend(relu);
        let form = Form::Gemm {
            matmul,
            finish: Finish::Bias {
                relu: relu.is_some(),
            },
            extra: vec![bias],
        };
        draft.add_group(form, members);
    }
}

fn bias_of(draft: &Draft, matmul: usize) -> Option<(usize, usize)> {
    let add = draft.only_reader(matmul)?;
    if !matches!(draft.node(add).op, Op::Add(_)) || !draft.is_free(add) {
        return None;
    }
    let inputs: Vec<usize> = draft.inputs(add).collect();
    // Read through a broadcast of its own, the product is smaller than the sum.
    let at = inputs.iter().position(|&i| i == matmul)?;
    let other = inputs[1 - at];
    let (bias, access) = draft.source(other);
    let n = draft.shape(matmul).dims()[1];
    (draft.is_virtual[other] && access == Access::Row { period: n }).then_some((add, bias))
}
