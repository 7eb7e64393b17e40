//! Generative adversarial nets on the ganforge tensor engine.
#![forbid(unsafe_code)]

pub mod config;
pub mod figures;
pub mod files;
pub mod schedule;
