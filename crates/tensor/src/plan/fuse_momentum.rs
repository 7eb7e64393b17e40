//! Classical momentum in the epilogue of the product that computes the gradient.

use crate::ops::Op;
use crate::plan::compile::{Draft, Group};
use crate::plan::program::Access;
use crate::plan::{Kernel, Product, Stage};

/// Pattern: v' = μ·v - lr·g, p' = p + v', both updates in place, g a product; g, μ·v and lr·g read
/// by nothing else. Replacement: the product updates v and p tile by tile; g is never written.
pub(super) fn fuse(draft: &mut Draft) {
    for update in 0..draft.groups.len() {
        if let Some((gradient, group)) = find(draft, update) {
            draft.groups[gradient].members.clear();
            draft.groups[update].members.clear();
            draft.add_group(group);
        }
    }
    draft.drop_empty_groups();
}

/// The group of the gradient's product, and what both become.
fn find(draft: &Draft, update: usize) -> Option<(usize, Group)> {
    let group = &draft.groups[update];
    let (&[_, _, sub, add], Kernel::Elementwise(_)) = (&group.members[..], &group.kernel) else {
        return None;
    };
    let pair = |i: usize| {
        let inputs: Vec<usize> = draft.inputs(i).collect();
        <[usize; 2]>::try_from(inputs).ok()
    };
    let is_sub = matches!(draft.node(sub).op, Op::Sub(_));
    let is_add = matches!(draft.node(add).op, Op::Add(_));
    let [kept, taken] = pair(sub).filter(|_| is_sub)?;
    let [p, v_new] = pair(add).filter(|_| is_add)?;
    let (v, momentum) = scaled(draft, kept)?;
    let (g, lr) = scaled(draft, taken)?;
    let in_place = |value: usize, param: usize| draft.in_place.get(&value) == Some(&param);
    if v_new != sub || !in_place(sub, v) || !in_place(add, p) {
        return None;
    }
    let gradient = draft.owner[g]?;
    let alone = |i: usize, reader: usize| draft.only_reader(i) == Some(reader);
    if !alone(g, taken) || !alone(kept, sub) || !alone(taken, sub) {
        return None;
    }
    let mut fused = draft.groups[gradient].clone();
    let Kernel::Product(Product {
        contraction,
        epilogue,
    }) = fused.kernel
    else {
        return None;
    };
    // Run at the update, the product must not read a tensor that has been updated by then.
    let is_state = |i: usize| matches!(draft.node(i).op, Op::Param(_));
    if fused.ins.iter().any(|i| is_state(i.0)) {
        return None;
    }
    fused.kernel = Kernel::Product(Product {
        contraction,
        epilogue: epilogue.then(Stage::Momentum)?,
    });
    fused
        .ins
        .extend([lr, momentum].map(|c| (c, draft.shape(c))));
    fused.outs = vec![sub, add];
    fused.members.extend(&group.members);
    Some((gradient, fused))
}

/// x and c of the product x · broadcast(c), c a single number.
fn scaled(draft: &Draft, i: usize) -> Option<(usize, usize)> {
    if !matches!(draft.node(i).op, Op::Mul(_)) {
        return None;
    }
    let inputs: Vec<usize> = draft.inputs(i).collect();
    let scalar = |b: usize| match draft.source(b) {
        (c, Access::Scalar) if draft.is_virtual[b] => Some(c),
        _ => None,
    };
    match (scalar(inputs[0]), scalar(inputs[1])) {
        (Some(c), None) => Some((inputs[1], c)),
        (None, Some(c)) => Some((inputs[0], c)),
        _ => None,
    }
}
