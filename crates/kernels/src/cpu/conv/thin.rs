//! Results of few channels: dot products instead of tiles, whose vectors would be almost empty.
//!
//! Each element is the sum of 16 interleaved chains of fused multiply-adds over a block, added in pairs, block by block: an
//! order that depends on the length of the sum alone.

use super::patches::LD;
use super::tile::Tiles;

/// Most columns.
pub(super) const COLUMNS: usize = 4;

/// Chains of a sum.
pub(super) const LANES: usize = 16;
/// Most sums at a time.
pub(super) const MOST: usize = 8;

/// The floats of a row of filters for sums of length k.
pub(super) fn padded(k: usize) -> usize {
    k.next_multiple_of(LANES)
}

/// sums\[i * n + j\] = the sums so far, 0 if this is the first block, + Σ_p a\[i * LD + p\] · b\[j * ld + p\], for `rows` rows and n
/// columns. b is 0 from k up to a multiple of 16.
#[expect(clippy::too_many_arguments, reason = "a product's sizes and operands")]
pub(super) fn multiply(
    tiles: &Tiles,
    n: usize,
    rows: usize,
    k: usize,
    a: &mut [f32],
    b: &[f32],
    ld: usize,
    sums: &mut [f32],
    is_first: bool,
) {
    if is_first {
        sums[..rows * n].fill(0.0);
    }
    let whole = padded(k);
    if whole > k {
        // What is behind a row may be no number.
        for a in a.chunks_exact_mut(LD).take(rows) {
            a[k..whole].fill(0.0);
        }
    }
    dots(tiles, n, rows, whole, a, b, ld, sums);
}

/// Columns of some rows at a time.
#[expect(clippy::too_many_arguments, reason = "those of `multiply`")]
fn dots(
    tiles: &Tiles,
    n: usize,
    rows: usize,
    k: usize,
    a: &[f32],
    b: &[f32],
    ld: usize,
    sums: &mut [f32],
) {
    let mut lanes = [[0.0f32; LANES]; MOST];
    let at_once = tiles.dot_rows(n);
    let whole = rows - rows % at_once;
    let blocks = (0..whole).step_by(at_once).map(|i| (i, at_once));
    for (i, count) in blocks.chain((whole..rows).map(|i| (i, 1))) {
        tiles.dots(n, count, k, &a[i * LD..], b, ld, &mut lanes);
        for (sum, x) in sums[i * n..(i + count) * n].iter_mut().zip(&mut lanes) {
            add_pairs::<8>(x);
            add_pairs::<4>(x);
            add_pairs::<2>(x);
            add_pairs::<1>(x);
            *sum += x[0];
        }
    }
}

/// Adds the second HALF lanes to the first.
#[inline(always)]
fn add_pairs<const HALF: usize>(x: &mut [f32; LANES]) {
    for l in 0..HALF {
        x[l] += x[l + HALF];
    }
}
