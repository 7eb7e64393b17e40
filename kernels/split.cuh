// How a block's tile of sums gets out of its registers, and how k is cut (split-K) for the thin products of a GAN step, which
// have too few tiles to fill a large device: gridDim.z parts, whose sums go to `partial`, and the block that comes last to a
// tile adds the parts in order. Who is last varies, the order of the additions does not: the same bits every time. The cut
// must follow from the shape alone.

#include "epilogue.cuh"

struct Split {
    unsigned part;       // terms per part, a multiple of 16
    unsigned unused;
    float* partial;      // [parts, tiles, tile elements]
    unsigned* arrived;   // [tiles], zero before and after
};

// Four neighbours of a row of sums.
__device__ __forceinline__ float4 quad(const float* row, int g) {
    return make_float4(row[4 * g], row[4 * g + 1], row[4 * g + 2], row[4 * g + 3]);
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

// A tile of E sums. A thread has R rows of Q quads: rows `top` + H (i / 4) + i % 4 of the m, columns `left` + W g of the n.
// `last`: a word of shared memory that nobody needs after a barrier.
template <int E, int R, int Q, int H, int W, class Rows>
__device__ __forceinline__ void conclude(float (*sum)[4 * Q], unsigned top, unsigned left, const Rows& rows, float* c, unsigned m,
                                         unsigned n, const Split& split, const Epilogue& e, unsigned* last) {
    const int threads = E / (4 * R * Q);
    bool parts = gridDim.z > 1;
    unsigned tiles = gridDim.x * gridDim.y, tile = blockIdx.y * gridDim.x + blockIdx.x;
    float4* mine = (float4*)(split.partial + (size_t)tile * E) + threadIdx.x;
    size_t step = (size_t)tiles * E / 4; // from a part to the next
    if (parts) {
#pragma unroll
        for (int i = 0; i < R * Q; i++) __stcg(mine + blockIdx.z * step + i * threads, quad(sum[i / Q], i % Q));
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) {
            *last = atomicAdd(split.arrived + tile, 1u) == gridDim.z - 1;
            if (*last) split.arrived[tile] = 0; // ready for the next launch
        }
        __syncthreads();
        if (!*last) return;
        __threadfence();
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
            if (row < m && column < n) {
                float4 ab = quad(sum[0], g);
                if (parts) {
                    ab = __ldcg(mine + (i * Q + g) * threads);
                    for (unsigned z = 1; z < gridDim.z; z++) ab = add4(ab, __ldcg(mine + z * step + (i * Q + g) * threads));
                }
                finish(e, c, (size_t)rows.at(row) * n + column, column, ab, min(4u, n - column), aligned);
            }
        }
        rotate<R>(sum);
    }
}
