// Optimisers: all parameters of a network in one launch.
//
// A table on the device names every parameter with its slots and its gradient, and the block that it begins at; a block
// updates 1024 neighbouring elements of one of them. Learning rate and the like are read from the device, so that a captured
// graph follows a schedule.
//
// momentum: v = momentum v - lr g, p = p + v
// adam:     m = b1 m + (1 - b1) g, s = b2 s + (1 - b2) g g, p = p - lr ((m c1) / (sqrt(s c2) + eps)), c = 1 / (1 - b^t)
// block:   256 threads, 4 elements each, 256 apart; no shared memory
// bound:   memory: 20 bytes (momentum), 28 (adam) per parameter
// registers: 28 (momentum), 30 (adam) on sm_90
// speed:   not measured yet

struct Segment {
    float* param;
    float* slot;   // velocity, or mean
    float* square; // adam: mean square
    const float* grad;
    unsigned elements;
    unsigned first_block;
};

// The segment of this block: the last one that begins at or before it.
__device__ __forceinline__ Segment find(const Segment* table, unsigned segments) {
    unsigned low = 0, high = segments;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (table[middle].first_block <= blockIdx.x) low = middle;
        else high = middle;
    }
    return table[low];
}

extern "C" __global__ void __launch_bounds__(256)
momentum_v1_f32(const Segment* table, unsigned segments, const float* lr, const float* momentum) {
    Segment s = find(table, segments);
    float rate = *lr, kept = *momentum;
    unsigned first = (blockIdx.x - s.first_block) * 1024 + threadIdx.x;
#pragma unroll
    for (unsigned k = 0; k < 4; k++) {
        unsigned i = first + 256 * k;
        if (i < s.elements) {
            float v = kept * s.slot[i] - rate * s.grad[i];
            s.slot[i] = v;
            s.param[i] = s.param[i] + v;
        }
    }
}

// scalars: lr, c1 (correction of the mean), c2 (of the square)
extern "C" __global__ void __launch_bounds__(256)
adam_v1_f32(const Segment* table, unsigned segments, const float* lr, const float* c1, const float* c2,
            float b1, float rest1, float b2, float rest2, float eps) {
    Segment s = find(table, segments);
    float rate = *lr, mean_correction = *c1, square_correction = *c2;
    unsigned first = (blockIdx.x - s.first_block) * 1024 + threadIdx.x;
#pragma unroll
    for (unsigned k = 0; k < 4; k++) {
        unsigned i = first + 256 * k;
        if (i < s.elements) {
            float g = s.grad[i];
            float m = s.slot[i] * b1 + g * rest1;
            float q = s.square[i] * b2 + (g * g) * rest2;
            s.slot[i] = m;
            s.square[i] = q;
            float root = sqrtf(q * square_correction) + eps;
            s.param[i] = s.param[i] - m * mean_correction / root * rate;
        }
    }
}
