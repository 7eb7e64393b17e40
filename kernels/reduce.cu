// Sums over broadcast dimensions.
//
// Any sum of at most four dimensions is one of x [k0, r0, k1, r1, k2] over r0 and r1. The terms of a sum are cut into
// parts of `part` terms, by the shape alone; part gridDim.y of every sum goes to partials [parts, outputs], and where there
// is more than one, a second launch adds them. Every addition's place follows from the sizes: no atomics, always the same bits.
//
// v1_naive: one thread per sum, one term after another.
// v2: `columns` for k2 > 1: 32 neighbouring sums by 8 rows of threads, so that a warp reads 32 neighbouring words;
//     `rows` for k2 = 1: a block per sum, neighbouring threads on neighbouring terms, then a tree by shuffles.
// block:   256 threads; shared memory: 1 KiB (columns), 32 bytes (rows)
// bound:   memory, 4 bytes per term
// registers: 28 to 32 on sm_90
// speed:   not measured yet

#include "sum.cuh"

struct Shape {
    unsigned k0, r0, k1, r1, k2;
};

extern "C" __global__ void __launch_bounds__(256)
sum_to_v1_naive_f32(const float* x, float* y, Shape s, unsigned part) {
    unsigned o = blockIdx.x * 256 + threadIdx.x, outputs = s.k0 * s.k1 * s.k2;
    if (o >= outputs) return;
    unsigned k2 = o % s.k2, k1 = o / s.k2 % s.k1, k0 = o / s.k2 / s.k1;
    unsigned first = blockIdx.y * part, last = min(first + part, s.r0 * s.r1);
    float sum = 0.0f;
    for (unsigned t = first; t < last; t++)
        sum += x[(((k0 * s.r0 + t / s.r1) * s.k1 + k1) * s.r1 + t % s.r1) * s.k2 + k2];
    y[blockIdx.y * outputs + o] = sum;
}

// k2 > 1: gridDim.x = ceil(k2 / 32) * k0 * k1
extern "C" __global__ void __launch_bounds__(256)
sum_to_v2_columns_f32(const float* x, float* y, Shape s, unsigned part) {
    __shared__ float sums[8][32];
    unsigned strips = (s.k2 + 31) / 32;
    unsigned outer = blockIdx.x / strips, k2 = blockIdx.x % strips * 32 + threadIdx.x % 32, row = threadIdx.x / 32;
    unsigned k1 = outer % s.k1, k0 = outer / s.k1;
    unsigned first = blockIdx.y * part, last = min(first + part, s.r0 * s.r1);
    float sum = 0.0f;
    if (k2 < s.k2)
        for (unsigned t = first + row; t < last; t += 8)
            sum += x[(((k0 * s.r0 + t / s.r1) * s.k1 + k1) * s.r1 + t % s.r1) * s.k2 + k2];
    sum = column_sum(sum, sums);
    if (row == 0 && k2 < s.k2) y[(blockIdx.y * s.k0 * s.k1 + outer) * s.k2 + k2] = sum;
}

// k2 = 1: gridDim.x = k0 * k1
extern "C" __global__ void __launch_bounds__(256)
sum_to_v2_rows_f32(const float* x, float* y, Shape s, unsigned part) {
    __shared__ float sums[8];
    unsigned k1 = blockIdx.x % s.k1, k0 = blockIdx.x / s.k1;
    unsigned first = blockIdx.y * part, last = min(first + part, s.r0 * s.r1);
    float sum = 0.0f;
    for (unsigned t = first + threadIdx.x; t < last; t += 256)
        sum += x[((k0 * s.r0 + t / s.r1) * s.k1 + k1) * s.r1 + t % s.r1];
    sum = block_sum(sum, sums);
    if (threadIdx.x == 0) y[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}
