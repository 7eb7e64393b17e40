//! CPU kernels on rayon.

mod approx;
mod bandwidth;
pub mod elementwise;
pub mod gather;
pub mod gemm;
pub mod layout;
pub mod maxout;
pub mod maxout_grad;
mod multiversion;
pub mod par;
pub mod reduce;
pub mod rng;
mod shape;

pub use bandwidth::measured_bandwidth_gbs;
