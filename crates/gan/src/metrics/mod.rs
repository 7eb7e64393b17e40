//! How good samples are.

mod exp;
pub mod parzen;
