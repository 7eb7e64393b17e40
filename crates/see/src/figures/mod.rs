//! The paper's figures, and plots of its theory.

pub mod figure1;
pub mod samples;
pub mod theory;
