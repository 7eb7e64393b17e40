// Elementary functions of one float: those of crates/kernels/src/cpu/approx.rs, operation by operation, so that the
// bits are the same (sums of products are not contracted: the compiler is told so).

#define ROUND 12582912.0f // 1.5 * 2^23: adding it to |t| < 2^22 rounds t to a whole number, then in the low bits

__device__ __forceinline__ float power_of_two(int n) {
    return __int_as_float((n + 127) << 23);
}

__device__ __forceinline__ float exp_f32(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float rounded = x * 1.44269504088896340736f + ROUND;
    float n = rounded - ROUND;
    float r = (x - n * 0.6933594f) - n * -2.1219444e-4f;
    float p = 1.9790219e-4f;
    p = p * r + 1.3944784e-3f;
    p = p * r + 8.333498e-3f;
    p = p * r + 4.166629e-2f;
    p = p * r + 1.6666666e-1f;
    p = p * r + 0.5f;
    float e = (p * (r * r) + r) + 1.0f;
    int k = __float_as_int(rounded) - __float_as_int(ROUND);
    int half = k >> 1;
    return (e * power_of_two(half)) * power_of_two(k - half);
}

// ln(1 + f) = f - (half_square - tail)
__device__ __forceinline__ float log1p_parts(float f, float* half_square) {
    float s = f / (2.0f + f);
    float z = s * s;
    float p = 2.4289558e-1f;
    p = p * z + 2.1430741e-1f;
    p = p * z + 2.8616595e-1f;
    p = p * z + 3.999889e-1f;
    p = p * z + 6.6666675e-1f;
    *half_square = 0.5f * f * f;
    return s * (*half_square + z * p);
}

__device__ __forceinline__ float log_f32(float x) {
    const unsigned sqrt_half = 0x3f3504f3;
    bool tiny = x < 1.17549435e-38f;
    float scaled = tiny ? x * 33554432.0f : x;
    unsigned bits = __float_as_uint(scaled) + (0x3f800000 - sqrt_half);
    float k = (float)((int)(bits >> 23) - (tiny ? 127 + 25 : 127));
    float f = __uint_as_float((bits & 0x007fffff) + sqrt_half) - 1.0f;
    float half_square;
    float tail = log1p_parts(f, &half_square);
    float y = (((tail + k * 9.058001e-6f) - half_square) + f) + k * 6.931381e-1f;
    float inf = __int_as_float(0x7f800000);
    y = x == inf ? x : y;
    y = x == 0.0f ? -inf : y;
    return x >= 0.0f ? y : __int_as_float(0x7fffffff);
}

__device__ __forceinline__ float tanh_f32(float x) {
    float a = fabsf(x);
    float z = a * a;
    float p = 2.1464995e-3f;
    p = p * z + -8.181582e-3f;
    p = p * z + 2.1702543e-2f;
    p = p * z + -5.3947132e-2f;
    p = p * z + 1.3333209e-1f;
    p = p * z + -3.333333e-1f;
    float small = a + a * (z * p);
    float large = 1.0f - 2.0f / (exp_f32(a + a) + 1.0f);
    return copysignf(a < 0.625f ? small : large, x);
}

__device__ __forceinline__ float sigmoid_f32(float x) {
    float e = exp_f32(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

__device__ __forceinline__ float softplus_f32(float x) {
    float e = exp_f32(-fabsf(x));
    float half_square;
    float tail = log1p_parts(e, &half_square);
    return (x > 0.0f ? x : 0.0f) + (e - (half_square - tail));
}

// cos and sin of 2 pi u for u in [0, 1)
__device__ __forceinline__ float2 cos_sin_turn(float u) {
    float t = u * 4.0f;
    float rounded = t + ROUND;
    float f = t - (rounded - ROUND);
    unsigned quadrant = __float_as_uint(rounded);
    float z = f * f;
    float p = 1.5819508e-4f;
    p = p * z + -4.681261e-3f;
    p = p * z + 7.969258e-2f;
    p = p * z + -6.459641e-1f;
    p = p * z + 1.57079632679489661923f;
    float sin = f * p;
    float q = 9.0402167e-4f;
    q = q * z + -2.0860288e-2f;
    q = q * z + 2.5366923e-1f;
    q = q * z + -1.2337005f;
    float cos = 1.0f + z * q;
    bool odd = quadrant & 1;
    float c = odd ? sin : cos, s = odd ? cos : sin;
    unsigned cos_sign = ((quadrant + 1) & 2) << 30, sin_sign = (quadrant & 2) << 30;
    return make_float2(__uint_as_float(__float_as_uint(c) ^ cos_sign), __uint_as_float(__float_as_uint(s) ^ sin_sign));
}
