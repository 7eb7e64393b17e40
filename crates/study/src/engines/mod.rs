//! What runs a study's trials. To add an engine, write its file, with its settings, its [`Engine`] and its [`Runs`], and one
//! line of the list below.
//!
//! An engine runs one command per trial, `ganforge study work DIR --trial N`, and says which of them are queued or running.
//! Whether a trial is finished it does not say: that is `result.json` in the trial's folder.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use ganforge_settings::Brought;
use ganforge_settings::list;

use crate::folder::{Held, RESULT, Submission, WORKER, trial_in, trial_name};
use crate::lease::Lease;

mod command;
mod kubernetes;
mod local;
mod ray;
mod slurm;

pub use command::Template;
pub use kubernetes::Kubernetes;
pub use local::Local;
pub use ray::Ray;
pub use slurm::Slurm;

list! {
    /// An engine.
    pub enum EngineKind: dyn Engine by "kind" {
        "local" => Local(Local),
        "ray" => Ray(Ray),
        "kubernetes" => Kubernetes(Kubernetes),
        "command" => Template(Template),
        "slurm" => Slurm(Slurm),
    }
}

/// What an engine's settings do.
pub trait Engine: std::fmt::Debug + Send + Sync {
    /// Gets it ready to run trials.
    ///
    /// # Errors
    ///
    /// What is not installed or does not answer, and what to do about it.
    fn open(&self, place: &Place) -> Result<Box<dyn Runs>, EngineError>;
}

/// What an engine is told of the study.
#[derive(Clone, Debug)]
pub struct Place {
    /// The program whose command `study work` does a trial.
    pub program: PathBuf,
    /// The study's folder, absolute.
    pub folder: PathBuf,
    /// The study's name.
    pub name: String,
    /// The device that trials train on, where it is another than study.toml says.
    pub device: Option<String>,
    /// Threads of a trial, if the study says.
    pub threads: Option<usize>,
    /// Asks a process of this machine to stop: what SIGTERM does.
    pub terminate: fn(u32),
}

impl Place {
    /// The command that does one trial: the program and its arguments, the trial's number to follow.
    pub fn work(&self) -> Vec<String> {
        let program = self.program.display().to_string();
        let folder = self.folder.display().to_string();
        let device = self.device.iter().flat_map(|d| ["--device", d]);
        let words = [program.as_str(), "study", "work", &folder].into_iter();
        let words = words.chain(device).chain(["--trial"]);
        words.map(str::to_owned).collect()
    }

    fn tries(&self, trial: usize) -> PathBuf {
        trial_in(&self.folder, &trial_name(trial)).join("tries")
    }

    /// Where the output of a trial's processes goes.
    pub fn log(&self, trial: usize) -> PathBuf {
        self.log_of(&trial_name(trial))
    }

    /// The same of a trial by the name of its folder.
    fn log_of(&self, trial: &str) -> PathBuf {
        trial_in(&self.folder, trial).join("tries/log.txt")
    }

    /// Where an engine puts files of its own.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Trials of a submission that goes on, without knowing of each: those at which somebody works run, the others without a
    /// result wait.
    pub fn going_on(&self, submission: &Submission) -> Alive {
        let is_begun = |n: &usize| Lease::holder(&self.tries(*n), WORKER).is_some();
        let is_over = |n: &&usize| self.tries(**n).with_file_name(RESULT).is_file();
        let left = submission.trials.iter().filter(|n| !is_over(n));
        let (running, queued) = left.partition(|n| is_begun(n));
        Alive {
            queued,
            running,
            ..Alive::default()
        }
    }
}

/// A command line for a POSIX shell that runs these words as they are.
fn quoted(words: &[String]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./,:=@%+".contains(c);
    let one = |word: &String| match !word.is_empty() && word.chars().all(is_plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Trials as a list of numbers and ranges, `0,3-5`: as `study work --trial` takes it.
pub fn spans(trials: &[usize]) -> String {
    let mut spans: Vec<[usize; 2]> = Vec::new();
    for trial in trials {
        match spans.last_mut() {
            Some([_, last]) if *last + 1 == *trial => *last = *trial,
            _ => spans.push([*trial; 2]),
        }
    }
    let shown = spans.iter().map(|[first, last]| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(",")
}

/// Which trials of a submission an engine still has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alive {
    /// Those that wait for their turn.
    pub queued: BTreeSet<usize>,
    /// Those that run.
    pub running: BTreeSet<usize>,
    /// Those of the queue that would wait for ever, if nobody did anything about it.
    pub held: Vec<Held>,
}

impl Alive {
    /// Whether it has none of them any more.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.running.is_empty()
    }
}

/// An engine that runs trials.
pub trait Runs {
    /// Trials that are to be submitted, by submissions: an engine may take only so many at once.
    fn parts(&self, trials: Vec<usize>) -> Vec<Vec<usize>> {
        vec![trials]
    }

    /// Takes a submission and gives its number, where it has numbers. It returns soon, not when the trials are done.
    ///
    /// # Errors
    ///
    /// What the engine answers.
    fn submit(&mut self, submission: &Submission) -> Result<Option<String>, EngineError>;

    /// Which of its trials are queued or running; none of a submission that it does not know.
    ///
    /// # Errors
    ///
    /// What the engine answers; asked again later, it may answer otherwise.
    fn alive(&mut self, submission: &Submission) -> Result<Alive, EngineError>;

    /// The number of a submission of that name, which an earlier driver made and did not live to note.
    ///
    /// # Errors
    ///
    /// What the engine answers.
    fn find(&mut self, _name: &str) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    /// At so many trials of the study processes of this machine work that it does not know of, such as those of a driver that was
    /// killed: where it starts processes itself, so many fewer.
    fn beside(&mut self, _others: usize) {}

    /// What is worth a line to whoever watches, each once.
    fn said(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Runs a command, that of the driver, once all of these submissions are over, and gives the number of what does it: none
    /// where the engine cannot.
    ///
    /// # Errors
    ///
    /// What the engine answers.
    fn after(
        &mut self,
        _submissions: &[Submission],
        _command: &[String],
    ) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    /// The driver ends before the trials are done: those that cannot go on without it are stopped, and have left a checkpoint
    /// when this returns.
    ///
    /// # Errors
    ///
    /// What the engine answers.
    fn leave(&mut self) -> Result<(), EngineError>;

    /// Whether trials go on when the driver has ended.
    fn goes_on_alone(&self) -> bool {
        true
    }

    /// Time between two looks at it.
    fn every(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// How long a trial that the engine has no longer may take until its result is seen, as on a disk that machines share.
    fn settles(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// Why an engine does not do what it was asked for.
#[derive(thiserror::Error)]
pub enum EngineError {
    /// It is not there, or refuses: one line that says what to do.
    #[error("engine {engine}: {reason}")]
    Refused {
        /// The engine.
        engine: &'static str,
        /// What it is.
        reason: String,
    },
    /// A trial was given what cannot be used, and no other try would fare better.
    #[error("trial {trial} cannot be trained: {reason}")]
    BadInput {
        /// Its number.
        trial: usize,
        /// What it said at its end.
        reason: String,
    },
    /// It did not answer this time.
    #[error("engine {engine}: no answer: {reason}")]
    Silent {
        /// The engine.
        engine: &'static str,
        /// What it is.
        reason: String,
    },
}

/// As [`fmt::Display`]: what `fn main() -> Result` prints.
impl fmt::Debug for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
