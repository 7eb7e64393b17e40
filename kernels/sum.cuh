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

// The sums of 32 columns over 8 rows of threads, in the first row; always the same order.
__device__ __forceinline__ float column_sum(float sum, float (*sums)[32]) {
    unsigned column = threadIdx.x % 32, row = threadIdx.x / 32;
    sums[row][column] = sum;
    for (unsigned half = 4; half > 0; half /= 2) {
        __syncthreads();
        if (row < half) sums[row][column] = sum += sums[row + half][column];
    }
    return sum;
}
