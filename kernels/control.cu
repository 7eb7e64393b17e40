// The captured loop: several iterations per host synchronisation, each the replay of a captured graph.
//
// Before N iterations the host uploads a table of the N rows of scalars (learning rate, momentum, ...) and sets the clock;
// once per epoch it uploads the order of the examples. `begin` puts this iteration's scalars, examples and step to where
// the iteration reads them, `end` notes its results (losses) in a ring, which the host reads after N iterations, and moves
// the clock on to the next slot.
//
// block:   begin: 256 threads, one per scalar and example; end: one warp, a thread per result
// bound:   latency of a launch
// registers: 12 (begin), 18 (end) on sm_90
// speed:   not measured yet

struct Clock {
    unsigned long long step; // of slot 0
    unsigned slot;
    unsigned row; // place of slot 0's first example in the order
};

struct Control {
    unsigned long long key, step; // as in random.cuh
};

// scalars [count], index [rows], order [examples]; an iteration that reaches beyond the order traps
extern "C" __global__ void __launch_bounds__(256)
iteration_begin_v1(const Clock* clock, const float* table, const unsigned* order, float* scalars, unsigned* index, Control* control,
                   unsigned count, unsigned rows, unsigned examples) {
    unsigned i = blockIdx.x * 256 + threadIdx.x, slot = clock->slot;
    if (i < count) scalars[i] = table[slot * count + i];
    if (i < rows) {
        unsigned place = clock->row + slot * rows + i;
        if (place >= examples) __trap();
        index[i] = order[place];
    }
    if (i == 0) control->step = clock->step + slot;
}

// ring [slots, count]; results[k] is the address of the k-th result
extern "C" __global__ void __launch_bounds__(32)
iteration_end_v2(const float* const* results, unsigned count, float* ring, Clock* clock) {
    unsigned slot = clock->slot;
    for (unsigned k = threadIdx.x; k < count; k += 32) ring[slot * count + k] = *results[k];
    __syncthreads(); // every thread has read the slot
    if (threadIdx.x == 0) clock->slot = slot + 1;
}
