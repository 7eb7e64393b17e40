//! `ab + bias` and `relu(ab + bias)` in the product's epilogue.

use crate::ops::Op;
use crate::plan::Stage;
use crate::plan::compile::Draft;
use crate::plan::program::Access;

/// Pattern: add(product, broadcast(bias)), the product read by nothing else, then relu, the sum
/// read by nothing else. Replacement: a product with the bias in its epilogue.
pub(super) fn fuse(draft: &mut Draft) {
    for node in 0..draft.graph.nodes.len() {
        let Some(product) = draft.product(node) else {
            continue;
        };
        let Some((add, bias)) = bias_of(draft, node) else {
            continue;
        };
        let operand = [(bias, draft.shape(bias))];
        let relu = draft
            .only_reader(add)
            .filter(|&r| matches!(draft.node(r).op, Op::Relu(_)) && draft.is_free(r));
        match relu {
            None => draft.add_product(product, &[(Stage::Bias, &operand, add)]),
            Some(relu) => draft.add_product(
                product,
                &[(Stage::Bias, &operand, add), (Stage::Relu, &[], relu)],
            ),
        }
    }
}

fn bias_of(draft: &Draft, product: usize) -> Option<(usize, usize)> {
    let add = draft.only_reader(product)?;
    if !matches!(draft.node(add).op, Op::Add(_)) || !draft.is_free(add) {
        return None;
    }
    // Read through a broadcast of its own, the product is smaller than the sum.
    let other = draft.partner(add, product)?;
    let (bias, access) = draft.source(other);
    let period = draft.shape(product).dims().last().copied()?;
    (draft.is_virtual[other] && access == Access::Row { period }).then_some((add, bias))
}
