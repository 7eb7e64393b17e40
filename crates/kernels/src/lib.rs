//! Hand-written kernels: slices in, slices out, no graph. And what else of the system is not safe to ask for.

pub mod cpu;
pub mod cuda;
pub mod ladder;
pub mod ptx;
pub mod signals;
