//! `ab + c` where c is an earlier product: a product that accumulates into c in place.

use crate::ops::Op;
use crate::plan::Stage;
use crate::plan::compile::Draft;

/// Pattern: add(p, q) of two products, both read by nothing else.
/// Replacement: the later one adds to the buffer of the earlier one; adding is commutative to the bit.
pub(super) fn fuse(draft: &mut Draft) {
    for add in 0..draft.graph.nodes.len() {
        if !matches!(draft.node(add).op, Op::Add(_)) || !draft.is_open(add) {
            continue;
        }
        let inputs: Vec<usize> = draft.inputs(add).collect();
        let (earlier, later) = (inputs[0].min(inputs[1]), inputs[0].max(inputs[1]));
        let alone = |i: usize| draft.only_reader(i) == Some(add);
        if earlier == later || !alone(earlier) || !alone(later) || !draft.is_product(earlier) {
            continue;
        }
        if let Some(product) = draft.product(later) {
            let operand = [(earlier, draft.shape(earlier))];
            draft.add_product(product, &[(Stage::Accumulate, &operand, add)]);
        }
    }
}
