//! How good samples are.

pub mod parzen;
