//! Generative adversarial nets on the ganforge tensor engine.
//!
//! From a configuration to samples: [`config`] says what a run is, [`init`] draws its parameters,
//! [`game`] records one training step as a graph, [`trainer`] runs it, [`train`] fills the run's folder,
//! [`sampler`] draws from the generator, [`logits`] asks the discriminator, [`metrics`] score the samples.
#![forbid(unsafe_code)]

pub mod config;
pub mod error;
pub mod experiment;
pub mod game;
pub mod generator;
pub mod gradcheck;
pub mod init;
mod load;
pub mod logits;
pub mod losses;
pub mod monitors;
pub mod nn;
pub mod optim;
pub mod penalties;
pub mod pretrained;
pub mod probe;
pub mod run;
pub mod sampler;
pub mod schedule;
pub mod state;
mod state_file;
pub mod tensors;
#[cfg(feature = "plots")]
pub mod toy_plot;
pub mod train;
pub mod trainer;

pub use ganforge_data as data;
pub use ganforge_data::files;
pub use ganforge_metrics as metrics;

pub use config::Config;
pub use error::{Error, Result};
pub use experiment::Experiment;
pub use trainer::Trainer;
