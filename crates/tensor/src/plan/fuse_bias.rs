//! `ab + bias`, `relu(ab + bias)` and `leaky_relu(ab + bias)` in the product's epilogue.

use crate::ops::Op;
use crate::plan::Stage;
use crate::plan::compile::Draft;
use crate::plan::program::Access;

/// Pattern: add(product, broadcast(bias)), the product read by nothing else, then relu or
/// leaky relu, the sum read by nothing else. Replacement: a product with the bias in its epilogue.
pub(super) fn fuse(draft: &mut Draft) {
    for node in 0..draft.graph.nodes.len() {
        let Some(product) = draft.product(node) else {
            continue;
        };
        let Some((add, bias)) = bias_of(draft, node) else {
            continue;
        };
        let operand = [(bias, draft.shape(bias))];
        let mut stages = vec![(Stage::Bias, &operand[..], add)];
        let reader = draft.only_reader(add).filter(|&r| draft.is_free(r));
        stages.extend(reader.and_then(|r| Some((rectifier(&draft.node(r).op)?, &[][..], r))));
        draft.add_product(product, &stages);
    }
}

fn rectifier(op: &Op) -> Option<Stage> {
    match op {
        Op::Relu(_) => Some(Stage::Relu),
        // With a slope of 0 it makes -0 of what is below 0, and NaN of infinity.
        Op::LeakyRelu(op) if op.slope as f32 != 0.0 => Some(Stage::LeakyRelu {
            slope: op.slope as f32,
        }),
        _ => None,
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
