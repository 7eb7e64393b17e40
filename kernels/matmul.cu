// Matrix products in f32: C[m,n] = op(A)[m,k] . op(B)[k,n], row-major; `t` in the name says that a factor is stored
// transposed. The four forms are closed under differentiation, so nothing is ever transposed in memory.
//
// Every element is one chain of fused multiply-adds over k = 0, 1, 2, ...: with gridDim.z = 1 all rungs give the CPU's bits.
// Otherwise k is cut into gridDim.z parts: see split.cuh.
//
// v1_naive: a thread per element of C, everything from device memory.           256 threads
//          bound: loads; each operand is read n (or m) times
// v2_tiled: 32 x 32 of C per block, factors through 32 x 32 tiles in shared memory. 256 threads, 4 elements each, 8.25 KiB
//          bound: shared memory, 5 words per 4 multiply-adds
// v3_block: 64 x 64 of C per block, 8 x 4 per thread in registers, k in steps of 16; the next step's words are fetched
//          while this one is computed, 16 bytes at a time where rows begin at such, into the other half of shared memory: one
//          barrier per step. A warp's lanes are 4 x 8 threads, whose loads of a strip are 64 and 128 different bytes.
//          128 threads, 17 KiB. For the thin shapes: 38 tiles of 100 x 1200, times the parts of k.
//          bound: compute for k of some hundred; 3 loads of 16 bytes per 32 multiply-adds
// v4_large: 128 x 128 of C per block, 8 x 8 per thread, k in steps of 8, double buffered as well. 256 threads, 16.5 KiB
//          For large products. bound: compute; 4 loads of 16 bytes per 64 multiply-adds
// The operand P = put(dy, index) of a maxout layer's gradients is read as dy and index (`put` in the name): four fifths of it
// are zeros that are never written to memory.
// registers: 32 (v1, v2), 107 to 111 (v3), 119 (put), 128 (v4) on sm_90
// speed:   not measured yet

#include "blocked.cuh"

template <bool ta, bool tb>
__device__ __forceinline__ void naive(const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue& e) {
    uint2 begin = tile_begin(8, 32, n);
    unsigned i = begin.x + threadIdx.x / 32, j = begin.y + threadIdx.x % 32;
    if (i >= m || j >= n) return;
    float sum = 0.0f;
    for (unsigned p = 0; p < k; p++)
        sum = fmaf(a[ta ? (size_t)p * m + i : (size_t)i * k + p], b[tb ? (size_t)j * k + p : (size_t)p * n + j], sum);
    finish_one(e, c, (size_t)i * n + j, j, sum);
}

template <bool ta, bool tb>
__device__ __forceinline__ void tiled(const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue& e) {
    __shared__ float at[32][33], bt[32][33]; // at[p][i], bt[p][j]
    Plain<ta> fa = {a, m, k};
    Plain<tb> fb = {b, k, n};
    uint2 begin = tile_begin(32, 32, n);
    unsigned x = threadIdx.x % 32, y = threadIdx.x / 32, i0 = begin.x, j0 = begin.y;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (unsigned p0 = 0; p0 < k; p0 += 32) {
#pragma unroll
        for (unsigned r = 0; r < 32; r += 8) { // lanes along memory, whichever way the factor lies
            if (ta) at[y + r][x] = fa.at(i0 + x, p0 + y + r);
            else at[x][y + r] = fa.at(i0 + y + r, p0 + x);
            if (tb) bt[x][y + r] = fb.at(p0 + x, j0 + y + r);
            else bt[y + r][x] = fb.at(p0 + y + r, j0 + x);
        }
        __syncthreads();
        unsigned last = min(32u, k - p0);
        for (unsigned p = 0; p < last; p++) {
            float v = bt[p][x];
#pragma unroll
            for (unsigned r = 0; r < 4; r++) sum[r] = fmaf(at[p][y + 8 * r], v, sum[r]);
        }
        __syncthreads();
    }
#pragma unroll
    for (unsigned r = 0; r < 4; r++) {
        unsigned i = i0 + y + 8 * r, j = j0 + x;
        if (i < m && j < n) finish_one(e, c, (size_t)i * n + j, j, sum[r]);
    }
}

template <int T, int K, class A, class B>
__device__ __forceinline__ void product(const A& a, const B& b, float* c, unsigned m, unsigned n, unsigned k, const Split& split, const Epilogue& e) {
    uint2 begin = tile_begin(T, T, n);
    blocked<T, K>(a, b, begin.x, begin.y, InOrder(), c, m, n, k, split, e);
}

#define FORMS(MAKE) MAKE(nn, false, false) MAKE(tn, true, false) MAKE(nt, false, true) MAKE(tt, true, true)

#define V1(form, ta, tb)                                                                                                \
    extern "C" __global__ void __launch_bounds__(256) matmul_v1_naive_##form##_f32(                                     \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue e) {               \
        naive<ta, tb>(a, b, c, m, n, k, e);                                                                             \
    }
#define V2(form, ta, tb)                                                                                                \
    extern "C" __global__ void __launch_bounds__(256) matmul_v2_tiled_##form##_f32(                                     \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue e) {               \
        tiled<ta, tb>(a, b, c, m, n, k, e);                                                                             \
    }
#define V3(form, ta, tb)                                                                                                \
    extern "C" __global__ void __launch_bounds__(128, 4) matmul_v3_block_##form##_f32(                                     \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Split split, const Epilogue e) { \
        product<64, 16>(Plain<ta>{a, m, k}, Plain<tb>{b, k, n}, c, m, n, k, split, e);                                  \
    }
#define V4(form, ta, tb)                                                                                                \
    extern "C" __global__ void __launch_bounds__(256, 2) matmul_v4_large_##form##_f32(                                     \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Split split, const Epilogue e) { \
        product<128, 8>(Plain<ta>{a, m, k}, Plain<tb>{b, k, n}, c, m, n, k, split, e);                                  \
    }
FORMS(V1)
FORMS(V2)
FORMS(V3)
FORMS(V4)

// dW [inputs, units q] = X^T . P, X [batch, inputs]
extern "C" __global__ void __launch_bounds__(128, 4) matmul_v3_put_tn_f32(
    const float* x, const float* dy, const float* index, float* c, unsigned inputs, unsigned batch, unsigned units, unsigned q,
    const Split split, const Epilogue e) {
    product<64, 16>(Plain<true>{x, inputs, batch}, Put<false>{dy, index, batch, units, q}, c, inputs, units * q, batch, split, e);
}

// dX [batch, inputs] = P . W^T, W [inputs, units q]
extern "C" __global__ void __launch_bounds__(128, 4) matmul_v3_put_nt_f32(
    const float* w, const float* dy, const float* index, float* c, unsigned inputs, unsigned batch, unsigned units, unsigned q,
    const Split split, const Epilogue e) {
    product<64, 16>(Put<false>{dy, index, batch, units, q}, Plain<true>{w, units * q, inputs}, c, batch, inputs, units * q, split, e);
}
