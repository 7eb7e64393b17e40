//! AVX2 with FMA: 8 lanes, tiles of up to 6 × 16 (12 of 16 registers hold sums).

use super::dots::{CHAINS, dots_kernel};
use super::epilogue::{Adam, Raw};
use super::micro::{Kernel, Micro, Out, Tile, micro_kernel, row_tiles, tiles};
use crate::cpu::simd::avx2::*;
use std::arch::x86_64::*;

pub(super) static MICRO: Micro = Micro {
    rows: 6,
    lanes: LANES,
    half_l2: 1 << 16,
    fetching: [32, 32],
    packed: [
        tiles!(false false false: 1 2 3 4 5 6),
        tiles!(false true false: 1 2 3 4 5 6),
    ],
    packing: [
        tiles!(true false false: 1 2 3 4 5 6),
        tiles!(true true false: 1 2 3 4 5 6),
    ],
    apart: Some([
        [
            tiles!(false false true: 1 2 3 4 5 6),
            tiles!(false true true: 1 2 3 4 5 6),
        ],
        [
            tiles!(true false true: 1 2 3 4 5 6),
            tiles!(true true true: 1 2 3 4 5 6),
        ],
    ]),
    row: [
        row_tiles!(false: 1 2 3 4 5 6 7 8),
        row_tiles!(true: 1 2 3 4 5 6 7 8),
    ],
    transpose,
    dots,
};

const UNROLL: usize = 4;

micro_kernel!("avx2,fma");
dots_kernel!("avx2,fma");

/// See [`Transpose`](super::micro::Transpose): blocks of 8 × 8 through registers.
#[target_feature(enable = "avx2,fma")]
unsafe fn transpose(src: *const f32, ld: usize, rows: usize, k: usize, dst: *mut f32, step: usize) {
    for r in (0..rows).step_by(LANES) {
        let count = (rows - r).min(LANES);
        // Where whole vectors may be stored: what they write beyond a row of few elements is the next row, which follows.
        let lapping = match count {
            LANES => k,
            _ if rows == step && r == 0 => (k * step + step).saturating_sub(LANES) / step,
            _ => 0,
        };
        let whole = lapping / LANES * LANES;
        // SAFETY: rows r.. of the source and lanes r.. of the destination, `whole` of k columns. A vector of the last of
        // these columns ends within the k * step elements of the destination.
        unsafe {
            let (src, dst) = (src.add(r * ld), dst.add(r));
            match count {
                1 => blocks::<1>(src, ld, whole, dst, step),
                2 => blocks::<2>(src, ld, whole, dst, step),
                3 => blocks::<3>(src, ld, whole, dst, step),
                4 => blocks::<4>(src, ld, whole, dst, step),
                5 => blocks::<5>(src, ld, whole, dst, step),
                6 => blocks::<6>(src, ld, whole, dst, step),
                7 => blocks::<7>(src, ld, whole, dst, step),
                _ => blocks::<8>(src, ld, whole, dst, step),
            }
        }
        for p in (whole..k).step_by(LANES) {
            let depth = LANES.min(k - p);
            let mut x = [zero(); LANES];
            for (i, x) in x.iter_mut().enumerate().take(count) {
                // SAFETY: row r + i < rows of the source, columns p..p + depth, within k.
                *x = unsafe { load_some(src.add((r + i) * ld + p), mask(depth)) };
            }
            for (j, y) in transpose_8x8(x).into_iter().enumerate().take(depth) {
                let to = dst.wrapping_add((p + j) * step + r);
                // SAFETY: row p + j < k of the destination, lanes r.. below rows, or as many as `lapping` allows.
                unsafe {
                    if p + j < lapping {
                        store(to, y);
                    } else {
                        store_some(to, mask(count), y);
                    }
                }
            }
        }
    }
}

/// The first k columns of ROWS rows, k a multiple of 8. All vectors are stored whole.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn blocks<const ROWS: usize>(
    src: *const f32,
    ld: usize,
    k: usize,
    dst: *mut f32,
    step: usize,
) {
    for p in (0..k).step_by(LANES) {
        let mut x = [zero(); LANES];
        for (i, x) in x.iter_mut().enumerate().take(ROWS) {
            // SAFETY: columns p..p + 8, within k, of row i of the source.
            *x = unsafe { load(src.add(i * ld + p)) };
        }
        for (j, y) in transpose_8x8(x).into_iter().enumerate() {
            // SAFETY: row p + j < k of the destination; the caller vouches for 8 elements.
            unsafe { store(dst.add((p + j) * step), y) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn transpose_8x8(x: [V; LANES]) -> [V; LANES] {
    let mut y = [zero(); LANES];
    for c in 0..2 {
        // pairs of rows, then quads: quads[h][j], 128-bit lane l: rows 4h.. of column 4l + 2c + j.
        let mut quads = [[zero(); 2]; 2];
        for h in 0..2 {
            let row = |i: usize| x[4 * h + i];
            let (low, high) = if c == 0 {
                (
                    _mm256_unpacklo_ps(row(0), row(1)),
                    _mm256_unpacklo_ps(row(2), row(3)),
                )
            } else {
                (
                    _mm256_unpackhi_ps(row(0), row(1)),
                    _mm256_unpackhi_ps(row(2), row(3)),
                )
            };
            quads[h][0] = _mm256_shuffle_ps::<0x44>(low, high);
            quads[h][1] = _mm256_shuffle_ps::<0xee>(low, high);
        }
        for j in 0..2 {
            y[2 * c + j] = _mm256_permute2f128_ps::<0x20>(quads[0][j], quads[1][j]);
            y[4 + 2 * c + j] = _mm256_permute2f128_ps::<0x31>(quads[0][j], quads[1][j]);
        }
    }
    y
}
