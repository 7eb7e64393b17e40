//! Which modes of a mixture each loss covers, over several seeds.

use std::path::{Path, PathBuf};

use ganforge_gan::config::Config;
use ganforge_gan::data::{Dataset, GRID, RING, Toy};
use ganforge_gan::error::Result;
use ganforge_gan::files::{ArrayRef, FileError, read_matrix_f32, write_atomic, write_npy};
use ganforge_gan::losses::{Form, Loss, LossKind};
use ganforge_gan::metrics::modes;
use ganforge_gan::sampler::Sampler;
use ganforge_gan::{Trainer, toy_plot};
use ganforge_plots::{Axis, Mark, Panel, Plot};

use super::toy::layers;
use super::{Classic, Options, Outcome, Progress, Table, Value};

/// Modes covered by each loss.
pub struct Coverage;

/// The data sets, the steps on each, and what differs from its preset.
static SETS: [(&Toy, u64, &[&str]); 2] = [
    (&RING, 3000, &["train.batch=128"]),
    (&GRID, 8000, &["train.batch=64", "optimizer.lr=0.002"]),
];
/// Units of the hidden layers, half of those of presets ring and grid.
const UNITS: usize = 64;
/// Samples that are scored, how many of them are kept, and how many are drawn.
const SAMPLES: usize = 10_000;
const SHOWN: usize = 500;
const DRAWN: usize = 250;
/// The learning rate falls to this part of itself.
const FALL: f64 = 20.0;

/// What a loss is trained with beside what presets ring and grid say, and why; losses that are not here are trained as the
/// presets say.
const SETTINGS: [(&str, &[&str], &str); 8] = [
    (
        "wgan",
        &[
            "train.k=5",
            "discriminator.penalty=[{kind=\"gp\", weight=0.1}]",
            "optimizer.beta2=0.9",
        ],
        "Gulrajani et al. 2017: five updates of D, beta2 0.9, and the weight of the penalty of their toy sets",
    ),
    (
        "hinge",
        &["discriminator.penalty=[{kind=\"gp\", weight=0.1}]"],
        "a bound on D as for wgan in the place of spectral norm, under which D cannot resolve modes so narrow",
    ),
    (
        "ls-gan",
        &[
            "loss.tau=0.1",
            "loss.output=\"linear\"",
            "train.reuse_noise=true",
        ],
        "Qi 2017, with a margin at the scale of the data and an output that does not die",
    ),
    (
        "gls-gan",
        &["loss.tau=0.1", "loss.slope=-0.5", "train.reuse_noise=true"],
        "Qi 2018, with a margin at the scale of the data and a slope below 0, whose cost has a least value",
    ),
    (
        "cls-gan",
        &["loss.tau=0.1", "loss.gamma=1.0", "train.reuse_noise=true"],
        "Qi 2017: classes are the modes, which G is told",
    ),
    (
        "ebgan",
        &["loss.margin=1.0"],
        "Zhao et al. 2017, with a margin at the scale of the data",
    ),
    (
        "ebgan-pt",
        &["loss.margin=1.0", "loss.code=\"code\""],
        "the same; the codes are those of the middle layer",
    ),
    (
        "relativistic",
        &["discriminator.penalty=[{kind=\"r1\", weight=0.1}, {kind=\"r2\", weight=0.1}]"],
        "Huang et al. 2024: with R1 and R2",
    ),
];

/// A training to be done.
struct Training {
    set: &'static Toy,
    loss: &'static str,
    options: Vec<String>,
    seed: u64,
    steps: u64,
}

/// What differs from the preset on a set, and with a loss.
fn own(set: &Toy, loss: &str) -> impl Iterator<Item = &'static str> {
    let of_set = SETS.iter().filter(move |s| s.0.name == set.name);
    let of_loss = SETTINGS.iter().filter(move |s| s.0 == loss);
    let options = of_set.map(|s| s.2).chain(of_loss.map(|s| s.1));
    options.flatten().copied()
}

/// The losses that are compared: all but those whose D learns from labelled examples, which the others do not see.
fn compared() -> impl Iterator<Item = &'static str> {
    let names = LossKind::NAMES.iter().copied();
    names.filter(|name| Loss::called(name, &[]).is_ok_and(|loss| !loss.kind.learns_from_labelled()))
}

/// The nets that a loss asks for beside those of presets ring and grid.
///
/// errors: why there are none
fn nets(loss: &str, set: &Toy) -> std::result::Result<Vec<String>, String> {
    let hidden = |net: &str| [0, 1, 2].map(|i| format!("{net}.layer.h{i}.units={UNITS}"));
    let kind = Loss::called(loss, &[]).map_err(|e| e.to_string())?.kind;
    let form = kind.form();
    let mut options = hidden("generator").to_vec();
    if form == Form::Number {
        options.extend(hidden("discriminator"));
    } else if form == Form::Example {
        let auto_encoder = layers("leaky_relu", 2, &[UNITS, CODE, UNITS], 2, 0.0);
        let auto_encoder = auto_encoder.replace("\"h1\"", "\"code\"");
        options.push(format!("discriminator.layer={auto_encoder}"));
    } else if form == Form::Classes {
        let n = set.mixture().modes();
        options.extend(hidden("discriminator"));
        options.push(format!("discriminator.layer.out.units={n}"));
        let inputs = 2 + n;
        let g = layers("relu", inputs, &[UNITS; 3], 2, 0.0);
        let class = format!("[{{ name = \"class\", kind = \"append_class\", classes = {n} }}, ");
        options = options.split_off(3);
        options.push(format!("generator.layer={}", g.replacen('[', &class, 1)));
    } else {
        return Err("asks for an output of D that these nets do not have".to_string());
    }
    Ok(options)
}

/// Values of the code of D as an auto-encoder.
const CODE: usize = 16;

impl Training {
    /// errors: why the loss does not fit the set
    fn new(
        set: &'static Toy,
        loss: &'static str,
        seed: u64,
        steps: u64,
    ) -> std::result::Result<Training, String> {
        let mut options = vec![format!("loss.kind=\"{loss}\"")];
        options.extend(nets(loss, set)?);
        options.extend(own(set, loss).map(String::from));
        let decay = FALL.powf(1.0 / steps as f64);
        options.push(format!("optimizer.lr_decay={decay}"));
        let training = Training {
            set,
            loss,
            options,
            seed,
            steps,
        };
        match training.config() {
            Ok(_) => Ok(training),
            Err(error) => Err(error.to_string()),
        }
    }

    fn config(&self) -> Result<Config> {
        let seed = [format!("seed={}", self.seed)];
        let preset = Config::preset(self.set.name)?;
        Ok(preset.with(&[&self.options[..], &seed].concat())?)
    }

    /// The fields by which a run is known.
    fn key(&self) -> Vec<Value> {
        vec![
            self.set.name.into(),
            self.loss.into(),
            own(self.set, self.loss)
                .collect::<Vec<_>>()
                .join("; ")
                .into(),
            (self.steps as f64).into(),
            (self.seed as f64).into(),
        ]
    }

    fn file(&self, folder: &Path) -> PathBuf {
        let (set, loss, steps, seed) = (self.set.name, self.loss, self.steps, self.seed);
        folder
            .join(RUNS)
            .join(format!("{set}-{loss}-{steps}-{seed}.npy"))
    }

    /// Trains; the row and the samples that are shown.
    fn run(&self, data: &Dataset, mut step: impl FnMut(u64)) -> Result<Run> {
        let config = self.config()?;
        let mut trainer = Trainer::new(&config, &data.train)?;
        let mut end = "done".to_string();
        while trainer.steps() < self.steps {
            let report = trainer.step()?;
            step(trainer.steps());
            if !report.monitors().all(|(_, value)| value.is_finite()) {
                end = format!("not finite after {} steps", trainer.steps());
                break;
            }
        }
        let mut sampler = Sampler::new(&config)?;
        let samples = sampler.draw(&mut trainer.store().clone(), self.seed, SAMPLES)?;
        let score = modes::score(&samples, &self.set.mixture());
        let mut row = self.key();
        row.extend([
            Value::from(score.covered as f64),
            (score.modes as f64).into(),
            score.high_quality.into(),
            end.into(),
        ]);
        let shown = samples[..2 * SHOWN].to_vec();
        Ok(Run { row, shown })
    }
}

/// A training that is done.
#[derive(Clone)]
struct Run {
    row: Vec<Value>,
    /// Samples, [n, 2].
    shown: Vec<f32>,
}

const COLUMNS: [&str; 9] = [
    "set",
    "loss",
    "settings",
    "steps",
    "seed",
    "covered",
    "modes",
    "high quality",
    "end",
];

/// The folder of finished runs beside the table.
const RUNS: &str = "coverage-runs";

/// The runs that lie in a folder, of which some may be of other settings.
struct Kept {
    folder: Option<PathBuf>,
    table: Table,
}

impl Kept {
    fn open(folder: Option<&PathBuf>) -> Result<Kept> {
        let mut kept = Kept {
            folder: folder.cloned(),
            table: Table::new(COLUMNS),
        };
        let Some(path) = kept.path() else {
            return Ok(kept);
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => kept.table = Table::parse(&text, &path, &COLUMNS)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(FileError::io(&path, "read", e).into()),
        }
        Ok(kept)
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(RUNS).join("runs.csv"))
    }

    /// The run of a training, if row and samples are there.
    fn find(&self, training: &Training) -> Result<Option<Run>> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let key = training.key();
        let row = self.table.rows.iter().find(|row| row[..key.len()] == key);
        let file = training.file(folder);
        let Some(row) = row.filter(|_| file.is_file()) else {
            return Ok(None);
        };
        let (n, width, shown) = read_matrix_f32(&file)?;
        let is_whole = n == SHOWN && width == 2;
        Ok(is_whole.then(|| Run {
            row: row.clone(),
            shown,
        }))
    }

    /// Keeps a run, in the place of one of the same set, loss, steps and seed.
    fn add(&mut self, training: &Training, run: &Run) -> Result<()> {
        let is_same = |row: &Vec<Value>| [0, 1, 3, 4].iter().all(|i| row[*i] == run.row[*i]);
        self.table.rows.retain(|row| !is_same(row));
        self.table.rows.push(run.row.clone());
        let (Some(folder), Some(path)) = (&self.folder, self.path()) else {
            return Ok(());
        };
        let file = training.file(folder);
        if let Some(samples) = file.parent() {
            let made = std::fs::create_dir_all(samples);
            made.map_err(|e| FileError::io(samples, "create", e))?;
        }
        write_npy(&file, ArrayRef::f32(&[SHOWN, 2], &run.shown))?;
        let csv = self.table.csv();
        Ok(write_atomic(&path, |file| file.write_all(csv.as_bytes()))?)
    }
}

impl Classic for Coverage {
    fn name(&self) -> &'static str {
        "coverage"
    }

    fn about(&self) -> &'static str {
        "Modes of the ring and the grid that each loss covers, over five seeds; takes long, and goes on where it was stopped"
    }

    fn details(&self) -> &'static str {
        "\
Every loss of the list on the sets ring and grid: presets ring and grid with half the units (64), 3,000 steps of batch
128 at 0.001 on the ring, 8,000 of batch 64 at 0.002 on the grid, a rate that falls to a twentieth, and what the loss
itself asks for, which the column settings lists.
10,000 samples: modes near which lies 1 % of them or more, and the share within 3 sd of a mode. Losses of an
auto-encoder get one (2-64-16-64-2); those of a classifier get the modes as classes, which G is told. Each run is kept
in coverage-runs/ of the folder as soon as it is done, and not trained again."
    }

    fn run(&self, options: &Options, progress: Progress<'_>) -> Result<Outcome> {
        let seeds = options.choose(5, 1);
        let steps_on = SETS.map(|(_, steps, _)| options.choose(steps, 10));
        let seeds: Vec<u64> = (0..seeds).map(|i| options.seed.saturating_add(i)).collect();
        let total = (compared().count() * seeds.len()) as u64 * steps_on.iter().sum::<u64>();
        let mut kept = Kept::open(options.folder.as_ref())?;
        let (mut done, mut refused, mut steps_done) = (Vec::new(), Vec::new(), 0);
        // All losses with one seed before the next one, so that a part of it is already something.
        for &seed in &seeds {
            for ((set, _, _), steps) in SETS.into_iter().zip(steps_on) {
                let data = set.draw(seed);
                for loss in compared() {
                    match Training::new(set, loss, seed, steps) {
                        Err(reason) if seed == seeds[0] => refused.push((set, loss, reason)),
                        Err(_) => {}
                        Ok(training) => {
                            let run = match kept.find(&training)? {
                                Some(run) => run,
                                None => {
                                    let mut told = |at: u64| progress(steps_done + at, total);
                                    let run = training.run(&data, &mut told)?;
                                    kept.add(&training, &run)?;
                                    run
                                }
                            };
                            done.push(run);
                        }
                    }
                    steps_done += steps;
                    progress(steps_done, total);
                }
            }
        }
        let mut numbers = Table::new(COLUMNS);
        numbers.rows = done.iter().map(|run| run.row.clone()).collect();
        for (set, loss, reason) in &refused {
            let start = [set.name, loss, "", "", ""].map(Value::from);
            let none = [f64::NAN; 3].map(Value::from);
            let end = [Value::from(format!("left out: {reason}"))];
            numbers.add(start.into_iter().chain(none).chain(end));
        }
        let plots = SETS.map(|(set, _, _)| (format!("-{}", set.name), plot(&done, set, &seeds)));
        Ok(Outcome {
            summary: summary(&numbers),
            numbers,
            plots: plots.into(),
        })
    }
}

/// Of each set and loss the means over the seeds, and their standard deviations.
fn summary(numbers: &Table) -> Table {
    let mut table = Table::new([
        "set",
        "loss",
        "covered",
        "of",
        "high quality, %",
        "settings",
    ]);
    for (set, _, _) in SETS {
        for loss in compared() {
            let is_meant =
                |row: &&Vec<Value>| row[0] == Value::from(set.name) && row[1] == Value::from(loss);
            let rows: Vec<_> = numbers.rows.iter().filter(is_meant).collect();
            let column = |i: usize, factor: f64| {
                let number = |row: &&Vec<Value>| match row[i] {
                    Value::Number(n) => factor * n,
                    Value::Text(_) => f64::NAN,
                };
                spread(&rows.iter().map(number).collect::<Vec<f64>>())
            };
            let settings = match rows.first().map(|row| (&row[2], &row[8])) {
                Some((_, Value::Text(end))) if end.starts_with("left out") => end.clone(),
                Some((Value::Text(settings), _)) => settings.clone(),
                _ => String::new(),
            };
            table.add([
                set.name.to_string(),
                loss.to_string(),
                column(5, 1.0),
                set.mixture().modes().to_string(),
                column(7, 100.0),
                settings,
            ]);
        }
    }
    table
}

/// Mean and standard deviation: `6.4 ± 1.1`.
fn spread(values: &[f64]) -> String {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    match values.len() {
        _ if mean.is_nan() => "-".to_string(),
        1 => format!("{mean:.1}"),
        _ => format!("{mean:.1} ± {:.1}", (squares / (n - 1.0)).sqrt()),
    }
}

/// The samples of each loss, a row, with each seed.
fn plot(runs: &[Run], set: &Toy, seeds: &[u64]) -> Plot {
    let truth = set.mixture();
    let mut panels = Vec::new();
    for loss in compared() {
        for (i, &seed) in seeds.iter().enumerate() {
            let key = [set.name.into(), Value::from(loss), (seed as f64).into()];
            let is_meant =
                |run: &&Run| [&run.row[0], &run.row[1], &run.row[4]].into_iter().eq(&key);
            let Some(run) = runs.iter().find(is_meant) else {
                continue;
            };
            let scatter = toy_plot::scatter(&run.shown[..2 * DRAWN], &truth);
            let [lo, hi] = scatter.x.range;
            let marks = scatter.marks.into_iter().map(|mark| match mark {
                Mark::Dots {
                    points,
                    radius,
                    colour,
                    ..
                } => Mark::dots(points, radius, colour, ""),
                Mark::Line {
                    points,
                    stroke,
                    colour,
                    ..
                } => Mark::line(points, stroke, colour, ""),
                other => other,
            });
            let number = |i: usize| match run.row[i] {
                Value::Number(n) => n,
                Value::Text(_) => f64::NAN,
            };
            let title = match i {
                0 => format!("{loss}: {}", number(5)),
                _ => format!("{}", number(5)),
            };
            panels.push(Panel {
                title,
                x: Axis::hidden([lo, hi]),
                y: Axis::hidden([lo, hi]),
                marks: marks.collect(),
                is_round: true,
                ..Panel::default()
            });
        }
    }
    Plot {
        panel_size: [170, 180],
        columns: seeds.len(),
        panels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_trained_or_says_why_not_and_runs_are_not_repeated() {
        let folder = tempfile::tempdir().expect("made");
        let options = Options {
            quick: true,
            folder: Some(folder.path().to_path_buf()),
            ..Options::default()
        };
        let trained = |outcome: &Outcome, last: &str| {
            let rows = outcome.numbers.rows.iter();
            rows.filter(|row| row[8] == Value::from(last)).count()
        };
        let run = || {
            let mut told = 0;
            let outcome = Coverage.run(&options, &mut |_, _| told += 1).expect("runs");
            (outcome, told)
        };
        let (first, told) = run();
        let runs = SETS.len() * compared().count();
        assert_eq!(first.numbers.rows.len(), runs);
        let n = trained(&first, "done");
        assert_eq!(n, runs, "{}", first.summary.text());
        assert_eq!(told, n * 10 + runs, "each step, and each run");
        let (again, told) = run();
        assert_eq!((&again.numbers, told), (&first.numbers, runs));
        // One that is gone, and one of other settings, are trained again.
        let path = folder.path().join("coverage-runs/runs.csv");
        let text = std::fs::read_to_string(&path).expect("kept");
        std::fs::remove_file(folder.path().join("coverage-runs/ring-ns-10-1.npy")).expect("there");
        let old = "grid,mm,train.batch=64; optimizer.lr=0.002,10,";
        assert!(text.contains(old), "{text}");
        std::fs::write(&path, text.replace(old, &old.replace("10", "11"))).expect("written");
        let (again, told) = run();
        assert_eq!((&again.numbers, told), (&first.numbers, runs + 2 * 10));
        std::fs::write(&path, text.replace(",10,1,", ",10,")).expect("written");
        let error = Coverage.run(&options, &mut |_, _| {}).expect_err("damaged");
        assert!(error.to_string().contains("runs.csv:"), "{error}");
    }

    #[test]
    fn a_spread_is_mean_and_standard_deviation() {
        assert_eq!(spread(&[1.0, 2.0, 3.0]), "2.0 ± 1.0");
        assert_eq!(spread(&[7.0]), "7.0");
        assert_eq!(spread(&[]), "-");
    }

    #[test]
    fn settings_are_of_losses_that_there_are() {
        for (loss, _, _) in SETTINGS {
            assert!(LossKind::NAMES.contains(&loss), "{loss}");
        }
    }
}
