// Iterations that repeat by themselves: a captured graph of one iteration is replayed without a word from the host.
//
// Before N iterations the host uploads a table of the N rows of scalars (learning rate, momentum, ...) and sets the clock;
// once per epoch it uploads the order of the examples. `begin` puts this iteration's scalars, examples and step to where
// the iteration reads them, `end` notes its results (losses) in a ring, which the host reads after N iterations, and moves
// the clock on to the next slot.
//
// block:   begin: 256 threads, one per scalar and example; end: one thread of a warp
// bound:   latency of a launch
// registers: 12 (begin), 22 (end) on sm_90
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

struct Results {
    const float* value[8];
};

// ring [slots, count]; one thread does it, since an index of its own would copy the arguments to local memory
extern "C" __global__ void __launch_bounds__(32)
iteration_end_v1(const Results results, unsigned count, float* ring, Clock* clock) {
    if (threadIdx.x > 0) return;
    unsigned slot = clock->slot;
#pragma unroll
    for (unsigned k = 0; k < 8; k++)
        if (k < count) ring[slot * count + k] = *results.value[k];
    clock->slot = slot + 1;
}
