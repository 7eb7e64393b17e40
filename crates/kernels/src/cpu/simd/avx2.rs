//! AVX2 with FMA: 8 lanes.

use std::arch::x86_64::*;

/// Elements of a vector.
pub(in crate::cpu) const LANES: usize = 8;
/// A vector.
pub(in crate::cpu) type V = __m256;
/// Which lanes are meant.
pub(in crate::cpu) type M = __m256i;

/// The first `count` lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn mask(count: usize) -> M {
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lane)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn zero() -> V {
    _mm256_setzero_ps()
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn splat(x: f32) -> V {
    _mm256_set1_ps(x)
}

/// x · y + z, rounded once.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn fma(x: V, y: V, z: V) -> V {
    _mm256_fmadd_ps(x, y, z)
}

/// z - x · y, rounded once.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn fnma(x: V, y: V, z: V) -> V {
    _mm256_fnmadd_ps(x, y, z)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn mul(x: V, y: V) -> V {
    _mm256_mul_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn add(x: V, y: V) -> V {
    _mm256_add_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn sub(x: V, y: V) -> V {
    _mm256_sub_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn div(x: V, y: V) -> V {
    _mm256_div_ps(x, y)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn sqrt(x: V) -> V {
    _mm256_sqrt_ps(x)
}

/// 0 where x ≤ 0, else x: NaN passes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn relu(x: V) -> V {
    _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(x, zero()), x)
}

/// `yes` where x > 0, else `no`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn where_positive(x: V, yes: V, no: V) -> V {
    _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(x, zero()))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) unsafe fn load(p: *const f32) -> V {
    // SAFETY: the caller vouches for 8 elements.
    unsafe { _mm256_loadu_ps(p) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) unsafe fn store(p: *mut f32, x: V) {
    // SAFETY: as for `load`.
    unsafe { _mm256_storeu_ps(p, x) }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) unsafe fn load_some(p: *const f32, mask: M) -> V {
    // SAFETY: the caller vouches for the lanes of the mask; the others are not touched.
    unsafe { _mm256_maskload_ps(p, mask) }
}

/// Many times slower than `store` on AMD's processors.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) unsafe fn store_some(p: *mut f32, mask: M, x: V) {
    // SAFETY: as for `load_some`.
    unsafe { _mm256_maskstore_ps(p, mask, x) }
}

/// The sums of the lanes of four vectors: the upper half of the lanes is added to the lower one, until one is left.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::cpu) fn sums_of_lanes(x: [V; 4]) -> [f32; 4] {
    let [a, b, c, d] = [halves(x[0]), halves(x[1]), halves(x[2]), halves(x[3])];
    let ab = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
    let cd = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
    // Two lanes of each are left: the even ones and the odd ones.
    let sums = _mm_add_ps(
        _mm_shuffle_ps::<0x88>(ab, cd),
        _mm_shuffle_ps::<0xdd>(ab, cd),
    );
    let mut lanes = [0.0; 4];
    // SAFETY: four elements.
    unsafe { _mm_storeu_ps(lanes.as_mut_ptr(), sums) };
    lanes
}

/// The lower four lanes plus the upper ones.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn halves(x: V) -> __m128 {
    _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x))
}
