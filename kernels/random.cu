// Random numbers: element i is word i % 4 of block i / 4 of the stream.
//
// idea:    a thread makes one block of Philox, four neighbouring elements, and stores them as one vector
// block:   256 threads, 1024 elements; no shared memory
// bound:   uniform and bernoulli: about 60 integer instructions for 16 bytes, near the balance of memory and integer
//          arithmetic; normal: compute
// registers: 16 (uniform) to 23 (dropout) on sm_90
// speed:   not measured yet
// Shuffles of a whole data set stay on the host: they are drawn once per epoch, one exchange after another.

#include "math.cuh"
#include "random.cuh"

__device__ __forceinline__ void store4(float* out, unsigned n, unsigned i, float4 v) {
    if (i + 3 < n && ((size_t)out & 15) == 0) {
        *(float4*)(out + i) = v;
    } else {
        if (i < n) out[i] = v.x;
        if (i + 1 < n) out[i + 1] = v.y;
        if (i + 2 < n) out[i + 2] = v.z;
        if (i + 3 < n) out[i + 3] = v.w;
    }
}

// out[n] in [lo, hi), width = hi - lo, top the number below hi
extern "C" __global__ void __launch_bounds__(256)
uniform_v1_f32(const Control* control, unsigned stream, float lo, float width, float top, float* out, unsigned n) {
    unsigned block = blockIdx.x * 256 + threadIdx.x;
    if (4 * block < n)
        store4(out, n, 4 * block, uniform4(philox(control->key, block, stream, control->step), lo, width, top));
}

// out[n] of the given mean and standard deviation
extern "C" __global__ void __launch_bounds__(256)
normal_v1_f32(const Control* control, unsigned stream, float mean, float sd, float* out, unsigned n) {
    unsigned block = blockIdx.x * 256 + threadIdx.x;
    if (4 * block < n)
        store4(out, n, 4 * block, normal4(philox(control->key, block, stream, control->step), mean, sd));
}

// out[n] = value with probability threshold / 2^32, or always
extern "C" __global__ void __launch_bounds__(256)
bernoulli_v1_f32(const Control* control, unsigned stream, unsigned threshold, float value, int always, float* out, unsigned n) {
    unsigned block = blockIdx.x * 256 + threadIdx.x;
    if (4 * block < n)
        store4(out, n, 4 * block, bernoulli4(philox(control->key, block, stream, control->step), threshold, value, always));
}

// Dropout: y = x where the mask's draw keeps the element, times scale; else 0. The mask itself is not written: the
// backward pass draws it again from the same stream and step.
//
// idea:    one Philox block per float4; in place (y = x) is allowed
// bound:   memory, 8 bytes per element
extern "C" __global__ void __launch_bounds__(256)
dropout_v1_f32(const Control* control, unsigned stream, unsigned threshold, float scale, int always, const float* x, float* y, unsigned n) {
    unsigned block = blockIdx.x * 256 + threadIdx.x, i = 4 * block;
    if (i >= n) return;
    float4 mask = bernoulli4(philox(control->key, block, stream, control->step), threshold, scale, always);
    bool whole = i + 3 < n && ((size_t)x & 15) == 0;
    float4 v = whole ? *(const float4*)(x + i)
                     : make_float4(x[i], i + 1 < n ? x[i + 1] : 0.0f, i + 2 < n ? x[i + 2] : 0.0f, i + 3 < n ? x[i + 3] : 0.0f);
    store4(y, n, i, make_float4(v.x * mask.x, v.y * mask.y, v.z * mask.z, v.w * mask.w));
}
