//! AVX-512F: 16 lanes, tiles of up to 14 × 32 (28 of 32 registers hold sums).

use super::micro::{Finish, Kernel, Micro, Out, Tile, micro_kernel, tiles};
use std::arch::x86_64::*;

pub(super) static MICRO: Micro = Micro {
    rows: 14,
    lanes: LANES,
    packed: tiles!(false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
    packing: tiles!(true: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
    transpose,
};

const LANES: usize = 16;
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

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(p: *const f32, mask: M) -> V {
    // SAFETY: the caller vouches for the lanes of the mask; the others are not touched.
    unsafe { _mm512_maskz_loadu_ps(mask, p) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store(p: *mut f32, mask: M, x: V) {
    // SAFETY: as for `load`.
    unsafe { _mm512_mask_storeu_ps(p, mask, x) }
}

/// See [`Transpose`](super::micro::Transpose): blocks of 16 × 16 through registers.
#[target_feature(enable = "avx512f")]
unsafe fn transpose(src: *const f32, ld: usize, rows: usize, k: usize, dst: *mut f32, step: usize) {
    let lanes = mask(rows);
    for p in (0..k).step_by(LANES) {
        let depth = LANES.min(k - p);
        let mut x = [zero(); LANES];
        for (r, x) in x.iter_mut().enumerate().take(rows) {
            // SAFETY: row r < rows of the source, columns p..p + depth, within k.
            *x = unsafe { load(src.add(r * ld + p), mask(depth)) };
        }
        for (j, y) in transpose_16x16(x).into_iter().enumerate().take(depth) {
            // SAFETY: row p + j < k of the destination, lanes below rows.
            unsafe { store(dst.add((p + j) * step), lanes, y) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_16x16(x: [V; LANES]) -> [V; LANES] {
    let mut pairs = [zero(); LANES];
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]);
    }
    // quads[4 q + c], 128-bit lane l: rows 4q.. of column 4l + c.
    let mut quads = [zero(); LANES];
    for q in 0..4 {
        for h in 0..2 {
            let low = _mm512_castps_pd(pairs[4 * q + h]);
            let high = _mm512_castps_pd(pairs[4 * q + 2 + h]);
            quads[4 * q + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            quads[4 * q + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    }
    let mut y = [zero(); LANES];
    for c in 0..4 {
        let top_even = _mm512_shuffle_f32x4::<0x88>(quads[c], quads[4 + c]);
        let top_odd = _mm512_shuffle_f32x4::<0xdd>(quads[c], quads[4 + c]);
        let low_even = _mm512_shuffle_f32x4::<0x88>(quads[8 + c], quads[12 + c]);
        let low_odd = _mm512_shuffle_f32x4::<0xdd>(quads[8 + c], quads[12 + c]);
        y[c] = _mm512_shuffle_f32x4::<0x88>(top_even, low_even);
        y[8 + c] = _mm512_shuffle_f32x4::<0xdd>(top_even, low_even);
        y[4 + c] = _mm512_shuffle_f32x4::<0x88>(top_odd, low_odd);
        y[12 + c] = _mm512_shuffle_f32x4::<0xdd>(top_odd, low_odd);
    }
    y
}
