// Element-wise programs: any chain of element-wise ops in one pass over memory.
//
// A plan fuses neighbouring element-wise ops, random numbers included, into a program of at most 14 instructions on at
// most 10 inputs with at most 4 results. The program comes by value: it lies in the constant bank, where all threads of a
// warp read the same word at once. Instruction i writes register inputs + i; registers lie in shared memory, each thread
// its own (no barriers, no bank conflicts), because a register array with computed index would go to local memory.
// No code is generated: a step of training needs as many launches as its plan has programs, and they all are this kernel.
//
// v1_naive: one element per thread.
// v2_vector: four elements per thread and 16-byte accesses; an instruction is decoded once for four elements, and one
//          block of Philox gives the four.
// many:    v2 on several arrays in turn, each with its own number of elements: a table on the device says which block works
//          where. So the optimiser updates all parameters of a network in one launch, whatever its rule is.
// sum:     v1, and the sums of up to four registers over the first or over the last dimension, in the blocks and the order of
//          reduce.cu: a loss from a batch of logits, a bias's gradient, the two sums of a batch norm's. What is summed is written
//          only if it is a result of the program as well.
// block:   128 threads (sum: 256); shared memory: registers * threads * 4 (v1, sum) or 16 (v2) bytes, given at launch
// bound:   memory; per instruction an element costs about 12 bytes of shared memory traffic, which has several times the
//          bandwidth of device memory
// registers: 28 (v1), 34 (v2), 39 (many) on sm_90
// speed:   not measured yet

#include "math.cuh"
#include "random.cuh"
#include "sum.cuh"

enum Code {
    CONSTANT, UNIFORM, NORMAL, BERNOULLI,
    ADD, SUB, MUL, DIV, STEP_MUL, CLIP_MUL,
    NEG, ADD_SCALAR, MUL_SCALAR, EXP, LOG, SQRT, SQUARE, ABS, SIGN, TANH, SIGMOID, SOFTPLUS, RELU, LEAKY_RELU, CLIP, RSQRT,
    COPY
};

enum Access { FULL, SCALAR, ROW, COLUMN };

struct Input {
    const float* data;
    unsigned access; // how element i of the program finds its number: i, 0, i % period, i / period
    unsigned period;
};

struct Inst {
    unsigned code;
    unsigned a, b;   // registers
    unsigned stream; // random numbers: the stream; bernoulli: the threshold is in `word`
    unsigned word;   // bernoulli: threshold, uniform: bits of the largest result
    float x, y;      // constants of the op
};

struct Output {
    float* data;
    unsigned from; // register
    unsigned unused;
};

struct Program {
    const Control* control;
    unsigned elements, inputs, insts, outputs;
    Input input[10];
    Output output[4];
    Inst inst[14];
};

__device__ __forceinline__ float sign_f32(float x) {
    float y = x < 0.0f ? -1.0f : x;
    y = x > 0.0f ? 1.0f : y;
    return x == 0.0f ? 0.0f : y;
}

__device__ __forceinline__ float clip_f32(float x, float lo, float hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

// The four numbers of a random instruction or a constant.
__device__ __forceinline__ float4 generate(const Inst& i, const Control* control, unsigned block) {
    if (i.code == CONSTANT) return make_float4(i.x, i.x, i.x, i.x);
    uint4 w = philox(control->key, block, i.stream, control->step);
    if (i.code == UNIFORM) return uniform4(w, i.x, i.y, __uint_as_float(i.word));
    if (i.code == NORMAL) return normal4(w, i.x, i.y);
    return bernoulli4(w, i.word, i.x, i.y >= 1.0f);
}

__device__ __forceinline__ float apply(const Inst& i, float a, float b) {
    switch (i.code) {
        case ADD: return a + b;
        case SUB: return a - b;
        case MUL: return a * b;
        case DIV: return a / b;
        case STEP_MUL: return a > 0.0f ? b : (i.x == 0.0f ? 0.0f : i.x * b);
        case CLIP_MUL: return i.x <= a && a <= i.y ? b : 0.0f;
        case NEG: return -a;
        case ADD_SCALAR: return a + i.x;
        case MUL_SCALAR: return a * i.x;
        case EXP: return exp_f32(a);
        case LOG: return log_f32(a);
        case SQRT: return sqrtf(a);
        case SQUARE: return a * a;
        case ABS: return fabsf(a);
        case SIGN: return sign_f32(a);
        case TANH: return tanh_f32(a);
        case SIGMOID: return sigmoid_f32(a);
        case SOFTPLUS: return softplus_f32(a);
        case RELU: return a <= 0.0f ? 0.0f : a;
        case LEAKY_RELU: return a > 0.0f ? a : i.x * a;
        case CLIP: return clip_f32(a, i.x, i.y);
        case RSQRT: return 1.0f / sqrtf(a);
        default: return a;
    }
}

__device__ __forceinline__ unsigned place(const Input& in, unsigned i) {
    return in.access == FULL ? i : in.access == SCALAR ? 0 : in.access == ROW ? i % in.period : i / in.period;
}

extern __shared__ float4 registers[];

// Element i by one of T threads; gives a pointer to its registers, which are T apart.
template <unsigned T> __device__ __forceinline__ const float* run1(const Program& p, unsigned i) {
    float* mine = (float*)registers + threadIdx.x;
    for (unsigned r = 0; r < p.inputs; r++) mine[r * T] = p.input[r].data[place(p.input[r], i)];
    for (unsigned s = 0; s < p.insts; s++) {
        const Inst& inst = p.inst[s];
        float v;
        if (inst.code <= BERNOULLI) {
            float4 four = generate(inst, p.control, i / 4);
            unsigned k = i % 4;
            v = k == 0 ? four.x : k == 1 ? four.y : k == 2 ? four.z : four.w;
        } else {
            v = apply(inst, mine[inst.a * T], mine[inst.b * T]);
        }
        mine[(p.inputs + s) * T] = v;
    }
    for (unsigned o = 0; o < p.outputs; o++) p.output[o].data[i] = mine[p.output[o].from * T];
    return mine;
}

extern "C" __global__ void __launch_bounds__(128) elementwise_v1_naive_f32(const Program p) {
    unsigned i = blockIdx.x * 128 + threadIdx.x;
    if (i < p.elements) run1<128>(p, i);
}

// The sums with which a program ends: of which registers, and where they go.
struct Sums {
    unsigned count, from[4];
    float* y[4];
};

// y [gridDim.y, gridDim.x] of each: sums over terms blockIdx.y * part.. of the elements [gridDim.x, terms].
extern "C" __global__ void __launch_bounds__(256)
elementwise_v1_sum_rows_f32(const Program p, const Sums s, unsigned terms, unsigned part) {
    __shared__ float sums[8];
    unsigned first = blockIdx.y * part, last = min(first + part, terms);
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (unsigned t = first + threadIdx.x; t < last; t += 256) {
        const float* mine = run1<256>(p, blockIdx.x * terms + t);
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (k < s.count) sum[k] += mine[s.from[k] * 256];
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
        if (k >= s.count) return;
        sum[k] = block_sum(sum[k], sums);
        if (threadIdx.x == 0) s.y[k][blockIdx.y * gridDim.x + blockIdx.x] = sum[k];
        __syncthreads(); // before the next one's sums
    }
}

// y [gridDim.y, columns] of each: the same of the elements [terms, columns]; gridDim.x = ceil(columns / 32).
extern "C" __global__ void __launch_bounds__(256)
elementwise_v1_sum_columns_f32(const Program p, const Sums s, unsigned columns, unsigned terms, unsigned part) {
    __shared__ float sums[8][32];
    unsigned column = blockIdx.x * 32 + threadIdx.x % 32, row = threadIdx.x / 32;
    unsigned first = blockIdx.y * part, last = min(first + part, terms);
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (column < columns)
        for (unsigned t = first + row; t < last; t += 8) {
            const float* mine = run1<256>(p, t * columns + column);
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (k < s.count) sum[k] += mine[s.from[k] * 256];
        }
#pragma unroll
    for (int k = 0; k < 4; k++) {
        if (k >= s.count) return;
        sum[k] = column_sum(sum[k], sums);
        if (row == 0 && column < columns) s.y[k][blockIdx.y * columns + column] = sum[k];
        __syncthreads(); // before the next one's sums
    }
}

__device__ __forceinline__ float4 load4(const Input& in, const float* data, unsigned i, unsigned n) {
    if (in.access == SCALAR) {
        float v = data[0];
        return make_float4(v, v, v, v);
    }
    unsigned at = place(in, i);
    bool together = in.access == FULL || (in.access == ROW && in.period % 4 == 0);
    if (together && i + 3 < n && ((size_t)data & 15) == 0) return *(const float4*)(data + at);
    // The elements beyond the end are read as the last one and thrown away.
    return make_float4(data[at], data[place(in, min(i + 1, n - 1))], data[place(in, min(i + 2, n - 1))],
                       data[place(in, min(i + 3, n - 1))]);
}

// The arrays of a program by itself.
struct Own {
    const Program& p;
    __device__ __forceinline__ const float* input(unsigned r) const { return p.input[r].data; }
    __device__ __forceinline__ float* output(unsigned o) const { return p.output[o].data; }
};

// One of the places where a program runs that has many. Every input is read at i, or is a single number.
struct Segment {
    unsigned elements, first_block;
    const float* inputs[10];
    float* outputs[4];
    __device__ __forceinline__ const float* input(unsigned r) const { return inputs[r]; }
    __device__ __forceinline__ float* output(unsigned o) const { return outputs[o]; }
};

// The four elements of thread `block` of a program over n elements.
template <class Arrays> __device__ __forceinline__ void run4(const Program& p, const Arrays& arrays, unsigned block, unsigned n) {
    float4* mine = registers + threadIdx.x;
    unsigned i = 4 * block;
    if (i >= n) return;
    for (unsigned r = 0; r < p.inputs; r++) mine[r * 128] = load4(p.input[r], arrays.input(r), i, n);
    for (unsigned s = 0; s < p.insts; s++) {
        const Inst& inst = p.inst[s];
        float4 v;
        if (inst.code <= BERNOULLI) {
            v = generate(inst, p.control, block);
        } else {
            float4 a = mine[inst.a * 128], b = mine[inst.b * 128];
            switch (inst.code) { // the cheap ones here, so that they are decoded once
                case ADD: v = make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); break;
                case SUB: v = make_float4(a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w); break;
                case MUL: v = make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w); break;
                case MUL_SCALAR: v = make_float4(a.x * inst.x, a.y * inst.x, a.z * inst.x, a.w * inst.x); break;
                default: {
                    float out[4], as[4] = {a.x, a.y, a.z, a.w}, bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll 1
                    for (int k = 0; k < 4; k++) {
                        // One copy of the long switch; its operands are chosen, not indexed.
                        float x = k == 0 ? as[0] : k == 1 ? as[1] : k == 2 ? as[2] : as[3];
                        float y = k == 0 ? bs[0] : k == 1 ? bs[1] : k == 2 ? bs[2] : bs[3];
                        float z = apply(inst, x, y);
                        out[0] = k == 0 ? z : out[0];
                        out[1] = k == 1 ? z : out[1];
                        out[2] = k == 2 ? z : out[2];
                        out[3] = k == 3 ? z : out[3];
                    }
                    v = make_float4(out[0], out[1], out[2], out[3]);
                }
            }
        }
        mine[(p.inputs + s) * 128] = v;
    }
    for (unsigned o = 0; o < p.outputs; o++) {
        float* out = arrays.output(o);
        float4 v = mine[p.output[o].from * 128];
        if (i + 3 < n && ((size_t)out & 15) == 0) {
            *(float4*)(out + i) = v;
        } else {
            out[i] = v.x;
            if (i + 1 < n) out[i + 1] = v.y;
            if (i + 2 < n) out[i + 2] = v.z;
            if (i + 3 < n) out[i + 3] = v.w;
        }
    }
}

extern "C" __global__ void __launch_bounds__(128) elementwise_v2_vector_f32(const Program p) {
    run4(p, Own{p}, blockIdx.x * 128 + threadIdx.x, p.elements);
}

// The segment of a block is the last one that begins at or before it.
extern "C" __global__ void __launch_bounds__(128) elementwise_v2_many_f32(const Program p, const Segment* table, unsigned segments) {
    unsigned low = 0, high = segments;
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (table[middle].first_block <= blockIdx.x) low = middle;
        else high = middle;
    }
    const Segment& s = table[low];
    run4(p, s, (blockIdx.x - s.first_block) * 128 + threadIdx.x, s.elements);
}
