// Matrix products on tensor cores, from compute capability 8.0 on: C[m,n] = op(A)[m,k] . op(B)[k,n], factors f32 in memory,
// rounded to tf32 (10 bits of fraction) or bf16 (7 bits) on their way to the tensor cores, sums in f32. For
// `--precision tf32` and `bf16`; the order of the sums inside of an mma is the hardware's.
//
// v1_mma:   128 x 128 of C per block, 8 warps of 64 x 32 each, k in steps of 16 (tf32) or 32 (bf16), factors word by word
//           through registers, where they are rounded, to the other half of shared memory. Tiles lie [k, row], rows of 136
//           words: the 32 lanes of a fragment's load fall on 32 banks. One form only: it is there to be read.
//           256 threads, 34 KiB. bound: loads of single words, 24 from shared memory per 16 mma
// v2_block: 64 x 64 of C per block, 4 warps of 32 x 32 each, k in steps of 32. Factors are copied as they lie by cp.async, 16
//           bytes at a time where rows begin so, two steps ahead: three tiles of each, one barrier per step. A lane loads 16
//           bytes of a tile at once, since which k an mma takes for its own is free where both factors agree; it rounds them
//           then. k is cut into parts: see split.cuh. For the thin shapes of a GAN step.
//           128 threads, 48 KiB. bound: all that is no mma; 16 loads of 16 bytes per 32 mma of tf32 or 16 of bf16
// v3_large: 128 x 128 of C per block, 64 x 64 per warp, k in steps of 16; for large products. 128 threads, 48 KiB.
//           bound: as before, with 16 loads of 16 bytes per 64 mma of tf32 or 32 of bf16
// The operand P = put(dy, index) of a maxout layer's gradients is read as dy and index (`put` in the name), through registers.
// Each element has the same sums in the same order in v2, v3 and put: which of them runs does not change the bits.
// registers: 173 to 176 (v1), 83 to 114 (v2), 142 to 152 (put), 254 (v3) on sm_90
// speed:     not measured yet

#include "tensor.cuh"

const int ROW = 136; // words of a tile's row of 128

// A thread's share of 16 rows of words of a factor: 8 words.
template <class P, bool major, bool first, class F> struct Words {
    unsigned word[8];
    __device__ __forceinline__ void fetch(const F& f, unsigned t0, unsigned p0, unsigned k) {
#pragma unroll
        for (int r = 0; r < 8; r++) {
            unsigned s = threadIdx.x + 256 * r, t = t0 + (major ? s % 128 : s / 16), p = p0 + P::packed * (major ? s / 128 : s % 16);
            float a = p < k ? (first ? f.at(t, p) : f.at(p, t)) : 0.0f;
            float b = P::packed == 2 && p + 1 < k ? (first ? f.at(t, p + 1) : f.at(p + 1, t)) : 0.0f;
            word[r] = P::pack(a, b);
        }
    }
    __device__ __forceinline__ void store(unsigned (*tile)[ROW]) const {
#pragma unroll
        for (int r = 0; r < 8; r++) {
            unsigned s = threadIdx.x + 256 * r;
            tile[major ? s / 128 : s % 16][major ? s % 128 : s / 16] = word[r];
        }
    }
};

template <class P, bool ta, bool tb>
__device__ __forceinline__ void simple(const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue& e) {
    __shared__ unsigned at[2][16][ROW], bt[2][16][ROW];
    Plain<ta> fa = {a, m, k};
    Plain<tb> fb = {b, k, n};
    uint2 begin = tile_begin(128, 128, n);
    unsigned i0 = begin.x, j0 = begin.y, warp = threadIdx.x / 32;
    unsigned group = threadIdx.x % 32 / 4, member = threadIdx.x % 4, wi = warp / 4 * 64, wj = warp % 4 * 32;
    float sum[4][4][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int r = 0; r < 4; r++) sum[i][j][r] = 0.0f;
    Words<P, ta, true, Plain<ta>> wa;
    Words<P, !tb, false, Plain<tb>> wb;
    const unsigned step = 16 * P::packed;
    wa.fetch(fa, i0, 0, k);
    wb.fetch(fb, j0, 0, k);
    unsigned half = 0;
    for (unsigned p0 = 0; p0 < k; p0 += step) {
        wa.store(at[half]);
        wb.store(bt[half]);
        __syncthreads();
        if (p0 + step < k) {
            wa.fetch(fa, i0, p0 + step, k);
            wb.fetch(fb, j0, p0 + step, k);
        }
#pragma unroll
        for (int p = 0; p < 16; p += 8) {
            unsigned x[4][4], y[4][2];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                unsigned row = wi + 16 * i + group;
                x[i][0] = at[half][p + member][row];
                x[i][1] = at[half][p + member][row + 8];
                x[i][2] = at[half][p + member + 4][row];
                x[i][3] = at[half][p + member + 4][row + 8];
            }
#pragma unroll
            for (int j = 0; j < 4; j++) {
                unsigned column = wj + 8 * j + group;
                y[j][0] = bt[half][p + member][column];
                y[j][1] = bt[half][p + member + 4][column];
            }
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) P::mma(sum[i][j][0], sum[i][j][1], sum[i][j][2], sum[i][j][3], x[i], y[j]);
        }
        half ^= 1;
    }
    // One block of rows at a time passes through sum[0], so that the epilogue is there once.
#pragma unroll 1
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int r = 0; r < 4; r += 2) {
                unsigned row = i0 + wi + 16 * i + group + 4 * r, column = j0 + wj + 8 * j + 2 * member;
                float4 two = make_float4(sum[0][j][r], sum[0][j][r + 1], 0.0f, 0.0f);
                if (row < m && column < n) finish(e, c, (size_t)row * n + column, column, two, min(2u, n - column), false);
            }
#pragma unroll
        for (int r = 0; r < 3; r++)
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int v = 0; v < 4; v++) sum[r][j][v] = sum[r + 1][j][v];
    }
}

template <class P, int T, class A, class B>
__device__ __forceinline__ void product(const A& a, const B& b, float* c, unsigned m, unsigned n, unsigned k, const Split& split, const Epilogue& e) {
    uint2 begin = tile_begin(T, T, n);
    tensor<P, T>(a, b, begin.x, begin.y, InOrder(), c, m, n, k, split, e);
}

#define FORMS(MAKE, precision, P)                                                                                       \
    MAKE(precision, P, nn, false, false) MAKE(precision, P, tn, true, false) MAKE(precision, P, nt, false, true) MAKE(precision, P, tt, true, true)

#define V1(precision, P, form, ta, tb)                                                                                  \
    extern "C" __global__ void __launch_bounds__(256, 1) matmul_v1_mma_##form##_##precision(                               \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue e) {               \
        simple<P, ta, tb>(a, b, c, m, n, k, e);                                                                         \
    }
#define V2(precision, P, form, ta, tb)                                                                                  \
    extern "C" __global__ void __launch_bounds__(128, 3) matmul_v2_block_##form##_##precision(                             \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Split split, const Epilogue e) { \
        product<P, 64>(Plain<ta>{a, m, k}, Plain<tb>{b, k, n}, c, m, n, k, split, e);                                    \
    }
#define V3(precision, P, form, ta, tb)                                                                                  \
    extern "C" __global__ void __launch_bounds__(128, 2) matmul_v3_large_##form##_##precision(                             \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Split split, const Epilogue e) { \
        product<P, 128>(Plain<ta>{a, m, k}, Plain<tb>{b, k, n}, c, m, n, k, split, e);                                   \
    }
V1(tf32, Tf32, nn, false, false)
V1(bf16, Bf16, nn, false, false)
FORMS(V2, tf32, Tf32)
FORMS(V2, bf16, Bf16)
FORMS(V3, tf32, Tf32)
FORMS(V3, bf16, Bf16)

// The gradients of a maxout layer, as in matmul.cu: dW = X^T . P and dX = P . W^T.
#define PUT(precision, P)                                                                                               \
    extern "C" __global__ void __launch_bounds__(128, 3) matmul_v2_put_tn_##precision(                                     \
        const float* x, const float* dy, const float* index, float* c, unsigned inputs, unsigned batch, unsigned units, \
        unsigned q, const Split split, const Epilogue e) {                                                              \
        product<P, 64>(Plain<true>{x, inputs, batch}, Put<false>{dy, index, batch, units, q}, c, inputs, units * q, batch, split, e); \
    }                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(128, 3) matmul_v2_put_nt_##precision(                                     \
        const float* w, const float* dy, const float* index, float* c, unsigned inputs, unsigned batch, unsigned units, \
        unsigned q, const Split split, const Epilogue e) {                                                              \
        product<P, 64>(Put<false>{dy, index, batch, units, q}, Plain<true>{w, units * q, inputs}, c, batch, inputs, units * q, split, e); \
    }
PUT(tf32, Tf32)
PUT(bf16, Bf16)
