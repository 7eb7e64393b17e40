//! A model in training, one step at a time.

use std::path::Path;

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::exec::Span;
use ganforge_tensor::{Cpu, Executor, Feed, Graph, Keep, NodeId, Plan, Store, stream_number};

use crate::config::{Config, Contrast};
use crate::data::Images;
use crate::error::{Error, Result, room_for};
use crate::{checkpoint, game, init, optim, pretrained, probe, schedule};

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
    pub(crate) fn is_finite(&self) -> bool {
        let values = [self.loss_d, self.loss_g, self.d_real, self.d_fake];
        values.iter().all(|v| v.is_finite())
    }
}

/// A model in training: its plan, its state and its place in the data.
///
/// ```
/// use ganforge_gan::{Config, Trainer, data};
/// let config = Config::preset("tiny")?;
/// let digits = data::bundled_sample()?; // 4,000 to train on
/// let mut trainer = Trainer::new(&config, &digits.train)?;
/// let report = trainer.step()?;
/// assert!(report.loss_d > 0.0 && trainer.steps() == 1);
/// # Ok::<(), ganforge_gan::Error>(())
/// ```
pub struct Trainer {
    config: Config,
    images: Images,
    plan: Plan,
    /// Measures a step without taking it.
    probe: Plan,
    /// Runs both, in the same buffers.
    cpu: Cpu,
    store: Store,
    batch: Batch,
    steps_per_epoch: usize,
    make_plan: MakePlan,
    /// The epoch whose dropout the plans have.
    planned_epoch: usize,
    /// Whether some layers still lack the parameters that they take from another run.
    is_incomplete: bool,
}

/// Makes the plan of a recorded step.
type MakePlan = Box<dyn Fn(&game::Step) -> Result<Plan> + Send + Sync>;

/// The plans of a step of this epoch: that which trains, and its probe.
fn plans(config: &Config, epoch: usize, d: usize, make: &MakePlan) -> Result<(Plan, Plan)> {
    let graph = Graph::new();
    let config = config.at_epoch(epoch);
    let step = game::record(&graph, &config, d)?;
    Ok((make(&step)?, probe::plan(&step, &config)?))
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

impl Batch {
    fn feed(&self) -> Feed<'_> {
        let n = self.rows.len();
        Feed::new("x", [n, self.x.len() / n], &self.x)
    }
}

/// The f32 in the buffers of an executor that runs both plans.
fn shared_buffers(a: &Plan, b: &Plan) -> u64 {
    let size = |plan: &Plan, i: usize| plan.buffers.get(i).map_or(0, |&n| n as u64);
    let count = a.buffers.len().max(b.buffers.len());
    (0..count).map(|i| size(a, i).max(size(b, i))).sum()
}

/// Refuses data that G can never give; normalised contrast was checked with the configuration.
fn check_range(config: &Config, images: &Images) -> Result<()> {
    let Some(out) = config.generator.layers.last() else {
        return Ok(());
    };
    let range = out.kind.range();
    let (lo, hi) = (*range.start(), *range.end());
    match images.outside(range) {
        Some((image, place, value)) if config.data.contrast == Contrast::AsIs => {
            Err(Error::Mismatch(format!(
                "training image {image} has the value {value} at place {place}, which G's layer {} cannot give: its \
                 activation reaches {lo} to {hi} (expected uint8 pixels, or such values, or a linear layer with \
                 data.contrast = \"gcn\")",
                out.name
            )))
        }
        _ => Ok(()),
    }
}

impl Trainer {
    /// A model at step 0.
    ///
    /// # Errors
    /// Data that do not fit the configuration: another width, values that G cannot give, fewer examples than one step
    /// takes.
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
        plan: impl Fn(&game::Step) -> Result<Plan> + Send + Sync + 'static,
    ) -> Result<Trainer> {
        let d = images.d();
        config.check_data_dim(d)?;
        check_range(config, images)?;
        let rows = config.train.examples_per_step();
        let steps_per_epoch = schedule::steps_per_epoch(images.n(), rows);
        if steps_per_epoch == 0 {
            return Err(Error::Mismatch(format!(
                "a step takes {rows} examples (train.batch {}, times train.k if alternating), but the \
                 data set has only {} to train on",
                config.train.batch,
                images.n()
            )));
        }
        let make_plan: MakePlan = Box::new(plan);
        let (plan, probe) = plans(config, 1, d, &make_plan)?;
        let (g, d) = config.parameter_counts(d);
        let slots = optim::slots(&config.optimizer.rule, "").len() as u64;
        let averages = if config.train.average.is_some() { g } else { 0 };
        let tensors = g.saturating_add(d).saturating_mul(1 + slots);
        let tensors = tensors.saturating_add(averages);
        let buffers = shared_buffers(&plan, &probe);
        room_for("training this model", tensors.saturating_add(buffers))?;
        let store = init::store(config, images.d(), &images.pixel_means())?;
        Ok(Trainer {
            config: config.clone(),
            cpu: Cpu::new(&plan),
            plan,
            probe,
            store,
            batch: Batch {
                order: vec![0; images.n()],
                epoch: 0,
                rows: vec![0; rows],
                x: vec![0.0; rows * images.d()],
            },
            images: images.clone(),
            steps_per_epoch,
            make_plan,
            planned_epoch: 1,
            is_incomplete: config.layers_from_run().next().is_some(),
        })
    }

    /// Takes what the configuration takes from another run, which a model at step 0 needs before its first step.
    ///
    /// # Errors
    /// As [`pretrained::load`].
    pub fn load_pretrained(&mut self) -> Result<Option<pretrained::Source>> {
        let source = pretrained::load(&self.config, self.images.d(), &mut self.store)?;
        self.is_incomplete = false;
        Ok(source)
    }

    /// A model in the state `store` in which only one network, "D" or "G", learns and the other one stands still.
    ///
    /// Its steps are simultaneous ones, whatever the configuration says: there is no order of updates.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn alone(config: &Config, images: &Images, store: Store, who: &str) -> Result<Trainer> {
        let config = config.with(&["train.update=simultaneous"])?;
        let names = format!("{who}.");
        let plan = move |step: &game::Step| step.plan_of(Keep::Fetched, &names);
        let mut trainer = Trainer::with_plan(&config, images, plan)?;
        trainer.set_store(store);
        Ok(trainer)
    }

    /// Goes on from another state of the same model.
    pub fn set_store(&mut self, store: Store) {
        self.store = store;
        self.is_incomplete = false;
    }

    /// Continues from a checkpoint.
    ///
    /// # Errors
    /// As [`checkpoint::load`].
    pub fn load(&mut self, path: &Path) -> Result<String> {
        let data = checkpoint::load(path, &self.config, &mut self.store)?;
        self.is_incomplete = false;
        Ok(data)
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
        self.step_with(|cpu, plan, store, feed| cpu.run(plan, store, &[feed]))
    }

    /// As [`Trainer::step`], noting in `spans` when each step of the plan ran, from the beginning of the run.
    ///
    /// # Errors
    /// The engine's.
    pub fn step_timed(&mut self, spans: &mut [Span]) -> Result<StepReport> {
        self.step_with(|cpu, plan, store, feed| cpu.run_timed(plan, store, &[feed], spans))
    }

    fn step_with(
        &mut self,
        run: impl FnOnce(&mut Cpu, &Plan, &mut Store, Feed) -> ganforge_tensor::Result<()>,
    ) -> Result<StepReport> {
        if self.is_incomplete {
            let reason = "begins with parameters of another run, which were not loaded";
            return Err(Error::Mismatch(format!("{}: {reason}", self.config.name)));
        }
        let (lr, momentum) = self.prepare()?;
        run(
            &mut self.cpu,
            &self.plan,
            &mut self.store,
            self.batch.feed(),
        )?;
        self.store.control.step += 1;
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

    /// The L2 norms of the weights' gradients that the next step will follow, as [`probe::names`] has them. Nothing
    /// is trained.
    ///
    /// # Errors
    /// The engine's.
    pub fn gradient_norms(&mut self) -> Result<Vec<f32>> {
        self.prepare()?;
        self.cpu
            .run(&self.probe, &mut self.store, &[self.batch.feed()])?;
        let norms = self.probe.fetches.iter().map(|f| {
            let value = self.cpu.fetch(&self.probe, &self.store, &f.name);
            value.map_or(f32::NAN, |v| v[0])
        });
        Ok(norms.collect())
    }

    /// Makes ready what the next step reads: its minibatches and its learning rate and momentum.
    fn prepare(&mut self) -> Result<(f64, Option<f64>)> {
        let step = self.store.control.step;
        let epoch = schedule::epoch_of(step, self.steps_per_epoch);
        if !self.config.has_same_dropout(self.planned_epoch, epoch) {
            let (config, d) = (&self.config, self.images.d());
            (self.plan, self.probe) = plans(config, epoch, d, &self.make_plan)?;
            self.planned_epoch = epoch;
        }
        self.fill(step, epoch)?;
        Ok(optim::prepare(&self.config, &mut self.store, step, epoch))
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
        match last_good {
            Some(path) => drop(replay.load(path)?),
            None => drop(replay.load_pretrained()?),
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
