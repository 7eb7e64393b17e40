//! CPU kernels on rayon.
