// Matrix products on tensor cores, from compute capability 8.0 on: C[m,n] = op(A)[m,k] . op(B)[k,n], factors f32 in memory,
// rounded to tf32 (10 bits of fraction) or bf16 (7 bits) on their way to the tensor cores, sums in f32. For
// `--precision tf32` and `bf16`; the order of the sums inside of an mma is the hardware's.
//
// v1_mma:   128 x 128 of C per block, 8 warps of 64 x 32 each, k in steps of 16 (tf32) or 32 (bf16), factors word by word
//           through registers, where they are rounded, to the other half of shared memory. Tiles lie [k, row], rows of 136
//           words: the 32 lanes of a fragment's load fall on 32 banks. One form only: it is there to be read.
//           256 threads, 34 KiB. bound: loads of single words, 24 from shared memory per 16 mma
// v2_block: 64 x 64 of C per block, 4 warps of 32 x 32 each, k in steps of 32. Factors are copied as they lie by cp.async, 16
//           bytes at a time where rows begin so, two steps ahead: three tiles of each, one barrier per step. A lane loads 16
//           bytes of a tile at once, since which k an mma takes for its own is free where both factors agree; it rounds them
//           then. k is cut into parts: see split.cuh. For the thin shapes of a GAN step.
//           128 threads, 48 KiB. bound: all that is no mma; 16 loads of 16 bytes per 32 mma of tf32 or 16 of bf16
// v3_large: 128 x 128 of C per block, 64 x 64 per warp, k in steps of 16; for large products. 128 threads, 48 KiB.
//           bound: as before, with 16 loads of 16 bytes per 64 mma of tf32 or 32 of bf16
// The operand P = put(dy, index) of a maxout layer's gradients is read as dy and index (`put` in the name), through registers.
// Each element has the same sums in the same order in v2, v3 and put: which of them runs does not change the bits.
// registers: 173 to 175 (v1), 136 (v2), 159 to 168 (put), 246 (v3) on sm_90
// speed:     not measured yet

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

const int ROW = 136; // words of a tile's row of 128

// A thread's share of 16 rows of words of a factor: 8 words.
template <class P, bool major, bool first, class F> struct Words {
    unsigned word[8];
    __device__ __forceinline__ void fetch(const F& f, unsigned t0, unsigned p0, unsigned k) {
#pragma unroll
        for (int r = 0; r < 8; r++) {
            unsigned s = threadIdx.x + 256 * r, t = t0 + (major ? s % 128 : s / 16), p = p0 + P::packed * (major ? s / 128 : s % 16);
            float a = p < k ? (first ? f.at(t, p) : f.at(p, t)) : 0.0f;
            float b = P::packed == 2 && p + 1 < k ? (first ? f.at(t, p + 1) : f.at(p + 1, t)) : 0.0f;
            word[r] = P::pack(a, b);
        }
    }
    __device__ __forceinline__ void store(unsigned (*tile)[ROW]) const {
#pragma unroll
        for (int r = 0; r < 8; r++) {
            unsigned s = threadIdx.x + 256 * r;
            tile[major ? s / 128 : s % 16][major ? s % 128 : s / 16] = word[r];
        }
    }
};

template <class P, bool ta, bool tb>
__device__ __forceinline__ void simple(const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue& e) {
    __shared__ unsigned at[2][16][ROW], bt[2][16][ROW];
    Plain<ta> fa = {a, m, k};
    Plain<tb> fb = {b, k, n};
    unsigned i0 = blockIdx.y * 128, j0 = blockIdx.x * 128, warp = threadIdx.x / 32;
    unsigned group = threadIdx.x % 32 / 4, member = threadIdx.x % 4, wi = warp / 4 * 64, wj = warp % 4 * 32;
    float sum[4][4][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int r = 0; r < 4; r++) sum[i][j][r] = 0.0f;
    Words<P, ta, true, Plain<ta>> wa;
    Words<P, !tb, false, Plain<tb>> wb;
    const unsigned step = 16 * P::packed;
    wa.fetch(fa, i0, 0, k);
    wb.fetch(fb, j0, 0, k);
    unsigned half = 0;
    for (unsigned p0 = 0; p0 < k; p0 += step) {
        wa.store(at[half]);
        wb.store(bt[half]);
        __syncthreads();
        if (p0 + step < k) {
            wa.fetch(fa, i0, p0 + step, k);
            wb.fetch(fb, j0, p0 + step, k);
        }
#pragma unroll
        for (int p = 0; p < 16; p += 8) {
            unsigned x[4][4], y[4][2];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                unsigned row = wi + 16 * i + group;
                x[i][0] = at[half][p + member][row];
                x[i][1] = at[half][p + member][row + 8];
                x[i][2] = at[half][p + member + 4][row];
                x[i][3] = at[half][p + member + 4][row + 8];
            }
#pragma unroll
            for (int j = 0; j < 4; j++) {
                unsigned column = wj + 8 * j + group;
                y[j][0] = bt[half][p + member][column];
                y[j][1] = bt[half][p + member + 4][column];
            }
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) P::mma(sum[i][j][0], sum[i][j][1], sum[i][j][2], sum[i][j][3], x[i], y[j]);
        }
        half ^= 1;
    }
    // One block of rows at a time passes through sum[0], so that the epilogue is there once.
#pragma unroll 1
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int r = 0; r < 4; r += 2) {
                unsigned row = i0 + wi + 16 * i + group + 4 * r, column = j0 + wj + 8 * j + 2 * member;
                float4 two = make_float4(sum[0][j][r], sum[0][j][r + 1], 0.0f, 0.0f);
                if (row < m && column < n) finish(e, c, (size_t)row * n + column, column, two, min(2u, n - column), false);
            }
#pragma unroll
        for (int r = 0; r < 3; r++)
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int v = 0; v < 4; v++) sum[r][j][v] = sum[r + 1][j][v];
    }
}

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

// T x T of C per block, a quarter of it per warp.
template <class P, int T, class A, class B>
__device__ __forceinline__ void tensor(const A& a, const B& b, float* c, unsigned m, unsigned n, unsigned k, const Split& split, const Epilogue& e) {
    __shared__ __align__(16) float at[3 * WORDS], bt[3 * WORDS];
    const int K = WORDS / T, R = T / 16;
    const bool major_a = Share<T, true, A>::major, major_b = Share<T, false, B>::major;
    unsigned i0 = blockIdx.y * T, j0 = blockIdx.x * T, begin = blockIdx.z * split.part, end = min(begin + split.part, k);
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
    conclude<T, R / 2, 32, 16>(sum, i0 + wi + quad, j0 + wj + 4 * member, c, m, n, split, e, (unsigned*)at);
}

#define FORMS(MAKE, precision, P)                                                                                       \
    MAKE(precision, P, nn, false, false) MAKE(precision, P, tn, true, false) MAKE(precision, P, nt, false, true) MAKE(precision, P, tt, true, true)

#define V1(precision, P, form, ta, tb)                                                                                  \
    extern "C" __global__ void __launch_bounds__(256, 1) matmul_v1_mma_##form##_##precision(                               \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue e) {               \
        simple<P, ta, tb>(a, b, c, m, n, k, e);                                                                         \
    }
#define V2(precision, P, form, ta, tb)                                                                                  \
    extern "C" __global__ void __launch_bounds__(128, 3) matmul_v2_block_##form##_##precision(                             \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Split split, const Epilogue e) { \
        tensor<P, 64>(Plain<ta>{a, m, k}, Plain<tb>{b, k, n}, c, m, n, k, split, e);                                    \
    }
#define V3(precision, P, form, ta, tb)                                                                                  \
    extern "C" __global__ void __launch_bounds__(128, 2) matmul_v3_large_##form##_##precision(                             \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Split split, const Epilogue e) { \
        tensor<P, 128>(Plain<ta>{a, m, k}, Plain<tb>{b, k, n}, c, m, n, k, split, e);                                   \
    }
V1(tf32, Tf32, nn, false, false)
V1(bf16, Bf16, nn, false, false)
FORMS(V2, tf32, Tf32)
FORMS(V2, bf16, Bf16)
FORMS(V3, tf32, Tf32)
FORMS(V3, bf16, Bf16)

// The gradients of a maxout layer, as in matmul.cu: dW = X^T . P and dX = P . W^T.
#define PUT(precision, P)                                                                                               \
    extern "C" __global__ void __launch_bounds__(128, 3) matmul_v2_put_tn_##precision(                                     \
        const float* x, const float* dy, const float* index, float* c, unsigned inputs, unsigned batch, unsigned units, \
        unsigned q, const Split split, const Epilogue e) {                                                              \
        tensor<P, 64>(Plain<true>{x, inputs, batch}, Put<false>{dy, index, batch, units, q}, c, inputs, units * q, batch, split, e); \
    }                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(128, 3) matmul_v2_put_nt_##precision(                                     \
        const float* w, const float* dy, const float* index, float* c, unsigned inputs, unsigned batch, unsigned units, \
        unsigned q, const Split split, const Epilogue e) {                                                              \
        tensor<P, 64>(Put<false>{dy, index, batch, units, q}, Plain<true>{w, units * q, inputs}, c, batch, inputs, units * q, split, e); \
    }
PUT(tf32, Tf32)
PUT(bf16, Bf16)
