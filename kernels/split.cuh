// How a block's tile of sums gets out of its registers, and how k is cut (split-K) for the thin products of a GAN step, which
// have too few tiles to fill a large device: gridDim.z parts, whose sums go to `partial`, and the block that comes last to a
// tile adds the parts in order. Who is last varies, the order of the additions does not: the same bits every time. The cut
// must follow from the shape alone.

#include "epilogue.cuh"

struct Split {
    static const bool cuts = true;
    unsigned part;       // terms per part, a multiple of 16
    unsigned apart;      // where every part's sums go to `partial` as a matrix of their own, to be added up later: the rows of C; else 0
    float* partial;      // [parts, tiles, tile elements], or [parts, C]
    unsigned* arrived;   // [tiles], zero before and after
};

// The same of a kernel that never cuts: the code for it would take registers that are short there.
struct Whole : Split {
    static const bool cuts = false;
};

// Four neighbours of a row of sums.
__device__ __forceinline__ float4 quad(const float* row, int g) {
    return make_float4(row[4 * g], row[4 * g + 1], row[4 * g + 2], row[4 * g + 3]);
}

__device__ __forceinline__ void put(float* row, int g, float4 v) {
    row[4 * g] = v.x, row[4 * g + 1] = v.y, row[4 * g + 2] = v.z, row[4 * g + 3] = v.w;
}

// Each row takes the place of the one before; registers cannot be indexed, but moved.
template <int R, int N> __device__ __forceinline__ void rotate(float (*sum)[N]) {
#pragma unroll
    for (int j = 0; j < N; j++) {
        float first = sum[0][j];
#pragma unroll
        for (int i = 0; i + 1 < R; i++) sum[i][j] = sum[i + 1][j];
        sum[R - 1][j] = first;
    }
}

// Where a row of sums lies among the rows of C: where all rows of C are summed, at its own place.
struct InOrder {
    __device__ __forceinline__ unsigned at(unsigned row) const { return row; }
};

// Orders what this thread has seen of other blocks' memory; between barriers, what its whole block has.
__device__ __forceinline__ void fence() {
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
}

// A tile of E sums. A thread has R rows of Q quads: rows `top` + H (i / 4) + i % 4 of the m, columns `left` + W g of the n.
// `last`: a word of shared memory that nobody needs after a barrier.
template <int E, int R, int Q, int H, int W, class Rows, class S>
__device__ __forceinline__ void conclude(float (*sum)[4 * Q], unsigned top, unsigned left, const Rows& rows, float* c, unsigned m,
                                         unsigned n, const S& split, Epilogue e, unsigned* last) {
    const int threads = E / (4 * R * Q);
    if (S::cuts && gridDim.z > 1 && !split.apart) {
        unsigned tiles = gridDim.x * gridDim.y, tile = blockIdx.y * gridDim.x + blockIdx.x;
        float4* mine = (float4*)(split.partial + (size_t)tile * E) + threadIdx.x;
        size_t step = (size_t)tiles * E / 4; // from a part to the next
#pragma unroll
        for (int i = 0; i < R * Q; i++) __stcg(mine + blockIdx.z * step + i * threads, quad(sum[i / Q], i % Q));
        __syncthreads();
        if (threadIdx.x == 0) {
            fence();
            *last = atomicAdd(split.arrived + tile, 1u) == gridDim.z - 1;
            if (*last) split.arrived[tile] = 0; // ready for the next launch
            fence();
        }
        __syncthreads();
        if (!*last) return;
        // Part by part, so that all words of one are on their way together; each sum adds them in their order.
#pragma unroll
        for (int i = 0; i < R * Q; i++) put(sum[i / Q], i % Q, __ldcg(mine + i * threads));
#pragma unroll 1
        for (unsigned z = 1; z < gridDim.z; z++) {
            mine += step;
#pragma unroll
            for (int i = 0; i < R * Q; i++) put(sum[i / Q], i % Q, add4(quad(sum[i / Q], i % Q), __ldcg(mine + i * threads)));
        }
    }
    if (S::cuts && split.apart) {
        e.finish = STORE;
        c = split.partial + (size_t)blockIdx.z * split.apart * n;
    }
    size_t pointers = (size_t)c | (size_t)e.bias | (size_t)e.other | (size_t)e.param;
    bool aligned = n % 4 == 0 && (pointers & 15) == 0;
    // One row at a time passes through sum[0], so that long code is there once and not R times.
#pragma unroll 1
    for (int i = 0; i < R; i++) {
        unsigned row = top + H * (i / 4) + i % 4;
#pragma unroll
        for (int g = 0; g < Q; g++) {
            unsigned column = left + W * g;
            if (row < m && column < n)
                finish(e, c, (size_t)rows.at(row) * n + column, column, quad(sum[0], g), min(4u, n - column), aligned);
        }
        rotate<R>(sum);
    }
}
