// Tiles of matrix products: factors, slices of them through shared memory, and the product of two strips in registers.

// A factor [rows, columns] in memory; `t`: stored [columns, rows].
template <bool t> struct Plain {
    const float* data;
    unsigned rows, columns;
    static const bool along_rows = !t; // neighbours in memory are neighbouring columns
    __device__ __forceinline__ float at(unsigned i, unsigned j) const {
        return i < rows && j < columns ? data[t ? (size_t)j * rows + i : (size_t)i * columns + j] : 0.0f;
    }
};

// P [batch, units q], P[i, j q + p] = dy[i, j] where p = index[i, j], else 0; `t`: its transpose is the factor.
template <bool t> struct Put {
    const float* dy;
    const float* index;
    unsigned batch, units, q;
    static const bool along_rows = !t;
    __device__ __forceinline__ float at(unsigned i, unsigned j) const {
        unsigned row = t ? j : i, column = t ? i : j;
        // No branches, so that all of a thread's loads are under way together, and its divisions of one column are one.
        unsigned group = column / q, unit = row * units + group;
        bool inside = row < batch & column < units * q;
        unit = inside ? unit : 0;
        float piece = index[unit], v = dy[unit];
        return inside & piece == (float)(column - group * q) ? v : 0.0f;
    }
};

// A thread's share of a T x K slice of a factor, fetched to registers: lanes run along memory.
// `major`: neighbours in memory are neighbours in the tile's long dimension T.
template <int T, int K, bool major> struct Slice {
    static const int each = T * K / 256;
    float v[each];
    template <class F, bool first> __device__ __forceinline__ void fetch(const F& f, unsigned t0, unsigned p0, unsigned end) {
#pragma unroll
        for (int r = 0; r < each; r++) {
            unsigned s = threadIdx.x + 256 * r;
            unsigned t = t0 + (major ? s % T : s / K), p = p0 + (major ? s / T : s % K);
            // Beyond the end of this part of k the factors count as zeros.
            float x = first ? f.at(t, p) : f.at(p, t);
            v[r] = p < end ? x : 0.0f;
        }
    }
    __device__ __forceinline__ void store(float (*tile)[T + 4]) const {
#pragma unroll
        for (int r = 0; r < each; r++) {
            unsigned s = threadIdx.x + 256 * r;
            tile[major ? s / T : s % K][major ? s % T : s / K] = v[r];
        }
    }
};

// sum += rows i0.. of A times columns j0.. of B over k = first..end, T x T for a block of 16 x 16 threads; a thread has rows
// 64 g + 4 ty + 0..3 and columns 64 g + 4 tx + 0..3 for g < T / 64. k goes in steps of K; the next step's words are fetched
// while this one is computed, into the other half of the tiles: one barrier per step, none after the last.
template <int T, int K, class A, class B>
__device__ __forceinline__ void multiply(const A& a, const B& b, unsigned i0, unsigned j0, unsigned first, unsigned end,
                                         float (*at)[K][T + 4], float (*bt)[K][T + 4], float (*sum)[T / 16]) {
    const int G = T / 64, R = T / 16;
    unsigned tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    Slice<T, K, !A::along_rows> sa;
    Slice<T, K, B::along_rows> sb;
    sa.template fetch<A, true>(a, i0, first, end);
    sb.template fetch<B, false>(b, j0, first, end);
    unsigned half = 0;
    for (unsigned p0 = first; p0 < end; p0 += K) {
        sa.store(at[half]);
        sb.store(bt[half]);
        __syncthreads();
        if (p0 + K < end) {
            sa.template fetch<A, true>(a, i0, p0 + K, end);
            sb.template fetch<B, false>(b, j0, p0 + K, end);
        }
#pragma unroll
        for (int p = 0; p < K; p++) {
            float4 x[G], y[G];
#pragma unroll
            for (int g = 0; g < G; g++) {
                x[g] = *(const float4*)&at[half][p][64 * g + 4 * ty];
                y[g] = *(const float4*)&bt[half][p][64 * g + 4 * tx];
            }
#pragma unroll
            for (int i = 0; i < R; i++) {
                float4 xi = x[i / 4];
                float xs = i % 4 == 0 ? xi.x : i % 4 == 1 ? xi.y : i % 4 == 2 ? xi.z : xi.w;
#pragma unroll
                for (int g = 0; g < G; g++) {
                    sum[i][4 * g] = fmaf(xs, y[g].x, sum[i][4 * g]);
                    sum[i][4 * g + 1] = fmaf(xs, y[g].y, sum[i][4 * g + 1]);
                    sum[i][4 * g + 2] = fmaf(xs, y[g].z, sum[i][4 * g + 2]);
                    sum[i][4 * g + 3] = fmaf(xs, y[g].w, sum[i][4 * g + 3]);
                }
            }
        }
        half ^= 1;
    }
}
