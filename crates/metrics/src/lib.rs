//! How good samples are.
#![forbid(unsafe_code)]

pub mod density;
mod exp;
pub mod modes;
pub mod nearest;
pub mod parzen;
mod score;

pub use score::{Measure, Score, ScoreValue};
