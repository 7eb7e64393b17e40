//! AVX-512F: 16 lanes.

use std::arch::x86_64::*;

/// Elements of a vector.
pub(in crate::cpu) const LANES: usize = 16;
/// A vector.
pub(in crate::cpu) type V = __m512;
/// Which lanes are meant.
pub(in crate::cpu) type M = __mmask16;

/// The first `count` lanes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn mask(count: usize) -> M {
    ((1u32 << count) - 1) as M
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn zero() -> V {
    _mm512_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn splat(x: f32) -> V {
    _mm512_set1_ps(x)
}

/// x · y + z, rounded once.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn fma(x: V, y: V, z: V) -> V {
    _mm512_fmadd_ps(x, y, z)
}

/// z - x · y, rounded once.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn fnma(x: V, y: V, z: V) -> V {
    _mm512_fnmadd_ps(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn mul(x: V, y: V) -> V {
    _mm512_mul_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn add(x: V, y: V) -> V {
    _mm512_add_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn sub(x: V, y: V) -> V {
    _mm512_sub_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn div(x: V, y: V) -> V {
    _mm512_div_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn sqrt(x: V) -> V {
    _mm512_sqrt_ps(x)
}

/// 0 where x ≤ 0, else x: NaN passes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn relu(x: V) -> V {
    let keep = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, zero());
    _mm512_maskz_mov_ps(keep, x)
}

/// `yes` where x > 0, else `no`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn where_positive(x: V, yes: V, no: V) -> V {
    _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, zero()), no, yes)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) unsafe fn load(p: *const f32) -> V {
    // SAFETY: the caller vouches for 16 elements.
    unsafe { _mm512_loadu_ps(p) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) unsafe fn store(p: *mut f32, x: V) {
    // SAFETY: as for `load`.
    unsafe { _mm512_storeu_ps(p, x) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) unsafe fn load_some(p: *const f32, mask: M) -> V {
    // SAFETY: the caller vouches for the lanes of the mask; the others are not touched.
    unsafe { _mm512_maskz_loadu_ps(mask, p) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) unsafe fn store_some(p: *mut f32, mask: M, x: V) {
    // SAFETY: as for `load_some`.
    unsafe { _mm512_mask_storeu_ps(p, mask, x) }
}

/// The sums of the lanes of four vectors: the upper half of the lanes is added to the lower one, until one is left.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::cpu) fn sums_of_lanes(x: [V; 4]) -> [f32; 4] {
    super::avx2::sums_of_lanes([halves(x[0]), halves(x[1]), halves(x[2]), halves(x[3])])
}

/// The lower eight lanes plus the upper ones.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(x: V) -> __m256 {
    let upper = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x));
    _mm256_add_ps(_mm512_castps512_ps256(x), _mm256_castpd_ps(upper))
}
