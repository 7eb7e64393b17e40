//! Generative adversarial nets on the ganforge tensor engine.
//!
//! From a configuration to samples: [`config`] defines a run, [`init`] draws its parameters,
//! [`game`] records one training step as a graph, [`trainer`] runs it, [`train`] writes the run's folder,
//! [`sampler`] samples from the generator, [`critic`] evaluates the discriminator, [`metrics`] scores the samples.
//!
//! # Getting started
//!
//! Ten steps of the smallest preset on the digits inside the program, then four samples as a picture:
//!
//! ```
//! use ganforge_gan::data::{bundled_sample, pictures::image_grid};
//! use ganforge_gan::sampler::Sampler;
//! use ganforge_gan::{Config, Result, Trainer};
//!
//! fn main() -> Result<()> {
//!     let config = Config::preset("tiny")?.with(&["seed=7", "optimizer.lr=0.05"])?;
//!     let data = bundled_sample()?;
//!     let mut trainer = Trainer::new(&config, &data.train)?;
//!     for _ in 0..10 {
//!         let step = trainer.step()?;
//!         println!("{:?}", step.monitors().collect::<Vec<_>>()); // loss_d, loss_g, d_real, d_fake
//!     }
//!     let mut store = trainer.store().clone();
//!     let samples = Sampler::new(&config)?.draw(&mut store, config.seed, 4)?;
//!     let picture = image_grid(&samples, data.image(), [2, 2], 1)?;
//!     assert_eq!(picture.size().to_string(), "59x59x1");
//!     Ok(())
//! }
//! ```
//!
//! Features: `cuda` (devices of the CUDA driver), `fetch` (data sets from the network), `plots` (pictures of toy sets in
//! runs); none of them is on by default.
#![forbid(unsafe_code)]

pub mod class_blend;
pub mod classifier;
pub mod config;
pub mod critic;
pub mod encoder;
pub mod error;
pub mod experiment;
pub mod extractors;
mod fitted;
pub mod game;
pub mod generator;
pub mod gradcheck;
pub mod inception;
pub mod init;
pub mod interpolation;
pub mod inverse;
mod load;
pub mod losses;
pub mod monitors;
pub mod nn;
pub mod optim;
pub mod penalties;
pub mod pretrained;
pub mod probe;
pub mod pytorch;
pub mod ranks;
pub mod restore;
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
