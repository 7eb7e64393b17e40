//! `ganforge study run`: the driver.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge::gan::config::text_option;
use ganforge::gan::files::write_atomic;
use ganforge::kernels::signals;
use ganforge::study::Study;
use ganforge::study::drive::{self, Driver, Ended, Snapshot};
use ganforge::study::engines::{EngineKind, Place};
use ganforge::study::folder::{FILE, Folder};
use ganforge::tensor::words::counted;

use super::report;
use super::screen::{Screen, searched};
use super::work::checked;
use crate::cli::failure::Failure;
use crate::cli::options::{Settings, count};
use crate::cli::output::{make_folder, say, tell};
use crate::cli::progress::stop_flag;

const EXAMPLES: &str = "\
Examples:
  ganforge study run my-study                       the study of my-study/study.toml, on this machine
  ganforge study run my-study --jobs 2              two trials at a time, each with half of the cores
  ganforge study run studies/my.toml                in the folder runs/my, which is made
  ganforge study run my-study --engine ray --address head:8265
  ganforge study run my-study --engine slurm --sbatch \"--partition=gpu --gres=gpu:1 --time=8:00:00\"
  ganforge study run my-study --set tries=1         keys of study.toml may be changed for this call

Ctrl-C stops it, local trials with a checkpoint. Started again, it goes on from what lies in the folder.";

/// Do a study, from where it is to its end.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// The study's folder, or a study's file, for which a folder is made
    #[arg(value_name = "DIR|FILE.toml")]
    study: PathBuf,
    /// The folder that is made for FILE.toml [default: runs/FILE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What runs the trials [default: engine.kind of study.toml]
    #[arg(long, value_name = "ENGINE")]
    engine: Option<String>,
    /// Trials at a time, of the engine `local`
    #[arg(long, value_name = "N", value_parser = count)]
    jobs: Option<usize>,
    /// Where the dashboard of Ray answers, for the engine `ray`
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Options of sbatch, of the engine `slurm`
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    sbatch: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Submit a round and return, where the engine goes on alone; Slurm then submits the next one by a small job
    #[arg(long)]
    detach: bool,
    /// Print nothing while it goes on
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let path = folder_of(args)?;
    let folder = super::open(&path, &options(args))?;
    let written = check_options(&path, &folder, &args.settings.set)?;
    super::device_of(&folder)?;
    if args.detach && matches!(folder.study.engine.kind, EngineKind::Local(_)) {
        return Err(Failure::input(
            "--detach: trials of this machine end with the driver; choose an engine that goes on alone",
        ));
    }
    let stop = stop_flag("stopping: trials of this machine leave a checkpoint")?;
    let device = &folder.study.device;
    let place = Place {
        device: (written.device != *device).then(|| device.clone()),
        ..place(&folder)?
    };
    let driver = Driver {
        detach: args.detach.then(|| again(&place.program)),
        place,
        check: &checked,
    };
    let mut screen = Screen::new(args.quiet, stop);
    let ended = driver.run(&folder, &mut screen);
    screen.finish();
    let shown = path.display();
    match ended {
        Ok(Ended::Done) => result(&folder),
        Ok(Ended::Submitted) => say(&format!(
            "submitted; to see how far it is: ganforge study status {shown}"
        )),
        Err(drive::Problem::Stopped) => {
            let (engine, usual) = (folder.study.engine.kind.name(), written.engine.kind.name());
            let typed = match engine == usual {
                true => String::new(),
                false => format!(" --engine {engine}"),
            };
            say(&format!(
                "stopped; to go on: ganforge study run {shown}{typed}"
            ))?;
            Err(Failure::stopped())
        }
        Err(problem) => Err(problem.into()),
    }
}

/// What engines are told of a study.
pub(super) fn place(folder: &Folder) -> Result<Place, Failure> {
    let program = std::env::current_exe();
    Ok(Place {
        program: program.map_err(|e| Failure::system(format!("cannot find this program: {e}")))?,
        folder: folder.path().to_path_buf(),
        name: folder.name(),
        device: None,
        threads: folder.study.threads,
        terminate: signals::terminate,
    })
}

/// What is typed as options of their own, and as `--set`.
fn options(args: &Args) -> Vec<String> {
    let engine = args.engine.as_ref();
    let engine = engine.map(|kind| text_option("engine.kind", kind));
    let jobs = args.jobs.map(|n| format!("engine.jobs={n}"));
    let address = args.address.as_ref();
    let address = address.map(|at| text_option("engine.address", at));
    let sbatch = args.sbatch.as_ref();
    let sbatch = sbatch.map(|options| text_option("engine.sbatch", options));
    let all = engine.into_iter().chain(jobs).chain(address).chain(sbatch);
    all.chain(args.settings.set.iter().cloned()).collect()
}

/// The command that goes on with the study: this one.
fn again(program: &Path) -> Vec<String> {
    let arguments = std::env::args_os().skip(1);
    let words = std::iter::once(program.as_os_str().to_owned()).chain(arguments);
    words.map(|w| w.to_string_lossy().into_owned()).collect()
}

/// The study as it is written. What would change it for this call alone is refused: workers read study.toml, and so does the
/// next call.
fn check_options(path: &Path, folder: &Folder, set: &[String]) -> Result<Study, Failure> {
    let written = super::open(path, &[])?.study;
    if folder.study.fingerprint() == written.fingerprint() {
        return Ok(written);
    }
    let changes = |option: &&String| {
        let changed = super::open(path, std::slice::from_ref(*option));
        changed.map_or(true, |f| f.study.fingerprint() != written.fingerprint())
    };
    let option = set.iter().find(changes).map_or("", String::as_str);
    Err(Failure::input(format!(
        "--set {option}: changes what is searched, how, or the score: write it into {}",
        path.join(FILE).display()
    )))
}

/// The study's folder; for a file one is made.
fn folder_of(args: &Args) -> Result<PathBuf, Failure> {
    let file = &args.study;
    if file.is_file() && file.file_name().is_some_and(|name| name == FILE) && args.out.is_none() {
        let folder = file.parent().unwrap_or(Path::new(""));
        return Ok(Path::new(".").join(folder));
    }
    if !file.is_file() {
        return match &args.out {
            None => Ok(file.clone()),
            Some(_) => Err(Failure::input(format!(
                "{}: --out is for a study's file, and this is none",
                file.display()
            ))),
        };
    }
    let read = |path: &Path| {
        let text = fs::read_to_string(path);
        text.map_err(|e| Failure::io(path, "read", e))
    };
    let stem = file.file_stem().unwrap_or_default();
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => Path::new("runs").join(stem),
    };
    let (text, copy) = (read(file)?, folder.join(FILE));
    if copy.is_file() {
        return match read(&copy)? == text {
            true => Ok(folder),
            false => Err(Failure::input(format!(
                "{}: is the folder of another study: its {FILE} is not {}; choose a folder with --out",
                folder.display(),
                file.display()
            ))),
        };
    }
    let study = Study::load(file)?;
    if study.base_is_file() {
        return Err(Failure::input(format!(
            "{}: its base is a file, {}: put both into a folder, this one as {FILE}, and name the folder",
            file.display(),
            study.base
        )));
    }
    make_folder(&folder)?;
    write_atomic(&copy, |w| w.write_all(text.as_bytes()))?;
    Ok(folder)
}

/// How it ended, and what was best.
fn result(folder: &Folder) -> Result<(), Failure> {
    let now = drive::look(folder)?;
    say(&summary(folder, &now))?;
    if let Some((best, score)) = now.best(folder.study.direction) {
        let (number, column) = (best.trial, &best.column);
        let options = searched(folder, &now, number);
        say(&format!(
            "best:    trial {number}: {column} {score}, {options}"
        ))?;
        let run = folder.trial(number);
        say(&format!("run:     {}", run.display()))?;
        match report::write(folder, &now, None) {
            Ok(paths) => say(&format!("report:  {}", paths[0].display()))?,
            // The study is done all the same.
            Err(failure) => tell(&format!("no report: {}", failure.message())),
        }
    }
    match now.failed() == now.trials {
        true => Err(Failure::work("all trials failed")),
        false => Ok(()),
    }
}

/// "120 trials, 3 of them failed".
pub(super) fn summary(folder: &Folder, now: &Snapshot) -> String {
    let failed = match now.failed() {
        0 => String::new(),
        n => format!(", {n} of them failed"),
    };
    let done = now.outcomes.len();
    let of = match done == now.trials {
        true => String::new(),
        false => format!(" of {}", now.trials),
    };
    format!(
        "{}: {done}{of} {} finished{failed}",
        folder.name(),
        counted(now.trials, "trial").trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '),
    )
}
