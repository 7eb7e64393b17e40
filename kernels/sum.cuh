// The sum over a block of 256 threads, in thread 0: by shuffles within each warp, then over the warps; always the same order.
__device__ __forceinline__ float block_sum(float sum, float* sums) {
    for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < 8 ? sums[threadIdx.x] : 0.0f;
        for (int step = 4; step > 0; step /= 2) sum += __shfl_down_sync(~0u, sum, step);
    }
    return sum;
}
