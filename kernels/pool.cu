// Images [n, h, w, channels] under windows and at other sizes: pooling, interpolation, their adjoints, maxima.
//
// resample: sums and means over windows and linear interpolation are separable: position `to` along an axis draws on a run of
//     sources, each with a weight, and the weight of a pixel is that of its row times that of its column. One kernel computes
//     them and their adjoints. Runs and weights are found from integers, as on the CPU: the same bits.
// arg_max, take, put: the cell of each window's maximum (the first of equals; a NaN wins), the number in that cell, and
//     the adjoint, which looks at all windows over a pixel, so that the order of its sum is fixed without atomics.
// v1:      a thread per number of the result, neighbouring threads on neighbouring channels
// block:   256 threads; no shared memory
// bound:   memory: each number of the image is read by the windows that it lies in, mostly from the caches
// registers: see kernels/ptx/resources.txt
// speed:   not measured yet

enum Taps { WINDOW, LINEAR };
enum Divisor { ONE, KERNEL, INSIDE };

struct Axis {
    unsigned taps, kernel, stride, pad, divisor, image, result, is_adjoint;
};

struct Run {
    unsigned first, end;
};

__device__ __forceinline__ unsigned minus(unsigned a, unsigned b) { return a > b ? a - b : 0; }

// The pixel at or before the centre of result i; `rest`: how far behind it that lies, in parts of which 2 result make a pixel.
__device__ __forceinline__ unsigned between(const Axis& s, unsigned i, unsigned& rest) {
    unsigned long long at = (2ull * i + 1) * s.image, whole = 2ull * s.result;
    at = at > s.result ? at - s.result : 0;
    unsigned long long first = at / whole;
    rest = first < s.image ? (unsigned)(at % whole) : 0;
    return first < s.image ? (unsigned)first : s.image - 1;
}

// The pixels that result i draws on.
__device__ __forceinline__ Run pixels(const Axis& s, unsigned i) {
    if (s.taps == LINEAR) {
        unsigned rest, first = between(s, i, rest);
        return {first, first + 1 + (rest > 0 && first + 1 < s.image)};
    }
    unsigned start = i * s.stride, end = min(minus(start + s.kernel, s.pad), s.image);
    return {min(minus(start, s.pad), end), end};
}

// The results that draw on pixel a.
__device__ __forceinline__ Run results(const Axis& s, unsigned a) {
    unsigned first, end;
    if (s.taps == LINEAR) {
        unsigned long long below = (2ull * a - 1) * s.result / s.image;
        unsigned long long above = ((2ull * a + 3) * s.result + s.image - 1) / s.image;
        first = a == 0 ? 0 : (unsigned)((below + 1) / 2);
        end = a + 1 < s.image ? (unsigned)(above / 2) : s.result;
    } else {
        unsigned last = a + s.pad;
        first = (minus(last + 1, s.kernel) + s.stride - 1) / s.stride;
        end = last / s.stride + 1;
    }
    end = min(end, s.result);
    return {min(first, end), end};
}

// The weight of pixel a in result i.
__device__ __forceinline__ float weight_of(const Axis& s, unsigned i, unsigned a) {
    if (s.taps == LINEAR) {
        unsigned rest, first = between(s, i, rest), whole = 2 * s.result;
        if (first + 1 >= s.image) return 1.0f;
        return (float)(a == first ? whole - rest : rest) / (float)whole;
    }
    if (s.divisor == ONE) return 1.0f;
    if (s.divisor == KERNEL) return 1.0f / (float)s.kernel;
    Run run = pixels(s, i);
    return 1.0f / (float)(run.end - run.first);
}

__device__ __forceinline__ Run sources(const Axis& s, unsigned to) { return s.is_adjoint ? results(s, to) : pixels(s, to); }

__device__ __forceinline__ float weight(const Axis& s, unsigned to, unsigned from) {
    return s.is_adjoint ? weight_of(s, from, to) : weight_of(s, to, from);
}

struct Axes {
    Axis rows, columns;
};

// y [n, .., .., channels] from x [n, .., .., channels]; `count` numbers of y
extern "C" __global__ void __launch_bounds__(256)
resample_v1_f32(const float* x, float* y, Axes axes, unsigned channels, unsigned count) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= count) return;
    const Axis &rows = axes.rows, &columns = axes.columns;
    unsigned to_h = rows.is_adjoint ? rows.image : rows.result, from_h = rows.is_adjoint ? rows.result : rows.image;
    unsigned to_w = columns.is_adjoint ? columns.image : columns.result;
    unsigned from_w = columns.is_adjoint ? columns.result : columns.image;
    unsigned channel = e % channels, rest = e / channels;
    unsigned j = rest % to_w;
    rest /= to_w;
    unsigned i = rest % to_h, image = rest / to_h;
    Run down = sources(rows, i), along = sources(columns, j);
    float sum = 0.0f;
    for (unsigned a = down.first; a < down.end; a++) {
        float w = weight(rows, i, a);
        for (unsigned b = along.first; b < along.end; b++)
            sum += w * weight(columns, j, b) * x[((image * from_h + a) * from_w + b) * channels + channel];
    }
    y[e] = sum;
}

struct Windows {
    unsigned image[2], kernel[2], stride[2], pad[2], result[2], channels;
};

__device__ __forceinline__ Axis axis(const Windows& w, int d) {
    return {WINDOW, w.kernel[d], w.stride[d], w.pad[d], ONE, w.image[d], w.result[d], 0};
}

// The place of number e of an array of images of these sizes.
struct Place {
    unsigned channel, column, row, image;
};

__device__ __forceinline__ Place place(const unsigned* sizes, unsigned channels, unsigned e) {
    unsigned rest = e / channels;
    return {e % channels, rest % sizes[1], rest / sizes[1] % sizes[0], rest / sizes[1] / sizes[0]};
}

// index [n, result, channels] from x [n, image, channels]
extern "C" __global__ void __launch_bounds__(256) pool_arg_max_v1_f32(const float* x, float* index, Windows w, unsigned count) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= count) return;
    Place p = place(w.result, w.channels, e);
    Run down = pixels(axis(w, 0), p.row), along = pixels(axis(w, 1), p.column);
    float best = 0.0f, winner = 0.0f;
    bool first = true;
    for (unsigned a = down.first; a < down.end; a++)
        for (unsigned b = along.first; b < along.end; b++) {
            float v = x[((p.image * w.image[0] + a) * w.image[1] + b) * w.channels + p.channel];
            unsigned row = a + w.pad[0] - p.row * w.stride[0], column = b + w.pad[1] - p.column * w.stride[1];
            if (first || v > best || (v != v && best == best)) {
                best = v;
                winner = (float)(row * w.kernel[1] + column);
            }
            first = false;
        }
    index[e] = winner;
}

// y [n, result, channels] from x [n, image, channels]; an index that is no cell traps, a cell outside of the image is 0
extern "C" __global__ void __launch_bounds__(256)
pool_take_v1_f32(const float* x, const float* index, float* y, Windows w, unsigned count) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= count) return;
    Place p = place(w.result, w.channels, e);
    unsigned cell = (unsigned)index[e];
    if (!((float)cell == index[e] && cell < w.kernel[0] * w.kernel[1])) __trap();
    // Before the image a place wraps to something large.
    unsigned a = p.row * w.stride[0] + cell / w.kernel[1] - w.pad[0];
    unsigned b = p.column * w.stride[1] + cell % w.kernel[1] - w.pad[1];
    bool inside = a < w.image[0] && b < w.image[1];
    y[e] = inside ? x[((p.image * w.image[0] + a) * w.image[1] + b) * w.channels + p.channel] : 0.0f;
}

// dx [n, image, channels] from dy, index [n, result, channels]
extern "C" __global__ void __launch_bounds__(256)
pool_put_v1_f32(const float* dy, const float* index, float* dx, Windows w, unsigned count) {
    unsigned e = blockIdx.x * 256 + threadIdx.x;
    if (e >= count) return;
    Place p = place(w.image, w.channels, e);
    Run down = results(axis(w, 0), p.row), along = results(axis(w, 1), p.column);
    float sum = 0.0f;
    for (unsigned i = down.first; i < down.end; i++)
        for (unsigned j = along.first; j < along.end; j++) {
            unsigned at = ((p.image * w.result[0] + i) * w.result[1] + j) * w.channels + p.channel;
            unsigned row = p.row + w.pad[0] - i * w.stride[0], column = p.column + w.pad[1] - j * w.stride[1];
            sum += index[at] == (float)(row * w.kernel[1] + column) ? dy[at] : 0.0f;
        }
    dx[e] = sum;
}
