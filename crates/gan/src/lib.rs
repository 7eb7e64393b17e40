//! Generative adversarial nets on the ganforge tensor engine.
#![forbid(unsafe_code)]

pub mod config;
pub mod figures;
pub mod data;
pub mod files;
pub mod metrics;
pub mod schedule;
