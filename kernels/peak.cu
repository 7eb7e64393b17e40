// What a device can do at most: multiply-adds in registers and nothing else. No work, but the roof of a roofline.
//
// idea:    8 chains per thread hide the latency of a multiply-add; the result is written where nobody can foresee that it
//          is never asked for
// block:   256 threads; no shared memory
// bound:   compute: 16 flop per thread and step, no memory
// speed:   not measured yet

extern "C" __global__ void __launch_bounds__(256) fma_peak_v1_f32(float* out, unsigned steps) {
    float x[8];
#pragma unroll
    for (int i = 0; i < 8; i++) x[i] = 0.25f * (float)(threadIdx.x + i);
    for (unsigned s = 0; s < steps; s++) {
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = fmaf(x[i], 0.5f, 0.5f);
    }
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; i++) sum += x[i];
    out[blockIdx.x * 256 + threadIdx.x] = sum;
}
