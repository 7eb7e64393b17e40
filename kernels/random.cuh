// Philox 4x32-10 (Salmon et al. 2011) and its distributions, with the bits of crates/kernels/src/cpu/rng.rs.

// What changes from step to step and is not a parameter; it lies on the device, so that a captured graph finds it there.
struct Control {
    unsigned long long key;  // one per run
    unsigned long long step; // counter of all random streams
};

__device__ __forceinline__ uint4 philox(unsigned long long key, unsigned block, unsigned stream, unsigned long long counter) {
    unsigned k0 = (unsigned)key, k1 = (unsigned)(key >> 32);
    uint4 x = make_uint4(block, stream, (unsigned)counter, (unsigned)(counter >> 32));
#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned low0 = 0xD2511F53u * x.x, high0 = __umulhi(0xD2511F53u, x.x);
        unsigned low1 = 0xCD9E8D57u * x.z, high1 = __umulhi(0xCD9E8D57u, x.z);
        x = make_uint4(high1 ^ x.y ^ k0, low1, high0 ^ x.w ^ k1, low0);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return x;
}

// k 2^-24 for k <= 2^24, exactly
__device__ __forceinline__ float unit(unsigned k) {
    return (float)(int)k * 5.9604644775390625e-8f;
}

__device__ __forceinline__ float uniform_one(unsigned word, float lo, float width, float top) {
    float v = lo + width * unit(word >> 8);
    return v > top ? top : v;
}

// lo + (hi - lo) u, at most `top`, the number below hi
__device__ __forceinline__ float4 uniform4(uint4 w, float lo, float width, float top) {
    return make_float4(uniform_one(w.x, lo, width, top), uniform_one(w.y, lo, width, top),
                       uniform_one(w.z, lo, width, top), uniform_one(w.w, lo, width, top));
}

// Box and Muller
__device__ __forceinline__ float2 normal_pair(unsigned a, unsigned b, float mean, float sd) {
    float r = sqrtf(-2.0f * log_f32(unit((a >> 8) + 1)));
    float2 turn = cos_sin_turn(unit(b >> 8));
    return make_float2(mean + sd * (r * turn.x), mean + sd * (r * turn.y));
}

__device__ __forceinline__ float4 normal4(uint4 w, float mean, float sd) {
    float2 a = normal_pair(w.x, w.y, mean, sd), b = normal_pair(w.z, w.w, mean, sd);
    return make_float4(a.x, a.y, b.x, b.y);
}

// Word k of 0..3 of a block, chosen and not indexed.
__device__ __forceinline__ unsigned word_of(uint4 w, unsigned k) {
    return k == 0 ? w.x : k == 1 ? w.y : k == 2 ? w.z : w.w;
}

// `value` where word < threshold = floor(2^32 p); everywhere, where `always` (p >= 1)
__device__ __forceinline__ float bernoulli_one(unsigned word, unsigned threshold, float value, bool always) {
    return always || word < threshold ? value : 0.0f;
}

__device__ __forceinline__ float4 bernoulli4(uint4 w, unsigned threshold, float value, bool always) {
    return make_float4(bernoulli_one(w.x, threshold, value, always), bernoulli_one(w.y, threshold, value, always),
                       bernoulli_one(w.z, threshold, value, always), bernoulli_one(w.w, threshold, value, always));
}
