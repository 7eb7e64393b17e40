//! Generative adversarial nets on the ganforge tensor engine.
#![forbid(unsafe_code)]

pub mod data;
pub mod files;
