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

// A thread's words of a T x K slice of a factor, on their way from memory to a tile: lanes run along memory.
// `major`: neighbours in memory are neighbours in the tile's long dimension T.
template <int T, int K, bool major> struct Held {
    static const int each = (T * K + 255) / 256;
    float v[each];
    // The r-th word is number (t, p); of a small slice not every thread has one.
    __device__ __forceinline__ static bool spot(int r, unsigned& t, unsigned& p) {
        unsigned s = threadIdx.x + 256 * r;
        t = major ? s % T : s / K;
        p = major ? s / T : s % K;
        return T * K % 256 == 0 || s < T * K;
    }
    __device__ __forceinline__ void store(float (*tile)[T + 4]) const {
#pragma unroll
        for (int r = 0; r < each; r++) {
            unsigned t, p;
            if (spot(r, t, p)) tile[p][t] = v[r];
        }
    }
};

// A thread's share of slices of a factor, whose first index runs along T where `first`, else along k. `begin` and then `fetch`
// have steps of k that follow one another, so that a factor may keep what it needs for the next one.
template <int T, int K, bool first, class F> struct Slice : Held<T, K, first != F::along_rows> {
    __device__ __forceinline__ void begin(const F&, unsigned, unsigned) {}
    __device__ __forceinline__ void fetch(const F& f, unsigned t0, unsigned p0, unsigned end) {
#pragma unroll
        for (int r = 0; r < this->each; r++) {
            unsigned t, p;
            this->spot(r, t, p);
            // Beyond the end of this part of k the factors count as zeros.
            float x = first ? f.at(t0 + t, p0 + p) : f.at(p0 + p, t0 + t);
            this->v[r] = p0 + p < end ? x : 0.0f;
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
    Slice<T, K, true, A> sa;
    Slice<T, K, false, B> sb;
    sa.begin(a, i0, first);
    sb.begin(b, j0, first);
    sa.fetch(a, i0, first, end);
    sb.fetch(b, j0, first, end);
    unsigned half = 0;
    for (unsigned p0 = first; p0 < end; p0 += K) {
        sa.store(at[half]);
        sb.store(bt[half]);
        __syncthreads();
        if (p0 + K < end) {
            sa.fetch(a, i0, p0 + K, end);
            sb.fetch(b, j0, p0 + K, end);
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
