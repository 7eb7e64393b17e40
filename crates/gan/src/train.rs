//! The training loop: fills a run's folder.

use ganforge_tensor::Store;

use crate::config::Config;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::figures::grid;
use crate::logits::Logits;
use crate::metrics::parzen::{self, ParzenScore};
use crate::metrics::{Measure, Score, density, modes};
use crate::run::{GRID_PADDING, MetricsRow, Run};
use crate::sampler::Sampler;
use crate::schedule;
use crate::trainer::{StepReport, Trainer};

/// What a training run tells while it goes on.
pub trait Observer {
    /// After each step.
    fn step(&mut self, progress: &Progress);
    /// Something worth a line: a score, a file written.
    fn message(&mut self, text: &str);
    /// Whether the next step is to be the last one for now.
    fn should_stop(&self) -> bool;
}

/// Where a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Completed steps.
    pub step: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs of the whole run.
    pub epochs: usize,
    /// Whether the step was the last one of its epoch.
    pub is_last_of_epoch: bool,
    /// The last step.
    pub report: StepReport,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All epochs done; the score at the end.
    Finished(Score),
    /// Stopped on request, with a checkpoint.
    Stopped,
}

/// Trains until the configured number of epochs is complete, filling `run`.
///
/// # Errors
/// [`Error::NotFinite`] where a loss is; what the system refuses to write; the engine's.
pub fn train(
    trainer: &mut Trainer,
    data: &Dataset,
    run: &mut Run,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let config = trainer.config().clone();
    let per_epoch = trainer.steps_per_epoch() as u64;
    let total = per_epoch * config.train.epochs as u64;
    check(data, &config)?;
    let mut sampler = Sampler::at(trainer.place(), &config)?;
    let mut window = Window::default();
    while trainer.steps() < total {
        let epoch = schedule::epoch_of(trainer.steps(), per_epoch as usize);
        let step = trainer.steps() + 1;
        let is_last_of_epoch = step.is_multiple_of(per_epoch);
        // A device is asked where it has not run ahead.
        let stops = trainer.unreported() == 0 && observer.should_stop() && step < total;
        // A stop has its row too: the next one is of the steps after it.
        let is_logged =
            stops || is_last_of_epoch || step.is_multiple_of(config.output.log_every as u64);
        let grads = match is_logged {
            true => trainer.gradient_norms()?,
            false => Vec::new(),
        };
        if trainer.unreported() == 0 {
            let log_every = config.output.log_every as u64;
            trainer.run_ahead(if is_logged {
                1
            } else {
                quiet_steps(step, log_every, per_epoch)
            });
        }
        let report = trainer.step()?;
        if !report.is_finite() {
            let what = format!("loss d {} g {}", report.loss_d, report.loss_g);
            return Err(not_finite(trainer, run, what));
        }
        window.add(&report);
        observer.step(&Progress {
            step,
            total,
            epoch,
            epochs: config.train.epochs,
            is_last_of_epoch,
            report,
        });
        if is_logged {
            run.log(&window.row(step, epoch, &report, grads))?;
            window = Window::default();
        }
        if is_last_of_epoch || stops {
            trainer.settle()?;
        }
        if is_last_of_epoch {
            end_epoch(trainer, &mut sampler, data, run, epoch, observer)?;
        }
        if stops {
            check_finite(trainer, run)?;
            run.checkpoint(&config, &data.sha256, trainer.store())?;
            return Ok(Outcome::Stopped);
        }
    }
    let score = score(&mut sampler, trainer, data)?;
    run.score(config.train.epochs, trainer.steps(), &score)?;
    Ok(Outcome::Finished(score))
}

/// Steps from `step` on that have no row in metrics.csv.
fn quiet_steps(step: u64, log_every: u64, per_epoch: u64) -> usize {
    let next = step
        .next_multiple_of(log_every)
        .min(step.next_multiple_of(per_epoch));
    (next - step) as usize
}

/// Finds out before the first step what would stop the run after its first epoch.
///
/// # Errors
/// No images to validate or test on; a picture of samples that cannot be drawn.
pub fn check(data: &Dataset, config: &Config) -> Result<()> {
    for (part, images) in [("validate", &data.valid), ("test", &data.test)] {
        if images.n() == 0 {
            return Err(Error::Mismatch(format!(
                "{}: has no images to {part} on",
                data.name
            )));
        }
    }
    let [rows, cols] = config.output.grid;
    let (h, w, c) = (data.height, data.width, data.channels);
    grid::image_grid(&[], 0, h, w, c, rows, cols, GRID_PADDING)?;
    Ok(())
}

/// Parameters that are no longer finite must not become a checkpoint.
fn check_finite(trainer: &Trainer, run: &Run) -> Result<()> {
    let mut values = trainer.store().iter();
    match values.find(|e| e.data.iter().any(|x| !x.is_finite())) {
        Some(bad) => Err(not_finite(trainer, run, bad.name.clone())),
        None => Ok(()),
    }
}

/// The picture, the score, then the checkpoint: what a checkpoint has behind it is complete, and
/// what a killed run has beyond it is repeated.
fn end_epoch(
    trainer: &Trainer,
    sampler: &mut Sampler,
    data: &Dataset,
    run: &mut Run,
    epoch: usize,
    observer: &mut dyn Observer,
) -> Result<()> {
    let config = trainer.config();
    let [rows, cols] = config.output.grid;
    check_finite(trainer, run)?;
    let samples = sampler.draw(&mut trainer.store().clone(), config.seed, rows * cols)?;
    let shown = grid::shown(&samples, config.data.contrast);
    run.samples(epoch, trainer.steps(), &shown, data, config)?;
    let last = epoch == config.train.epochs;
    if !last && config.eval.every > 0 && epoch.is_multiple_of(config.eval.every) {
        let score = score(sampler, trainer, data)?;
        run.score(epoch, trainer.steps(), &score)?;
        observer.message(&format!("epoch {epoch}: {score}"));
    }
    if last || epoch.is_multiple_of(config.output.checkpoint_every) {
        run.checkpoint(config, &data.sha256, trainer.store())?;
    }
    Ok(())
}

/// The score of the generator as it is.
fn score(sampler: &mut Sampler, trainer: &Trainer, data: &Dataset) -> Result<Score> {
    let store = &mut trainer.store().clone();
    score_store(sampler, trainer.config(), store, data)
}

/// As the training loop scores: the generator in `store` under the run's own seed.
///
/// Images: log-likelihood of the test images under a Parzen window, sigma chosen on the first validation images (paper,
/// section 5; released script); the mean over the folds, where there are several. Toy sets: against the distribution of the data itself.
///
/// # Errors
/// A data set without validation or test images; samples that are not finite.
pub fn score_store(
    sampler: &mut Sampler,
    config: &Config,
    store: &mut Store,
    data: &Dataset,
) -> Result<Score> {
    let samples = sampler.draw(store, config.seed, config.eval.samples)?;
    match Measure::of(&config.data.set) {
        Measure::Modes(truth) => Ok(Score::Modes(modes::score(&samples, &truth))),
        Measure::Density(truth) => {
            let h = density::histogram(&samples, &truth);
            let d = Logits::at(sampler.place(), config)?.probabilities(store, h.centres())?;
            let score = density::score(&h, &truth, &d, config.eval.samples);
            Ok(Score::Density(score))
        }
        Measure::Parzen => {
            let folds: Result<Vec<ParzenScore>> = data
                .folds()
                .map(|(valid, test)| {
                    let chosen = valid.to_f32(0..config.eval.valid.min(valid.n()))?;
                    let test_images = test.to_f32(0..test.n())?;
                    let place = sampler.place();
                    Ok(parzen::score_at(
                        place,
                        &samples,
                        &chosen,
                        &test_images,
                        test.d(),
                    )?)
                })
                .collect();
            let score = ParzenScore::over_folds(folds?);
            Ok(Score::Parzen(score.expect("a data set has a fold")))
        }
    }
}

fn not_finite(trainer: &Trainer, run: &Run, what: String) -> Error {
    let last_good = run.last_checkpoint().ok().flatten();
    let named = last_good.as_ref().map(|p| p.display().to_string());
    let (step, node) = match trainer.first_bad_node(last_good.as_deref()) {
        Ok(found) => found,
        Err(error) => {
            let last = trainer.steps().saturating_sub(1);
            (
                last,
                format!("unknown: repeating the steps failed: {error}"),
            )
        }
    };
    Error::NotFinite {
        step,
        what,
        node,
        last_good: named.unwrap_or_else(|| "the start: no checkpoint was written yet".into()),
    }
}

/// Means over the steps since the last row of metrics.csv.
#[derive(Default)]
struct Window {
    sums: [f64; 4],
    count: usize,
}

impl Window {
    fn add(&mut self, r: &StepReport) {
        let values = [r.loss_d, r.loss_g, r.d_real, r.d_fake];
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += f64::from(value);
        }
        self.count += 1;
    }

    fn row(&self, step: u64, epoch: usize, last: &StepReport, grads: Vec<f32>) -> MetricsRow {
        let mean = |i: usize| self.sums[i] / self.count as f64;
        MetricsRow {
            step,
            epoch,
            loss_d: mean(0),
            loss_g: mean(1),
            d_real: mean(2),
            d_fake: mean(3),
            lr: last.lr,
            momentum: last.momentum,
            grads,
        }
    }
}
