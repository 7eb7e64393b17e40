//! `ganforge train`.

mod cores;
mod ranks;
mod seeds;

use ganforge::tensor::words::counted;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use ganforge::gan;
use ganforge::gan::config::{Config, text_option};
use ganforge::gan::data::{Cache, Dataset};
use ganforge::gan::error::Kind;
use ganforge::gan::extractors::Loaded;
use ganforge::gan::metrics::Scores;
use ganforge::gan::pretrained;
use ganforge::gan::ranks::Ranks;
use ganforge::gan::run::Run;
use ganforge::gan::train::{self, Observer, Outcome, Progress};
use ganforge::gan::trainer::Trainer;

use super::about::About;
use super::failure::Failure;
use super::options::{Compute, Named, Settings, Threads, Typed, as_typed, seed, whole};
use super::output::{say, tell};
use super::progress::{Display, stop_flag};
use super::report;
use super::run_folder::{self, OpenRun};

const EXAMPLES: &str = "\
Examples:
  ganforge train tiny                            a smoke test: seconds per epoch, crude samples
  ganforge train ring                            eight Gaussians on a circle: about a minute
  ganforge train mnist --epochs 10 --seed 2      a preset with overrides
  ganforge train mnist --set train.update=alternating --set train.k=1
  ganforge presets show mnist > my.toml          edit it, then:
  ganforge train my.toml --name my-first         into runs/my-first
  ganforge train mnist --seeds 1..5              five runs and the mean of their scores
  ganforge train tfd-pretrain                    faces, in the paper's two stages
  ganforge train tfd --init-from runs/tfd-pretrain-001
  ganforge train --encoder runs/mnist-001        the noise of images, by a network trained on that run's generator
  ganforge train mnist --device cuda             on a GPU; a run can be resumed on another device
  ganforge train --resume runs/mnist-001         after Ctrl-C, a crash or a power cut
  ganforge train --resume runs/mnist-001 --epochs 120

Ctrl-C finishes the step, writes a checkpoint and prints how to resume. The last checkpoint and the tables
(metrics.csv, scores.csv) of a resumed run are identical, byte for byte, to those of an uninterrupted run.";

/// Train a GAN, write a run folder and score the result.
#[derive(Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A preset (`ganforge presets list`) or a configuration file
    #[arg(value_name = "PRESET|FILE.toml", required_unless_present_any = ["resume", "restart", "encoder"])]
    config: Option<String>,
    /// Epochs: passes over the training images
    #[arg(long, value_name = "N", value_parser = whole)]
    epochs: Option<String>,
    /// Seed of all random numbers
    #[arg(long, value_name = "S", value_parser = seed)]
    seed: Option<u64>,
    /// Train once per seed, 1..5 or 1,4,7, each in its own folder under --out [default: runs/NAME-seeds], and print mean
    /// and standard deviation of the scores; run again, it skips the finished seeds
    #[arg(long, value_name = "A..B", value_parser = seeds::parse, conflicts_with_all = ["seed", "resume"])]
    seeds: Option<seeds::Seeds>,
    /// Name of the run: its folder is runs/NAME; reports and tables show it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Folder of the run [default: runs/NAME-NNN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Run whose last checkpoint initialises the layers marked `init = { run = .. }`
    #[arg(long, value_name = "RUN")]
    init_from: Option<PathBuf>,
    /// Train preset encoder for the generator of this run, or of a file, or a bundled one, as in --encoder mnist: a network that
    /// finds the noise of images
    #[arg(long, value_name = "RUN|FILE|NAME", conflicts_with = "config")]
    encoder: Option<String>,
    /// Continue the run in this folder, with its own configuration
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "seed", "name", "out", "set", "init_from", "encoder"])]
    resume: Option<PathBuf>,
    /// With --resume: start that run again from step 0, discarding its checkpoints, tables and pictures
    #[arg(long)]
    restart: bool,
    /// Train as one of several processes that a launcher started, as mpirun or srun; each takes its part of train.shards. The
    /// checkpoints do not depend on their number
    #[arg(long, value_name = "mpi", value_parser = ranks::KINDS)]
    ranks: Option<String>,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    threads: Threads,
    /// Print nothing while training
    #[arg(short, long)]
    quiet: bool,
    /// The command that goes on with a run that was stopped, where that is not this one with --resume
    #[arg(skip)]
    goes_on: Option<String>,
}

/// Trains the configuration in a file in `folder`, or goes on with the run that was begun there; `goes_on` is the command that
/// does so again after it was stopped.
pub(super) fn of_file(
    file: &Path,
    folder: &Path,
    (device, threads): (Named, Threads),
    goes_on: String,
) -> Result<Scores, Failure> {
    let args = Args {
        config: Some(file.display().to_string()),
        epochs: None,
        seed: None,
        seeds: None,
        name: None,
        out: Some(folder.to_path_buf()),
        settings: Settings::default(),
        init_from: None,
        encoder: None,
        resume: None,
        restart: false,
        ranks: None,
        compute: Compute::on(device),
        threads,
        quiet: false,
        goes_on: Some(goes_on),
    };
    let args = seeds::or_resumed(args, folder)?;
    let mut stop = None;
    let ranks = Ranks::default();
    args.threads
        .pool()?
        .install(|| train_one(&args, &ranks, &mut stop))
}

/// A run that is ready to train.
struct Ready {
    run: Run,
    about: About,
    data: Dataset,
    trainer: Trainer,
    /// What its metrics look at images with.
    loaded: Loaded,
}

/// What the arguments name, opened.
enum Opened {
    Ready(Box<Ready>),
    /// Already finished, with this score.
    Finished(Scores),
}

/// Set when a signal asks to stop; none before the first file of a run, when a signal may end the program.
type Stop = Option<Arc<AtomicBool>>;

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.restart && args.resume.is_none() {
        return Err(Failure::input(
            "--restart: only with --resume RUN; a new run starts at step 0 anyway",
        ));
    }
    let ranks = ranks::open(args)?;
    ranks::end(&ranks, as_rank(args, &ranks))
}

/// Does what this rank has to do.
fn as_rank(args: &Args, ranks: &Ranks) -> Result<(), Failure> {
    let args = &Args {
        threads: ranks::threads(&args.threads, ranks)?,
        ..args.clone()
    };
    args.threads.pool()?.install(|| match &args.seeds {
        Some(seeds) => seeds::run(args, seeds),
        None if ranks.is_first() => train_one(args, ranks, &mut None).map(drop),
        None => ranks::follow(args, ranks, &mut None),
    })
}

/// Trains the rest of one run and returns its score.
fn train_one(args: &Args, ranks: &Ranks, stop: &mut Stop) -> Result<Scores, Failure> {
    let opened = match &args.resume {
        Some(folder) => resume(args, ranks, OpenRun::open(folder)?, stop)?,
        None => Opened::Ready(Box::new(start(args, ranks, stop)?)),
    };
    match opened {
        Opened::Ready(ready) => go_on(args, *ready, stop),
        Opened::Finished(score) => {
            ranks::dismiss(ranks)?;
            Ok(score)
        }
    }
}

/// Installs the signal handler, unless it is installed: before the first file of the run is written.
fn listen(stop: &mut Stop) -> Result<Arc<AtomicBool>, Failure> {
    let stop = match stop {
        Some(stop) => stop,
        None => stop.insert(stop_flag(
            "stopping after this step or score, with a checkpoint; a second signal stops at once",
        )?),
    };
    Ok(Arc::clone(stop))
}

/// The configuration of a new run.
fn configuration(args: &Args) -> Result<Config, Failure> {
    let typed = typed(args);
    let settings = args.settings.set.iter().chain(typed.iter().map(|t| &t.0));
    let settings: Vec<&String> = settings.collect();
    let mut config = match (&args.encoder, &args.config) {
        (Some(of), _) => pretrained::encoder_of(of, &settings)?,
        (None, Some(name_or_path)) => {
            let config = Config::load_with(name_or_path, &settings);
            config.map_err(|e| as_typed(e, &typed))?
        }
        (None, None) => {
            return Err(Failure::input(
                "expected a preset, a configuration file or --resume RUN",
            ));
        }
    };
    run_folder::make_paths_absolute(&mut config);
    pretrained::read_margin(&mut config)?;
    pretrained::read_encoder(&mut config)?;
    Ok(config)
}

/// A new run.
fn start(args: &Args, ranks: &Ranks, stop: &mut Stop) -> Result<Ready, Failure> {
    let device = args.compute.device()?;
    let config = configuration(args)?;
    let data = run_folder::load(&config, args.quiet)?;
    let mut trainer = Trainer::among(ranks, &device, &config, &data.train)?;
    let pretrained = trainer.load_pretrained()?;
    let loaded = train::check(&data, &config, &device)?;
    let told = ranks::Told {
        config: &config,
        data: &data,
    };
    ranks::lead(ranks, &told)?;
    listen(stop)?;
    let folder = match (&args.out, &args.name) {
        (Some(folder), _) => folder.clone(),
        (None, Some(_)) => Path::new("runs").join(&config.name),
        (None, None) => run_folder::next_free(&config.name)?,
    };
    let mut about = About::new(config.seed, &device, args.threads.number()?, &data);
    about.begun_from(&pretrained);
    about.looks_through(&loaded.networks());
    let run = Run::create(&folder, &config, &about.to_string())?;
    if !pretrained.is_empty() {
        // From here on the other run is no longer needed.
        run.checkpoint(trainer.config(), trainer.state(), &data.sha256)?;
    }
    Ok(Ready {
        run,
        about,
        data,
        trainer,
        loaded: keeping(loaded)?,
    })
}

/// Networks that keep what they see of the data for other runs.
fn keeping(loaded: Loaded) -> Result<Loaded, Failure> {
    Ok(match loaded.networks().is_empty() {
        true => loaded,
        false => loaded.kept_in(&Cache::from_env()?),
    })
}

/// The settings that have their own options.
fn typed(args: &Args) -> Vec<Typed> {
    let seed = args
        .seed
        .map(|s| (format!("seed={s}"), format!("--seed {s}")));
    let epochs = |n: &String| (format!("train.epochs={n}"), format!("--epochs {n}"));
    let name = |name: &String| (text_option("name", name), format!("--name {name}"));
    let init_from = args.init_from.as_ref().map(|run| {
        let run = run.to_string_lossy();
        (text_option("init_from", &run), format!("--init-from {run}"))
    });
    seed.into_iter()
        .chain(args.epochs.as_ref().map(epochs))
        .chain(args.name.as_ref().map(name))
        .chain(init_from)
        .collect()
}

/// A run at its last checkpoint; if it is finished, its score, which is printed again.
fn resume(
    args: &Args,
    ranks: &Ranks,
    mut open: OpenRun,
    stop: &mut Stop,
) -> Result<Opened, Failure> {
    let place = open.run.folder().display().to_string();
    let mut config = open.config.clone();
    let typed = typed(args);
    for (setting, _) in &typed {
        config = config.with(&[setting]).map_err(|e| as_typed(e, &typed))?;
    }
    if !args.restart {
        open.run.check_checkpoints()?;
    }
    if config == open.config
        && !args.restart
        && let Some(score) = finished(&mut open)?
    {
        return Ok(Opened::Finished(score));
    }
    let device = args.compute.device()?;
    open.run.lock()?;
    let data = match args.restart {
        true => run_folder::load(&config, args.quiet)?,
        false => open.data(args.quiet)?,
    };
    let mut trainer = Trainer::among(ranks, &device, &config, &data.train)?;
    let begins = args.restart || open.run.newest(|path| trainer.load(path))?.is_none();
    let pretrained = match begins {
        true => trainer.load_pretrained()?,
        false => Vec::new(),
    };
    let (step, per_epoch) = (trainer.steps(), trainer.steps_per_epoch() as u64);
    if step > per_epoch * config.train.epochs as u64 {
        let reason = format!(
            "is already past epoch {}, at step {step}",
            config.train.epochs
        );
        return Err(Failure::input(format!("{place}: {reason}")));
    }
    let threads = args.threads.number()?;
    let mut about = match open.about {
        Some(about) if !begins => about,
        _ => About::new(config.seed, &device, threads, &data),
    };
    about.begun_from(&pretrained);
    let loaded = train::check(&data, &config, &device)?;
    if !begins {
        if open.run.last_score()?.is_some() {
            about.check_networks(&place, &loaded.networks())?;
        }
        about.resumed(step, &device, threads);
    }
    about.looks_through(&loaded.networks());
    if let Some(caveat) = about.caveat() {
        tell(&caveat);
    }
    let told = ranks::Told {
        config: &config,
        data: &data,
    };
    ranks::lead(ranks, &told)?;
    listen(stop)?;
    match args.restart {
        true => open.run.begin_again()?,
        false => open.run.rewind(step)?,
    }
    open.run.write("config.toml", &config.to_toml())?;
    open.run.write("run.json", &about.to_string())?;
    if !pretrained.is_empty() {
        // As in a new run: from here on the other one is no longer needed.
        open.run
            .checkpoint(trainer.config(), trainer.state(), &data.sha256)?;
    }
    Ok(Opened::Ready(Box::new(Ready {
        run: open.run,
        about,
        data,
        trainer,
        loaded: keeping(loaded)?,
    })))
}

/// The score of a finished and complete run, printed again; a missing or truncated report is written again.
fn finished(open: &mut OpenRun) -> Result<Option<Scores>, Failure> {
    let Some(about) = &open.about else {
        return Ok(None);
    };
    let (run, config) = (&mut open.run, &open.config);
    let score = match about.score(&config.eval.metrics) {
        Some(score) if run.is_complete(config)? => score,
        _ => return Ok(None),
    };
    tell(&format!(
        "{}: already finished, {} in all; --epochs N trains further",
        run.folder().display(),
        counted(config.train.epochs, "epoch")
    ));
    if !run.unfinished()?.is_empty() {
        run.lock()?;
        run.sweep()?;
    }
    if !report::is_whole(run) {
        report::of_run(run)?;
    }
    result(run, config, about, &score)?;
    Ok(Some(score))
}

/// Whether D sees real and generated examples in one minibatch, where that makes another model of it.
fn joined(config: &Config) -> Option<&'static str> {
    let mut layers = config.discriminator.layers.iter();
    let sees_batch = layers.any(|l| l.kind.sees_batch());
    sees_batch.then_some(match config.train.joined {
        true => "D normalises real and generated examples together: train.joined = true",
        false => {
            "D normalises real and generated examples each by themselves: train.joined = false"
        }
    })
}

/// Trains to the end, or until someone stops it.
fn go_on(args: &Args, ready: Ready, stop: &mut Stop) -> Result<Scores, Failure> {
    let Ready {
        mut run,
        mut about,
        data,
        mut trainer,
        loaded,
    } = ready;
    let config = trainer.config().clone();
    let total = trainer.steps_per_epoch() as u64 * config.train.epochs as u64;
    let place = run.folder().display().to_string();
    if !args.quiet && std::io::stderr().is_terminal() {
        tell(&format!("{place}: {}", about.data()));
        if let Some(note) = joined(&config) {
            tell(&format!("{place}: {note}"));
        }
    }
    if let Some(warning) = run.lock_warning() {
        tell(&warning);
    }
    let display = Display::new(args.quiet, trainer.steps(), total, listen(stop)?);
    let mut told = Told::new(display, &mut about);
    trainer.share()?;
    let outcome = train::train_with(&loaded, &mut trainer, &data, &mut run, &mut told);
    told.display.finish();
    let seconds = told.seconds();
    about.took(seconds);
    match outcome {
        Ok(Outcome::Finished(score)) => {
            about.finished(&score);
            run.write("run.json", &about.to_string())?;
            report::of_run(&run)?;
            result(&run, &config, &about, &score)?;
            Ok(score)
        }
        Ok(Outcome::Stopped) => {
            let goes_on = match &args.goes_on {
                Some(command) => format!("to go on: {command}"),
                None => format!("to resume: ganforge train --resume {place}"),
            };
            let steps = trainer.steps();
            say(&format!("stopped after step {steps} of {total}; {goes_on}"))?;
            Err(Failure::stopped())
        }
        Err(error) => {
            if error.kind() == Kind::Work {
                about.failed(&error.to_string());
                let noted = run.write("run.json", &about.to_string());
                let noted = noted.map_err(Failure::from);
                // A failure to record it must not hide the error or its exit code.
                if let Err(more) = noted.and_then(|()| report::of_run(&run)) {
                    tell(more.message());
                }
            }
            Err(error.into())
        }
    }
}

/// Passes on the progress of a run: to the display, and to run.json.
struct Told<'a> {
    display: Display,
    about: &'a mut About,
    start: Instant,
    /// Seconds of training before this start.
    before: f64,
}

impl<'a> Told<'a> {
    fn new(display: Display, about: &'a mut About) -> Told<'a> {
        Told {
            display,
            before: about.seconds(),
            about,
            start: Instant::now(),
        }
    }

    /// Seconds of training so far, over all resumes.
    fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }
}

impl Observer for Told<'_> {
    fn step(&mut self, progress: &Progress) {
        self.display.step(progress);
    }

    fn message(&mut self, text: &str) {
        self.display.message(text);
    }

    fn checkpoint(&mut self, run: &Run, step: u64) -> gan::Result<()> {
        let seconds = self.seconds();
        self.about.took(seconds);
        self.about.has_checkpoint(step);
        run.write("run.json", &self.about.to_string())
    }

    fn should_stop(&self) -> bool {
        self.display.should_stop()
    }
}

/// Prints the score, its data and where the results are.
fn result(run: &Run, config: &Config, about: &About, score: &Scores) -> Result<(), Failure> {
    say(&score.to_string())?;
    say(&format!("data:    {}", about.data()))?;
    if let Some(best) = run.best()? {
        say(&format!("best:    {best}"))?;
    }
    let samples = run.sample_path(config.train.epochs);
    if samples.is_file() {
        say(&format!("samples: {}", samples.display()))?;
    }
    let report = run.folder().join(report::FILE);
    if report.is_file() {
        say(&format!("report:  {}", report.display()))?;
    }
    say(&format!("run:     {}", run.folder().display()))?;
    match about.caveat() {
        Some(caveat) => say(&caveat),
        None => Ok(()),
    }
}
