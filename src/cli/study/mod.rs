//! `ganforge study`: many trainings, on this machine or a cluster.

mod manifest;
mod report;
mod run;
mod screen;
mod status;
mod trial;
mod work;

use std::path::{Path, PathBuf};

use ganforge::data::Kind;
use ganforge::study::drive::Problem;
use ganforge::study::engines::EngineKind;
use ganforge::study::folder::Folder;
use ganforge::study::keys_page;

use super::failure::Failure;
use super::options::{Named, device};
use super::output::say;

const EXAMPLES: &str = "\
Examples:
  ganforge study run my-study                    the study of my-study/study.toml, on this machine
  ganforge study run my-study --jobs 2           two trials at a time
  ganforge study status my-study                 how far it is, what is best so far
  ganforge study report my-study                 a page with plots, and the best configuration
  ganforge study work my-study --trial 7         do one trial: what engines run

A study is a folder with a study.toml: a configuration, the keys of it that are searched, and a design that chooses their
values. Ctrl-C stops it with checkpoints; the same command goes on.";

#[derive(clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Command {
    /// Do a study, from where it is to its end
    Run(run::Args),
    /// Do one trial, or go on with it: the command that engines run
    Work(work::Args),
    /// Print a job of Kubernetes that does what is due
    Manifest(manifest::Args),
    /// Show how far a study is, what runs, what failed and what is best
    Status(status::Args),
    /// Write a page on it: scores by cell, budget, settings that matter, the best configuration
    Report(report::Args),
    /// List every key of study.toml with its description, values and default
    Keys,
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Work(args) => work::run(args),
        Command::Manifest(args) => manifest::run(args),
        Command::Status(args) => status::run(args),
        Command::Report(args) => report::run(args),
        Command::Keys => say(keys_page().trim_end()),
    }
}

/// The folder of a study.
#[derive(Clone, clap::Args)]
struct Place {
    /// The study's folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Place {
    fn open(&self) -> Result<Folder, Failure> {
        open(&self.folder, &[])
    }
}

/// The command that goes on with a study, on the engine that had its last trials: study.toml may name another.
fn to_go_on(folder: &Folder, engine: Option<&str>) -> String {
    let path = folder.path().display();
    let kind = &folder.study.engine.kind;
    match (kind, engine) {
        (EngineKind::Kubernetes(_), _) => {
            format!("ganforge study manifest {path} | kubectl apply -f -")
        }
        (_, Some(engine)) if engine != kind.name() => {
            format!("ganforge study run {path} --engine {engine}")
        }
        _ => format!("ganforge study run {path}"),
    }
}

/// The device that study.toml names.
fn device_of(folder: &Folder) -> Result<Named, Failure> {
    let named = device(&folder.study.device);
    named.map_err(|expected| Failure::input(format!("study.toml: device: {expected}")))
}

/// Opens a study, changed by options as after `--set`.
fn open(folder: &Path, options: &[String]) -> Result<Folder, Failure> {
    Ok(Folder::open_with(folder, options)?)
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        match problem {
            Problem::Config(error) => error.into(),
            Problem::File(error) => error.into(),
            Problem::Stopped => Failure::stopped(),
            other => match other.kind() {
                Kind::Work => Failure::work(other.to_string()),
                Kind::Input => Failure::input(other.to_string()),
                Kind::System => Failure::system(other.to_string()),
            },
        }
    }
}
