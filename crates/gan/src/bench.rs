//! How long a training step takes, and how much of the machine it uses.

use std::time::Instant;

use ganforge_kernels::cpu::gemm::measured_peak_gflops;
use ganforge_kernels::cpu::rng::{self, RandomStream};

use crate::config::Config;
use crate::data::Images;
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
    /// The machine's measured peak of fused multiply-adds on as many threads.
    pub peak_gflops: f64,
    /// `gflops` as a share of `peak_gflops`.
    pub share_of_peak: f64,
    /// What was executed as a share of `peak_gflops`.
    pub executed_share_of_peak: f64,
    /// Threads of the pool.
    pub threads: usize,
    /// Examples per minibatch.
    pub batch: usize,
    /// Timed steps.
    pub steps: usize,
}

/// Times `steps` training steps of `config` on random images of width `data_dim`, in the current
/// thread pool. The peak is measured before and after, and the better one counts.
///
/// # Errors
/// Those of [`Trainer::new`].
pub fn step(config: &Config, data_dim: usize, steps: usize) -> Result<StepBench> {
    let threads = rayon::current_num_threads();
    let peak_before = measured_peak_gflops(threads);
    let config = config.without_other_run();
    let mut trainer = Trainer::new(&config, &random_images(&config, data_dim)?)?;
    let mut times = Vec::with_capacity(steps);
    for i in 0..WARM_UP + steps {
        let start = Instant::now();
        trainer.step()?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        if i >= WARM_UP {
            times.push(ms);
        }
    }
    times.sort_by(f64::total_cmp);
    let median_ms = times[times.len() / 2];
    let gflop_per_step = trainer.plan().cost().flops as f64 / 1e9;
    let gflop_executed = trainer.plan().executed_flops() as f64 / 1e9;
    let gflops = gflop_per_step / median_ms * 1e3;
    let peak_gflops = peak_before.max(measured_peak_gflops(threads));
    Ok(StepBench {
        median_ms,
        min_ms: times[0],
        max_ms: times[times.len() - 1],
        gflop_per_step,
        gflop_executed,
        gflops,
        peak_gflops,
        share_of_peak: gflops / peak_gflops,
        executed_share_of_peak: gflop_executed / median_ms * 1e3 / peak_gflops,
        threads,
        batch: config.train.batch,
        steps,
    })
}

/// Images of random pixels, enough for several steps.
///
/// # Errors
/// More memory than there is.
pub(crate) fn random_images(config: &Config, data_dim: usize) -> Result<Images> {
    let rows = 20 * config.train.examples_per_step();
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
