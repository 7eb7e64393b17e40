//! CPU kernels on rayon.

mod approx;
pub mod elementwise;
mod multiversion;
pub mod par;
pub mod rng;
