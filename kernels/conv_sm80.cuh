// Convolutions on tensor cores, from compute capability 8.0 on: the products of conv.cuh by the tiles of tensor.cuh. Patches are
// copied by cp.async, 16 bytes at a time, and so channels are multiples of 4: others, pictures among them, stay in f32.
//
// v2_block: 64 x 64 of the result per block, k in parts. 128 threads, 48 KiB
// v3_large: 128 x 128 of the result per block, sums whole. 128 threads, 48 KiB
// Both have the same sums in the same order: which of them runs does not change the bits.
// registers: see resources.txt
// speed:     not measured yet

#include "tensor.cuh"
#include "conv.cuh"

// Patches as rows: T / 32 rows of a tile, 16 numbers of each at a time, are a thread's by fours; 4 lanes along memory.
template <int T, int turn> struct Share<T, true, Patches<false, turn, true>> {
    static const bool major = false;
    static const int rows = T / 32;
    int y[rows], x[rows];
    unsigned at[rows];
    Digits tap;
    __device__ __forceinline__ void begin(const Patches<false, turn, true>& f, unsigned t0, unsigned p0) {
#pragma unroll
        for (int i = 0; i < rows; i++) f.patch(t0 + threadIdx.x / 4 + 32 * i, y[i], x[i], at[i]);
        tap = Digits::of(p0 + threadIdx.x % 4 * 4, f.taps_x, f.channels);
    }
    __device__ __forceinline__ void fetch(const Patches<false, turn, true>& f, float* tile, unsigned, unsigned p0, unsigned end) {
        unsigned to = shared(tile) + 4 * place<T, false>(threadIdx.x / 4, threadIdx.x % 4 * 4), p = p0 + threadIdx.x % 4 * 4;
#pragma unroll
        for (int q = 0; q < WORDS / T; q += 16) {
            int dy = turn * (int)tap.high, dx = turn * (int)tap.middle;
            unsigned ahead = f.ahead(tap);
#pragma unroll
            for (int i = 0; i < rows; i++) {
                bool inside = p + q < end & f.inside(y[i] + dy, x[i] + dx);
                copy<4>(to + 4 * (32 * 16 * i + q * T), f.data + (inside ? at[i] + ahead : 0), inside);
            }
            tap.add(16u, f.taps_x, f.channels);
        }
    }
    __device__ __forceinline__ void store(float*) const {}
};

// Patches as columns: fours of taps of 512 / T pixels at a time.
template <int T> struct Share<T, true, Patches<true, 1, true>> {
    static const bool major = true;
    Along<Patches<true, 1, true>> along;
    __device__ __forceinline__ void begin(const Patches<true, 1, true>& f, unsigned t0, unsigned p0) {
        along.begin(f, t0 + threadIdx.x % (T / 4) * 4, p0 + threadIdx.x / (T / 4));
    }
    __device__ __forceinline__ void fetch(const Patches<true, 1, true>& f, float* tile, unsigned, unsigned p0, unsigned end) {
        unsigned t = threadIdx.x % (T / 4) * 4, p = threadIdx.x / (T / 4);
#pragma unroll
        for (int r = 0; r < 4; r++) {
            bool inside = f.inside(along.y, along.x) & p0 + p + 512 / T * r < end;
            copy<4>(shared(tile) + 4 * place<T, true>(t, p + 512 / T * r), f.data + (inside ? along.at : 0), inside);
            along.step(f, 512 / T);
        }
    }
    __device__ __forceinline__ void store(float*) const {}
};

// The filters of patches of dy, as Patches.
template <int T> struct Share<T, false, Filters<true>> {
    static const bool major = false;
    Walk<Filters<true>> walk;
    __device__ __forceinline__ void begin(const Filters<true>& f, unsigned t0, unsigned p0) {
        walk.begin(f, t0 + threadIdx.x / 4, p0 + threadIdx.x % 4 * 4);
    }
    __device__ __forceinline__ void fetch(const Filters<true>& f, float* tile, unsigned t0, unsigned p0, unsigned end) {
        unsigned to = shared(tile) + 4 * place<T, false>(threadIdx.x / 4, threadIdx.x % 4 * 4), p = p0 + threadIdx.x % 4 * 4;
#pragma unroll
        for (int q = 0; q < WORDS / T; q += 16) {
#pragma unroll
            for (int i = 0; i < T / 32; i++) {
                bool inside = p + q < end & t0 + threadIdx.x / 4 + 32 * i < f.c_in;
                copy<4>(to + 4 * (32 * 16 * i + q * T), f.data + (inside ? walk.at + 32 * i * f.c_out : 0), inside);
            }
            walk.step(f, 16);
        }
    }
    __device__ __forceinline__ void store(float*) const {}
};

// What lies in memory, as Patches as columns.
template <int T> struct Share<T, false, Columns> {
    static const bool major = true;
    unsigned at;
    __device__ __forceinline__ void begin(const Columns& f, unsigned t0, unsigned p0) {
        at = (p0 + threadIdx.x / (T / 4)) * f.columns + t0 + threadIdx.x % (T / 4) * 4;
    }
    __device__ __forceinline__ void fetch(const Columns& f, float* tile, unsigned t0, unsigned p0, unsigned end) {
        unsigned t = threadIdx.x % (T / 4) * 4, p = threadIdx.x / (T / 4);
#pragma unroll
        for (int r = 0; r < 4; r++) {
            bool inside = t0 + t < f.columns & p0 + p + 512 / T * r < end;
            copy<4>(shared(tile) + 4 * place<T, true>(t, p + 512 / T * r), f.data + (inside ? at + 512 / T * r * f.columns : 0), inside);
        }
        at += WORDS / T * f.columns;
    }
    __device__ __forceinline__ void store(float*) const {}
};

template <class P, int T, class S> struct Tensor {
    float* c;
    const S& split;
    const Epilogue& e;
    template <class A, class B, class Rows>
    __device__ __forceinline__ void operator()(const A& a, const B& b, unsigned i0, unsigned j0, const Rows& rows, unsigned m, unsigned n, unsigned k) const {
        tensor<P, T>(a, b, i0, j0, rows, c, m, n, k, split, e);
    }
};

#define V2(form, precision, P)                                                                                          \
    extern "C" __global__ void __launch_bounds__(128, 3)                                                                \
        form##_v2_block_##precision(const float* a, const float* b, float* c, const Conv s, const Split split, const Epilogue e) { \
        form<true, Columns>(a, b, s, 64, 64, Tensor<P, 64, Split>{c, split, e});                                          \
    }
#define V3(form, precision, P)                                                                                          \
    extern "C" __global__ void __launch_bounds__(128, 2)                                                                \
        form##_v3_large_##precision(const float* a, const float* b, float* c, const Conv s, const Whole split, const Epilogue e) { \
        form<true, Columns>(a, b, s, 128, 128, Tensor<P, 128, Whole>{c, split, e});                                       \
    }
#define KERNELS(precision, P)                                                                                           \
    V2(conv2d, precision, P) V2(conv2d_dx, precision, P) V2(conv2d_dw, precision, P)                                    \
    V3(conv2d, precision, P) V3(conv2d_dx, precision, P) V3(conv2d_dw, precision, P)
