// What happens to the sums of a matrix product on their way out: the Epilogue of crates/kernels/src/cpu/gemm.

// What happens to a sum on its way out; the arithmetic is not contracted, as on the CPU.
enum Finish { STORE, ACCUMULATE, BIAS, BIAS_RELU, MOMENTUM, MOMENTUM_ACCUMULATE, TIMES, STEP };

struct Epilogue {
    unsigned finish;
    float below;           // STEP: the slope where `other` is not above 0
    const float* bias;     // [n]
    const float* other;    // [m, n]: momentum: an earlier part of the gradient; TIMES, STEP: the other factor
    float* param;          // [m, n]; C is its velocity
    const float* lr;       // one number on the device each
    const float* momentum;
};

// Up to four neighbouring numbers; all at once where they lie so.
__device__ __forceinline__ float4 load4(const float* x, unsigned count, bool aligned) {
    if (aligned) return *(const float4*)x;
    return make_float4(x[0], count > 1 ? x[1] : 0.0f, count > 2 ? x[2] : 0.0f, count > 3 ? x[3] : 0.0f);
}

__device__ __forceinline__ void store4(float* x, float4 v, unsigned count, bool aligned) {
    if (aligned) {
        *(float4*)x = v;
    } else {
        x[0] = v.x;
        if (count > 1) x[1] = v.y;
        if (count > 2) x[2] = v.z;
        if (count > 3) x[3] = v.w;
    }
}

__device__ __forceinline__ float4 add4(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__device__ __forceinline__ float relu(float v) {
    return v <= 0.0f ? 0.0f : v;
}

// TIMES: a dropout mask's element, say; STEP: the slope of relu or leaky relu at `other`.
__device__ __forceinline__ float times(const Epilogue& e, float other, float v) {
    if (e.finish == TIMES) return other * v;
    return other > 0.0f ? v : (e.below == 0.0f ? 0.0f : e.below * v);
}

// `count` neighbouring sums of one row, the first at c[at] in column `column`.
__device__ __forceinline__ void finish(const Epilogue& e, float* c, size_t at, unsigned column, float4 ab, unsigned count, bool aligned) {
    if (e.finish == ACCUMULATE) ab = add4(load4(c + at, count, aligned), ab);
    if (e.finish == BIAS || e.finish == BIAS_RELU) ab = add4(ab, load4(e.bias + column, count, aligned));
    if (e.finish == BIAS_RELU) ab = make_float4(relu(ab.x), relu(ab.y), relu(ab.z), relu(ab.w));
    if (e.finish == TIMES || e.finish == STEP) {
        float4 o = load4(e.other + at, count, aligned);
        ab = make_float4(times(e, o.x, ab.x), times(e, o.y, ab.y), times(e, o.z, ab.z), times(e, o.w, ab.w));
    }
    if (e.finish == MOMENTUM || e.finish == MOMENTUM_ACCUMULATE) {
        if (e.finish == MOMENTUM_ACCUMULATE) ab = add4(load4(e.other + at, count, aligned), ab);
        float4 v = load4(c + at, count, aligned);
        float lr = *e.lr, kept = *e.momentum;
        ab = make_float4(kept * v.x - lr * ab.x, kept * v.y - lr * ab.y, kept * v.z - lr * ab.z, kept * v.w - lr * ab.w);
        store4(e.param + at, add4(load4(e.param + at, count, aligned), ab), count, aligned);
    }
    store4(c + at, ab, count, aligned);
}

__device__ __forceinline__ void finish_one(const Epilogue& e, float* c, size_t at, unsigned column, float ab) {
    finish(e, c, at, column, make_float4(ab, 0.0f, 0.0f, 0.0f), 1, false);
}
