//! An optimiser's update in the epilogue of the product that computes the gradient.

use crate::ops::Op;
use crate::plan::compile::{Draft, Group};
use crate::plan::product::{AdamRule, Stage};
use crate::plan::program::Access;
use crate::plan::{Contraction, Kernel, Product};

/// Pattern: a program of the steps of a rule, all of its results updates in place, along a gradient g, which is a product and
/// read by nothing else. Replacement: the product updates slots and parameter tile by tile; g is never written.
///
/// It runs where the update did. The images that a filter gradient reads are larger than the filters, and would be kept until
/// then: it runs as soon as all other readers of the old values have.
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

/// A rule's update as it was recorded.
struct Update {
    stage: Stage,
    gradient: usize,
    /// The numbers that the stage reads.
    scalars: Vec<usize>,
    /// New value and tensor, as the stage writes them.
    outs: Vec<(usize, usize)>,
}

/// The group of the gradient's product, and what both become.
fn find(draft: &Draft, update: usize) -> Option<(usize, Group)> {
    let group = &draft.groups[update];
    let (members, Kernel::Elementwise(_)) = (&group.members[..], &group.kernel) else {
        return None;
    };
    let rule = momentum(draft, members).or_else(|| adam(draft, members))?;
    let in_place = |&(value, param): &(usize, usize)| draft.in_place.get(&value) == Some(&param);
    // What is no result must be read within the program alone, or it would have to be written.
    let is_own = |m: &usize| {
        let is_out = rule.outs.iter().any(|out| out.0 == *m);
        let outside = |r: &usize| !members.contains(r);
        is_out || !draft.root[*m] && !draft.readers[*m].iter().any(outside)
    };
    let g = rule.gradient;
    let is_alone = !draft.root[g] && draft.readers[g].iter().all(|r| members.contains(r));
    if !rule.outs.iter().all(in_place) || !members.iter().all(is_own) || !is_alone {
        return None;
    }
    let gradient = draft.owner[g]?;
    let mut fused = draft.groups[gradient].clone();
    let Kernel::Product(Product {
        contraction,
        epilogue,
    }) = fused.kernel
    else {
        return None;
    };
    // Run behind its place, the product must not read a tensor that has been updated by then.
    let is_state = |i: usize| matches!(draft.node(i).op, Op::Param(_));
    if fused.ins.iter().any(|i| is_state(i.0)) {
        return None;
    }
    fused.kernel = Kernel::Product(Product {
        contraction,
        epilogue: epilogue.then(rule.stage)?,
    });
    let scalars = rule.scalars.iter().map(|&c| (c, draft.shape(c)));
    fused.ins.extend(scalars);
    fused.outs = rule.outs.iter().map(|out| out.0).collect();
    fused.members.extend(members);
    if matches!(contraction, Contraction::Conv2dDw(_)) {
        fused.early = Some(place(draft, gradient, update, &rule));
    }
    Some((gradient, fused))
}

/// When the fused product may run: once the gradient's factors, the scalars, and all other readers of the old values are done.
fn place(draft: &Draft, gradient: usize, update: usize, rule: &Update) -> usize {
    let olds = rule.outs.iter().map(|out| out.1);
    let readers = olds.flat_map(|old| draft.readers[old].iter());
    let others = readers.filter_map(|&r| draft.owner[r].filter(|group| *group != update));
    let before = rule.scalars.iter().filter_map(|&c| draft.owner[c]);
    let groups = others.chain(before).chain([gradient]);
    let last = groups.map(|group| draft.position(group)).max();
    last.unwrap_or_else(|| draft.position(gradient))
}

/// v' = μ·v - lr·g, p' = p + v'.
fn momentum(draft: &Draft, members: &[usize]) -> Option<Update> {
    let &[_, _, sub, add] = members else {
        return None;
    };
    let [kept, taken] = pair(draft, sub, |op| matches!(op, Op::Sub(_)))?;
    let [p, v_new] = pair(draft, add, |op| matches!(op, Op::Add(_)))?;
    let (v, momentum) = scaled(draft, kept)?;
    let (gradient, lr) = scaled(draft, taken)?;
    (v_new == sub).then(|| Update {
        stage: Stage::Momentum,
        gradient,
        scalars: vec![lr, momentum],
        outs: vec![(sub, v), (add, p)],
    })
}

/// m' = β₁·m + (1 - β₁)·g, s' = β₂·s + (1 - β₂)·g², p' = p - lr·(c₁·m' / (√(c₂·s') + eps)).
fn adam(draft: &Draft, members: &[usize]) -> Option<Update> {
    let &[_, _, mean, _, _, _, square, _, _, _, _, _, _, new] = members else {
        return None;
    };
    let is_add = |op: &Op| matches!(op, Op::Add(_));
    let [kept_mean, taken_mean] = pair(draft, mean, is_add)?;
    let [kept_square, taken_square] = pair(draft, square, is_add)?;
    let [p, step] = pair(draft, new, |op| matches!(op, Op::Sub(_)))?;
    let (step, lr) = scaled(draft, step)?;
    let [corrected, root] = pair(draft, step, |op| matches!(op, Op::Div(_)))?;
    let (corrected, mean_correction) = scaled(draft, corrected)?;
    let Op::AddScalar(eps) = draft.node(root).op else {
        return None;
    };
    let root = only(draft, root);
    let under_root = only(draft, root);
    let (corrected_square, square_correction) = scaled(draft, under_root)?;
    let (m, kept_mean) = times_constant(draft, kept_mean)?;
    let (s, kept_square) = times_constant(draft, kept_square)?;
    let (gradient, taken_mean) = times_constant(draft, taken_mean)?;
    let (squared, taken_square) = times_constant(draft, taken_square)?;
    let is_root = matches!(draft.node(root).op, Op::Sqrt(_));
    let is_square = matches!(draft.node(squared).op, Op::Square(_));
    let is_adam = is_root && is_square && only(draft, squared) == gradient;
    (is_adam && corrected == mean && corrected_square == square).then(|| Update {
        stage: Stage::Adam(AdamRule {
            kept: [kept_mean, kept_square].map(|c| c as f32),
            taken: [taken_mean, taken_square].map(|c| c as f32),
            eps: eps.c as f32,
        }),
        gradient,
        scalars: vec![lr, mean_correction, square_correction],
        outs: vec![(mean, m), (square, s), (new, p)],
    })
}

/// The two inputs of a node of an op.
fn pair(draft: &Draft, i: usize, is: impl Fn(&Op) -> bool) -> Option<[usize; 2]> {
    let inputs: Vec<usize> = draft.inputs(i).collect();
    <[usize; 2]>::try_from(inputs)
        .ok()
        .filter(|_| is(&draft.node(i).op))
}

/// The first input of a node that has one; of a leaf, itself.
fn only(draft: &Draft, i: usize) -> usize {
    draft.inputs(i).next().unwrap_or(i)
}

/// x and c of c · x, c a constant.
fn times_constant(draft: &Draft, i: usize) -> Option<(usize, f64)> {
    match draft.node(i).op {
        Op::MulScalar(op) => Some((only(draft, i), op.c)),
        _ => None,
    }
}

/// x and c of the product x · broadcast(c), c a single number.
fn scaled(draft: &Draft, i: usize) -> Option<(usize, usize)> {
    let inputs = pair(draft, i, |op| matches!(op, Op::Mul(_)))?;
    let scalar = |b: usize| match draft.source(b) {
        (c, Access::Scalar) if draft.is_virtual[b] => Some(c),
        _ => None,
    };
    match inputs.map(scalar) {
        [Some(c), None] => Some((inputs[1], c)),
        [None, Some(c)] => Some((inputs[0], c)),
        _ => None,
    }
}
