// Convolutions of images x [n, h, w, c_in] with filters [kh, kw, c_in, c_out] to y [n, oh, ow, c_out] as matrix products, one
// factor of which is a matrix of patches that is never written:
//
//   conv2d     y [pixels of y, c_out]    = patches of x [pixels of y, kh kw c_in] . filters [kh kw c_in, c_out]
//   conv2d_dw  dw [kh kw c_in, c_out]    = (patches of x)^T . dy [pixels of y, c_out]
//   conv2d_dx  dx [pixels of x, c_in]    = patches of dy . filters [taps c_out, c_in], for each phase of a stride by itself:
//              pixels whose row and column have the same remainders are hit by the same taps, which lie a stride apart in the
//              filter and side by side in dy. So nothing is multiplied with the zeros between the pixels of dy.
//
// Where a number of a patch lies is found by additions. What belongs to a thread's row of patches is worked out once; taps and
// channels are counted on from one step of k to the next, as the digits of a number.

#include "blocked.cuh"

struct Conv {
    unsigned n, h, w, c_in;
    unsigned kh, kw, c_out;
    unsigned oh, ow;
    unsigned sy, sx; // from one window to the next
    unsigned py, px; // zeros before the image
    unsigned pixels, taps; // n oh ow, kh kw c_in
};

// The number (high * b + middle) * a + low.
struct Digits {
    unsigned high, middle, low;
    __device__ __forceinline__ static Digits of(unsigned number, unsigned b, unsigned a) {
        unsigned rest = number / a;
        return {rest / b, rest % b, number - rest * a};
    }
    __device__ __forceinline__ void add(const Digits& d, unsigned b, unsigned a) {
        low += d.low;
        bool carry = low >= a;
        low -= carry ? a : 0;
        middle += d.middle + carry;
        carry = middle >= b;
        middle -= carry ? b : 0;
        high += d.high + carry;
    }
    // The same for a small number, without its digits.
    __device__ __forceinline__ void add(unsigned small, unsigned b, unsigned a) {
        low += small;
        while (low >= a) {
            low -= a;
            middle++;
            high += middle == b;
            middle = middle == b ? 0 : middle;
        }
    }
};

// Coordinates of what lies outside: so far before the image that no tap leads into it.
const int OUTSIDE = -(1 << 30);

// Patches [pixels, taps_y taps_x channels] of images [.., height, width, channels]. The patch of pixel (y, x) of `rows` x `columns`
// begins at (step_y y + first_y, step_x x + first_x); from there its taps go on, or back where `turn` is -1. Outside are zeros.
// `t`: its transpose is the factor. `wide`: channels are read by fours, which begin at 16 bytes.
template <bool t, int turn, bool wide> struct Patches {
    const float* data;
    unsigned height, width, channels;
    unsigned pixels, rows, columns; // of all images; of each
    int first_y, first_x;
    unsigned step_y, step_x;
    unsigned taps, taps_x; // with channels; beside each other
    static const bool along_rows = !t;
    // Where a pixel's patch begins.
    __device__ __forceinline__ void patch(unsigned pixel, int& y, int& x, unsigned& at) const {
        Digits d = Digits::of(pixel, rows, columns);
        y = (int)(d.middle * step_y) + first_y;
        x = (int)(d.low * step_x) + first_x;
        at = ((d.high * height + y) * width + x) * channels;
        y = pixel < pixels ? y : OUTSIDE;
    }
    // From the beginning of a patch to one of its numbers.
    __device__ __forceinline__ unsigned ahead(const Digits& tap) const {
        return (turn * (int)tap.high * width + turn * (int)tap.middle) * channels + tap.low;
    }
    __device__ __forceinline__ bool inside(int y, int x) const {
        return (unsigned)y < height & (unsigned)x < width;
    }
    __device__ __forceinline__ float at(unsigned i, unsigned j) const {
        unsigned pixel = t ? j : i, number = t ? i : j, begin;
        int y, x;
        patch(pixel, y, x, begin);
        Digits tap = Digits::of(number, taps_x, channels);
        bool in = number < taps & inside(y + turn * (int)tap.high, x + turn * (int)tap.middle);
        return in ? data[begin + ahead(tap)] : 0.0f;
    }
};

// The filters that belong to patches of dy, [taps_y taps_x c_out, c_in]: taps (first_y + sy .., first_x + sx ..).
template <bool wide> struct Filters {
    const float* data;
    unsigned kw, c_in, c_out;
    unsigned first_y, first_x, sy, sx;
    unsigned taps, taps_x;
    static const bool along_rows = false;
    // Where those of a tap for c_in = 0 begin.
    __device__ __forceinline__ unsigned begin(const Digits& tap) const {
        return ((first_y + sy * tap.high) * kw + first_x + sx * tap.middle) * c_in * c_out + tap.low;
    }
    __device__ __forceinline__ float at(unsigned i, unsigned j) const {
        return i < taps && j < c_in ? data[begin(Digits::of(i, taps_x, c_out)) + j * c_out] : 0.0f;
    }
};

// A thread's place in a row of patches: taps and channels are counted on by additions.
template <class F> struct Walk;
template <bool wide, int turn> struct Walk<Patches<false, turn, wide>> {
    int y, x;
    unsigned at, channel, tap;
    __device__ __forceinline__ void begin(const Patches<false, turn, wide>& f, unsigned pixel, unsigned number) {
        f.patch(pixel, y, x, at);
        Digits d = Digits::of(number, f.taps_x, f.channels);
        y += turn * (int)d.high;
        x += turn * (int)d.middle;
        at += f.ahead(d);
        channel = d.low;
        tap = d.middle;
    }
    __device__ __forceinline__ void step(const Patches<false, turn, wide>& f, unsigned by) {
        channel += by;
        at += by;
        while (channel >= f.channels) {
            channel -= f.channels;
            x += turn;
            at -= turn < 0 ? 2 * f.channels : 0; // the channels were counted forwards
            if (++tap == f.taps_x) {
                tap = 0;
                x -= turn * (int)f.taps_x;
                y += turn;
                at += turn < 0 ? (f.taps_x - f.width) * f.channels : (f.width - f.taps_x) * f.channels;
            }
        }
    }
};
template <bool wide> struct Walk<Filters<wide>> {
    unsigned at, channel, tap;
    __device__ __forceinline__ void begin(const Filters<wide>& f, unsigned column, unsigned number) {
        Digits d = Digits::of(number, f.taps_x, f.c_out);
        at = f.begin(d) + column * f.c_out;
        channel = d.low;
        tap = d.middle;
    }
    __device__ __forceinline__ void step(const Filters<wide>& f, unsigned by) {
        channel += by;
        at += by;
        while (channel >= f.c_out) {
            channel -= f.c_out;
            at += (f.sx * f.c_in - 1) * f.c_out;
            if (++tap == f.taps_x) {
                tap = 0;
                at += (f.sy * f.kw - f.sx * f.taps_x) * f.c_in * f.c_out;
            }
        }
    }
};

// The same number of one patch after another: pixels are counted on.
template <class F> struct Along {
    int y, x;
    unsigned at, column, row;
    __device__ __forceinline__ void begin(const F& f, unsigned number, unsigned pixel) {
        Digits d = Digits::of(number, f.taps_x, f.channels), p = Digits::of(pixel, f.rows, f.columns);
        y = (int)(p.middle * f.step_y) + f.first_y + (int)d.high;
        x = (int)(p.low * f.step_x) + f.first_x + (int)d.middle;
        at = ((p.high * f.height + y) * f.width + x) * f.channels + d.low;
        y = number < f.taps ? y : OUTSIDE;
        column = p.low;
        row = p.middle;
    }
    __device__ __forceinline__ void step(const F& f, unsigned by) {
        column += by;
        x += by * f.step_x;
        at += by * f.step_x * f.channels;
        while (column >= f.columns) {
            column -= f.columns;
            x -= f.columns * f.step_x;
            y += f.step_y;
            at += (f.step_y * f.width - f.columns * f.step_x) * f.channels;
            if (++row == f.rows) {
                row = 0;
                y -= f.rows * f.step_y;
                at += (f.height - f.rows * f.step_y) * f.width * f.channels;
            }
        }
    }
};

// A thread's numbers of a T x K slice by fours; a block has 2 T threads. `major`: T / 4 lanes along the tile's long dimension T, a
// four further along k each time; else 2 lanes along k, with one row.
template <int T, int K, bool major> struct Fours {
    float4 v[K / 8];
    __device__ __forceinline__ static unsigned t() { return major ? threadIdx.x % (T / 4) * 4 : threadIdx.x / 2; }
    __device__ __forceinline__ static unsigned p() { return major ? threadIdx.x / (T / 4) : threadIdx.x % 2 * 4; }
    __device__ __forceinline__ void store(float (*tile)[T + 4]) const {
#pragma unroll
        for (int r = 0; r < K / 8; r++) {
            float* to = &tile[p() + 8 * r][t()];
            if (major) {
                *(float4*)to = v[r];
            } else {
                to[0] = v[r].x;
                to[T + 4] = v[r].y;
                to[2 * (T + 4)] = v[r].z;
                to[3 * (T + 4)] = v[r].w;
            }
        }
    }
};

__device__ __forceinline__ float4 load_four(const float* data, unsigned at, bool inside) {
    return inside ? *(const float4*)(data + at) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
}

// The taps of a slice along k: numbers p0, p0 + by, .. of a patch.
struct Taps {
    Digits now, step;
    __device__ __forceinline__ void begin(unsigned p0, unsigned by, unsigned taps_x, unsigned channels) {
        now = Digits::of(p0, taps_x, channels);
        step = Digits::of(by, taps_x, channels);
    }
};

// Patches as rows of the product.
template <int T, int K, int turn> struct Slice<T, K, true, Patches<false, turn, false>> : Held<T, K, false> {
    int y[4], x[4];
    unsigned at[4];
    Taps taps;
    __device__ __forceinline__ void begin(const Patches<false, turn, false>& f, unsigned t0, unsigned p0) {
#pragma unroll
        for (int i = 0; i < 4; i++) f.patch(t0 + threadIdx.x / 8 + T / 4 * i, y[i], x[i], at[i]);
        taps.begin(p0 + threadIdx.x % 8, 8, f.taps_x, f.channels);
    }
    __device__ __forceinline__ void fetch(const Patches<false, turn, false>& f, unsigned, unsigned p0, unsigned end) {
        unsigned p = p0 + threadIdx.x % 8;
#pragma unroll
        for (int q = 0; q < K / 8; q++) {
            int dy = turn * (int)taps.now.high, dx = turn * (int)taps.now.middle;
            unsigned ahead = f.ahead(taps.now);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                bool inside = p + 8 * q < end & f.inside(y[i] + dy, x[i] + dx);
                this->v[i * (K / 8) + q] = inside ? f.data[at[i] + ahead] : 0.0f;
            }
            taps.now.add(taps.step, f.taps_x, f.channels);
        }
    }
};

template <int T, int K, int turn> struct Slice<T, K, true, Patches<false, turn, true>> : Fours<T, K, false> {
    Walk<Patches<false, turn, true>> walk;
    __device__ __forceinline__ void begin(const Patches<false, turn, true>& f, unsigned t0, unsigned p0) {
        walk.begin(f, t0 + this->t(), p0 + this->p());
    }
    __device__ __forceinline__ void fetch(const Patches<false, turn, true>& f, unsigned, unsigned p0, unsigned end) {
#pragma unroll
        for (int r = 0; r < K / 8; r++) {
            this->v[r] = load_four(f.data, walk.at, f.inside(walk.y, walk.x) & p0 + this->p() + 8 * r < end);
            walk.step(f, 8);
        }
    }
};

// Patches as columns: k are the pixels.
template <int T, int K> struct Slice<T, K, true, Patches<true, 1, false>> : Held<T, K, true> {
    Along<Patches<true, 1, false>> along;
    __device__ __forceinline__ void begin(const Patches<true, 1, false>& f, unsigned t0, unsigned p0) {
        along.begin(f, t0 + threadIdx.x % T, p0 + threadIdx.x / T);
    }
    __device__ __forceinline__ void fetch(const Patches<true, 1, false>& f, unsigned, unsigned p0, unsigned end) {
#pragma unroll
        for (int r = 0; r < K / 2; r++) {
            bool inside = f.inside(along.y, along.x) & p0 + threadIdx.x / T + 2 * r < end;
            this->v[r] = inside ? f.data[along.at] : 0.0f;
            along.step(f, 2);
        }
    }
};

template <int T, int K> struct Slice<T, K, true, Patches<true, 1, true>> : Fours<T, K, true> {
    Along<Patches<true, 1, true>> along;
    __device__ __forceinline__ void begin(const Patches<true, 1, true>& f, unsigned t0, unsigned p0) {
        along.begin(f, t0 + this->t(), p0 + this->p());
    }
    __device__ __forceinline__ void fetch(const Patches<true, 1, true>& f, unsigned, unsigned p0, unsigned end) {
#pragma unroll
        for (int r = 0; r < K / 8; r++) {
            this->v[r] = load_four(f.data, along.at, f.inside(along.y, along.x) & p0 + this->p() + 8 * r < end);
            along.step(f, 8);
        }
    }
};

// The filters of patches of dy.
template <int T, int K> struct Slice<T, K, false, Filters<false>> : Held<T, K, false> {
    Taps taps;
    __device__ __forceinline__ void begin(const Filters<false>& f, unsigned, unsigned p0) {
        taps.begin(p0 + threadIdx.x % 8, 8, f.taps_x, f.c_out);
    }
    __device__ __forceinline__ void fetch(const Filters<false>& f, unsigned t0, unsigned p0, unsigned end) {
        unsigned t = t0 + threadIdx.x / 8, p = p0 + threadIdx.x % 8;
#pragma unroll
        for (int q = 0; q < K / 8; q++) {
            unsigned at = f.begin(taps.now) + t * f.c_out;
#pragma unroll
            for (int i = 0; i < 4; i++)
                this->v[i * (K / 8) + q] = p + 8 * q < end & t + T / 4 * i < f.c_in ? f.data[at + T / 4 * i * f.c_out] : 0.0f;
            taps.now.add(taps.step, f.taps_x, f.c_out);
        }
    }
};

template <int T, int K> struct Slice<T, K, false, Filters<true>> : Fours<T, K, false> {
    Walk<Filters<true>> walk;
    __device__ __forceinline__ void begin(const Filters<true>& f, unsigned t0, unsigned p0) {
        walk.begin(f, t0 + this->t(), p0 + this->p());
    }
    __device__ __forceinline__ void fetch(const Filters<true>& f, unsigned t0, unsigned p0, unsigned end) {
#pragma unroll
        for (int r = 0; r < K / 8; r++) {
            this->v[r] = load_four(f.data, walk.at, t0 + this->t() < f.c_in & p0 + this->p() + 8 * r < end);
            walk.step(f, 8);
        }
    }
};

// What lies in memory as the factor on the right, its columns by fours.
struct Columns {
    const float* data;
    unsigned rows, columns;
    static const bool along_rows = true;
};

template <int T, int K> struct Slice<T, K, false, Columns> : Fours<T, K, true> {
    unsigned at;
    __device__ __forceinline__ void begin(const Columns& f, unsigned t0, unsigned p0) {
        at = (p0 + this->p()) * f.columns + t0 + this->t();
    }
    __device__ __forceinline__ void fetch(const Columns& f, unsigned t0, unsigned p0, unsigned end) {
#pragma unroll
        for (int r = 0; r < K / 8; r++)
            this->v[r] = load_four(f.data, at + 8 * r * f.columns, t0 + this->t() < f.columns & p0 + this->p() + 8 * r < end);
        at += K * f.columns;
    }
};

// The rows of dx that a phase has.
struct Phase {
    unsigned rows, columns; // of each image
    unsigned h, w, y, x, sy, sx;
    __device__ __forceinline__ unsigned at(unsigned row) const {
        Digits d = Digits::of(row, rows, columns);
        return (d.high * h + y + sy * d.middle) * w + x + sx * d.low;
    }
};

// Tiles of `high` rows and `wide` columns are counted along x alone: columns first, then rows, then phases.
struct Corner {
    unsigned i0, j0, phase;
    __device__ __forceinline__ static Corner of(unsigned high, unsigned wide, unsigned m, unsigned n) {
        unsigned columns = (n + wide - 1) / wide, row = blockIdx.x / columns, rows = (m + high - 1) / high;
        return {row % rows * high, (blockIdx.x - row * columns) * wide, row / rows};
    }
};

// Calls how(a, b, i0, j0, rows, m, n, k) with the factors of a tile. `Right`: how the factor on the right is read where it is no
// matter of taps.
template <bool wide, class Right, class How> __device__ __forceinline__ void conv2d(const float* x, const float* w, const Conv& s, unsigned high, unsigned across, const How& how) {
    unsigned m = s.pixels, k = s.taps;
    Corner at = Corner::of(high, across, m, s.c_out);
    Patches<false, 1, wide> a = {x, s.h, s.w, max(s.c_in, 1u), m, s.oh, s.ow, -(int)s.py, -(int)s.px, s.sy, s.sx, k, s.kw};
    how(a, Right{w, k, s.c_out}, at.i0, at.j0, InOrder(), m, s.c_out, k);
}

template <bool wide, class Right, class How> __device__ __forceinline__ void conv2d_dw(const float* x, const float* dy, const Conv& s, unsigned high, unsigned across, const How& how) {
    unsigned m = s.taps, k = s.pixels;
    Corner at = Corner::of(high, across, m, s.c_out);
    Patches<true, 1, wide> a = {x, s.h, s.w, s.c_in, k, s.oh, s.ow, -(int)s.py, -(int)s.px, s.sy, s.sx, m, s.kw};
    how(a, Right{dy, k, s.c_out}, at.i0, at.j0, InOrder(), m, s.c_out, k);
}

// The taps of one dimension that hit pixels first, first + stride, ..: remainder, remainder + stride, ..; the first of them at `from` of dy.
struct Hits {
    unsigned remainder, from, taps;
    __device__ __forceinline__ static Hits of(unsigned first, unsigned stride, unsigned before, unsigned kernel) {
        unsigned from = (first + before) / stride, remainder = first + before - from * stride;
        return {remainder, from, remainder < kernel ? (kernel - remainder - 1) / stride + 1 : 0};
    }
};

template <bool wide, class Right, class How> __device__ __forceinline__ void conv2d_dx(const float* dy, const float* w, const Conv& s, unsigned high, unsigned across, const How& how) {
    // The first phase has the most pixels.
    unsigned largest = s.n * ((s.h - 1) / s.sy + 1) * ((s.w - 1) / s.sx + 1), phases_x = min(s.sx, s.w);
    Corner at = Corner::of(high, across, largest, s.c_in);
    unsigned y = at.phase / phases_x, x = at.phase - y * phases_x;
    unsigned rows = (s.h - y - 1) / s.sy + 1, columns = (s.w - x - 1) / s.sx + 1, m = s.n * rows * columns;
    if (at.i0 >= m) return;
    Hits v = Hits::of(y, s.sy, s.py, s.kh), h = Hits::of(x, s.sx, s.px, s.kw);
    unsigned k = v.taps * h.taps * s.c_out, taps_x = max(h.taps, 1u);
    Patches<false, -1, wide> a = {dy, s.oh, s.ow, max(s.c_out, 1u), m, rows, columns, (int)v.from, (int)h.from, 1, 1, k, taps_x};
    Filters<wide> b = {w, s.kw, s.c_in, max(s.c_out, 1u), v.remainder, h.remainder, s.sy, s.sx, k, taps_x};
    how(a, b, at.i0, at.j0, Phase{rows, columns, s.h, s.w, y, x, s.sy, s.sx}, m, s.c_in, k);
}
