//! How long a training step takes, and how much of the machine it uses.

use std::time::Instant;

use ganforge_kernels::cpu::gemm::measured_peak_gflops;
use ganforge_kernels::cpu::rng::{self, RandomStream};

use crate::config::Config;
use crate::data::Images;
use crate::engine::Place;
use crate::error::{Result, room_for};
use crate::trainer::Trainer;

/// Steps before the first one that counts.
const WARM_UP: usize = 10;

/// The time of a training step.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct StepBench {
    /// Median milliseconds per step.
    pub median_ms: f64,
    /// The fastest step.
    pub min_ms: f64,
    /// The slowest step.
    pub max_ms: f64,
    /// 10^9 floating-point operations in a step, by the ops' own account.
    pub gflop_per_step: f64,
    /// The same without those that the kernels leave out as zeros (of a maxout layer's gradients).
    pub gflop_executed: f64,
    /// 10^9 floating-point operations per second at the median, by the ops' own account.
    pub gflops: f64,
    /// The machine's measured peak of fused multiply-adds on as many threads; on a device none is measured.
    pub peak_gflops: Option<f64>,
    /// `gflops` as a share of `peak_gflops`.
    pub share_of_peak: Option<f64>,
    /// What was executed as a share of `peak_gflops`.
    pub executed_share_of_peak: Option<f64>,
    /// Where the steps ran.
    pub device: String,
    /// The kernel launches of a step on a device.
    pub launches: Option<usize>,
    /// The most of them that must follow one another.
    pub longest_chain: Option<usize>,
    /// Threads of the pool.
    pub threads: usize,
    /// Examples per minibatch.
    pub batch: usize,
    /// Timed steps.
    pub steps: usize,
}

/// Times `steps` training steps of `config` on random images of width `data_dim`, at `place`: in the current thread pool, or
/// on a device, where as many as the data allow repeat by themselves and a time is the mean of those. The processor's peak
/// is measured before and after, and the better one counts.
///
/// # Errors
/// Those of [`Trainer::at`].
pub fn step(place: &Place, config: &Config, data_dim: usize, steps: usize) -> Result<StepBench> {
    let threads = rayon::current_num_threads();
    let peak = || match place {
        Place::Cpu => Some(measured_peak_gflops(threads)),
        Place::Device(..) => None,
    };
    let peak_before = peak();
    let (steps_per_epoch, at_once) = match place {
        Place::Cpu => (20, 1),
        Place::Device(..) => (500, steps.min(500)),
    };
    let config = config.without_other_run();
    let images = random_images(&config, data_dim, steps_per_epoch)?;
    let mut trainer = Trainer::at(place, &config, &images)?;
    run(&mut trainer, WARM_UP)?;
    let (mut times, mut left) = (Vec::with_capacity(steps), steps);
    while left > 0 {
        let n = at_once.min(left);
        let start = Instant::now();
        run(&mut trainer, n)?;
        let ms = start.elapsed().as_secs_f64() * 1e3 / n as f64;
        times.extend((0..n).map(|_| ms));
        left -= n;
    }
    times.sort_by(f64::total_cmp);
    let median_ms = times[times.len() / 2];
    let gflop_per_step = trainer.plan().cost().flops as f64 / 1e9;
    let gflop_executed = trainer.plan().executed_flops() as f64 / 1e9;
    let gflops = gflop_per_step / median_ms * 1e3;
    let peak_gflops = peak_before.zip(peak()).map(|(a, b)| a.max(b));
    Ok(StepBench {
        median_ms,
        min_ms: times[0],
        max_ms: times[times.len() - 1],
        gflop_per_step,
        gflop_executed,
        gflops,
        peak_gflops,
        share_of_peak: peak_gflops.map(|peak| gflops / peak),
        executed_share_of_peak: peak_gflops.map(|peak| gflop_executed / median_ms * 1e3 / peak),
        device: place.name(),
        launches: trainer.launches().map(|l| l.0),
        longest_chain: trainer.launches().map(|l| l.1),
        threads,
        batch: config.train.batch,
        steps,
    })
}

/// Images of random pixels, enough for `steps` steps.
///
/// # Errors
/// More memory than there is.
pub(crate) fn random_images(config: &Config, data_dim: usize, steps: usize) -> Result<Images> {
    let rows = steps * config.train.examples_per_step();
    room_for(
        "images to time the steps with",
        2 * (rows as u64).saturating_mul(data_dim as u64),
    )?;
    let mut pixels = vec![0.0; rows * data_dim];
    let stream = RandomStream {
        key: config.seed,
        stream: 0,
        counter: 0,
    };
    rng::uniform(stream, 0, 0.0, 1.0, &mut pixels);
    let bytes: Vec<u8> = pixels.iter().map(|p| (p * 255.0) as u8).collect();
    Ok(Images::from_bytes(data_dim, bytes))
}

/// Runs `n` steps; at once, on a device.
fn run(trainer: &mut Trainer, n: usize) -> Result<()> {
    for i in 0..n {
        if trainer.unreported() == 0 {
            trainer.run_ahead(n - i);
        }
        trainer.step()?;
    }
    Ok(())
}
