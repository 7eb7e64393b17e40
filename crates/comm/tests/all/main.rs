//! What ranks say to each other.

mod library;
mod mpi;
mod same_bits;
mod threads;
