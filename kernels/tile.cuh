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

// Where the block's tile of `high` rows and `wide` columns begins in a matrix of n columns: row and column. Tiles are counted along
// x alone, row by row, for y and z end at 65,535.
__device__ __forceinline__ uint2 tile_begin(unsigned high, unsigned wide, unsigned n) {
    unsigned columns = (n - 1) / wide + 1, row = blockIdx.x / columns;
    return make_uint2(row * high, (blockIdx.x - row * columns) * wide);
}

// A thread's words of a T x K slice of a factor, on their way from memory to a tile; a block has 2 T threads. Lanes run along
// memory, T or 8 of them: their stores fall on 32 banks.
// `major`: neighbours in memory are neighbours in the tile's long dimension T.
template <int T, int K, bool major> struct Held {
    static const int each = K / 2;
    float v[each];
    // The r-th word is number (t, p).
    __device__ __forceinline__ static void spot(int r, unsigned& t, unsigned& p) {
        t = major ? threadIdx.x % T : threadIdx.x / 8 + T / 4 * (r / (K / 8));
        p = major ? threadIdx.x / T + 2 * r : threadIdx.x % 8 + 8 * (r % (K / 8));
    }
    __device__ __forceinline__ void store(float (*tile)[T + 4]) const {
#pragma unroll
        for (int r = 0; r < each; r++) {
            unsigned t, p;
            spot(r, t, p);
            tile[p][t] = v[r];
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

// What lies in memory comes 16 bytes at a time where its rows begin at such: T / 4 lanes along memory, or 2, a sector, whose
// stores fall on 32 banks as well. Addresses move on by an addition.
template <int T, int K, bool first, bool transposed> struct Slice<T, K, first, Plain<transposed>> : Held<T, K, first == transposed> {
    static const bool major = first == transposed;
    static const int N = K / 8; // loads of 16 bytes
    const float* from;          // this thread's first word of the next step
    unsigned row;               // from a row in memory to the next
    int left;                   // of the factor from this thread's first t on
    bool wide;
    __device__ __forceinline__ unsigned t() const {
        return wide ? (major ? threadIdx.x % (T / 4) * 4 : threadIdx.x / 2) : (major ? threadIdx.x % T : threadIdx.x / 8);
    }
    __device__ __forceinline__ unsigned p() const {
        return wide ? (major ? threadIdx.x / (T / 4) : threadIdx.x % 2 * 4) : (major ? threadIdx.x / T : threadIdx.x % 8);
    }
    __device__ __forceinline__ void begin(const Plain<transposed>& f, unsigned t0, unsigned p0) {
        row = transposed ? f.rows : f.columns;
        wide = row % 4 == 0 && ((size_t)f.data & 15) == 0;
        left = (int)(first ? f.rows : f.columns) - (int)(t0 + t());
        size_t at_t = t0 + t(), at_p = p0 + p();
        from = f.data + (major ? at_p * row + at_t : at_t * row + at_p);
    }
    __device__ __forceinline__ void fetch(const Plain<transposed>&, unsigned, unsigned p0, unsigned end) {
        int terms = (int)(end - p0) - (int)p();
        float* v = this->v;
        if (wide) {
#pragma unroll
            for (int r = 0; r < N; r++) { // each 8 further along k
                float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
                if (left > 0 && terms > 8 * r) x = *(const float4*)(from + (major ? (size_t)(8 * r) * row : 8 * r));
                v[4 * r] = x.x, v[4 * r + 1] = x.y, v[4 * r + 2] = x.z, v[4 * r + 3] = x.w;
            }
        } else {
#pragma unroll
            for (int r = 0; r < 4 * N; r++) {
                int dt = major ? 0 : T / 4 * (r / N), dp = major ? 2 * r : 8 * (r % N);
                v[r] = left > dt && terms > dp ? from[major ? (size_t)dp * row : (size_t)dt * row + dp] : 0.0f;
            }
        }
        from += major ? (size_t)K * row : K;
    }
    __device__ __forceinline__ void store(float (*tile)[T + 4]) const {
        if (!wide) return Held<T, K, major>::store(tile);
        float* to = &tile[p()][t()];
        const float* v = this->v;
#pragma unroll
        for (int r = 0; r < N; r++) {
            if (major) {
                *(float4*)(to + 8 * r * (T + 4)) = make_float4(v[4 * r], v[4 * r + 1], v[4 * r + 2], v[4 * r + 3]);
            } else {
#pragma unroll
                for (int i = 0; i < 4; i++) to[(8 * r + i) * (T + 4)] = v[4 * r + i];
            }
        }
    }
};

// A thread's row and column among the quads of a tile, 16 to a row: a warp's lanes are 4 x 8, so that what they read of either
// strip is at most 128 bytes.
__device__ __forceinline__ uint2 seat() {
    unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return make_uint2(warp / 2 * 4 + lane / 8, warp % 2 * 8 + lane % 8);
}

// sum += rows i0.. of A times columns j0.. of B over k = first..end, T x T for a block of 2 T threads; that of seat (y, x) has
// rows T / 2 h + 4 y + 0..3 for h = 0, 1 and columns 64 g + 4 x + 0..3 for g < T / 64. k goes in steps of K; the next step's words
// are fetched while this one is computed, into the other half of the tiles: one barrier per step, none after the last.
template <int T, int K, class A, class B>
__device__ __forceinline__ void multiply(const A& a, const B& b, unsigned i0, unsigned j0, unsigned first, unsigned end, uint2 seat,
                                         float (*at)[K][T + 4], float (*bt)[K][T + 4], float (*sum)[T / 16]) {
    const int G = T / 64;
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
            float4 x[2], y[G];
#pragma unroll
            for (int h = 0; h < 2; h++) x[h] = *(const float4*)&at[half][p][T / 2 * h + 4 * seat.x];
#pragma unroll
            for (int g = 0; g < G; g++) y[g] = *(const float4*)&bt[half][p][64 * g + 4 * seat.y];
#pragma unroll
            for (int i = 0; i < 8; i++) {
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
