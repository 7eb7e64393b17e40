// Parzen-window log-likelihood (the score of the paper's Table 1), streamed: distances are never written.
//
// L(x) = log (1/n) sum_j exp(-|x - s_j|^2 / 2 w^2) - d log(w sqrt(2 pi)); |x - s|^2 = |x|^2 + |s|^2 - 2 x . s with rows
// centred on the samples' mean, norms and distances in f64, x . s in f32 (the CPU's bits), exponentials in f32.
//
// idea:    a block takes 64 points and goes through its part of the samples, 64 at a time: a tile of products in registers
//          as in matmul_v3, but 16 lanes to a row: then for each point the nearest distance so far and, for each width, the sum of
//          exp((nearest - distance) / 2 w^2), scaled down when something nearer comes. 16 lanes share a point's row of the
//          tile; lane i of them keeps the sum of width i, so there are at most 16 widths.
//          Parts are merged in order by a second launch: the same bits every time.
// block:   256 threads; 128 and 17 KiB of shared memory where tiles are multiplied
// bound:   compute, 2 d flop per pair: 157 GFLOP for 10,000 x 10,000 x 784
// registers: 159 on sm_90 (the launch bound leaves room for three blocks)
// speed:   not measured yet

#include "math.cuh"
#include "tile.cuh"

// mean[j] of x [n, d], added up row by row as on the CPU: a thread per column
extern "C" __global__ void __launch_bounds__(256) parzen_mean_v1_f64(const float* x, unsigned n, unsigned d, double* mean) {
    unsigned j = blockIdx.x * 256 + threadIdx.x;
    if (j >= d) return;
    double sum = 0.0;
    for (unsigned i = 0; i < n; i++) sum += (double)x[(size_t)i * d + j];
    mean[j] = sum / (double)n;
}

// out[i, :] = x[i, :] - mean, rounded, and the squared norms of the rounded rows; a warp per row
extern "C" __global__ void __launch_bounds__(256)
parzen_centre_v1_f32(const float* x, const double* mean, unsigned n, unsigned d, float* out, double* norms) {
    unsigned i = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (i >= n) return;
    double sum = 0.0;
    for (unsigned j = lane; j < d; j += 32) {
        float v = (float)((double)x[(size_t)i * d + j] - mean[j]);
        out[(size_t)i * d + j] = v;
        sum += (double)v * (double)v;
    }
    for (int step = 16; step > 0; step /= 2) {
        unsigned long long bits = __double_as_longlong(sum);
        unsigned low = __shfl_xor_sync(~0u, (unsigned)bits, step), high = __shfl_xor_sync(~0u, (unsigned)(bits >> 32), step);
        sum += __longlong_as_double((long long)((unsigned long long)high << 32 | low));
    }
    if (lane == 0) norms[i] = sum;
}

__device__ __forceinline__ double infinity() {
    return __longlong_as_double(0x7ff0000000000000ll);
}

// exp(x / 1) of a difference in f64 that is at most 0
__device__ __forceinline__ float decay(double x) {
    return exp_f32((float)x);
}

// x [m, d] and s [n, d] centred, with their squared norms; scales[w] = 1 / (2 width^2);
// nearest [parts, m] and sums [parts, m, widths], parts = gridDim.y of `part` samples, a multiple of 64
extern "C" __global__ void __launch_bounds__(128, 3)
parzen_v1_f32(const float* x, const double* x_norms, const float* s, const double* s_norms, unsigned m, unsigned n, unsigned d,
              const double* scales, unsigned widths, unsigned part, double* nearest_out, double* sums_out) {
    __shared__ __align__(16) float at[2][16][68], bt[2][16][68];
    unsigned tx = threadIdx.x % 16, ty = threadIdx.x / 16, i0 = blockIdx.x * 64;
    unsigned last = min((blockIdx.y + 1) * part, n);
    Plain<false> points = {x, m, d};
    Plain<true> samples = {s, d, n};
    double nearest[8], mine[8], norm[8];
#pragma unroll
    for (int r = 0; r < 8; r++) {
        unsigned i = i0 + 32 * (r / 4) + 4 * ty + r % 4;
        nearest[r] = infinity();
        mine[r] = 0.0;
        norm[r] = i < m ? x_norms[i] : 0.0;
    }
    double scale = tx < widths ? scales[tx] : 0.0;
    for (unsigned j0 = blockIdx.y * part; j0 < last; j0 += 64) {
        float sum[8][4];
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) sum[i][j] = 0.0f;
        multiply<64, 16>(points, samples, i0, j0, 0, d, make_uint2(ty, tx), at, bt, sum);
        __syncthreads(); // the next tile begins with the first half again
#pragma unroll 1
        for (int r = 0; r < 8; r++) { // one row at a time, through the first place
            double square[4], low = nearest[0];
#pragma unroll
            for (int c = 0; c < 4; c++) {
                unsigned j = j0 + 4 * tx + c;
                square[c] = infinity();
                if (j < last) {
                    double q = norm[0] + s_norms[j] - 2.0 * (double)sum[0][c];
                    square[c] = q > 0.0 ? q : 0.0;
                }
                low = square[c] < low ? square[c] : low;
            }
            for (int step = 8; step > 0; step /= 2) {
                unsigned long long bits = __double_as_longlong(low);
                unsigned lo = __shfl_xor_sync(~0u, (unsigned)bits, step), hi = __shfl_xor_sync(~0u, (unsigned)(bits >> 32), step);
                double other = __longlong_as_double((long long)((unsigned long long)hi << 32 | lo));
                low = other < low ? other : low;
            }
            // Where the nearest one was infinitely far, the sum is 0 and stays so.
            double kept = low < nearest[0] ? mine[0] * (double)decay((low - nearest[0]) * scale) : mine[0];
            for (unsigned w = 0; w < widths; w++) {
                double f = scales[w];
                float total = 0.0f;
#pragma unroll
                for (int c = 0; c < 4; c++) total += decay((low - square[c]) * f);
                for (int step = 8; step > 0; step /= 2) total += __shfl_xor_sync(~0u, total, step);
                if (tx == w) kept += (double)total;
            }
            double norm0 = norm[0];
            float s0 = sum[0][0], s1 = sum[0][1], s2 = sum[0][2], s3 = sum[0][3];
#pragma unroll
            for (int i = 0; i < 7; i++) {
                nearest[i] = nearest[i + 1];
                mine[i] = mine[i + 1];
                norm[i] = norm[i + 1];
#pragma unroll
                for (int c = 0; c < 4; c++) sum[i][c] = sum[i + 1][c];
            }
            nearest[7] = low;
            mine[7] = kept;
            norm[7] = norm0;
            sum[7][0] = s0;
            sum[7][1] = s1;
            sum[7][2] = s2;
            sum[7][3] = s3;
        }
    }
#pragma unroll
    for (int r = 0; r < 8; r++) {
        unsigned i = i0 + 32 * (r / 4) + 4 * ty + r % 4;
        if (i < m) {
            if (tx == 0) nearest_out[(size_t)blockIdx.y * m + i] = nearest[r];
            if (tx < widths) sums_out[((size_t)blockIdx.y * m + i) * widths + tx] = mine[r];
        }
    }
}

// Parts together, into the first one; a thread per point and width
extern "C" __global__ void __launch_bounds__(256)
parzen_merge_v1_f64(const double* nearest, const double* sums, unsigned m, unsigned widths, unsigned parts, const double* scales,
                    double* nearest_out, double* sums_out) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= m * widths) return;
    unsigned i = e / widths, w = e % widths;
    double low = infinity(), sum = 0.0;
    for (unsigned p = 0; p < parts; p++) {
        double near = nearest[(size_t)p * m + i], more = sums[((size_t)p * m + i) * widths + w];
        if (near < low) {
            sum = sum * (double)decay((near - low) * scales[w]) + more;
            low = near;
        } else {
            sum += more * (double)decay((low - near) * scales[w]);
        }
    }
    if (w == 0) nearest_out[i] = low;
    sums_out[e] = sum;
}
