//! Hand-written kernels: slices in, slices out, no graph.

pub mod cpu;
pub mod cuda;
pub mod ptx;
