// Convolutions in f32, in their three forms: conv.cuh says which products they are.
//
// Every element is one chain of fused multiply-adds over the terms of its sum, in the order of the filters' memory (conv2d_dw: of
// the pixels'): with gridDim.z = 1 all rungs have the same bits. Otherwise the sum is cut into gridDim.z parts: see split.cuh.
//
// v1_naive: a thread per element of the result, each index worked out from nothing.         256 threads
//           bound: integer arithmetic and loads
// v2_block: 64 x 64 of the result per block, as matmul_v3_block; patches word by word, for any number of channels.
//           128 threads, 17 KiB. For images of 1 or 3 channels. bound: compute, and the words' predicates
// v3_wide:  the same, channels by fours: a thread has one row of patches, and 16 bytes of it at a time
//           bound: compute
// v4_large: 128 x 128 of the result per block, for layers of many channels. 256 threads, 16.5 KiB
//           bound: compute
// v5_few:   128 x 16 of the result per block: for results of at most 16 channels, as pictures are. 256 threads, 19 KiB
//           bound: shared memory, 2 loads per 8 multiply-adds
// registers: see resources.txt
// speed:   not measured yet

#include "conv.cuh"

struct Naive {
    float* c;
    const Epilogue& e;
    template <class A, class B, class Rows>
    __device__ __forceinline__ void operator()(const A& a, const B& b, unsigned i0, unsigned j0, const Rows& rows, unsigned m, unsigned n, unsigned k) const {
        unsigned i = i0 + threadIdx.x / 32, j = j0 + threadIdx.x % 32;
        if (i >= m || j >= n) return;
        float sum = 0.0f;
        for (unsigned p = 0; p < k; p++) sum = fmaf(a.at(i, p), b.at(p, j), sum);
        finish_one(e, c, (size_t)rows.at(i) * n + j, j, sum);
    }
};

template <int T, int K, class S> struct Blocked {
    float* c;
    const S& split;
    const Epilogue& e;
    template <class A, class B, class Rows>
    __device__ __forceinline__ void operator()(const A& a, const B& b, unsigned i0, unsigned j0, const Rows& rows, unsigned m, unsigned n, unsigned k) const {
        blocked<T, K>(a, b, i0, j0, rows, c, m, n, k, split, e);
    }
};

// A thread has two neighbouring rows of 128 and four of 16 columns, whose factor the first warp fetches.
struct Few {
    float* c;
    const Split& split;
    const Epilogue& e;
    template <class A, class B, class Rows>
    __device__ __forceinline__ void operator()(const A& a, const B& b, unsigned i0, unsigned j0, const Rows& rows, unsigned m, unsigned n, unsigned k) const {
        const int K = 16;
        __shared__ __align__(16) float at[2][K][132], bt[2][K][20];
        unsigned row = threadIdx.x / 4 * 2, column = threadIdx.x % 4 * 4, first = blockIdx.z * split.part, end = min(first + split.part, k);
        bool has_b = threadIdx.x < 32;
        float sum[2][4] = {{0.0f, 0.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 0.0f, 0.0f}};
        Slice<128, K, true, A> sa;
        Slice<16, K, false, B> sb;
        sa.begin(a, i0, first);
        sb.begin(b, j0, first);
        sa.fetch(a, i0, first, end);
        if (has_b) sb.fetch(b, j0, first, end);
        unsigned half = 0;
        for (unsigned p0 = first; p0 < end; p0 += K) {
            sa.store(at[half]);
            if (has_b) sb.store(bt[half]);
            __syncthreads();
            if (p0 + K < end) {
                sa.fetch(a, i0, p0 + K, end);
                if (has_b) sb.fetch(b, j0, p0 + K, end);
            }
#pragma unroll
            for (int p = 0; p < K; p++) {
                float2 x = *(const float2*)&at[half][p][row];
                float4 y = *(const float4*)&bt[half][p][column];
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    float xs = i == 0 ? x.x : x.y;
                    sum[i][0] = fmaf(xs, y.x, sum[i][0]);
                    sum[i][1] = fmaf(xs, y.y, sum[i][1]);
                    sum[i][2] = fmaf(xs, y.z, sum[i][2]);
                    sum[i][3] = fmaf(xs, y.w, sum[i][3]);
                }
            }
            half ^= 1;
        }
        conclude<128 * 16, 2, 1, 0, 0>(sum, i0 + row, j0 + column, rows, c, m, n, split, e, (unsigned*)at);
    }
};

#define FORMS(MAKE) MAKE(conv2d) MAKE(conv2d_dx) MAKE(conv2d_dw)

#define V1(form)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(256)                                                                   \
        form##_v1_naive_f32(const float* a, const float* b, float* c, const Conv s, const Epilogue e) {                 \
        form<false, Plain<false>>(a, b, s, 8, 32, Naive{c, e});                                                                       \
    }
#define V2(form)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(128, 4)                                                                \
        form##_v2_block_f32(const float* a, const float* b, float* c, const Conv s, const Split split, const Epilogue e) { \
        form<false, Plain<false>>(a, b, s, 64, 64, Blocked<64, 16, Split>{c, split, e});                                                     \
    }
#define V3(form)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(128, 4)                                                                \
        form##_v3_wide_f32(const float* a, const float* b, float* c, const Conv s, const Split split, const Epilogue e) { \
        form<true, Columns>(a, b, s, 64, 64, Blocked<64, 16, Split>{c, split, e});                                                      \
    }
#define V4(form)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                                \
        form##_v4_large_f32(const float* a, const float* b, float* c, const Conv s, const Split split, const Epilogue e) { \
        form<true, Columns>(a, b, s, 128, 128, Blocked<128, 8, Split>{c, split, e});                                                    \
    }
#define V5(form)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                                \
        form##_v5_few_f32(const float* a, const float* b, float* c, const Conv s, const Split split, const Epilogue e) { \
        form<true, Plain<false>>(a, b, s, 128, 16, Few{c, split, e});                                                                 \
    }
FORMS(V1)
FORMS(V2)
FORMS(V3)
FORMS(V4)
FORMS(V5)

// What belongs at the end of a sum that was cut into so many parts that adding them up is work for a whole device, or of a
// product whose result is [m, n] in other words: c [m, n] = epilogue(sums of [parts, m, n] in order). A thread per four neighbours.
extern "C" __global__ void __launch_bounds__(256)
conv2d_sum_v1_f32(const float* partial, float* c, unsigned m, unsigned n, unsigned parts, const Epilogue e) {
    unsigned fours = (n + 3) / 4, s = blockIdx.x * 256 + threadIdx.x, row = s / fours, column = (s - row * fours) * 4;
    if (row >= m) return;
    unsigned count = min(4u, n - column);
    size_t at = (size_t)row * n + column, all = (size_t)m * n;
    size_t pointers = (size_t)partial | (size_t)c | (size_t)e.bias | (size_t)e.other | (size_t)e.param;
    bool aligned = n % 4 == 0 && (pointers & 15) == 0;
    float4 sum = load4(partial + at, count, aligned);
#pragma unroll 8
    for (unsigned z = 1; z < parts; z++) sum = add4(sum, load4(partial + z * all + at, count, aligned));
    finish(e, c, at, column, sum, count, aligned);
}
