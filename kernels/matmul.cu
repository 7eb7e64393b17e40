// Matrix products in f32: C[m,n] = op(A)[m,k] . op(B)[k,n], row-major; `t` in the name says that a factor is stored
// transposed. The four forms are closed under differentiation, so nothing is ever transposed in memory.
//
// Every element is one chain of fused multiply-adds over k = 0, 1, 2, ...: with gridDim.z = 1 all rungs give the CPU's bits.
// Otherwise k is cut into gridDim.z parts (split-K, for the thin products of a GAN step, which have too few tiles to fill
// a large device); each part's chain goes to `partial`, and the block that comes last to a tile adds the parts in order. Who
// is last varies, the order of the additions does not: the same bits every time. The cut must follow from the shape alone.
//
// v1_naive: a thread per element of C, everything from device memory.           256 threads
//          bound: loads; each operand is read n (or m) times
// v2_tiled: 32 x 32 of C per block, factors through 32 x 32 tiles in shared memory. 256 threads, 4 elements each, 8.25 KiB
//          bound: shared memory, 5 words per 4 multiply-adds
// v3_block: 64 x 64 of C per block, 4 x 4 per thread in registers, k in steps of 16; the next step's words are fetched
//          while this one is computed, into the other half of shared memory: one barrier per step.
//          256 threads, 17 KiB. For the thin shapes: 38 tiles of 100 x 1200, times the parts of k.
//          bound: compute for k of some hundred; 2 loads of 16 bytes per 16 multiply-adds
// v4_large: 128 x 128 of C per block, 8 x 8 per thread, k in steps of 8, double buffered as well. 256 threads, 16.5 KiB
//          For large products. bound: compute; 4 loads of 16 bytes per 64 multiply-adds
// The operand P = put(dy, index) of a maxout layer's gradients is read as dy and index (`put` in the name): four fifths of it
// are zeros that are never written to memory.
// registers: see `cargo xtask ptxas`
// speed:   not measured yet

// What happens to a sum on its way out; the arithmetic is not contracted, as on the CPU.
enum Finish { STORE, ACCUMULATE, BIAS, BIAS_RELU, MOMENTUM, MOMENTUM_ACCUMULATE };

struct Epilogue {
    unsigned finish;
    unsigned unused;
    const float* bias;     // [n]
    const float* grad;     // [m, n], an earlier part of the gradient
    float* param;          // [m, n]; C is its velocity
    const float* lr;       // one number on the device each
    const float* momentum;
};

struct Split {
    unsigned part;       // terms per part, a multiple of 16
    unsigned unused;
    float* partial;      // [parts, tiles, tile elements]
    unsigned* arrived;   // [tiles], zero before and after
};

// Up to four neighbouring numbers; all at once where they lie so.
__device__ __forceinline__ float4 load4(const float* x, unsigned count, bool aligned) {
    if (aligned) return *(const float4*)x;
    return make_float4(x[0], count > 1 ? x[1] : 0.0f, count > 2 ? x[2] : 0.0f, count > 3 ? x[3] : 0.0f);
}

__device__ __forceinline__ void store4(float* x, float4 v, unsigned count, bool aligned) {
    if (aligned) {
        *(float4*)x = v;
    } else {
        x[0] = v.x;
        if (count > 1) x[1] = v.y;
        if (count > 2) x[2] = v.z;
        if (count > 3) x[3] = v.w;
    }
}

__device__ __forceinline__ float4 add4(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__device__ __forceinline__ float relu(float v) {
    return v <= 0.0f ? 0.0f : v;
}

// `count` neighbouring sums of one row, the first at c[at] in column `column`.
__device__ __forceinline__ void finish(const Epilogue& e, float* c, size_t at, unsigned column, float4 ab, unsigned count, bool aligned) {
    if (e.finish == ACCUMULATE) ab = add4(load4(c + at, count, aligned), ab);
    if (e.finish == BIAS || e.finish == BIAS_RELU) ab = add4(ab, load4(e.bias + column, count, aligned));
    if (e.finish == BIAS_RELU) ab = make_float4(relu(ab.x), relu(ab.y), relu(ab.z), relu(ab.w));
    if (e.finish >= MOMENTUM) {
        if (e.finish == MOMENTUM_ACCUMULATE) ab = add4(load4(e.grad + at, count, aligned), ab);
        float4 v = load4(c + at, count, aligned);
        float lr = *e.lr, kept = *e.momentum;
        ab = make_float4(kept * v.x - lr * ab.x, kept * v.y - lr * ab.y, kept * v.z - lr * ab.z, kept * v.w - lr * ab.w);
        store4(e.param + at, add4(load4(e.param + at, count, aligned), ab), count, aligned);
    }
    store4(c + at, ab, count, aligned);
}

__device__ __forceinline__ void finish_one(const Epilogue& e, float* c, size_t at, unsigned column, float ab) {
    finish(e, c, at, column, make_float4(ab, 0.0f, 0.0f, 0.0f), 1, false);
}

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
        if (row >= batch || column >= units * q) return 0.0f;
        unsigned unit = row * units + column / q;
        return index[unit] == (float)(column % q) ? dy[unit] : 0.0f;
    }
};

template <bool ta, bool tb>
__device__ __forceinline__ void naive(const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue& e) {
    unsigned j = blockIdx.x * 32 + threadIdx.x % 32, i = blockIdx.y * 8 + threadIdx.x / 32;
    if (i >= m || j >= n) return;
    float sum = 0.0f;
    for (unsigned p = 0; p < k; p++)
        sum = fmaf(a[ta ? (size_t)p * m + i : (size_t)i * k + p], b[tb ? (size_t)j * k + p : (size_t)p * n + j], sum);
    finish_one(e, c, (size_t)i * n + j, j, sum);
}

template <bool ta, bool tb>
__device__ __forceinline__ void tiled(const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue& e) {
    __shared__ float at[32][33], bt[32][33]; // at[p][i], bt[p][j]
    Plain<ta> fa = {a, m, k};
    Plain<tb> fb = {b, k, n};
    unsigned x = threadIdx.x % 32, y = threadIdx.x / 32, i0 = blockIdx.y * 32, j0 = blockIdx.x * 32;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (unsigned p0 = 0; p0 < k; p0 += 32) {
#pragma unroll
        for (unsigned r = 0; r < 32; r += 8) { // lanes along memory, whichever way the factor lies
            if (ta) at[y + r][x] = fa.at(i0 + x, p0 + y + r);
            else at[x][y + r] = fa.at(i0 + y + r, p0 + x);
            if (tb) bt[x][y + r] = fb.at(p0 + x, j0 + y + r);
            else bt[y + r][x] = fb.at(p0 + y + r, j0 + x);
        }
        __syncthreads();
        unsigned last = min(32u, k - p0);
        for (unsigned p = 0; p < last; p++) {
            float v = bt[p][x];
#pragma unroll
            for (unsigned r = 0; r < 4; r++) sum[r] = fmaf(at[p][y + 8 * r], v, sum[r]);
        }
        __syncthreads();
    }
#pragma unroll
    for (unsigned r = 0; r < 4; r++) {
        unsigned i = i0 + y + 8 * r, j = j0 + x;
        if (i < m && j < n) finish_one(e, c, (size_t)i * n + j, j, sum[r]);
    }
}

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
            v[r] = p < end ? (first ? f.at(t, p) : f.at(p, t)) : 0.0f;
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

// Four neighbours of a row of sums.
__device__ __forceinline__ float4 quad(const float* row, int g) {
    return make_float4(row[4 * g], row[4 * g + 1], row[4 * g + 2], row[4 * g + 3]);
}

// Each row takes the place of the one before; registers cannot be indexed, but moved.
template <int R> __device__ __forceinline__ void rotate(float (*sum)[R]) {
#pragma unroll
    for (int j = 0; j < R; j++) {
        float first = sum[0][j];
#pragma unroll
        for (int i = 0; i + 1 < R; i++) sum[i][j] = sum[i + 1][j];
        sum[R - 1][j] = first;
    }
}

// T x T of C per block of 16 x 16 threads; a thread has rows and columns 4 (64 g + its place) + 0..3 for g < T / 64.
template <int T, int K, class A, class B>
__device__ __forceinline__ void blocked(const A& a, const B& b, float* c, unsigned m, unsigned n, unsigned k, const Split& split, const Epilogue& e) {
    __shared__ __align__(16) float at[2][K][T + 4], bt[2][K][T + 4];
    const int G = T / 64, R = 4 * G;
    unsigned tx = threadIdx.x % 16, ty = threadIdx.x / 16, i0 = blockIdx.y * T, j0 = blockIdx.x * T;
    unsigned first = blockIdx.z * split.part, end = min(first + split.part, k);
    Slice<T, K, !A::along_rows> sa;
    Slice<T, K, B::along_rows> sb;
    float sum[R][R];
#pragma unroll
    for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < R; j++) sum[i][j] = 0.0f;
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
    // Below, one row at a time passes through sum[0], so that long code is there once and not R times.
    bool parts = gridDim.z > 1;
    unsigned tiles = gridDim.x * gridDim.y, tile = blockIdx.y * gridDim.x + blockIdx.x;
    float4* mine = (float4*)(split.partial + (size_t)tile * T * T) + threadIdx.x;
    size_t step = (size_t)tiles * T * T / 4; // from a part to the next
    if (parts) {
        __shared__ bool last;
#pragma unroll 1
        for (int i = 0; i < R; i++) {
#pragma unroll
            for (int g = 0; g < G; g++) __stcg(mine + blockIdx.z * step + (i * G + g) * 256, quad(sum[0], g));
            rotate<R>(sum);
        }
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) {
            last = atomicAdd(split.arrived + tile, 1u) == gridDim.z - 1;
            if (last) split.arrived[tile] = 0; // ready for the next launch
        }
        __syncthreads();
        if (!last) return;
        __threadfence();
    }
    size_t pointers = (size_t)c | (size_t)e.bias | (size_t)e.grad | (size_t)e.param;
    bool aligned = n % 4 == 0 && (pointers & 15) == 0;
#pragma unroll 1
    for (int i = 0; i < R; i++) {
        unsigned row = i0 + 64 * (i / 4) + 4 * ty + i % 4;
#pragma unroll
        for (int g = 0; g < G; g++) {
            unsigned column = j0 + 64 * g + 4 * tx;
            if (row < m && column < n) {
                float4 ab = quad(sum[0], g);
                if (parts) {
                    ab = __ldcg(mine + (i * G + g) * 256);
                    for (unsigned z = 1; z < gridDim.z; z++) ab = add4(ab, __ldcg(mine + z * step + (i * G + g) * 256));
                }
                finish(e, c, (size_t)row * n + column, column, ab, min(4u, n - column), aligned);
            }
        }
        rotate<R>(sum);
    }
}

#define FORMS(MAKE) MAKE(nn, false, false) MAKE(tn, true, false) MAKE(nt, false, true) MAKE(tt, true, true)

#define V1(form, ta, tb)                                                                                                \
    extern "C" __global__ void __launch_bounds__(256) matmul_v1_naive_##form##_f32(                                     \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue e) {               \
        naive<ta, tb>(a, b, c, m, n, k, e);                                                                             \
    }
#define V2(form, ta, tb)                                                                                                \
    extern "C" __global__ void __launch_bounds__(256) matmul_v2_tiled_##form##_f32(                                     \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Epilogue e) {               \
        tiled<ta, tb>(a, b, c, m, n, k, e);                                                                             \
    }
#define V3(form, ta, tb)                                                                                                \
    extern "C" __global__ void __launch_bounds__(256, 2) matmul_v3_block_##form##_f32(                                     \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Split split, const Epilogue e) { \
        blocked<64, 16>(Plain<ta>{a, m, k}, Plain<tb>{b, k, n}, c, m, n, k, split, e);                                  \
    }
#define V4(form, ta, tb)                                                                                                \
    extern "C" __global__ void __launch_bounds__(256) matmul_v4_large_##form##_f32(                                     \
        const float* a, const float* b, float* c, unsigned m, unsigned n, unsigned k, const Split split, const Epilogue e) { \
        blocked<128, 8>(Plain<ta>{a, m, k}, Plain<tb>{b, k, n}, c, m, n, k, split, e);                                  \
    }
FORMS(V1)
FORMS(V2)
FORMS(V3)
FORMS(V4)

// dW [inputs, units q] = X^T . P, X [batch, inputs]
extern "C" __global__ void __launch_bounds__(256, 2) matmul_v3_put_tn_f32(
    const float* x, const float* dy, const float* index, float* c, unsigned inputs, unsigned batch, unsigned units, unsigned q,
    const Split split, const Epilogue e) {
    blocked<64, 16>(Plain<true>{x, inputs, batch}, Put<false>{dy, index, batch, units, q}, c, inputs, units * q, batch, split, e);
}

// dX [batch, inputs] = P . W^T, W [inputs, units q]
extern "C" __global__ void __launch_bounds__(256, 2) matmul_v3_put_nt_f32(
    const float* w, const float* dy, const float* index, float* c, unsigned inputs, unsigned batch, unsigned units, unsigned q,
    const Split split, const Epilogue e) {
    blocked<64, 16>(Put<false>{dy, index, batch, units, q}, Plain<true>{w, units * q, inputs}, c, batch, inputs, units * q, split, e);
}
