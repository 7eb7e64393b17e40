//! Updates of D alone before a step, as `train.warmup` has them: one plan, run for each of them on a fresh minibatch.

use ganforge_tensor::plan::Shards;
use ganforge_tensor::{Graph, Keep, Plan};

use super::Trainer;
use super::batch::Batch;
use super::plans::BySet;
use crate::config::Config;
use crate::data::Images;
use crate::error::Result;
use crate::penalties::Due;
use crate::ranks::Ranks;
use crate::{game, schedule};

/// The bit by which the key of their random numbers differs from the run's: no seed has it.
const KEY_BIT: u64 = 1 << 63;

/// What updates of D alone need.
pub(super) struct Warming {
    plans: BySet<Plan>,
    batch: Batch,
}

impl Warming {
    /// Of a run of `config`, where it has such updates.
    pub(super) fn new(
        config: &Config,
        images: &Images,
        ranks: &Ranks,
        shards: &Shards,
    ) -> Result<Option<Warming>> {
        if config.train.warmup.is_none() {
            return Ok(None);
        }
        let in_step = [config.train.batch, config.labelled_minibatches().min(1)];
        let batch = Batch::new("shuffle/warmup", config, images, in_step, shards)?;
        let plans = plans(config, 1, images.d(), ranks)?;
        Ok(Some(Warming { plans, batch }))
    }

    /// The plans of one update.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.all()
    }

    /// Makes the plans of an epoch, whose dropout is another one.
    pub(super) fn plan_epoch(
        &mut self,
        config: &Config,
        epoch: usize,
        d: usize,
        ranks: &Ranks,
    ) -> Result<()> {
        self.plans = plans(config, epoch, d, ranks)?;
        Ok(())
    }
}

fn plans(config: &Config, epoch: usize, d: usize, ranks: &Ranks) -> Result<BySet<Plan>> {
    BySet::new(&config.at_epoch(epoch), |config| {
        let graph = Graph::new();
        let step = game::record_d(&graph, config, d)?;
        step.of_rank(ranks)?.plan(Keep::Fetched)
    })
}

impl Trainer {
    /// The next steps before which D has no further updates, and which have no penalty but those of every step.
    pub(super) fn quiet_steps(&self) -> u64 {
        let step = self.state.store.control.step;
        let to_penalty = self.config.steps_to_lazy_penalty(step);
        self.config.train.quiet_steps(step).min(to_penalty)
    }

    /// Runs the updates of D alone that come before the next step. Which minibatches and random numbers they have follows from
    /// their number in the run, so a run that goes on from a checkpoint has the same ones.
    pub(super) fn warm_up(&mut self) -> Result<()> {
        let control = &self.state.store.control;
        let (step, key) = (control.step, control.key);
        let train = &self.config.train;
        let updates = train.extra_updates(step)..train.extra_updates(step + 1);
        if updates.is_empty() {
            return Ok(());
        }
        let epoch = schedule::epoch_of(step, self.steps_per_epoch);
        self.enter(epoch)?;
        let done = updates
            .into_iter()
            .try_for_each(|update| self.update_d(step, update, epoch));
        let control = &mut self.state.store.control;
        (control.step, control.key) = (step, key);
        done
    }

    /// The update of D alone that follows `update` others of the run. It has the penalties that step `update` has: of these
    /// updates, too, one in `every` has a lazy penalty.
    fn update_d(&mut self, step: u64, update: u64, epoch: usize) -> Result<()> {
        let Some(Warming { plans, batch }) = &mut self.warming else {
            return Ok(());
        };
        let rows = self.config.train.batch;
        let per_pass = schedule::steps_per_epoch(self.images.n(), rows);
        batch.shuffle(self.config.seed, schedule::epoch_of(update, per_pass));
        let place = (update % per_pass as u64) as usize;
        batch.fill(&self.images, place * rows)?;
        let (executor, store) = (&mut self.executor, &mut self.state.store);
        self.schedule
            .set_extra(&mut store.control, step, update, epoch);
        store.control.step = update;
        store.control.key = self.config.seed | KEY_BIT;
        plans.choose(Due::at(&self.config.discriminator.penalties, update));
        Ok(batch.feed(|feeds| executor.run(plans.now(), store, feeds))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::data::GAUSSIAN;
    use crate::experiment::Experiment;
    use crate::losses::{Judged, Objective};
    use crate::optim::Schedule;
    use ganforge_tensor::{Device, Feed, Var};

    /// The gradient in the bias of D's last layer is 1, whatever the examples are.
    #[derive(Debug)]
    struct Count;

    impl Objective for Count {
        fn d<'g>(&self, real: &Judged<'g>, _: &Judged<'g>) -> Var<'g> {
            real.d.mean()
        }

        fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
            fake.d.mean()
        }
    }

    fn config(options: &[&str]) -> Config {
        let all = [
            "train.batch=64",
            "train.update=alternating",
            "train.k=2",
            "train.warmup={steps=2, k=5, every=4}",
        ];
        let config = Config::preset("fig1").and_then(|c| c.with(&[&all, options].concat()));
        config.expect("valid")
    }

    /// The bias of D's last layer after each of 10 steps, under a gradient of 1.
    fn biases(lr_decay: f64, options: &[&str]) -> Vec<f32> {
        let lr_decay = format!("discriminator.optimizer.lr_decay={lr_decay:?}");
        let sgd = [
            "discriminator.optimizer.kind=sgd",
            "discriminator.optimizer.momentum.start=0.0",
            "discriminator.optimizer.momentum.end=0.0",
            "discriminator.optimizer.lr=1.0",
            "discriminator.optimizer.lr_min=0.0",
            lr_decay.as_str(),
        ];
        let config = config(&[&sgd, options].concat());
        let experiment = Experiment::of(config, GAUSSIAN.draw(1)).loss("count", Count);
        let mut trainer = experiment.trainer(&Device::CPU).expect("a trainer");
        let step = |_| {
            trainer.step().expect("a step");
            trainer.store().get("D.out.b").expect("a bias").data[0]
        };
        (0..10).map(step).collect()
    }

    #[test]
    fn d_has_so_many_updates_and_no_more() {
        let counts = [5, 10, 12, 14, 19, 21, 23, 25, 30, 32];
        assert_eq!(biases(1.0, &[]), counts.map(|n| -n as f32));
        let without = ["train.warmup={steps=0, k=5, every=0}"];
        assert_eq!(
            biases(1.0, &without),
            [2, 4, 6, 8, 10, 12, 14, 16, 18, 20].map(|n| -n as f32)
        );
        let first = ["train.k=1", "train.warmup={steps=1, k=100, every=0}"];
        let expected = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109];
        assert_eq!(biases(1.0, &first), expected.map(|n| -n as f32));
    }

    /// 1 + 1/2 + 1/4 + ..: as many terms as updates.
    #[test]
    fn each_update_of_d_counts_to_its_rate() {
        let found = biases(2.0, &[]);
        for (n, bias) in [5, 10, 12, 14, 19, 21, 23].into_iter().zip(found) {
            assert_eq!(bias, 0.5f32.powi(n - 1) - 2.0, "{n} updates");
        }
    }

    #[test]
    fn a_run_resumed_amid_them_has_the_same_bits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.npz");
        let (config, data) = (
            config(&["discriminator.layer.h0.keep_prob=0.5"]),
            GAUSSIAN.draw(1),
        );
        let trainer = || Trainer::new(&config, &data.train).expect("a trainer");
        let mut whole = trainer();
        for saved in [1, 4, 5] {
            while whole.steps() < saved {
                whole.step().expect("a step");
            }
            whole.save(&path, "sum").expect("written");
            let mut resumed = trainer();
            resumed.load(&path).expect("read");
            for _ in 0..2 {
                let reports = (whole.step(), resumed.step());
                assert_eq!(reports.0.expect("a step"), reports.1.expect("a step"));
            }
            assert_eq!(whole.store(), resumed.store(), "after {saved}");
        }
    }

    #[test]
    fn an_update_of_d_alone_is_the_first_of_a_step() {
        let config = config(&["train.k=1"]);
        let data = GAUSSIAN.draw(1);
        let x = data.train.to_f32(0..64).expect("rows");
        let run = |alone: bool| {
            let graph = Graph::new();
            let step = match alone {
                true => game::record_d(&graph, &config, 1),
                false => game::record(&graph, &config, 1),
            };
            let plan = step.and_then(|s| s.plan(Keep::Fetched)).expect("a plan");
            let mut store = Trainer::new(&config, &data.train)
                .expect("a trainer")
                .state
                .store;
            let before = store.clone();
            Schedule::of(&config).set(&mut store.control, 0, 1);
            let mut executor = Device::CPU.executor().expect("an executor");
            let fed = executor.run(&plan, &mut store, &[Feed::new("x", [64, 1], &x)]);
            fed.expect("run");
            let changed = store.iter().zip(before.iter()).filter(|(a, b)| a != b);
            let changed = changed.map(|(after, _)| after.clone());
            changed.collect::<Vec<_>>()
        };
        let (mut step, alone) = (run(false), run(true));
        assert!(step.iter().any(|e| e.name.starts_with("G.")));
        step.retain(|e| e.name.starts_with("D."));
        assert_eq!(step, alone);
    }

    #[test]
    fn fewer_updates_than_without_are_refused() {
        let preset = Config::preset("fig1").expect("a preset");
        let got = preset.with(&["train.k=5", "train.warmup.k=5"]).unwrap_err();
        let expected = "train.warmup.k must be more than train.k, which is 5, got 5";
        assert!(got.to_string().contains(expected), "{got}");
        let got = preset.with(&["train.update=simultaneous", "train.warmup.k=9"]);
        let got = got.unwrap_err().to_string();
        assert!(got.contains("only with update = \"alternating\""), "{got}");
    }
}
