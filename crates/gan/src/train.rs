//! The training loop: fills a run's folder.

mod scores;

use ganforge_tensor::Device;

use crate::config::{BestOn, Config};
use crate::data::Dataset;
use crate::data::pictures::{image_grid, shown};
use crate::error::{Error, Result};
use crate::extractors::Loaded;
use crate::metrics::Scores;
use crate::restore::Restorer;
use crate::run::{GRID_PADDING, MetricsRow, Run};
use crate::schedule;
use crate::trainer::{StepReport, Trainer};
use scores::Scorer;

pub use scores::{score_classifier, score_encoder, score_restorer, score_run, score_store};

/// After so many steps a loss is asked whether its settings suit what D says.
const FIRST_STEPS: u64 = 20;

/// After so many steps, and at the end of an epoch, ranks compare what they have.
const COMPARED: u64 = 100;

/// What a training run tells while it goes on.
pub trait Observer {
    /// After each step.
    fn step(&mut self, progress: &Progress);
    /// Something worth a line: a score, a file written.
    fn message(&mut self, text: &str);
    /// After a checkpoint of `step` steps, from which `run` can go on.
    ///
    /// # Errors
    /// What the system refuses where the observer writes it down; training ends then.
    fn checkpoint(&mut self, _run: &Run, _step: u64) -> Result<()> {
        Ok(())
    }
    /// Whether the next step is to be the last one for now.
    fn should_stop(&self) -> bool;
}

/// Nobody looks on.
impl Observer for () {
    fn step(&mut self, _: &Progress) {}
    fn message(&mut self, _: &str) {}
    fn should_stop(&self) -> bool {
        false
    }
}

/// Where a run is.
#[derive(Clone, Debug)]
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
    Finished(Scores),
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
    let loaded = check(data, trainer.config(), trainer.device())?;
    train_with(&loaded, trainer, data, run, observer)
}

/// The same with the networks of a [`check`]. Of several ranks this is rank 0, the others [`follow`].
///
/// # Errors
/// As [`train`]; ranks with other configurations or data, or that come to other parameters.
pub fn train_with(
    loaded: &Loaded,
    trainer: &mut Trainer,
    data: &Dataset,
    run: &mut Run,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let config = trainer.config().clone();
    tell_notes(loaded, observer);
    let mut scorer = Scorer::new(loaded, trainer)?;
    let mut place = Place {
        scorer: &mut scorer,
        data,
        run,
    };
    if take_steps(trainer, &data.sha256, Some(&mut place), observer)? {
        return Ok(Outcome::Stopped);
    }
    // Of a run that was killed after its last checkpoint, or whose files were removed: what is missing is made.
    let epochs = config.train.epochs;
    if !place.run.has_picture(&config, epochs) {
        place.picture(trainer, epochs)?;
    }
    Ok(Outcome::Finished(place.scored(trainer, epochs, observer)?))
}

/// Takes the steps of a rank other than 0, which writes nothing: a minibatch has its shards, too. Returns whether it was stopped
/// before its end. `observer` sees the steps and may stop all ranks.
///
/// # Errors
/// Those of [`train_with`] that are of all ranks; what connects them.
pub fn follow(trainer: &mut Trainer, data: &Dataset, observer: &mut dyn Observer) -> Result<bool> {
    take_steps(trainer, &data.sha256, None, observer)
}

/// Where a run is written down and what it is scored with: rank 0 has it.
struct Place<'a, 'l> {
    scorer: &'a mut Scorer<'l>,
    data: &'a Dataset,
    run: &'a mut Run,
}

/// Takes the steps up to the end, or until someone stops it: then it says so.
fn take_steps(
    trainer: &mut Trainer,
    data: &str,
    mut place: Option<&mut Place>,
    observer: &mut dyn Observer,
) -> Result<bool> {
    let (config, ranks) = (trainer.config().clone(), trainer.ranks().clone());
    let per_epoch = trainer.steps_per_epoch() as u64;
    let total = per_epoch * config.train.epochs as u64;
    ranks.check_same(&[
        ("configuration", &config.to_toml()),
        ("data set", data),
        ("step to go on from", &trainer.steps().to_string()),
    ])?;
    ranks.check_store(trainer.store(), trainer.steps())?;
    while trainer.steps() < total {
        let epoch = schedule::epoch_of(trainer.steps(), per_epoch as usize);
        let step = trainer.steps() + 1;
        let is_last_of_epoch = step.is_multiple_of(per_epoch);
        // A device is asked where it has not run ahead.
        let stops = trainer.unreported() == 0 && observer.should_stop() && step < total;
        let stops = ranks.any(stops)?;
        let log_every = config.output.log_every as u64;
        let is_logged = is_last_of_epoch || step.is_multiple_of(log_every);
        let grads = match is_logged {
            true => trainer.gradient_norms()?,
            false => Vec::new(),
        };
        if trainer.unreported() == 0 {
            trainer.run_ahead(match is_logged || stops {
                true => 1,
                false => quiet_steps(step, log_every, per_epoch),
            });
        }
        let report = trainer.step()?;
        if !report.is_finite() {
            let what = report.monitors().map(|(name, v)| format!("{name} {v}"));
            let what = what.collect::<Vec<_>>().join(", ");
            return Err(not_finite(trainer, place.as_deref(), what));
        }
        if step == FIRST_STEPS
            && let [Some(real), Some(fake)] = ["d_real", "d_fake"].map(|name| report.get(name))
            && let Some(doubt) = config.loss.kind.doubt(real, fake)
        {
            observer.message(&format!("step {step}: {doubt}"));
        }
        trainer.window().add(&report);
        observer.step(&Progress {
            step,
            total,
            epoch,
            epochs: config.train.epochs,
            is_last_of_epoch,
            report: report.clone(),
        });
        if is_logged {
            if let Some(place) = &mut place {
                place.run.log(&MetricsRow {
                    step,
                    epoch,
                    monitors: trainer.window().means(),
                    rates: report.rates().map(|(_, rate)| rate).collect(),
                    grads,
                })?;
            }
            trainer.window().clear();
        }
        if step.is_multiple_of(COMPARED) || is_last_of_epoch || stops {
            ranks.check_store(trainer.store(), step)?;
        }
        if is_last_of_epoch || stops {
            trainer.settle()?;
            check_finite(trainer, place.as_deref())?;
        }
        if let Some(place) = &mut place {
            if is_last_of_epoch {
                place.end_epoch(trainer, epoch, observer)?;
            }
            if stops {
                place.checkpoint(trainer, observer)?;
            }
        }
        if stops {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Steps from `step` on that have no row in metrics.csv.
fn quiet_steps(step: u64, log_every: u64, per_epoch: u64) -> usize {
    let next = step
        .next_multiple_of(log_every)
        .min(step.next_multiple_of(per_epoch));
    (next - step) as usize
}

/// Finds out before the first step what would stop the run after its first epoch. Returns the networks that its metrics look at
/// images with.
///
/// # Errors
/// No images to validate or test on; a network that a metric asks for and that is not there, or takes other images; fewer images
/// than a score takes; classes of samples that the data do not have; a picture of samples that cannot be drawn.
pub fn check(data: &Dataset, config: &Config, device: &Device) -> Result<Loaded> {
    for (part, images) in [("validate", &data.valid), ("test", &data.test)] {
        if images.n() == 0 {
            return Err(Error::Mismatch(format!(
                "{}: has no images to {part} on",
                data.name
            )));
        }
    }
    let (task, loaded) = (scores::task(config), Loaded::at(device));
    scores::check_classes(&task, config, data)?;
    loaded.prepare(&task, data)?;
    if let Some(choice) = config.eval.choice().filter(|c| c.on == BestOn::Valid) {
        let config = config.of_choice(&choice);
        let of_choice = loaded.prepare(&scores::task(&config), &data.on_valid());
        of_choice.map_err(|e| Error::Mismatch(format!("eval.best, on validation images: {e}")))?;
    }
    image_grid(&[], data.image(), config.output.grid, GRID_PADDING)?;
    Ok(loaded)
}

/// Passes on what must be said of the networks that metrics look at images with.
fn tell_notes(loaded: &Loaded, observer: &mut dyn Observer) {
    let notes = loaded.notes();
    notes.iter().for_each(|note| observer.message(note));
}

/// Parameters that are no longer finite must not become a checkpoint.
fn check_finite(trainer: &Trainer, place: Option<&Place>) -> Result<()> {
    let mut values = trainer.store().iter();
    match values.find(|e| e.data.iter().any(|x| !x.is_finite())) {
        Some(bad) => Err(not_finite(trainer, place, bad.name.clone())),
        None => Ok(()),
    }
}

impl Place<'_, '_> {
    /// The picture, the score, then the checkpoint: what a checkpoint has behind it is complete, and
    /// what a killed run has beyond it is repeated.
    fn end_epoch(
        &mut self,
        trainer: &Trainer,
        epoch: usize,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let config = trainer.config();
        self.picture(trainer, epoch)?;
        let last = epoch == config.train.epochs;
        if !last && config.eval.every > 0 && epoch.is_multiple_of(config.eval.every) {
            let score = self.scored(trainer, epoch, observer)?;
            observer.message(&format!("epoch {epoch}: {score}"));
        }
        if last || epoch.is_multiple_of(config.output.checkpoint_every) {
            self.checkpoint(trainer, observer)?;
        }
        Ok(())
    }

    fn checkpoint(&self, trainer: &Trainer, observer: &mut dyn Observer) -> Result<()> {
        let (config, data) = (trainer.config(), &self.data.sha256);
        self.run.checkpoint(config, trainer.state(), data)?;
        observer.checkpoint(self.run, trainer.steps())
    }

    /// Scores the run as it is and writes that down.
    fn scored(
        &mut self,
        trainer: &Trainer,
        epoch: usize,
        observer: &mut dyn Observer,
    ) -> Result<Scores> {
        let (scorer, data, run) = (&mut *self.scorer, self.data, &*self.run);
        let score = scorer.score(trainer, data)?;
        if let Some(r2) = scorer.r2.take() {
            let rows = r2
                .iter()
                .enumerate()
                .map(|(j, r2)| format!("{j},{r2:.6}\n"));
            run.write(
                "r2.csv",
                &format!("component,r2\n{}", rows.collect::<String>()),
            )?;
        }
        let chosen = scorer.chosen(trainer, data, &score)?;
        tell_notes(scorer.loaded, observer);
        let step = trainer.steps();
        // The checkpoint before the row, without which the score is repeated.
        let is_best = chosen.map(|value| run.is_best(step, value)).transpose()?;
        if is_best == Some(true) {
            run.keep_best(trainer.config(), trainer.state(), &data.sha256)?;
        }
        run.score(epoch, step, &score, chosen)?;
        if is_best == Some(true)
            && let Some(best) = run.best()?
        {
            observer.message(&format!("best so far {best}"));
        }
        Ok(score)
    }

    /// Shows of the first test images what G is given, what it makes of that, and the image itself, side by side.
    fn restored(&self, trainer: &Trainer, epoch: usize) -> Result<()> {
        let config = trainer.config();
        let [rows, columns] = config.output.grid;
        let of_row = columns / 3;
        let n = (rows * of_row).min(self.data.test.n());
        let x = self.data.test.to_f32(0..n)?;
        let mut restorer = Restorer::at(trainer.device(), config, trainer.store())?;
        let known = restorer.known();
        let given = restorer.incomplete(&x, known.as_deref());
        let restored = restorer.restore(&x, known.as_deref(), 0)?;
        let d = x.len() / n.max(1);
        let mut cells = Vec::with_capacity(rows * columns * d);
        for i in 0..n {
            for images in [&given, &restored, &x] {
                cells.extend_from_slice(&shown(&images[i * d..(i + 1) * d], config.data.contrast));
            }
            if (i + 1) % of_row == 0 {
                cells.resize(cells.len() + columns % 3 * d, 0.5);
            }
        }
        let (steps, data) = (trainer.steps(), self.data);
        self.run.samples(epoch, steps, &cells, data, config)
    }

    /// Draws the samples of an epoch, of a run that has a generator.
    fn picture(&mut self, trainer: &Trainer, epoch: usize) -> Result<()> {
        let config = trainer.config();
        if config.restore.is_some() {
            return self.restored(trainer, epoch);
        }
        let Some(sampler) = &mut self.scorer.sampler else {
            return Ok(());
        };
        let [rows, cols] = config.output.grid;
        // Of a generator with classes each column is one.
        let columns = config.classes().filter(|_| config.has_classes_of_samples());
        let columns = columns.map_or(Vec::new(), |n| (0..cols).map(|col| col % n).collect());
        sampler.set_classes(&columns)?;
        let samples = sampler.draw(&mut trainer.store().clone(), config.seed, rows * cols);
        sampler.set_classes(&[])?; // scores are of all in turn
        let samples = samples?;
        let shown = shown(&samples, config.data.contrast);
        self.run
            .samples(epoch, trainer.steps(), &shown, self.data, config)
    }
}

fn not_finite(trainer: &Trainer, place: Option<&Place>, what: String) -> Error {
    let last_good = place.and_then(|p| p.run.last_checkpoint().ok().flatten());
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
        last_good: named.unwrap_or_else(|| "the start: no checkpoint has been written yet".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::GAUSSIAN;
    use crate::files::{ArrayData, NpzReader};

    /// Stops after the steps of a list, which are in order.
    struct Stops(Vec<u64>, u64);

    impl Observer for Stops {
        fn step(&mut self, progress: &Progress) {
            self.1 = progress.step;
        }
        fn message(&mut self, _: &str) {}
        fn should_stop(&self) -> bool {
            self.0.contains(&(self.1 + 1))
        }
    }

    /// Two epochs of 40 steps with a row at each seventh step and a penalty at each tenth, stopped after `stops`; metrics.csv
    /// and the last checkpoint.
    fn files(folder: &Path, stops: &[u64]) -> (String, Vec<u8>) {
        let options = [
            "train.epochs=2",
            "output.log_every=7",
            "eval.samples=500",
            "discriminator.penalty=[{kind=\"r1\", weight=0.1, every=10}]",
        ];
        let config = Config::preset("fig1").and_then(|c| c.with(&options));
        let config = config.expect("valid");
        let data = GAUSSIAN.draw(config.seed);
        let mut run = Run::create(folder, &config, "{}").expect("made");
        let mut observer = Stops(stops.to_vec(), 0);
        let mut outcome = Outcome::Stopped;
        while outcome == Outcome::Stopped {
            let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
            run.newest(|path| trainer.load(path)).expect("resumed");
            run.rewind(trainer.steps()).expect("rewound");
            outcome = train(&mut trainer, &data, &mut run, &mut observer).expect("trained");
        }
        let last = run.last_checkpoint().expect("read").expect("there");
        let read = |path: &Path| std::fs::read(path).expect("read");
        let metrics = String::from_utf8(read(&folder.join("metrics.csv")));
        (metrics.expect("text"), read(&last))
    }

    /// Stops between rows, twice in one window, at a row, and at the end of an epoch.
    #[test]
    fn a_run_stopped_anywhere_has_the_rows_and_the_bytes_of_a_whole_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = files(&folder.path().join("whole"), &[]);
        assert_eq!(whole.0.lines().count(), 1 + 13);
        let penalties = whole.0.lines().map(|row| row.split(',').nth(6));
        let penalties: Vec<&str> = penalties.map(|field| field.expect("a field")).collect();
        assert_eq!(penalties[0], "r1");
        // Steps 0, 10, 20, 30, .. are the 1st, 11th, 21st, 31st, .. completed ones.
        let has = penalties[1..].iter().map(|field| !field.is_empty());
        let rows = [7, 14, 21, 28, 35, 40, 42, 49, 56, 63, 70, 77, 80];
        for ((row, before), has) in rows.iter().zip([0].iter().chain(&rows)).zip(has) {
            let within = (before + 1..=*row).any(|step| step % 10 == 1);
            assert_eq!(has, within, "the row of step {row}");
        }
        for stops in [&[1, 9, 11, 37][..], &[14, 79], &[40, 41]] {
            let stopped = files(&folder.path().join(format!("at-{}", stops[0])), stops);
            assert!(stopped == whole, "stopped after {stops:?}");
        }
    }

    /// A step is an epoch.
    fn short(options: &[&str]) -> (Config, Dataset) {
        let all = [
            "train.batch=10240",
            "output.checkpoint_every=1",
            "eval.samples=500",
        ];
        let config = Config::preset("fig1").and_then(|c| c.with(&[&all, options].concat()));
        let config = config.expect("valid");
        let data = GAUSSIAN.draw(config.seed);
        (config, data)
    }

    #[test]
    fn the_newest_checkpoints_stay_as_many_as_are_to_be_kept() {
        for (keep, left) in [(1, &[5][..]), (3, &[3, 4, 5]), (9, &[1, 2, 3, 4, 5])] {
            let folder = tempfile::tempdir().expect("a folder");
            let keep = format!("output.keep_checkpoints={keep}");
            let (config, data) = short(&["train.epochs=5", &keep]);
            let mut run = Run::create(&folder.path().join("r"), &config, "{}").expect("made");
            let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
            train(&mut trainer, &data, &mut run, &mut Stops(vec![], 0)).expect("trained");
            let found = std::fs::read_dir(run.folder().join("checkpoints")).expect("there");
            let names = found.map(|e| e.expect("an entry").file_name().into_string());
            let mut names: Vec<String> = names.map(|n| n.expect("text")).collect();
            names.sort();
            let left = left.iter().map(|step| format!("step-{step:08}.npz"));
            assert_eq!(names, left.collect::<Vec<_>>(), "{keep}");
        }
    }

    /// Losses are of the parameters before the update: those of the step are finite still.
    #[test]
    fn parameters_that_are_not_finite_become_no_checkpoint() {
        for (batch, stops) in [("train.batch=256", &[1][..]), ("train.batch=10240", &[])] {
            let folder = tempfile::tempdir().expect("a folder");
            let (config, data) = short(&[batch]);
            let mut run = Run::create(&folder.path().join("r"), &config, "{}").expect("made");
            let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
            let mut store = trainer.store().clone();
            let slot = store.insert("G.out.b.mean", [1], vec![f32::INFINITY]);
            slot.expect("a slot of G");
            trainer.set_store(store);
            let mut observer = Stops(stops.to_vec(), 0);
            let error = train(&mut trainer, &data, &mut run, &mut observer).unwrap_err();
            assert_eq!((observer.1, trainer.steps()), (1, 1), "{batch}");
            let what = matches!(&error, Error::NotFinite { what, .. } if what == "G.out.b");
            assert!(what, "{batch}: {error}");
            assert_eq!(run.last_checkpoint().expect("read"), None, "{batch}");
        }
    }

    #[test]
    fn a_checkpoint_has_the_steps_without_a_row_where_there_are_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config::preset("fig1").expect("a preset");
        let data = GAUSSIAN.draw(config.seed);
        let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
        let report = trainer.step().expect("a step");
        let entries = |trainer: &Trainer| {
            let path = folder.path().join("c.npz");
            trainer.save(&path, "sum").expect("written");
            let mut npz = NpzReader::open(&path).expect("an npz");
            let names = npz.names().filter(|n| n.starts_with("metrics/"));
            let names: Vec<String> = names.map(String::from).collect();
            let arrays = names.iter().map(|n| npz.read(n).expect("an array").data);
            arrays.collect::<Vec<_>>()
        };
        assert_eq!(entries(&trainer), [], "as in older versions");
        trainer.window().add(&report);
        let values = report
            .monitors()
            .map(|(_, v)| ArrayData::F64(vec![v.into()]));
        let mut expected = vec![ArrayData::U64(vec![1])];
        expected.extend(values);
        assert_eq!(entries(&trainer), expected);
        let mut other = Trainer::new(&config, &data.train).expect("a trainer");
        other.load(&folder.path().join("c.npz")).expect("read");
        assert_eq!(other.state(), trainer.state());
    }
}
