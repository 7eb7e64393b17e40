//! Pictures of what a generator draws.

pub mod figure1;
pub mod grid;
pub mod plot;
pub mod samples;
pub mod theory;
pub mod toy;
