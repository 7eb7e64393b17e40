//! CPU kernels on rayon.

pub mod gemm;
