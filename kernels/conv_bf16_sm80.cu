// Convolutions whose factors are rounded to bf16: see conv_sm80.cuh.

#include "conv_sm80.cuh"

KERNELS(bf16, Bf16)
