// Matrix products on tensor cores, from compute capability 8.0 on: C[m,n] = op(A)[m,k] . op(B)[k,n], factors f32 in memory,
// rounded to tf32 (10 bits of fraction) or bf16 (7 bits) on their way to shared memory, sums in f32. For
// `--precision tf32` and `bf16`; the order of the sums inside of an mma is the hardware's.
//
// v1_mma: 128 x 128 of C per block, 8 warps of 64 x 32 each: 4 x 4 products of 16 x 8, k in steps of 16 (tf32) or 32 (bf16)
//         numbers through shared memory, the next step fetched to registers meanwhile. Tiles lie [k, row] in words of one tf32
//         or two bf16, rows of 136 words: the 32 lanes of a fragment's load fall on 32 banks.
// block:  256 threads; shared memory 34 KiB
// bound:  tensor cores for large products; here still loads of single words from device memory, and no copy engine
// registers: 152 to 200 on sm_90
// speed:  not measured yet

#include "epilogue.cuh"
#include "tile.cuh"

// A word of a tile: one tf32, or two bf16 that are neighbours along k.
struct Tf32 {
    static const int packed = 1;
    __device__ __forceinline__ static unsigned pack(float a, float) {
        unsigned word;
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(a));
        return word;
    }
    __device__ __forceinline__ static void mma(float* d, const unsigned* a, const unsigned* b) {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
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
    __device__ __forceinline__ static void mma(float* d, const unsigned* a, const unsigned* b) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
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
__device__ __forceinline__ void tensor(const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue& e) {
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
                for (int j = 0; j < 4; j++) P::mma(sum[i][j], x[i], y[j]);
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

#define FORM(precision, P, form, ta, tb)                                                                                \
    extern "C" __global__ void __launch_bounds__(256, 1) matmul_v1_mma_##form##_##precision(                               \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue e) {               \
        tensor<P, ta, tb>(a, b, c, m, n, k, e);                                                                         \
    }
#define FORMS(precision, P)                                                                                             \
    FORM(precision, P, nn, false, false) FORM(precision, P, tn, true, false) FORM(precision, P, nt, false, true) FORM(precision, P, tt, true, true)
FORMS(tf32, Tf32)
FORMS(bf16, Bf16)
