//! Pictures of what a generator draws.

pub mod grid;
pub mod plot;
pub mod toy;
