//! Pictures of what a generator draws.

pub mod plot;
pub mod toy;
