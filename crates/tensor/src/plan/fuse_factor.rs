//! A dropout mask or ReLU gate in the epilogue of the product that computes a gradient.

use crate::ops::Op;
use crate::plan::Stage;
use crate::plan::compile::Draft;

/// Pattern: mul(product, x) or step_mul(x, product), the product read by nothing else, x as large as it and there anyway.
/// Replacement: a product with the factor in its epilogue.
pub(super) fn fuse(draft: &mut Draft) {
    for node in 0..draft.graph.nodes.len() {
        let (Some(product), Some(reader)) = (draft.product(node), draft.only_reader(node)) else {
            continue;
        };
        let Some(x) = draft.partner(reader, node) else {
            continue;
        };
        let stage = match draft.node(reader).op {
            Op::Mul(_) => Stage::Times,
            Op::StepMul(op) if draft.inputs(reader).next() == Some(x) => Stage::Step {
                below: op.below as f32,
            },
            _ => continue,
        };
        // What the reader alone needs is better made where it is read.
        let made_for_it = draft.is_elementwise(x) && draft.only_reader(x) == Some(reader);
        let fits = draft.shape(x).elements() == draft.shape(node).elements();
        if draft.is_free(reader) && !draft.is_virtual[x] && fits && !made_for_it {
            let operand = [(x, draft.shape(node))];
            draft.add_product(product, &[(stage, &operand, reader)]);
        }
    }
}
