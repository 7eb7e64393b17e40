//! Training: one step at a time, and the loop that fills a run's folder.

use std::path::Path;

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::{Cpu, Executor, Feed, Graph, Keep, NodeId, Plan, Store, stream_number};

use crate::config::{Config, Update};
use crate::data::{Dataset, Images};
use crate::error::{Error, Result};
use crate::metrics::parzen::{self, ParzenScore};
use crate::run::{MetricsRow, Run};
use crate::sampler::Sampler;
use crate::{checkpoint, game, init, optim, schedule};

/// What one step was like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// D's loss in nats.
    pub loss_d: f32,
    /// G's loss in nats.
    pub loss_g: f32,
    /// Mean D(x).
    pub d_real: f32,
    /// Mean D(G(z)).
    pub d_fake: f32,
    /// The learning rate.
    pub lr: f64,
    /// The momentum, of SGD.
    pub momentum: Option<f64>,
}

impl StepReport {
    fn is_finite(&self) -> bool {
        let values = [self.loss_d, self.loss_g, self.d_real, self.d_fake];
        values.iter().all(|v| v.is_finite())
    }
}

/// A model in training: its plan, its state and its place in the data.
pub struct Trainer {
    config: Config,
    images: Images,
    plan: Plan,
    cpu: Cpu,
    store: Store,
    batch: Batch,
    steps_per_epoch: usize,
}

/// The minibatch of a step and the order it is drawn in.
struct Batch {
    /// The examples of the epoch `epoch`, shuffled.
    order: Vec<u32>,
    epoch: usize,
    rows: Vec<usize>,
    /// [k · batch, data] in [0, 1].
    x: Vec<f32>,
}

/// How many minibatches of data a step takes.
fn minibatches(config: &Config) -> usize {
    match config.train.update {
        Update::Simultaneous => 1,
        Update::Alternating { k } => k,
    }
}

impl Trainer {
    /// A model at step 0.
    ///
    /// # Errors
    /// Data that do not fit the configuration: another width, fewer examples than one step takes.
    pub fn new(config: &Config, images: &Images) -> Result<Trainer> {
        Trainer::with_plan(config, images, |step| step.plan(Keep::Fetched))
    }

    /// A model at step 0 whose plan is made by `plan` from the recorded step.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn with_plan(
        config: &Config,
        images: &Images,
        plan: impl FnOnce(&game::Step) -> Result<Plan>,
    ) -> Result<Trainer> {
        let d = images.d();
        config.check_data_dim(d)?;
        let rows = minibatches(config) * config.train.batch;
        let steps_per_epoch = schedule::steps_per_epoch(images.n(), rows);
        if steps_per_epoch == 0 {
            return Err(Error::Mismatch(format!(
                "a step takes {rows} examples (train.batch {}, times train.k if alternating), but the \
                 data set has only {} to train on",
                config.train.batch,
                images.n()
            )));
        }
        let graph = Graph::new();
        let step = game::record(&graph, config, d)?;
        let plan = plan(&step)?;
        let store = init::store(config, d, &images.pixel_means())?;
        Ok(Trainer {
            config: config.clone(),
            cpu: Cpu::new(&plan),
            plan,
            store,
            batch: Batch {
                order: vec![0; images.n()],
                epoch: 0,
                rows: vec![0; rows],
                x: vec![0.0; rows * d],
            },
            images: images.clone(),
            steps_per_epoch,
        })
    }

    /// Continues from a checkpoint.
    ///
    /// # Errors
    /// As [`checkpoint::load`].
    pub fn load(&mut self, path: &Path) -> Result<()> {
        checkpoint::load(path, &self.config, &mut self.store)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The plan of a step.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Parameters, slots and control block.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Completed steps.
    pub fn steps(&self) -> u64 {
        self.store.control.step
    }

    /// Steps in an epoch: full minibatches only.
    pub fn steps_per_epoch(&self) -> usize {
        self.steps_per_epoch
    }

    /// The data of the last step, [k · batch, data].
    pub fn x(&self) -> &[f32] {
        &self.batch.x
    }

    /// A value that the plan fetches, after a step.
    pub fn fetch(&self, name: &str) -> Option<&[f32]> {
        self.cpu.fetch(&self.plan, &self.store, name)
    }

    /// Runs one step. Nothing is allocated after the first one, called inside of a thread pool.
    ///
    /// The report may hold values that are not finite; see [`Trainer::first_bad_node`].
    ///
    /// # Errors
    /// The engine's.
    pub fn step(&mut self) -> Result<StepReport> {
        let step = self.store.control.step;
        let epoch = schedule::epoch_of(step, self.steps_per_epoch);
        self.fill(step, epoch)?;
        let (lr, momentum) = optim::prepare(&self.config.optimizer, &mut self.store, step, epoch);
        let shape = [self.batch.rows.len(), self.images.d()];
        let x = Feed::new("x", shape, &self.batch.x);
        self.cpu.run(&self.plan, &mut self.store, &[x])?;
        self.store.control.step = step + 1;
        let value = |name| self.fetch(name).map_or(f32::NAN, |v| v[0]);
        Ok(StepReport {
            loss_d: value("loss/d"),
            loss_g: value("loss/g"),
            d_real: value("mean/d_real"),
            d_fake: value("mean/d_fake"),
            lr,
            momentum,
        })
    }

    /// Gathers the minibatches of `step`: examples without replacement, shuffled for each epoch
    /// from (seed, epoch) alone.
    fn fill(&mut self, step: u64, epoch: usize) -> Result<()> {
        let batch = &mut self.batch;
        if batch.epoch != epoch {
            let stream = RandomStream {
                key: self.config.seed,
                stream: stream_number("shuffle"),
                counter: epoch as u64,
            };
            rng::permutation(stream, batch.order.len(), &mut batch.order);
            batch.epoch = epoch;
        }
        let rows = batch.rows.len();
        let first = (step % self.steps_per_epoch as u64) as usize * rows;
        for (row, &example) in batch.rows.iter_mut().zip(&batch.order[first..first + rows]) {
            *row = example as usize;
        }
        self.images.rows_f32_into(&batch.rows, &mut batch.x)?;
        Ok(())
    }

    /// Repeats the training from `last_good` (or from the start) up to the first step that leaves
    /// something that is not finite, with every value kept, and describes that step's first bad
    /// node: its step, from 0, and the node with its inputs.
    ///
    /// # Errors
    /// A checkpoint that cannot be read; nothing bad found up to where this trainer is.
    pub fn first_bad_node(&self, last_good: Option<&Path>) -> Result<(u64, String)> {
        let mut replay = Trainer::with_plan(&self.config, &self.images, |s| s.plan(Keep::All))?;
        if let Some(path) = last_good {
            replay.load(path)?;
        }
        while replay.steps() < self.steps() {
            let at = replay.steps();
            replay.step()?;
            let nodes = 0..replay.plan.nodes().len();
            let mut nodes = nodes.map(|i| replay.plan.node_id(i));
            if let Some(bad) = nodes.find(|&n| replay.is_bad(n)) {
                return Ok((at, replay.plan.describe(bad)));
            }
        }
        Err(Error::Mismatch(
            "nothing went bad when the steps were repeated: is the memory of this machine sound?"
                .into(),
        ))
    }

    fn is_bad(&self, node: NodeId) -> bool {
        let value = self.cpu.value(&self.plan, &self.store, node);
        let is_param = matches!(
            self.plan.nodes()[node.index()].op,
            ganforge_tensor::Op::Param(_)
        );
        !is_param && value.is_some_and(|v| v.iter().any(|x| !x.is_finite()))
    }
}

/// What a training run tells while it goes on.
pub trait Observer {
    /// After each step.
    fn step(&mut self, progress: &Progress);
    /// Something worth a line: a score, a file written.
    fn message(&mut self, text: &str);
    /// Whether to stop after this step.
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
    /// The last step.
    pub report: StepReport,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All epochs done; the Parzen score of the test images.
    Finished(ParzenScore),
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
    let mut sampler = Sampler::new(&config)?;
    let mut window = Window::default();
    while trainer.steps() < total {
        let epoch = schedule::epoch_of(trainer.steps(), per_epoch as usize);
        let report = trainer.step()?;
        if !report.is_finite() {
            return Err(not_finite(trainer, run, &report));
        }
        window.add(&report);
        let step = trainer.steps();
        observer.step(&Progress {
            step,
            total,
            epoch,
            epochs: config.train.epochs,
            report,
        });
        if step % config.output.log_every as u64 == 0 || step % per_epoch == 0 {
            run.log(&window.row(step, epoch, &report))?;
            window = Window::default();
        }
        if step % per_epoch == 0 {
            end_epoch(trainer, &mut sampler, data, run, epoch, observer)?;
        }
        if observer.should_stop() && step < total {
            run.checkpoint(&config, trainer.store())?;
            return Ok(Outcome::Stopped);
        }
    }
    let score = score(&mut sampler, trainer, data)?;
    run.score(config.train.epochs, trainer.steps(), &score)?;
    Ok(Outcome::Finished(score))
}

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
    let samples = sampler.draw(&mut trainer.store().clone(), config.seed, rows * cols)?;
    run.samples(epoch, &samples, data, rows, cols)?;
    let last = epoch == config.train.epochs;
    if last || epoch % config.output.checkpoint_every == 0 {
        run.checkpoint(config, trainer.store())?;
    }
    if !last && config.eval.every > 0 && epoch % config.eval.every == 0 {
        let score = score(sampler, trainer, data)?;
        run.score(epoch, trainer.steps(), &score)?;
        observer.message(&format!("epoch {epoch}: {}", describe(&score)));
    }
    Ok(())
}

/// "Parzen log-likelihood 134.2 ± 2.1 nats (sigma 0.2154, 10000 samples, 10000 test images)".
pub fn describe(score: &ParzenScore) -> String {
    format!(
        "Parzen log-likelihood {:.1} ± {:.1} nats (sigma {:.4}, {} samples, {} validation and {} \
         test images)",
        score.log_likelihood,
        score.stderr,
        score.sigma,
        score.n_samples,
        score.n_valid,
        score.n_test
    )
}

/// The Parzen score of the generator on the test images, sigma chosen on the first validation
/// images (paper, section 5; released script).
fn score(sampler: &mut Sampler, trainer: &Trainer, data: &Dataset) -> Result<ParzenScore> {
    score_store(
        sampler,
        trainer.config(),
        &mut trainer.store().clone(),
        data,
    )
}

/// As the training loop scores: the generator in `store` under the run's own seed.
///
/// # Errors
/// A data set without validation or test images; samples that are not finite.
pub fn score_store(
    sampler: &mut Sampler,
    config: &Config,
    store: &mut Store,
    data: &Dataset,
) -> Result<ParzenScore> {
    let samples = sampler.draw(store, config.seed, config.eval.samples)?;
    let valid = data
        .valid
        .to_f32(0..config.eval.valid.min(data.valid.n()))?;
    let test = data.test.to_f32(0..data.test.n())?;
    Ok(parzen::score(&samples, &valid, &test, data.test.d())?)
}

fn not_finite(trainer: &Trainer, run: &Run, report: &StepReport) -> Error {
    let last_good = run.last_checkpoint().ok().flatten();
    let named = last_good.as_ref().map(|p| p.display().to_string());
    let what = format!("loss d {} g {}", report.loss_d, report.loss_g);
    match trainer.first_bad_node(last_good.as_deref()) {
        Ok((step, node)) => Error::NotFinite {
            step,
            what,
            node,
            last_good: named.unwrap_or_else(|| "the start: no checkpoint was written yet".into()),
        },
        Err(error) => error,
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

    fn row(&self, step: u64, epoch: usize, last: &StepReport) -> MetricsRow {
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
        }
    }
}
