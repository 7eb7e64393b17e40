// Products in f32 by blocks that keep a tile of C in registers.

#include "split.cuh"
#include "tile.cuh"

// T x T of a product per block, rows from i0 on and columns from j0 on; its m rows are `rows` of C.
template <int T, int K, class A, class B, class Rows>
__device__ __forceinline__ void blocked(const A& a, const B& b, unsigned i0, unsigned j0, const Rows& rows, float* c, unsigned m,
                                        unsigned n, unsigned k, const Split& split, const Epilogue& e) {
    __shared__ __align__(16) float at[2][K][T + 4], bt[2][K][T + 4];
    const int G = T / 64, R = 4 * G;
    unsigned tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    unsigned first = blockIdx.z * split.part, end = min(first + split.part, k);
    float sum[R][R];
#pragma unroll
    for (int i = 0; i < R; i++)
#pragma unroll
        for (int j = 0; j < R; j++) sum[i][j] = 0.0f;
    multiply<T, K>(a, b, i0, j0, first, end, at, bt, sum);
    conclude<T * T, R, G, 64, 64>(sum, i0 + 4 * ty, j0 + 4 * tx, rows, c, m, n, split, e, (unsigned*)at);
}
