//! argmax and take of the same value in one pass.

use crate::ops::Op;
use crate::plan::compile::{Draft, Form};

/// Pattern: i = arg_max(x), take(x, i). Replacement: one kernel that writes both.
pub(super) fn fuse(draft: &mut Draft) {
    for take in 0..draft.graph.nodes.len() {
        let Op::Take(op) = draft.node(take).op else {
            continue;
        };
        if !draft.live[take] || !draft.is_free(take) {
            continue;
        }
        let inputs: Vec<usize> = draft.inputs(take).collect();
        let (x, index) = (inputs[0], inputs[1]);
        let same = matches!(draft.node(index).op, Op::ArgMax(a) if a.pieces == op.pieces)
            && draft.inputs(index).next() == Some(x);
        let ordered = draft.readers[index].iter().all(|&r| r >= take);
        if same && ordered && draft.is_free(index) {
            let form = Form::Maxout {
                x,
                pieces: op.pieces,
            };
            draft.add_group(form, vec![index, take]);
        }
    }
}
