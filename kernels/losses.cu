// GAN losses from logits, their gradients in the same launch.
//
// loss = weight * mean softplus(s a), s = +1 or -1; dloss/da = s weight / n * sigmoid(s a)
// D: -log D(x) is softplus(-real), -log(1 - D(G(z))) is softplus(fake). G: -log D(G(z)) is softplus(-fake).
//
// idea:    a batch has some hundred logits: one block does it all; each thread sums its own, then a tree in fixed order
// block:   256 threads; shared memory: 32 bytes
// bound:   latency of one launch
// registers: 26 on sm_90
// speed:   not measured yet

#include "math.cuh"

// The sum over the block, in thread 0.
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

__device__ __forceinline__ float softplus_and_slope(const float* a, float* da, unsigned n, float s, float slope) {
    float sum = 0.0f;
    for (unsigned i = threadIdx.x; i < n; i += 256) {
        float x = s * a[i];
        sum += softplus_f32(x);
        if (da) da[i] = slope * sigmoid_f32(x);
    }
    return sum;
}

// D's loss: weight (mean softplus(-real) + mean softplus(fake)); real, fake [n], loss [1]
extern "C" __global__ void __launch_bounds__(256)
discriminator_loss_v1_f32(const float* real, const float* fake, unsigned n, float weight, float* loss, float* dreal, float* dfake) {
    __shared__ float sums[8];
    float sum = softplus_and_slope(real, dreal, n, -1.0f, -weight / (float)n)
              + softplus_and_slope(fake, dfake, n, 1.0f, weight / (float)n);
    sum = block_sum(sum, sums);
    if (threadIdx.x == 0) *loss = weight * (sum / (float)n);
}

// G's loss: weight * mean softplus(s fake); non-saturating: s = -1, weight 1; minimax: s = 1, weight -1
extern "C" __global__ void __launch_bounds__(256)
generator_loss_v1_f32(const float* fake, unsigned n, float s, float weight, float* loss, float* dfake) {
    __shared__ float sums[8];
    float sum = block_sum(softplus_and_slope(fake, dfake, n, s, s * weight / (float)n), sums);
    if (threadIdx.x == 0) *loss = weight * (sum / (float)n);
}
