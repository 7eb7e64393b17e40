// Maxout (Goodfellow et al. 2013, equation 1): the largest of q consecutive pieces; the first of equals, and a NaN wins.
// x [b, u q], y and index [b, u]; indices are whole numbers stored as floats.
//
// v1: a thread per unit (forward) or per piece (put); neighbouring threads on neighbouring units, so that a warp's reads of
//     q words each lie in one stretch of memory
// dropout: v1, and dropout of what it gives in the same pass: each thread draws its block of Philox for itself, which costs
//     less than a launch of its own
// put_sum: a bias's gradient without the matrix of which four fifths are zeros; 32 neighbouring sums by 8 rows of threads, in
//     the order of reduce.cu
// block:   256 threads; no shared memory (put_sum: 1 KiB)
// bound:   memory: forward 4 (q + 2) bytes per unit
// registers: 32 (forward, with dropout or without), 12 (take, put) on sm_90
// speed:   not measured yet

#include "math.cuh"
#include "random.cuh"
#include "sum.cuh"

__device__ __forceinline__ bool beats(float v, float best) {
    return v > best || (v != v && best == best);
}

// The largest of q neighbours, and which it is.
__device__ __forceinline__ float largest(const float* x, unsigned q, float& winner) {
    float best = x[0];
    winner = 0.0f;
    for (unsigned p = 1; p < q; p++) {
        float v = x[p];
        if (beats(v, best)) {
            best = v;
            winner = (float)p;
        }
    }
    return best;
}

// y or index may be null.
extern "C" __global__ void __launch_bounds__(256)
maxout_v1_f32(const float* x, float* y, float* index, unsigned count, unsigned q) {
    unsigned i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    float winner, best = largest(x + (size_t)i * q, q, winner);
    if (y) y[i] = best;
    if (index) index[i] = winner;
}

// y = maxout(x) * mask, the mask as random.cu's dropout draws it; it is written where it is not null.
extern "C" __global__ void __launch_bounds__(256)
maxout_dropout_v1_f32(const float* x, float* y, float* index, float* mask, const Control* control, unsigned stream,
                      unsigned threshold, float value, unsigned always, unsigned count, unsigned q) {
    unsigned i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    float winner, best = largest(x + (size_t)i * q, q, winner);
    uint4 w = philox(control->key, i / 4, stream, control->step);
    float factor = bernoulli_one(word_of(w, i % 4), threshold, value, always);
    y[i] = best * factor;
    index[i] = winner;
    if (mask) mask[i] = factor;
}

// y[j] = x[j q + index[j]]; an index that is no piece traps
extern "C" __global__ void __launch_bounds__(256)
take_v1_f32(const float* x, const float* index, float* y, unsigned count, unsigned q) {
    unsigned i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    unsigned p = (unsigned)index[i];
    if (!((float)p == index[i] && p < q)) __trap();
    y[i] = x[i * q + p];
}

// dx[j q + p] = dy[j] where p = index[j], else 0: the gradient of take
extern "C" __global__ void __launch_bounds__(256)
put_v1_f32(const float* dy, const float* index, float* dx, unsigned count, unsigned q) {
    unsigned i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count * q) return;
    unsigned unit = i / q;
    dx[i] = index[unit] == (float)(i % q) ? dy[unit] : 0.0f;
}

// y[j q + p] = the sum over i of dy[i, j] where p = index[i, j]: the sum of put(dy, index) over the batch
extern "C" __global__ void __launch_bounds__(256)
put_sum_v1_f32(const float* dy, const float* index, float* y, unsigned batch, unsigned units, unsigned q) {
    __shared__ float sums[8][32];
    unsigned column = blockIdx.x * 32 + threadIdx.x % 32, row = threadIdx.x / 32;
    bool inside = column < units * q;
    unsigned unit = column / q;
    float piece = (float)(column % q), sum = 0.0f;
    if (inside)
        for (unsigned i = row; i < batch; i += 8) sum += index[i * units + unit] == piece ? dy[i * units + unit] : 0.0f;
    sum = column_sum(sum, sums);
    if (row == 0 && inside) y[column] = sum;
}
