//! Vectors of the instruction sets of x86-64: one module each, with the same names, so that a kernel written once in them is
//! compiled for both.

pub(in crate::cpu) mod avx2;
pub(in crate::cpu) mod avx512;
