//! Generative adversarial nets on the ganforge tensor engine.

pub mod config;
pub mod figures;
pub mod metrics;
pub mod schedule;
