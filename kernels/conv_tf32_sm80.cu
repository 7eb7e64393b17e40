// Convolutions whose factors are rounded to tf32: see conv_sm80.cuh.

#include "conv_sm80.cuh"

KERNELS(tf32, Tf32)
