//! What ranks say to each other.

mod same_bits;
mod threads;
