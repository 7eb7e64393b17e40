//! 5. The paper's MNIST networks, trained, sampled and scored with the library.
//!
//! `cargo run --release --example 05-mnist -- [EPOCHS] [PICTURE.png]`, three epochs by default.

use std::path::Path;

use ganforge::gan::data::pictures::image_grid;
use ganforge::gan::data::{self, Dataset, FetchPolicy};
use ganforge::gan::extractors::Loaded;
use ganforge::gan::sampler::Sampler;
use ganforge::gan::{Config, Result, Trainer, train};
use ganforge::tensor::Device;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let epochs = args.next().and_then(|n| n.parse().ok()).unwrap_or(3);
    let picture = args.next().unwrap_or("mnist.png".to_string());
    let config = Config::preset("mnist")?; // everything about a run: networks, losses, optimiser, schedules, seed
    // MNIST from the cache, else downloaded, else the bundled sample.
    let (data, notices) = data::load("mnist", FetchPolicy::from_env(), &mut |_| {})?;
    notices.iter().for_each(|line| eprintln!("{line}"));
    let score = run(&config, &data, epochs, Path::new(&picture))?;
    println!("Parzen log-likelihood {score:.1} nats, samples: {picture}");
    Ok(())
}

/// Trains, writes 100 samples to `picture` and returns the score of the paper's Table 1.
pub fn run(config: &Config, data: &Dataset, epochs: usize, picture: &Path) -> Result<f64> {
    // A training step is a graph, recorded and differentiated once and run repeatedly.
    let mut trainer = Trainer::new(config, &data.train)?;
    for epoch in 1..=epochs {
        let mut last = trainer.step()?;
        for _ in 1..trainer.steps_per_epoch() {
            last = trainer.step()?;
        }
        let monitors = last
            .monitors()
            .map(|(name, value)| format!("{name} {value:.3}"));
        println!("epoch {epoch}: {}", monitors.collect::<Vec<_>>().join(", "));
    }

    // The first samples of the run's own seed, as a picture.
    let (mut store, mut sampler) = (trainer.store().clone(), Sampler::new(config)?);
    let samples = sampler.draw(&mut store, config.seed, 100)?;
    image_grid(&samples, data.image(), [10, 10], 2)?.save(picture)?;

    // The mean log-likelihood of the test images under Gaussians on the samples, whose width is chosen on validation images.
    let scores = train::score_store(
        &mut sampler,
        config,
        &mut store,
        data,
        &Loaded::at(&Device::CPU),
    )?;
    Ok(scores.values()[0].value)
}
