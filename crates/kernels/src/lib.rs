//! Hand-written kernels: slices in, slices out, no graph.

pub mod cpu;
pub mod cuda;
pub mod ladder;
pub mod ptx;
