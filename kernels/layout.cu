// Movement without arithmetic, of row-major arrays of at most four dimensions.
//
// strided_v1: y[i0, i1, i2, i3] = x[offset + sum of i_d step_d]: transposition (permuted steps), slices (an offset),
//          broadcasts (steps 0). A thread per element of y.
// transpose_v2: the last two dimensions of [n, rows, columns] through a tile of 32 x 33 words in shared memory, so that
//          reads and writes both run along rows; the odd row length keeps a column in 32 banks.
// pad_v1, concat_v1: a thread per element of y.
// block:   256 threads
// bound:   memory, 8 bytes per element
// registers: 12 to 30 on sm_90
// speed:   not measured yet

struct View {
    unsigned shape[4]; // of y
    unsigned step[4];  // in x
    unsigned offset;
};

extern "C" __global__ void __launch_bounds__(256) strided_v1_f32(const float* x, float* y, View v, unsigned n) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= n) return;
    unsigned i3 = e % v.shape[3], rest = e / v.shape[3];
    unsigned i2 = rest % v.shape[2];
    rest /= v.shape[2];
    unsigned i1 = rest % v.shape[1], i0 = rest / v.shape[1];
    y[e] = x[v.offset + i0 * v.step[0] + i1 * v.step[1] + i2 * v.step[2] + i3 * v.step[3]];
}

// y [n, columns, rows] from x [n, rows, columns]; grid: columns / 32, rows / 32, n
extern "C" __global__ void __launch_bounds__(256) transpose_v2_f32(const float* x, float* y, unsigned rows, unsigned columns) {
    __shared__ float tile[32][33];
    unsigned column = blockIdx.x * 32 + threadIdx.x % 32, row = blockIdx.y * 32 + threadIdx.x / 32;
    size_t base = (size_t)blockIdx.z * rows * columns;
    for (unsigned i = 0; i < 32; i += 8)
        if (row + i < rows && column < columns)
            tile[threadIdx.x / 32 + i][threadIdx.x % 32] = x[base + (size_t)(row + i) * columns + column];
    __syncthreads();
    row = blockIdx.y * 32 + threadIdx.x % 32;
    column = blockIdx.x * 32 + threadIdx.x / 32;
    for (unsigned i = 0; i < 32; i += 8)
        if (row < rows && column + i < columns)
            y[base + (size_t)(column + i) * rows + row] = tile[threadIdx.x % 32][threadIdx.x / 32 + i];
}

struct Box {
    unsigned outer[4], inner[4], start[4];
};

// y [outer] = x [inner] from `start` on, 0 elsewhere
extern "C" __global__ void __launch_bounds__(256) pad_v1_f32(const float* x, float* y, Box b, unsigned n) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= n) return;
    unsigned rest = e, at = 0, step = 1;
    bool inside = true;
#pragma unroll
    for (int d = 3; d >= 0; d--) {
        unsigned i = rest % b.outer[d] - b.start[d]; // wraps to something large before the start
        rest /= b.outer[d];
        inside = inside && i < b.inner[d];
        at += i * step;
        step *= b.inner[d];
    }
    y[e] = inside ? x[at] : 0.0f;
}

// y rows of na + nb numbers: na of a, then nb of b
extern "C" __global__ void __launch_bounds__(256)
concat_v1_f32(const float* a, const float* b, float* y, unsigned na, unsigned nb, unsigned n) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= n) return;
    unsigned row = e / (na + nb), i = e % (na + nb);
    y[e] = i < na ? a[row * na + i] : b[row * nb + i - na];
}
