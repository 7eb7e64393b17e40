//! The Helvetica scenario: G trained too much against an outdated D maps all z to one x (paper, section 3).
//!
//! G's best response to a fixed D is the one point where D is largest. After D's next step, D is lowest at that point, and G
//! moves on to another.

use ganforge_gan::config::Config;
use ganforge_gan::data::{Mixture, RING};
use ganforge_gan::error::Result;
use ganforge_gan::metrics::modes::{self, ModesScore};
use ganforge_gan::sampler::Sampler;
use ganforge_gan::trainer::Trainer;

/// What G draws at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Steps of G for each step of D.
    pub per_d: usize,
    /// Steps of G so far.
    pub steps: usize,
    /// Samples, [n, 2].
    pub samples: Vec<f32>,
    /// Their score.
    pub score: ModesScore,
    /// The largest share of samples that have the same mode for their nearest: about 1/8 if all goes well, 1 if all z give
    /// one x.
    pub crowd: f64,
}

/// Preset ring with nets half as wide, half the batch and a constant rate: seconds instead of a minute.
///
/// # Errors
/// None, the preset is tested.
pub fn small_ring(seed: u64) -> Result<Config> {
    let mut options = vec![
        format!("seed={seed}"),
        "train.batch=128".into(),
        "optimizer.lr=0.002".into(),
        "optimizer.lr_decay=1.0".into(),
    ];
    for net in ["generator", "discriminator"] {
        options.extend([0, 1, 2].map(|i| format!("{net}.layer.h{i}.units=64")));
    }
    Ok(Config::preset("ring")?.with(&options)?)
}

/// Trains with `per_d` steps of G after each step of D and looks at 2,500 samples when G has made each of the numbers of
/// steps in `at`, which rise.
///
/// # Errors
/// A configuration of other data than the ring's; the engine's.
pub fn train(config: &Config, per_d: usize, at: &[usize]) -> Result<Vec<Moment>> {
    let (data, truth) = (RING.draw(config.seed), RING.mixture());
    let start = Trainer::new(config, &data.train)?;
    let mut d = Trainer::alone(config, &data.train, start.store().clone(), "D")?;
    let mut g = Trainer::alone(config, &data.train, start.store().clone(), "G")?;
    let mut sampler = Sampler::new(config)?;
    let (mut moments, mut steps) = (Vec::new(), 0);
    for &end in at {
        while steps < end {
            d.set_store(g.store().clone());
            d.step()?;
            g.set_store(d.store().clone());
            for _ in 0..per_d.min(end - steps) {
                g.step()?;
                steps += 1;
            }
        }
        let samples = sampler.draw(&mut g.store().clone(), config.seed, 2500)?;
        moments.push(Moment {
            per_d,
            steps,
            score: modes::score(&samples, &truth),
            crowd: crowd(&samples, &truth),
            samples,
        });
    }
    Ok(moments)
}

fn crowd(samples: &[f32], truth: &Mixture) -> f64 {
    let points = samples.as_chunks::<2>().0;
    let mut counts = vec![0_usize; truth.modes()];
    for point in points {
        counts[truth.nearest(&point.map(f64::from)).0] += 1;
    }
    let most = counts.into_iter().max().unwrap_or(0);
    most as f64 / points.len().max(1) as f64
}
