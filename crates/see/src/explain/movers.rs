//! Ops that give numbers other places, and where each number comes from.

use ganforge_tensor::{Node, Op};

/// Whether an op gives the numbers of its inputs other places and changes none.
pub(super) fn is_mover(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape(_)
            | Op::Detach(_)
            | Op::Transpose(_)
            | Op::Flip(_)
            | Op::Slice(_)
            | Op::Pad(_)
            | Op::Concat(_)
    )
}

/// Which input of a mover the number at a place of node `n` comes from, and the place there; none for a zero of a pad.
pub(super) fn source_of(op: &Op, n: usize, at: usize, nodes: &[Node]) -> Option<(usize, usize)> {
    let input = |i: usize| nodes[nodes[n].inputs.as_slice()[i].index()].shape;
    if matches!(op, Op::Reshape(_) | Op::Detach(_)) {
        return Some((0, at));
    }
    let to = place(at, nodes[n].shape.dims());
    let of = |from: &[usize]| flat(from, input(0).dims());
    match *op {
        Op::Transpose(op) => {
            let mut from = to.clone();
            for (d, &p) in op.perm.dims().iter().enumerate() {
                from[p] = to[d];
            }
            Some((0, of(&from)))
        }
        Op::Flip(op) => {
            let mut from = to;
            for &d in op.axes.dims() {
                from[d] = input(0).dims()[d] - 1 - from[d];
            }
            Some((0, of(&from)))
        }
        Op::Slice(op) => {
            let from: Vec<usize> = to.iter().zip(op.start.dims()).map(|(t, s)| t + s).collect();
            Some((0, of(&from)))
        }
        Op::Pad(op) => {
            let from = to
                .iter()
                .zip(op.before.dims())
                .map(|(t, b)| t.checked_sub(*b));
            let from: Vec<usize> = from.collect::<Option<_>>()?;
            let is_inside = from.iter().zip(input(0).dims()).all(|(f, size)| f < size);
            is_inside.then(|| (0, of(&from)))
        }
        Op::Concat(op) => {
            let first = input(0).dims()[op.axis];
            let mut from = to;
            match from[op.axis].checked_sub(first) {
                None => Some((0, of(&from))),
                Some(rest) => {
                    from[op.axis] = rest;
                    Some((1, flat(&from, input(1).dims())))
                }
            }
        }
        _ => None,
    }
}

/// The indices of the number at a place of a value of shape `dims`.
fn place(at: usize, dims: &[usize]) -> Vec<usize> {
    let mut rest = at;
    let mut indices: Vec<usize> = dims
        .iter()
        .rev()
        .map(|size| {
            let index = rest % size;
            rest /= size;
            index
        })
        .collect();
    indices.reverse();
    indices
}

fn flat(indices: &[usize], dims: &[usize]) -> usize {
    indices
        .iter()
        .zip(dims)
        .fold(0, |at, (i, size)| at * size + i)
}
