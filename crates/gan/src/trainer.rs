//! A model in training, one step at a time.

mod bad;
mod batch;
mod captured;
mod labelled;
mod plans;
mod warmup;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use batch::Batch;
use captured::Captured;
use ganforge_tensor::exec::Span;
use ganforge_tensor::plan::Shards;
use ganforge_tensor::{Cpu, Device, Executor, Feed, Keep, NodeId, Plan, Store};
use plans::{BySet, StepPlans, shared_buffers};
use warmup::Warming;

use crate::config::Config;
use crate::data::Images;
use crate::error::{Error, Result, room_for};
pub use crate::monitors::StepReport;
use crate::monitors::{Names, Window};
use crate::optim::{MAX_RATES, Schedule};
use crate::penalties::Due;
use crate::ranks::Ranks;
use crate::state::State;
use crate::tensors::Tensors;
use crate::{fitted, game, init, pretrained, schedule};

/// A model in training: its plans, its state and its place in the data.
///
/// ```
/// use ganforge_gan::{Config, Trainer, data};
/// let config = Config::preset("tiny")?;
/// let digits = data::bundled_sample()?; // 4,000 to train on
/// let mut trainer = Trainer::new(&config, &digits.train)?;
/// let report = trainer.step()?;
/// assert!(report.get("loss_d") > Some(0.0) && trainer.steps() == 1);
/// # Ok::<(), ganforge_gan::Error>(())
/// ```
pub struct Trainer {
    config: Config,
    images: Images,
    /// In use are those of the last step, or of the one that was made ready.
    plans: BySet<StepPlans>,
    /// Runs all of them, in the same buffers.
    executor: Box<dyn Executor>,
    device: Device,
    ranks: Ranks,
    /// Steps taken at once on a device.
    captured: Captured,
    state: State,
    schedule: Schedule,
    /// Of what a step reports.
    names: Arc<Names>,
    batch: Batch,
    /// Updates of D alone, in a run that has some.
    warming: Option<Warming>,
    steps_per_epoch: usize,
    make_plan: MakePlan,
    /// The epoch whose dropout the plans have.
    planned_epoch: usize,
    /// Whether some layers still lack the parameters that they take from another run.
    is_incomplete: bool,
}

/// Makes the plan of a recorded step.
type MakePlan = Box<dyn Fn(&game::Step) -> Result<Plan> + Send + Sync>;

impl Trainer {
    /// A model at step 0.
    ///
    /// # Errors
    /// Data that do not fit the configuration: another width, values that G cannot give, fewer examples than one step
    /// takes.
    pub fn new(config: &Config, images: &Images) -> Result<Trainer> {
        Trainer::at(&Device::CPU, config, images)
    }

    /// The same, to be trained on `device`.
    ///
    /// # Errors
    /// As [`Trainer::new`]; the device's.
    pub fn at(device: &Device, config: &Config, images: &Images) -> Result<Trainer> {
        Trainer::among(&Ranks::default(), device, config, images)
    }

    /// The same as one of several ranks, which all have the same configuration and images and take each step together.
    ///
    /// # Errors
    /// As [`Trainer::at`]; ranks that cannot share out the shards; shards on a device other than the CPU.
    pub fn among(
        ranks: &Ranks,
        device: &Device,
        config: &Config,
        images: &Images,
    ) -> Result<Trainer> {
        let plan = |step: &game::Step| step.plan(Keep::Fetched);
        Trainer::new_with(ranks, device, config, images, plan)
    }

    /// A model at step 0 whose plan is made by `plan` from the recorded step.
    ///
    /// # Errors
    /// As [`Trainer::at`].
    pub fn with_plan(
        device: &Device,
        config: &Config,
        images: &Images,
        plan: impl Fn(&game::Step) -> Result<Plan> + Send + Sync + 'static,
    ) -> Result<Trainer> {
        Trainer::new_with(&Ranks::default(), device, config, images, plan)
    }

    fn new_with(
        ranks: &Ranks,
        device: &Device,
        config: &Config,
        images: &Images,
        plan: impl Fn(&game::Step) -> Result<Plan> + Send + Sync + 'static,
    ) -> Result<Trainer> {
        let d = images.d();
        let shards = own_shards(ranks, device, config)?;
        config.check_encoder_is_read()?;
        config.check_data_dim(d)?;
        config
            .check_range("train", images)
            .and_then(|()| config.check_labels(images))
            .map_err(Error::Mismatch)?;
        let rows = config.examples_per_step();
        let steps_per_epoch = schedule::steps_per_epoch(images.n(), rows);
        if steps_per_epoch == 0 {
            return Err(Error::Mismatch(format!(
                "a step takes {rows} examples (train.batch {}, times train.k if alternating, and once more with loss.fresh of \"semi-supervised\"), \
                 but the data set has only {} to train on",
                config.train.batch,
                images.n()
            )));
        }
        let make_plan: MakePlan = Box::new(plan);
        let plans = StepPlans::of_epoch(config, 1, d, ranks, &make_plan)?;
        let tensors = Tensors::of(config, d).elements();
        let warming = Warming::new(config, images, ranks, &shards)?;
        let both = plans.all().flat_map(|of| [&of.step, &of.probe]);
        let of_d = warming.iter().flat_map(Warming::plans);
        let buffers = shared_buffers(&both.chain(of_d).collect::<Vec<_>>());
        room_for("training this model", tensors.saturating_add(buffers))?;
        let mut store = init::store(config, images.d(), &images.pixel_means())?;
        if !config.needs_other_run() {
            fitted::fit(config, images, &mut store)?;
        }
        let in_step = [rows, config.labelled_minibatches()];
        Ok(Trainer {
            config: config.clone(),
            executor: match device {
                Device::Cpu(algorithm) => Box::new(Cpu::by(*algorithm).among(ranks.comm().clone())),
                Device::Cuda(..) => device.executor()?,
            },
            device: device.clone(),
            ranks: ranks.clone(),
            captured: Captured::default(),
            plans,
            state: State::of(store),
            schedule: Schedule::of(config),
            names: Arc::new(Names::of(config)),
            batch: Batch::new("shuffle", config, images, in_step, &shards)?,
            warming,
            images: images.clone(),
            steps_per_epoch,
            make_plan,
            planned_epoch: 1,
            is_incomplete: config.needs_other_run(),
        })
    }

    /// Takes what the configuration takes from other runs, which a model at step 0 needs before its first step; says from where.
    ///
    /// # Errors
    /// As [`pretrained::load`], [`pretrained::load_margin`] and [`pretrained::load_encoder`].
    pub fn load_pretrained(&mut self) -> Result<Vec<pretrained::Source>> {
        let (config, d, store) = (&self.config, self.images.d(), &mut self.state.store);
        let sources = [
            pretrained::load(config, d, store)?,
            pretrained::load_margin(config, d, store)?,
            pretrained::load_encoder(config, d, store)?,
        ];
        if config.needs_other_run() {
            fitted::fit(config, &self.images, store)?;
        }
        self.is_incomplete = false;
        Ok(sources.into_iter().flatten().collect())
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
        let mut trainer = Trainer::with_plan(&Device::CPU, &config, images, plan)?;
        trainer.set_store(store);
        Ok(trainer)
    }

    /// Goes on from another state of the same model.
    pub fn set_store(&mut self, store: Store) {
        self.state = State::of(store);
        self.captured.restart();
        self.is_incomplete = false;
    }

    /// Writes a checkpoint; `data` is the SHA-256 of the data set.
    ///
    /// # Errors
    /// What the system refuses; a file of that name is left as it was.
    pub fn save(&self, path: &Path, data: &str) -> Result<()> {
        self.state.save(path, &self.config, data)
    }

    /// Continues from a checkpoint; returns the SHA-256 of the data set it has learnt from.
    ///
    /// # Errors
    /// A damaged file, another format version, a missing, unknown or misshapen entry, a value that is not finite, a
    /// configuration that trains something else. The trainer is unchanged then.
    pub fn load(&mut self, path: &Path) -> Result<String> {
        let (state, data) = State::load(path, &self.config, &self.state.store)?;
        self.state = state;
        self.captured.restart();
        self.is_incomplete = false;
        Ok(data)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The plan of the last step, before the first one that of the first one: with lazy penalties there are several.
    pub fn plan(&self) -> &Plan {
        &self.plans.now().step
    }

    /// The ranks that train it together.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// Gives all ranks the state of rank 0, which alone needs to have read it.
    ///
    /// # Errors
    /// What connects the ranks.
    pub fn share(&mut self) -> Result<()> {
        let ranks = self.ranks.clone();
        ranks.share_store(&mut self.state.store)?;
        self.is_incomplete = false;
        Ok(())
    }

    /// Where it trains.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Parameters, slots and control block; after [`Trainer::run_ahead`] those of the last [`Trainer::settle`].
    pub fn store(&self) -> &Store {
        &self.state.store
    }

    /// What a checkpoint holds, as [`Trainer::store`].
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The steps that have no row in metrics.csv yet.
    pub fn window(&mut self) -> &mut Window {
        &mut self.state.window
    }

    /// Completed steps.
    pub fn steps(&self) -> u64 {
        self.state.store.control.step
    }

    /// Steps in an epoch: full minibatches only.
    pub fn steps_per_epoch(&self) -> usize {
        self.steps_per_epoch
    }

    /// The data of the last step, [k · batch, data], shard by shard; of several ranks those of the own shards.
    pub fn x(&self) -> &[f32] {
        &self.batch.x
    }

    /// The labels of the data of the last step, [k · batch], of a step that asks for them.
    pub fn labels(&self) -> Option<&[f32]> {
        self.batch.labels.as_deref()
    }

    /// A value that the plan fetches, after a step.
    pub fn fetch(&self, name: &str) -> Option<&[f32]> {
        self.executor.fetch(self.plan(), &self.state.store, name)
    }

    /// The value that a node had in the last step, of a plan with [`Keep::All`].
    ///
    /// # Errors
    /// The device's.
    pub fn value(&self, node: NodeId) -> Result<Option<Cow<'_, [f32]>>> {
        Ok(self.executor.value(self.plan(), &self.state.store, node)?)
    }

    /// Lets the next `n` steps run at once where a device trains, within the epoch: [`Trainer::step`] reports them one by
    /// one, and [`Trainer::settle`] after the last of them brings the store up to date. On the CPU nothing changes, nor where
    /// examples are changed at random or D learns from a few labelled ones, which the host sees to.
    pub fn run_ahead(&mut self, n: usize) {
        self.captured.allowed = match self.device {
            Device::Cpu(_) => 0,
            Device::Cuda(..) if self.batch.changes_examples() => 0,
            Device::Cuda(..) => n,
        };
    }

    /// Steps that a device has taken and [`Trainer::step`] has not reported yet.
    pub fn unreported(&self) -> usize {
        self.captured.unreported()
    }

    /// The kernel launches of a step in the captured loop, and the most of them that must follow one another.
    pub fn launches(&self) -> Option<(usize, usize)> {
        self.captured.launches()
    }

    /// Brings the store to the last step.
    ///
    /// # Errors
    /// Steps that are not reported yet; the device's.
    pub fn settle(&mut self) -> Result<()> {
        match self.executor.cuda() {
            None => Ok(()),
            Some(cuda) => self.captured.settle(cuda, &mut self.state.store),
        }
    }

    /// Runs one step, after the updates of D alone that [`Train::warmup`](crate::config::Train::warmup) puts before it. Nothing is allocated on the CPU after the first one, called inside of a thread pool.
    ///
    /// The report may hold values that are not finite; see [`Trainer::first_bad_node`].
    ///
    /// # Errors
    /// The engine's.
    pub fn step(&mut self) -> Result<StepReport> {
        if self.unreported() == 0 && self.captured.allowed > 0 {
            self.check_complete()?;
            match self.quiet_steps() {
                0 => self.captured.allowed -= 1, // this one runs by itself
                quiet => self.take_steps(quiet)?,
            }
        }
        if let Some(report) = self.captured.report() {
            self.state.store.control.step += 1;
            return Ok(report);
        }
        self.step_with(|executor, plan, store, feeds| executor.run(plan, store, feeds))
    }

    /// As [`Trainer::step`], noting in `spans` when each step of the plan ran, from the beginning of the run.
    ///
    /// # Errors
    /// The engine's, which times on the CPU alone.
    pub fn step_timed(&mut self, spans: &mut [Span]) -> Result<StepReport> {
        self.step_with(|executor, plan, store, feeds| executor.run_timed(plan, store, feeds, spans))
    }

    fn check_complete(&self) -> Result<()> {
        match self.is_incomplete {
            false => Ok(()),
            true => {
                let reason = "starts from parameters of another run, which were not loaded";
                Err(Error::Mismatch(format!("{}: {reason}", self.config.name)))
            }
        }
    }

    fn step_with(
        &mut self,
        run: impl FnOnce(&mut dyn Executor, &Plan, &mut Store, &[Feed]) -> ganforge_tensor::Result<()>,
    ) -> Result<StepReport> {
        self.check_complete()?;
        self.settle()?;
        self.warm_up()?;
        let rates = self.prepare()?;
        let (executor, store) = (&mut *self.executor, &mut self.state.store);
        let plan = &self.plans.now().step;
        self.batch.feed(|feeds| run(executor, plan, store, feeds))?;
        self.state.store.control.step += 1;
        let value = |name: &str| self.fetch(name).map(|v| v[0]);
        Ok(StepReport::new(&self.names, rates, value))
    }

    /// The L2 norms of the weights' gradients that the next step will follow, as [`crate::probe::names`] has them, or would without
    /// updates of D alone before it. Nothing is trained.
    ///
    /// # Errors
    /// The engine's.
    pub fn gradient_norms(&mut self) -> Result<Vec<f32>> {
        self.prepare()?;
        let (probe, store) = (&self.plans.now().probe, &mut self.state.store);
        let (executor, is_beyond) = (&mut self.executor, self.captured.is_beyond());
        self.batch.feed(|feeds| match executor.cuda() {
            Some(cuda) if is_beyond => cuda.run_there(probe, &store.control, feeds),
            _ => executor.run(probe, store, feeds),
        })?;
        let norms = probe.fetches.iter().map(|f| {
            let value = self.executor.fetch(probe, &self.state.store, &f.name);
            value.map_or(f32::NAN, |v| v[0])
        });
        Ok(norms.collect())
    }

    /// Makes ready what the next step reads: its minibatches and the scalars of the optimisers, of which it returns those
    /// that are reported.
    fn prepare(&mut self) -> Result<[f64; MAX_RATES]> {
        let step = self.state.store.control.step;
        let epoch = schedule::epoch_of(step, self.steps_per_epoch);
        self.enter(epoch)?;
        self.choose_plans();
        let place = (step % self.steps_per_epoch as u64) as usize;
        self.batch
            .fill(&self.images, place * self.config.examples_per_step())?;
        Ok(self
            .schedule
            .set(&mut self.state.store.control, step, epoch))
    }

    /// Takes the plans of the next step in use.
    fn choose_plans(&mut self) {
        let penalties = &self.config.discriminator.penalties;
        self.plans.choose(Due::at(penalties, self.steps()));
    }

    /// Makes ready what an epoch has for itself: the plans, where its dropout is another one, and the order of examples.
    fn enter(&mut self, epoch: usize) -> Result<()> {
        if !self.config.has_same_plans(self.planned_epoch, epoch) {
            let (config, d) = (&self.config, self.images.d());
            self.plans = StepPlans::of_epoch(config, epoch, d, &self.ranks, &self.make_plan)?;
            if let Some(warming) = &mut self.warming {
                warming.plan_epoch(config, epoch, d, &self.ranks)?;
            }
            self.planned_epoch = epoch;
        }
        self.batch.shuffle(self.config.seed, epoch);
        Ok(())
    }
}

/// The shards that a rank computes of each minibatch.
fn own_shards(ranks: &Ranks, device: &Device, config: &Config) -> Result<Shards> {
    let of = config.train.shards();
    if of > 1 && !matches!(device, Device::Cpu(_)) {
        return Err(Error::Mismatch(format!(
            "train.shards = {of}: shards are trained on the CPU alone so far, not on {}",
            device.name()
        )));
    }
    match Shards::of_rank(ranks.rank(), ranks.size(), of) {
        Ok(shards) => Ok(shards),
        Err(_) => Err(Error::Mismatch(format!(
            "{} ranks cannot share out train.shards = {of}: the number of ranks must be a power of two, and of shards one that \
             it divides",
            ranks.size()
        ))),
    }
}
