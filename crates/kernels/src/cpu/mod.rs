//! CPU kernels on rayon.

pub mod par;
