// Products in f32 by blocks that keep a tile of C in registers.

#include "split.cuh"
#include "tile.cuh"

// T x T of a product per block of 2 T threads, rows from i0 on and columns from j0 on; its m rows are `rows` of C.
template <int T, int K, class A, class B, class Rows, class S>
__device__ __forceinline__ void blocked(const A& a, const B& b, unsigned i0, unsigned j0, const Rows& rows, float* c, unsigned m,
                                        unsigned n, unsigned k, const S& split, const Epilogue& e) {
    __shared__ __align__(16) float at[2][K][T + 4], bt[2][K][T + 4];
    uint2 mine = seat();
    unsigned first = blockIdx.z * split.part, end = min(first + split.part, k);
    float sum[8][T / 16];
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < T / 16; j++) sum[i][j] = 0.0f;
    multiply<T, K>(a, b, i0, j0, first, end, mine, at, bt, sum);
    conclude<T * T, 8, T / 64, T / 2, 64>(sum, i0 + 4 * mine.x, j0 + 4 * mine.y, rows, c, m, n, split, e, (unsigned*)at);
}
