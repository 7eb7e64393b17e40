//! Maxout (Goodfellow et al. 2013, equation 1): the largest of `pieces` (p) consecutive inputs.
//!
//! Unit j reads x[j p .. (j + 1) p]. The first of equal pieces wins; a NaN wins, the first of several, so that it
//! propagates. Indices (0..p) are stored as `f32`. The functions take whole arrays, x: [.., n p], y and idx: [.., n],
//! and distribute fixed chunks of units over the current rayon pool when large.

use super::Workspace;
use super::multiversion::multiversion;
use super::par;
use super::reduce::PartialSums;

/// Inputs behind one task.
const TASK: usize = 1 << 14;

/// Units in a task; everything in one when the array is small.
fn units_per_task(units: usize, pieces: usize) -> usize {
    if units * pieces < par::PARALLEL_FROM {
        units.max(1)
    } else {
        (TASK / pieces).max(1)
    }
}

#[track_caller]
fn check(name: &str, pieces: usize, x: usize, units: usize) {
    assert!(pieces > 0, "{name}: 0 pieces");
    assert_eq!(
        x,
        units * pieces,
        "{name}: {x} inputs are not {units} units of {pieces} pieces"
    );
}

/// Whether piece `v` replaces `best`: it is larger, or the first NaN.
#[inline(always)]
fn beats(v: f32, best: f32) -> bool {
    (v > best) | (v.is_nan() & !best.is_nan())
}

/// The winner's value and index among the pieces of one unit.
#[inline(always)]
fn winner(pieces: impl Iterator<Item = f32>) -> (f32, f32) {
    let (mut best, mut index) = (f32::NEG_INFINITY, 0.0);
    for (i, v) in pieces.enumerate() {
        let take = i == 0 || beats(v, best);
        best = if take { v } else { best };
        index = if take { i as f32 } else { index };
    }
    (best, index)
}

#[inline(always)]
fn winners_of<const P: usize>(x: &[f32], y: &mut [f32], idx: &mut [f32]) {
    for ((x, y), idx) in x.as_chunks::<P>().0.iter().zip(y).zip(idx) {
        (*y, *idx) = winner(x.iter().copied());
    }
}

#[inline(always)]
fn biased_winners_of<const P: usize>(x: &[f32], bias: &[f32], y: &mut [f32], idx: &mut [f32]) {
    let (x, bias) = (x.as_chunks::<P>().0, bias.as_chunks::<P>().0);
    for (((x, bias), y), idx) in x.iter().zip(bias).zip(y).zip(idx) {
        (*y, *idx) = winner(x.iter().zip(bias).map(|(x, b)| x + b));
    }
}

multiversion! {
    fn winners(pieces: usize, x: &[f32], y: &mut [f32], idx: &mut [f32]) {
        match pieces {
            2 => winners_of::<2>(x, y, idx),
            5 => winners_of::<5>(x, y, idx),
            _ => for ((x, y), idx) in x.chunks_exact(pieces).zip(y).zip(idx) {
                (*y, *idx) = winner(x.iter().copied());
            },
        }
    }

    fn biased_winners(pieces: usize, x: &[f32], bias: &[f32], y: &mut [f32], idx: &mut [f32]) {
        match pieces {
            2 => biased_winners_of::<2>(x, bias, y, idx),
            5 => biased_winners_of::<5>(x, bias, y, idx),
            _ => for (((x, b), y), idx) in x.chunks_exact(pieces).zip(bias.chunks_exact(pieces)).zip(y).zip(idx) {
                (*y, *idx) = winner(x.iter().zip(b).map(|(x, b)| x + b));
            },
        }
    }
}

/// Index of the winning piece of each unit.
///
/// `idx[j]` = the first i that maximises `x[j p + i]`      x: `[.., n p]`, idx: `[.., n]`
pub fn argmax(pieces: usize, x: &[f32], idx: &mut [f32]) {
    check("argmax", pieces, x.len(), idx.len());
    let units = units_per_task(idx.len(), pieces);
    par::chunks_mut(idx, units, |start, idx| {
        let x = &x[start * pieces..(start + idx.len()) * pieces];
        for (x, idx) in x.chunks_exact(pieces).zip(idx) {
            *idx = winner(x.iter().copied()).1;
        }
    });
}

/// The piece that idx names: `y[j] = x[j p + idx[j]]`.
pub fn take(pieces: usize, x: &[f32], idx: &[f32], y: &mut [f32]) {
    check("take", pieces, x.len(), y.len());
    assert_eq!(idx.len(), y.len(), "take: lengths of idx and y differ");
    let units = units_per_task(y.len(), pieces);
    par::chunks_mut(y, units, |start, y| {
        let (x, idx) = (&x[start * pieces..], &idx[start..]);
        for ((x, &idx), y) in x.chunks_exact(pieces).zip(idx).zip(y) {
            *y = x[idx as usize];
        }
    });
}

/// The adjoint of [`take`]: `dx[j p + idx[j]] = dy[j]`, 0 elsewhere.
pub fn put(pieces: usize, dy: &[f32], idx: &[f32], dx: &mut [f32]) {
    check("put", pieces, dx.len(), dy.len());
    assert_eq!(idx.len(), dy.len(), "put: lengths of idx and dy differ");
    let units = units_per_task(dy.len(), pieces);
    par::chunks_mut(dx, units * pieces, |start, dx| {
        let first = start / pieces;
        dx.fill(0.0);
        for ((dx, &idx), &dy) in dx
            .chunks_exact_mut(pieces)
            .zip(&idx[first..])
            .zip(&dy[first..])
        {
            dx[idx as usize] = dy;
        }
    });
}

/// The winning piece and its index: [`argmax`] and [`take`] in one pass.
///
/// `y[j]` = max over i of `x[j p + i]`      x: `[.., n p]`, y and idx: `[.., n]`
pub fn maxout(pieces: usize, x: &[f32], y: &mut [f32], idx: &mut [f32]) {
    check("maxout", pieces, x.len(), y.len());
    assert_eq!(idx.len(), y.len(), "maxout: lengths of idx and y differ");
    let units = units_per_task(y.len(), pieces);
    par::chunks_mut2(y, units, idx, units, |i, y, idx| {
        let start = i * units * pieces;
        winners(pieces, &x[start..start + y.len() * pieces], y, idx);
    });
}

/// [`maxout`], the maxima times a mask, which is written where it has a place of y's length (else none). `draw(start, mask)`
/// draws the part of the mask from element `start` on.
pub fn dropout(
    pieces: usize,
    x: &[f32],
    y: &mut [f32],
    idx: &mut [f32],
    mask: &mut [f32],
    draw: &(dyn Fn(usize, &mut [f32]) + Sync),
) {
    check("dropout", pieces, x.len(), y.len());
    let lengths = [idx.len(), mask.len()];
    assert!(
        lengths[0] == y.len() && (lengths[1] == y.len() || lengths[1] == 0),
        "dropout: lengths of y, idx and mask differ"
    );
    let units = units_per_task(y.len(), pieces);
    dropout_from(0, units, pieces, x, y, idx, mask, draw);
}

#[expect(clippy::too_many_arguments, reason = "a private recursion")]
fn dropout_from(
    start: usize,
    units: usize,
    pieces: usize,
    x: &[f32],
    y: &mut [f32],
    idx: &mut [f32],
    mask: &mut [f32],
    draw: &(dyn Fn(usize, &mut [f32]) + Sync),
) {
    if y.len() > units {
        let middle = (y.len() / 2).next_multiple_of(units);
        let (x, x_right) = x.split_at(middle * pieces);
        let (y, y_right) = y.split_at_mut(middle);
        let (idx, idx_right) = idx.split_at_mut(middle);
        let (mask, mask_right) = mask.split_at_mut(middle.min(mask.len()));
        return par::join(
            || dropout_from(start, units, pieces, x, y, idx, mask, draw),
            || {
                let start = start + middle;
                dropout_from(
                    start, units, pieces, x_right, y_right, idx_right, mask_right, draw,
                );
            },
        );
    }
    winners(pieces, x, y, idx);
    let mut here = [0.0; 256];
    for (i, y) in y.chunks_mut(here.len()).enumerate() {
        let first = i * here.len();
        let drawn = match mask.is_empty() {
            true => &mut here[..y.len()],
            false => &mut mask[first..first + y.len()],
        };
        draw(start + first, drawn);
        y.iter_mut().zip(drawn).for_each(|(y, m)| *y *= *m);
    }
}

/// The floats of a workspace that [`put_sum`] needs for y of `n` elements.
pub fn put_sum_workspace(batch: usize, n: usize) -> usize {
    PartialSums::new(&[batch, n], &[n]).map_or(0, |s| s.parts() * s.width())
}

/// The column sums of [`put`]'s result without that: `y[j p + i]` = Σ `dy[r, j]` over the rows r with `idx[r, j]` = i, to the
/// bit of [`sum_to`](super::reduce::sum_to), for zeros change no sum. dy, idx: `[batch, units]`; more than one column.
pub fn put_sum(pieces: usize, dy: &[f32], idx: &[f32], y: &mut [f32], workspace: &mut Workspace) {
    let units = y.len() / pieces.max(1);
    check("put_sum", pieces, y.len(), units);
    assert_eq!(idx.len(), dy.len(), "put_sum: lengths of idx and dy differ");
    let batch = dy.len().checked_div(units).unwrap_or(0);
    if batch == 1 {
        return put(pieces, dy, idx, y);
    }
    let sums = PartialSums::new(&[batch, y.len()], &[y.len()]);
    let sums = sums.filter(|s| s.width() == y.len() && dy.len() == batch * units);
    let sums = sums.expect("put_sum: dy is no [batch, units] of several columns");
    let width = sums.width();
    let slots = workspace.take(sums.parts() * width);
    let add = |part: usize, slot: &mut [f32]| {
        let rows = sums.start(part) / width..sums.start(part + 1) / width;
        slot.fill(0.0);
        for r in rows {
            let row = r * units..(r + 1) * units;
            for (slot, (dy, idx)) in slot
                .chunks_exact_mut(pieces)
                .zip(dy[row.clone()].iter().zip(&idx[row]))
            {
                slot[*idx as usize] += dy;
            }
        }
    };
    let step = match par::worth_splitting(dy.len()) {
        true => width,
        false => slots.len(),
    };
    par::chunks_mut(slots, step, |start, slots| {
        for (i, slot) in slots.chunks_exact_mut(width).enumerate() {
            add(start / width + i, slot);
        }
    });
    sums.fold(slots, y);
}

/// Maxout of x + bias, in one pass.
///
/// `y[r, j]` = max over i of `x[r, j p + i] + bias[j p + i]`
///
/// x: `[rows, n p]`, bias: `[n p]`, y and idx: `[rows, n]`
///
/// `row` is the length n p of a row.
pub fn maxout_bias(
    pieces: usize,
    x: &[f32],
    bias: &[f32],
    row: usize,
    y: &mut [f32],
    idx: &mut [f32],
) {
    check("maxout_bias", pieces, x.len(), y.len());
    assert_eq!(
        idx.len(),
        y.len(),
        "maxout_bias: lengths of idx and y differ"
    );
    assert_eq!(
        bias.len(),
        row,
        "maxout_bias: bias does not have a row's length"
    );
    if x.is_empty() {
        return;
    }
    assert!(
        row.is_multiple_of(pieces),
        "maxout_bias: a row of {row} is not whole units of {pieces} pieces"
    );
    assert!(
        x.len().is_multiple_of(row),
        "maxout_bias: x is not whole rows of {row}"
    );
    let n = row / pieces;
    let units = units_per_task(y.len(), pieces).div_ceil(n) * n;
    par::chunks_mut2(y, units, idx, units, |i, y, idx| {
        let x = &x[i * units * pieces..];
        for ((x, y), idx) in x
            .chunks_exact(row)
            .zip(y.chunks_exact_mut(n))
            .zip(idx.chunks_exact_mut(n))
        {
            biased_winners(pieces, x, bias, y, idx);
        }
    });
}

#[cfg(test)]
mod tests;
