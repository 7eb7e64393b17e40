//! How good samples are.

pub mod density;
mod exp;
pub mod modes;
pub mod parzen;
