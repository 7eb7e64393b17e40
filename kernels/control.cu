// The captured loop: several iterations per host synchronisation, each the replay of a captured graph.
//
// Before N iterations the host uploads a table of the N rows of scalars (learning rate, momentum, ...) and sets the clock;
// once per epoch it uploads the order of the examples. `begin` puts an iteration's scalars, examples and step to where
// the iteration reads them, `end` notes its results (losses) in a ring, which the host reads after N iterations. A graph of several
// iterations has these places once for each: `ahead` counts them from the clock's slot on, so that an iteration's begin, its
// examples and its random numbers need not wait for the iteration before. The last `end` moves the clock on.
//
// block:   begin: 256 threads, one per scalar and example; end: one warp, a thread per result
// bound:   latency of a launch: all loads are under way before the first store
// registers: 18 (begin), 30 (end) on sm_90
// speed:   not measured yet

struct __align__(16) Clock {
    unsigned long long step; // of slot 0
    unsigned slot;
    unsigned row; // place of slot 0's first example in the order
};

struct Control {
    unsigned long long key, step; // as in random.cuh
};

// scalars [count], index [rows], order [examples]; an iteration that reaches beyond the order traps
extern "C" __global__ void __launch_bounds__(256)
iteration_begin_v2(const Clock* clock, const float* table, const unsigned* order, float* scalars, unsigned* index, Control* control,
                   unsigned count, unsigned rows, unsigned examples, unsigned ahead) {
    Clock now = *clock;
    unsigned i = blockIdx.x * 256 + threadIdx.x, slot = now.slot + ahead, place = now.row + slot * rows + i;
    if (i < rows && place >= examples) __trap();
    float scalar = i < count ? table[slot * count + i] : 0.0f;
    unsigned example = i < rows ? order[place] : 0;
    if (i < count) scalars[i] = scalar;
    if (i < rows) index[i] = example;
    if (i == 0) control->step = now.step + slot;
}

// ring [slots, count]; results[k] is the address of the k-th result; `advance`: iterations that end here, or 0
extern "C" __global__ void __launch_bounds__(32)
iteration_end_v3(const float* const* results, unsigned count, float* ring, Clock* clock, unsigned ahead, unsigned advance) {
    unsigned slot = clock->slot;
    for (unsigned first = threadIdx.x; first < count; first += 128) {
        const float* from[4];
        float v[4];
#pragma unroll
        for (int r = 0; r < 4; r++) from[r] = first + 32 * r < count ? results[first + 32 * r] : nullptr;
#pragma unroll
        for (int r = 0; r < 4; r++) v[r] = from[r] ? *from[r] : 0.0f;
#pragma unroll
        for (int r = 0; r < 4; r++)
            if (from[r]) ring[(slot + ahead) * count + first + 32 * r] = v[r];
    }
    __syncthreads(); // every thread has read the slot
    if (threadIdx.x == 0 && advance) clock->slot = slot + advance;
}
