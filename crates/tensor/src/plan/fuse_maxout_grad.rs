//! Products with the gradient of a maxout layer's pieces, without its zeros.

use crate::ops::{Kind, MatMul, Op};
use crate::plan::compile::Draft;

/// Pattern: p = put(dy, arg_max(..)), read by products xᵀ · p (the gradient in the weights) and
/// p · wᵀ (in the layer's input). Replacement: kernels that read dy and the index; where nothing
/// else reads p, it is never written.
pub(super) fn fuse(draft: &mut Draft) {
    for put in 0..draft.graph.nodes.len() {
        if !draft.is_computed(put) || !matches!(draft.node(put).op, Op::Put(_)) {
            continue;
        }
        let sources: Vec<usize> = draft.inputs(put).collect();
        let is_leaf = draft.kind(sources[0]) == Kind::Leaf;
        if is_leaf || !matches!(draft.node(sources[1]).op, Op::ArgMax(_)) {
            continue;
        }
        let readers = draft.readers[put].clone();
        let products: Vec<usize> = readers
            .iter()
            .copied()
            .filter(|&r| is_gradient(draft, r, put))
            .collect();
        let skipped = products == readers && !draft.root[put];
        for source in sources {
            let readers = &mut draft.readers[source];
            readers.retain(|&r| !skipped || r != put);
            readers.extend(&products);
            readers.sort_unstable();
            readers.dedup();
        }
        draft.is_skipped[put] = skipped && !products.is_empty();
        draft.put_of.extend(products.into_iter().map(|p| (p, put)));
    }
}

fn is_gradient(draft: &Draft, product: usize, put: usize) -> bool {
    let inputs = draft.node(product).inputs;
    let is_put = |i: usize| inputs.as_slice()[i].index() == put;
    match draft.matmul(product) {
        Some(MatMul {
            ta: true,
            tb: false,
        }) => is_put(1) && !is_put(0),
        Some(MatMul {
            ta: false,
            tb: true,
        }) => is_put(0) && !is_put(1),
        _ => false,
    }
}
