//! AVX-512F: 16 lanes, tiles of up to 14 × 32 (28 of 32 registers hold sums).

use super::epilogue::Raw;
use super::micro::{Kernel, Micro, Out, ROW, Tile, micro_kernel, row_tiles, tiles};
use std::arch::x86_64::*;

pub(super) static MICRO: Micro = Micro {
    rows: 14,
    lanes: LANES,
    half_l2: 1 << 17,
    packed: [PACKED, PACKED],
    packing: [PACKING, PACKING],
    apart: None,
    row: [ROW_TILES, ROW_TILES],
    transpose,
};

// Masks cost nothing here: the kernels for edges serve whole vectors as well.
const PACKED: &[[Kernel; 2]] = tiles!(false true false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
const PACKING: &[[Kernel; 2]] = tiles!(true true false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
const ROW_TILES: [Kernel; ROW] = row_tiles!(true: 1 2 3 4 5 6 7 8);

const LANES: usize = 16;
const UNROLL: usize = 1;
type V = __m512;
type M = __mmask16;

micro_kernel!("avx512f");

#[inline]
#[target_feature(enable = "avx512f")]
fn mask(count: usize) -> M {
    ((1u32 << count) - 1) as M
}

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> V {
    _mm512_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(x: f32) -> V {
    _mm512_set1_ps(x)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn fma(x: V, y: V, z: V) -> V {
    _mm512_fmadd_ps(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn mul(x: V, y: V) -> V {
    _mm512_mul_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(x: V, y: V) -> V {
    _mm512_add_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sub(x: V, y: V) -> V {
    _mm512_sub_ps(x, y)
}

/// 0 where x ≤ 0, else x: NaN passes.
#[inline]
#[target_feature(enable = "avx512f")]
fn relu_vector(x: V) -> V {
    let keep = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, zero());
    _mm512_maskz_mov_ps(keep, x)
}

/// `yes` where x > 0, else `no`.
#[inline]
#[target_feature(enable = "avx512f")]
fn where_positive(x: V, yes: V, no: V) -> V {
    _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, zero()), no, yes)
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(p: *const f32) -> V {
    // SAFETY: the caller vouches for 16 elements.
    unsafe { _mm512_loadu_ps(p) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store(p: *mut f32, x: V) {
    // SAFETY: as for `load`.
    unsafe { _mm512_storeu_ps(p, x) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_some(p: *const f32, mask: M) -> V {
    // SAFETY: the caller vouches for the lanes of the mask; the others are not touched.
    unsafe { _mm512_maskz_loadu_ps(mask, p) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store_some(p: *mut f32, mask: M, x: V) {
    // SAFETY: as for `load_some`.
    unsafe { _mm512_mask_storeu_ps(p, mask, x) }
}

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
