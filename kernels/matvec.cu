// A matrix times a vector: of D's last layer, which has a single column, the logits y [m] = A [m, k] . x [k] and the gradient of
// its weights y [m] = A^T . x, A stored [k, m] (`tn`).
//
// idea:    all loads of a thread are on their way at once, where the tiles of a matrix product wait for one stretch of k after
//          another. A warp per row, its lanes on neighbouring words, then a tree by shuffles; tn: 32 columns by 8 rows of threads,
//          a warp on neighbouring words, then a tree in shared memory. Always the same order.
// block:   256 threads, 8 rows (32 columns of tn); no shared memory (1 KiB)
// bound:   latency for a batch of some hundred rows, memory for large ones: 4 bytes per multiply-add
// registers: 40 on sm_90
// speed:   not measured yet

#include "epilogue.cuh"
#include "sum.cuh"

extern "C" __global__ void __launch_bounds__(256)
matvec_v1_f32(const float* a, const float* x, float* y, unsigned m, unsigned k, const Epilogue e) {
    unsigned row = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= m) return;
    const float* mine = a + (size_t)row * k;
    float sum = 0.0f;
    for (unsigned first = lane; first < k; first += 256) {
        float u[8], v[8]; // all on their way before the first is needed, also where fewer are left
#pragma unroll
        for (int r = 0; r < 8; r++) {
            unsigned p = first + 32 * r;
            u[r] = p < k ? mine[p] : 0.0f;
            v[r] = p < k ? x[p] : 0.0f;
        }
#pragma unroll
        for (int r = 0; r < 8; r++) sum = fmaf(u[r], v[r], sum);
    }
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(~0u, sum, step);
    if (lane == 0) finish_one(e, y, row, 0, sum);
}

extern "C" __global__ void __launch_bounds__(256)
matvec_v1_tn_f32(const float* a, const float* x, float* y, unsigned m, unsigned k, const Epilogue e) {
    __shared__ float sums[8][32];
    unsigned column = blockIdx.x * 32 + threadIdx.x % 32, row = threadIdx.x / 32;
    float sum = 0.0f;
    for (unsigned first = row; first < k; first += 64) {
        float u[8], v[8];
#pragma unroll
        for (int r = 0; r < 8; r++) {
            unsigned p = first + 8 * r;
            u[r] = p < k && column < m ? a[(size_t)p * m + column] : 0.0f;
            v[r] = p < k ? x[p] : 0.0f;
        }
#pragma unroll
        for (int r = 0; r < 8; r++) sum = fmaf(u[r], v[r], sum);
    }
    sum = column_sum(sum, sums);
    if (row == 0 && column < m) finish_one(e, y, column, 0, sum);
}
