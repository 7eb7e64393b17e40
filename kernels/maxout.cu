// Maxout (Goodfellow et al. 2013, equation 1): the largest of q consecutive pieces; the first of equals, and a NaN wins.
// x [b, u q], y and index [b, u]; indices are whole numbers stored as floats.
//
// v1: a thread per unit (forward) or per piece (put); neighbouring threads on neighbouring units, so that a warp's reads of
//     q words each lie in one stretch of memory
// block:   256 threads; no shared memory
// bound:   memory: forward 4 (q + 2) bytes per unit
// registers: 32 (forward), 12 (take, put) on sm_90
// speed:   not measured yet

__device__ __forceinline__ bool beats(float v, float best) {
    return v > best || (v != v && best == best);
}

// y and index of x + bias; without bias where it is null; y or index may be null.
extern "C" __global__ void __launch_bounds__(256)
maxout_v1_f32(const float* x, const float* bias, float* y, float* index, unsigned count, unsigned units, unsigned q) {
    unsigned i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    unsigned unit = i % units;
    float best = 0.0f;
    unsigned winner = 0;
    for (unsigned p = 0; p < q; p++) {
        float v = x[i * q + p];
        if (bias) v = v + bias[unit * q + p];
        if (p == 0 || beats(v, best)) {
            best = v;
            winner = p;
        }
    }
    if (y) y[i] = best;
    if (index) index[i] = (float)winner;
}

// y[j] = x[j q + index[j]]; an index that is no piece traps
extern "C" __global__ void __launch_bounds__(256)
take_v1_f32(const float* x, const float* index, float* y, unsigned count, unsigned q) {
    unsigned i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    unsigned p = (unsigned)index[i];
    if (!((float)p == index[i] && p < q)) __trap();
    y[i] = x[i * q + p];
}

// dx[j q + p] = dy[j] where p = index[j], else 0: the gradient of take
extern "C" __global__ void __launch_bounds__(256)
put_v1_f32(const float* dy, const float* index, float* dx, unsigned count, unsigned q) {
    unsigned i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count * q) return;
    unsigned unit = i / q;
    dx[i] = index[unit] == (float)(i % q) ? dy[unit] : 0.0f;
}
