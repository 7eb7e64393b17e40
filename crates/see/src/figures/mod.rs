//! The paper's figures, and pictures of what its theory says.

pub mod figure1;
pub mod samples;
pub mod theory;
