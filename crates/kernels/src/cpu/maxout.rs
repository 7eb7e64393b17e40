//! Maxout (Goodfellow et al. 2013, equation 1): the largest of `pieces` (p) consecutive inputs.
//!
//! Unit j looks at x[j p .. (j + 1) p]. The first of equal pieces wins; a NaN wins, the first of several, so that it
//! propagates. Indices (0..p) are stored as `f32`. The functions take whole arrays, x: [.., n p], y and idx: [.., n],
//! and spread fixed chunks of units over the current rayon pool when large.

use super::multiversion::multiversion;
use super::par;

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
