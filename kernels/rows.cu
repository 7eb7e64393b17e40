// Rows chosen by index: minibatches from a data set that lies on the device, and the adjoint.
//
// idea:    a thread per element, neighbouring threads along a row; an index that is no row traps
// block:   256 threads; no shared memory
// bound:   memory: 8 bytes per element (f32), 5 (u8)
// registers: 10 to 21 on sm_90
// speed:   not measured yet

__device__ __forceinline__ unsigned row_of(float index, unsigned rows) {
    unsigned row = (unsigned)index;
    if (!((float)row == index && row < rows)) __trap();
    return row;
}

// out[i, :] = data[index[i], :]; data [rows, width], index [count], out [count, width]
extern "C" __global__ void __launch_bounds__(256)
gather_rows_v1_f32(const float* data, const float* index, float* out, unsigned rows, unsigned width, unsigned count) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= count * width) return;
    unsigned i = e / width;
    out[e] = data[(size_t)row_of(index[i], rows) * width + e % width];
}

// The same with whole indices.
extern "C" __global__ void __launch_bounds__(256)
gather_rows_v1_u32_f32(const float* data, const unsigned* index, float* out, unsigned rows, unsigned width, unsigned count) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= count * width) return;
    unsigned row = index[e / width];
    if (row >= rows) __trap();
    out[e] = data[(size_t)row * width + e % width];
}

// The same from bytes, b / 255 scale + shift, each operation rounded: a data set of pixels takes a quarter of the memory.
extern "C" __global__ void __launch_bounds__(256)
gather_rows_v1_u8_f32(const unsigned char* data, const unsigned* index, float* out, unsigned rows, unsigned width, unsigned count,
                      float scale, float shift) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= count * width) return;
    unsigned row = index[e / width];
    if (row >= rows) __trap();
    out[e] = (float)data[(size_t)row * width + e % width] / 255.0f * scale + shift;
}

// out[r, :] = sum of dy[i, :] over the i with index[i] = r, in the order of i: a thread per element of out looks at all
// indices, so that the order is fixed without atomics.
extern "C" __global__ void __launch_bounds__(256)
scatter_rows_v1_f32(const float* dy, const float* index, float* out, unsigned rows, unsigned width, unsigned count) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= rows * width) return;
    float sum = 0.0f;
    for (unsigned i = 0; i < count; i++)
        if (row_of(index[i], rows) == e / width) sum += dy[i * width + e % width];
    out[e] = sum;
}
