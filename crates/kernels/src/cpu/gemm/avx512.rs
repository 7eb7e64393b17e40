//! AVX-512F: 16 lanes, tiles of up to 14 × 32 (28 of 32 registers hold sums).

use super::dots::{CHAINS, dots_kernel};
use super::epilogue::{Adam, Raw};
use super::micro::{Kernel, Micro, Out, ROW, Tile, micro_kernel, row_tiles, tiles};
use crate::cpu::simd::avx512::*;
use std::arch::x86_64::*;

pub(super) static MICRO: Micro = Micro {
    rows: 14,
    lanes: LANES,
    half_l2: 1 << 17,
    fetching: [32, 4],
    packed: [PACKED, PACKED],
    packing: [PACKING, PACKING],
    apart: None,
    row: [ROW_TILES, ROW_TILES],
    transpose,
    dots,
};

// Masks cost nothing here: the kernels for edges serve whole vectors as well.
const PACKED: &[[Kernel; 2]] = tiles!(false true false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
const PACKING: &[[Kernel; 2]] = tiles!(true true false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
const ROW_TILES: [Kernel; ROW] = row_tiles!(true: 1 2 3 4 5 6 7 8);

const UNROLL: usize = 1;

micro_kernel!("avx512f");
dots_kernel!("avx512f");

/// See [`Transpose`](super::micro::Transpose): four columns of 16 rows at a time, through registers.
#[target_feature(enable = "avx512f")]
unsafe fn transpose(src: *const f32, ld: usize, rows: usize, k: usize, dst: *mut f32, step: usize) {
    let whole = k - k % 4;
    for p in (0..whole).step_by(4) {
        // SAFETY: columns p..p + 4 of the source and rows p..p + 4 of the destination, within k.
        unsafe {
            match rows {
                16 => four_columns::<true>(src.add(p), ld, 16, 4, dst.add(p * step), step),
                _ => four_columns::<false>(src.add(p), ld, rows, 4, dst.add(p * step), step),
            }
        }
    }
    if whole < k {
        // SAFETY: as above, for the columns that are left.
        unsafe {
            let (src, dst) = (src.add(whole), dst.add(whole * step));
            four_columns::<false>(src, ld, rows, k - whole, dst, step);
        }
    }
}

/// The first `depth` ≤ 4 columns of `rows` rows (16 if FULL) become rows.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn four_columns<const FULL: bool>(
    src: *const f32,
    ld: usize,
    rows: usize,
    depth: usize,
    dst: *mut f32,
    step: usize,
) {
    let mut quads = [zero(); 4];
    for (r, quad) in quads.iter_mut().enumerate() {
        // Lanes from `rows` on are never stored: any row will do.
        let from = |l: usize| {
            if FULL || 4 * l + r < rows {
                (4 * l + r) * ld
            } else {
                0
            }
        };
        // SAFETY: `depth` elements of a row < rows of the source.
        unsafe {
            let x = _mm512_castps128_ps512(load4(src.add(from(0)), depth));
            let x = _mm512_insertf32x4::<1>(x, load4(src.add(from(1)), depth));
            let x = _mm512_insertf32x4::<2>(x, load4(src.add(from(2)), depth));
            *quad = _mm512_insertf32x4::<3>(x, load4(src.add(from(3)), depth));
        }
    }
    let columns = transpose_4x4(quads);
    for (j, column) in columns.into_iter().enumerate().take(depth) {
        // SAFETY: row j < depth of the destination, lanes below rows.
        unsafe { store_some(dst.add(j * step), mask(rows), column) };
    }
}

/// Up to four elements, as many as there are.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load4(p: *const f32, count: usize) -> __m128 {
    if count >= 4 {
        // SAFETY: the caller vouches for four elements.
        return unsafe { _mm_loadu_ps(p) };
    }
    // SAFETY: the caller vouches for `count` elements.
    _mm512_castps512_ps128(unsafe { load_some(p, mask(count)) })
}

/// Transposes the 4 × 4 elements of four vectors in each 128-bit lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_4x4(x: [V; 4]) -> [V; 4] {
    let low01 = _mm512_castps_pd(_mm512_unpacklo_ps(x[0], x[1]));
    let high01 = _mm512_castps_pd(_mm512_unpackhi_ps(x[0], x[1]));
    let low23 = _mm512_castps_pd(_mm512_unpacklo_ps(x[2], x[3]));
    let high23 = _mm512_castps_pd(_mm512_unpackhi_ps(x[2], x[3]));
    [
        _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23)),
        _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23)),
        _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23)),
        _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23)),
    ]
}
