// Products on tensor cores: rounding, copies to shared memory beside the computation, and the product of two strips.

#include "split.cuh"
#include "tile.cuh"

// A word of a tile: one tf32, or two bf16 that are neighbours along k.
struct Tf32 {
    static const int packed = 1;
    // As cvt.rna.tf32.f32, which takes longer: half a unit in the last place is added, and mma ignores the bits behind it. No
    // sum of integers, which would make numbers of some NaNs.
    __device__ __forceinline__ static unsigned pack(float a, float) {
        float power = __uint_as_float(__float_as_uint(a) & 0xff800000);
        return __float_as_uint(fmaf(power, 1.0f / 2048, a));
    }
    __device__ __forceinline__ static void mma(float& d0, float& d1, float& d2, float& d3, const unsigned* a, const unsigned* b) {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
};

struct Bf16 {
    static const int packed = 2;
    __device__ __forceinline__ static unsigned pack(float a, float b) {
        unsigned word;
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(b), "f"(a));
        return word;
    }
    __device__ __forceinline__ static void mma(float& d0, float& d1, float& d2, float& d3, const unsigned* a, const unsigned* b) {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(d0), "+f"(d1), "+f"(d2), "+f"(d3)
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
    }
};

// Addresses in shared memory are of 32 bits.
__device__ __forceinline__ unsigned shared(const float* x) {
    return (unsigned)__cvta_generic_to_shared(x);
}

// Copies `words` neighbouring words to shared memory while the thread goes on; zeros where they are not inside the factor.
template <int words> __device__ __forceinline__ void copy(unsigned to, const float* from, bool inside) {
    unsigned bytes = inside ? 4 * words : 0;
    if (words == 4)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}

// 16 bytes of shared memory at once.
__device__ __forceinline__ float4 load(unsigned from) {
    float4 v;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(from) : "memory");
    return v;
}

// Copies so far are one group; those of all groups but the latest have arrived.
__device__ __forceinline__ void copies_end() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
__device__ __forceinline__ void copies_arrive() {
    asm volatile("cp.async.wait_group 1;" ::: "memory");
}

const int WORDS = 2048; // of a tile: T x K

// Where number (t, p) of a tile T x K lies. `major`: neighbours in memory are neighbours along T, else along k, 16 of them to a
// row. Rows have no padding: some bits of t change places instead, so that the 8 lanes of each quarter of a load or store of
// 16 bytes fall on all 32 banks.
template <int T, bool major> __device__ __forceinline__ unsigned place(unsigned t, unsigned p) {
    if (major) return p * T + (t ^ (p & 12));
    return p / 16 * 16 * T + (t ^ (t >> 4 & 1)) * 16 + p % 16;
}

// The r-th `words` neighbours of a tile that are this thread's to bring: lanes run along memory.
template <int T, bool major, int words> __device__ __forceinline__ void spot(int r, unsigned& t, unsigned& p) {
    unsigned s = words * (threadIdx.x + 128 * r);
    t = major ? s % T : s / 16 % T;
    p = major ? s / T : s / (16 * T) * 16 + s % 16;
}

// A thread's share of a tile of a factor, whose first index runs along T where `first`, else along k. What has to be computed
// is fetched to registers and stored from there.
template <int T, bool first, class F> struct Share {
    static const bool major = first != F::along_rows;
    float v[16];
    __device__ __forceinline__ void begin(const F&, unsigned, unsigned) {}
    __device__ __forceinline__ void fetch(const F& f, float*, unsigned t0, unsigned p0, unsigned end) {
#pragma unroll
        for (int r = 0; r < 16; r++) {
            unsigned t, p;
            spot<T, major, 1>(r, t, p);
            float x = first ? f.at(t0 + t, p0 + p) : f.at(p0 + p, t0 + t);
            v[r] = p0 + p < end ? x : 0.0f;
        }
    }
    __device__ __forceinline__ void store(float* tile) const {
#pragma unroll
        for (int r = 0; r < 16; r++) {
            unsigned t, p;
            spot<T, major, 1>(r, t, p);
            tile[place<T, major>(t, p)] = v[r];
        }
    }
};

// What lies in memory is copied, 16 bytes at a time where its rows begin at such.
template <int T, bool first, bool transposed> struct Share<T, first, Plain<transposed>> {
    static const bool major = first == transposed;
    __device__ __forceinline__ void begin(const Plain<transposed>&, unsigned, unsigned) {}
    __device__ __forceinline__ void fetch(const Plain<transposed>& f, float* tile, unsigned t0, unsigned p0, unsigned end) {
        unsigned row = transposed ? f.rows : f.columns, length = first ? f.rows : f.columns;
        if (row % 4 == 0 && ((size_t)f.data & 15) == 0) copies<4>(f.data, tile, t0, p0, row, length, end);
        else copies<1>(f.data, tile, t0, p0, row, length, end);
    }
    template <int words>
    __device__ __forceinline__ void copies(const float* data, float* tile, unsigned t0, unsigned p0, unsigned row, unsigned length, unsigned end) {
        unsigned t, p;
        spot<T, major, words>(0, t, p);
        unsigned to = place<T, major>(t, p);
        t += t0;
        p += p0;
        const float* from = data + (major ? p * row + t : t * row + p);
        // spot and place of r are those of 0 and a distance.
#pragma unroll(words == 4 ? 4 : 1)
        for (int r = 0; r < 16 / words; r++) {
            unsigned dt = major ? 0 : r * 8 * words % T, dp = major ? r * 128 * words / T : r * 8 * words / T * 16;
            unsigned place_r = major ? (to ^ (dp & 12)) + dp * T : (to ^ (dt & 16)) + dt * 16 + dp * T;
            copy<words>(shared(tile) + 4 * place_r, from + (major ? dp * row : dt * row + dp), t + dt < length && p + dp < end);
        }
    }
    __device__ __forceinline__ void store(float*) const {}
};

// Where a lane's numbers begin in a tile, in bytes: those of rows t, t + 2 and, one row less, those of rows t + 1, t + 3.
template <int T, bool major> __device__ __forceinline__ uint2 seats(unsigned t, unsigned member) {
    unsigned even = place<T, major>(t, 4 * member);
    return make_uint2(4 * even, 4 * (major ? even : place<T, major>(t + 1, 4 * member) - 16));
}

// A lane's part of 16 terms of T / 2 rows of a tile (columns, of B), rounded: rows t + 32 h + 0..3, and k = 4 member + 0..3. So
// mma's k are others than memory's, in the same way for both factors.
template <class P, int T, bool major>
__device__ __forceinline__ void fragments(unsigned tile, uint2 seat, unsigned (*word)[4 / P::packed]) {
#pragma unroll
    for (int h = 0; h < T / 64; h++) {
        float x[4][4];
#pragma unroll
        for (int q = 0; q < 4; q++) {
            float4 v = load(tile + (q % 2 ? seat.y : seat.x) + 4 * (major ? 32 * h + q * T : (32 * h + q) * 16));
            x[major ? 0 : q][major ? q : 0] = v.x;
            x[major ? 1 : q][major ? q : 1] = v.y;
            x[major ? 2 : q][major ? q : 2] = v.z;
            x[major ? 3 : q][major ? q : 3] = v.w;
        }
#pragma unroll
        for (int r = 0; r < 4; r++)
#pragma unroll
            for (int i = 0; i < 4; i += P::packed) word[4 * h + r][i / P::packed] = P::pack(x[r][i], x[r][i + P::packed - 1]);
    }
}

// T x T of a product per block, a quarter of it per warp, rows from i0 on and columns from j0 on; its m rows are `rows` of C.
template <class P, int T, class A, class B, class Rows, class S>
__device__ __forceinline__ void tensor(const A& a, const B& b, unsigned i0, unsigned j0, const Rows& rows, float* c, unsigned m,
                                       unsigned n, unsigned k, const S& split, const Epilogue& e) {
    __shared__ __align__(16) float at[3 * WORDS], bt[3 * WORDS];
    const int K = WORDS / T, R = T / 16;
    const bool major_a = Share<T, true, A>::major, major_b = Share<T, false, B>::major;
    unsigned begin = blockIdx.z * split.part, end = min(begin + split.part, k);
    unsigned warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
    unsigned wi = warp / 2 * (T / 2), wj = warp % 2 * (T / 2), quad = 4 * (group / 2) + 16 * (group % 2);
    uint2 ax = seats<T, major_a>(wi + quad, member), by = seats<T, major_b>(wj + quad, member);
    float sum[R][2 * R];
#pragma unroll
    for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < 2 * R; j++) sum[i][j] = 0.0f;
    Share<T, true, A> sa;
    Share<T, false, B> sb;
    sa.begin(a, i0, begin);
    sb.begin(b, j0, begin);
    // Two steps ahead of what is computed: the first two turns only fetch.
    unsigned now = WORDS, next = 0;
    for (unsigned ahead = begin; ahead < end + 2 * K; ahead += K) {
        bool computes = ahead >= begin + 2 * K, fetches = ahead < end;
        if (computes) {
            copies_arrive();
            __syncthreads();
        }
        if (fetches) {
            sa.fetch(a, at + next, i0, ahead, end);
            sb.fetch(b, bt + next, j0, ahead, end);
        }
        copies_end();
        if (computes) {
#pragma unroll
            for (int p = 0; p < K; p += 16) {
                unsigned x[R][4 / P::packed], y[R][4 / P::packed];
                fragments<P, T, major_a>(shared(at) + 4 * (now + p * T), ax, x);
                fragments<P, T, major_b>(shared(bt) + 4 * (now + p * T), by, y);
#pragma unroll
                for (int w = 0; w < 4 / P::packed; w += 2)
#pragma unroll
                    for (int i = 0; i < R; i += 2)
#pragma unroll
                        for (int j = 0; j < R; j++) {
                            unsigned four[4] = {x[i][w], x[i + 1][w], x[i][w + 1], x[i + 1][w + 1]}, two[2] = {y[j][w], y[j][w + 1]};
                            int g = j / 4 * 8 + j % 4; // a member's columns are four neighbours, 16 further, and so on
                            P::mma(sum[i][g], sum[i][g + 4], sum[i + 1][g], sum[i + 1][g + 4], four, two);
                        }
            }
        }
        if (fetches) {
            sa.store(at + next);
            sb.store(bt + next);
        }
        now = now == 2 * WORDS ? 0 : now + WORDS;
        next = next == 2 * WORDS ? 0 : next + WORDS;
    }
    conclude<T * T, R, R / 2, 32, 16>(sum, i0 + wi + quad, j0 + wj + 4 * member, rows, c, m, n, split, e, (unsigned*)at);
}
