// Means and variances in one pass over memory.
//
// x [groups, terms, width], the terms cut into parts of `part` of them by the shape alone. A block finds the means of a part and the
// squared deviations from them: two loops, the second of which reads what the first one left in the caches. `merge` combines the
// parts of each output in order by what their means differ (Chan et al. 1979), and divides.
//
// columns: 32 neighbouring outputs by 8 rows of threads (width > 1); rows: a block per output (width = 1), as in reduce.cu
// block:   256 threads; shared memory: 1 KiB (columns), 36 bytes (rows)
// bound:   memory, 4 bytes per term
// registers: see kernels/ptx/resources.txt
// speed:   not measured yet

#include "sum.cuh"

// parts [gridDim.y, 2, groups, width]; gridDim.x = ceil(width / 32) * groups
extern "C" __global__ void __launch_bounds__(256)
moments_columns_v1_f32(const float* x, float* parts, unsigned groups, unsigned terms, unsigned width, unsigned part) {
    __shared__ float sums[8][32];
    __shared__ float means[32];
    unsigned strips = (width + 31) / 32, group = blockIdx.x / strips;
    unsigned lane = threadIdx.x % 32, column = blockIdx.x % strips * 32 + lane, row = threadIdx.x / 32;
    unsigned first = blockIdx.y * part, last = min(first + part, terms);
    bool inside = column < width;
    float sum = 0.0f;
    if (inside)
        for (unsigned t = first + row; t < last; t += 8) sum += x[(group * terms + t) * width + column];
    sum = column_sum(sum, sums);
    if (row == 0) means[lane] = sum / (float)(last - first);
    __syncthreads();
    float mean = means[lane], squares = 0.0f;
    if (inside)
        for (unsigned t = first + row; t < last; t += 8) {
            float d = x[(group * terms + t) * width + column] - mean;
            squares += d * d;
        }
    squares = column_sum(squares, sums);
    unsigned outputs = groups * width, o = group * width + column;
    if (row == 0 && inside) {
        parts[2 * blockIdx.y * outputs + o] = mean;
        parts[(2 * blockIdx.y + 1) * outputs + o] = squares;
    }
}

// The same with width = 1; gridDim.x = groups
extern "C" __global__ void __launch_bounds__(256)
moments_rows_v1_f32(const float* x, float* parts, unsigned groups, unsigned terms, unsigned part) {
    __shared__ float sums[8];
    __shared__ float shared_mean;
    unsigned first = blockIdx.y * part, last = min(first + part, terms);
    const float* row = x + (size_t)blockIdx.x * terms;
    float sum = 0.0f;
    for (unsigned t = first + threadIdx.x; t < last; t += 256) sum += row[t];
    sum = block_sum(sum, sums);
    if (threadIdx.x == 0) shared_mean = sum / (float)(last - first);
    __syncthreads();
    float mean = shared_mean, squares = 0.0f;
    for (unsigned t = first + threadIdx.x; t < last; t += 256) {
        float d = row[t] - mean;
        squares += d * d;
    }
    squares = block_sum(squares, sums);
    if (threadIdx.x == 0) {
        parts[2 * blockIdx.y * groups + blockIdx.x] = mean;
        parts[(2 * blockIdx.y + 1) * groups + blockIdx.x] = squares;
    }
}

// y [2, outputs] from parts [count, 2, outputs] of `part` terms each, but for the last one
extern "C" __global__ void __launch_bounds__(256)
moments_merge_v1_f32(const float* parts, float* y, unsigned outputs, unsigned terms, unsigned part, unsigned count) {
    unsigned o = blockIdx.x * 256 + threadIdx.x;
    if (o >= outputs) return;
    float mean = parts[o], squares = parts[outputs + o];
    for (unsigned p = 1; p < count; p++) {
        float a = (float)(p * part), b = (float)(min((p + 1) * part, terms) - p * part);
        float d = parts[2 * p * outputs + o] - mean;
        mean += d * (b / (a + b));
        squares += parts[(2 * p + 1) * outputs + o] + d * d * (a * b / (a + b));
    }
    y[o] = mean;
    y[outputs + o] = squares / (float)terms;
}
