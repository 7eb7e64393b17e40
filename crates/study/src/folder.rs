//! The folder of a study: what lies where, and who writes it.
//!
//! | file | written by | content |
//! |---|---|---|
//! | `study.toml` | the user | what is searched, how, and on what |
//! | `rounds/NN.json` | the driver, before it submits | trials, and the submissions that were made of them |
//! | `trials/NNNN/` | a worker | a run's folder, with `trial.toml`, its configuration, and `tries/K.json`, one per start |
//! | `trials/NNNN/result.json` | a worker, last; the driver for one that nobody finishes | done or failed, the score |
//! | `driver.json`, `tries/worker.json` | who works here now | see [`crate::lease`], as of the locks beside them |
//! | `optuna.log`, `report/` | the driver | derived: they may be removed |
//!
//! All are written whole or not at all. Whether a trial is finished says `result.json` alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ganforge_data::files::{FileError, found, write_atomic};
use ganforge_data::hash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::drive::Problem;
use crate::engines::spans;
use crate::lease::{Holder, Lease, now};
use crate::{Finished, Study, Trial};

/// The end of a table in which its last row is looked for.
const LAST_BYTES: u64 = 4096;
/// The version of what lies in the folder.
const FORMAT: u32 = 1;
/// The study's file in its folder.
pub const FILE: &str = "study.toml";
/// What came of a trial, in its folder.
pub const RESULT: &str = "result.json";
/// The name under which a worker holds a trial.
pub const WORKER: &str = "worker";

/// The folder of a study.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    /// What its study.toml says.
    pub study: Study,
    /// SHA-256 of the file that is its base, once it was asked for: a driver that goes on for days looks at many rounds.
    base: OnceLock<String>,
}

/// A round: what was proposed, and what was done about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The version of the folder.
    pub format: u32,
    /// Its number, from 0.
    pub round: usize,
    /// SHA-256 of what of study.toml its trials depend on.
    pub study: String,
    /// SHA-256 of the results that its trials were proposed from.
    pub results: String,
    /// Its trials.
    pub trials: Vec<Trial>,
    /// What was handed to an engine.
    pub submissions: Vec<Submission>,
    /// The engine's number of the job that goes on with the study when they are over, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Round {
    /// How often each trial was handed to any engine, and how often to this one.
    pub fn submitted(&self, engine: &str) -> BTreeMap<usize, [usize; 2]> {
        let mut times: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
        for submission in &self.submissions {
            let is_this = usize::from(submission.engine == engine);
            for number in &submission.trials {
                counted(1);
                let [by_any, by_this] = times.entry(*number).or_default();
                (*by_any, *by_this) = (*by_any + 1, *by_this + is_this);
            }
        }
        times
    }
}

/// Trials that were handed to an engine together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// Its name, by which the engine knows it as well: unique among all studies.
    pub name: String,
    /// The engine.
    pub engine: String,
    /// The engine's number; none before it has one, and where it gives none.
    pub job: Option<String>,
    /// The trials' numbers.
    pub trials: Vec<usize>,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Which of its trials the engine held back when a driver last asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
}

/// Trials that wait until somebody lets them go on: the engine does not by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The trials' numbers.
    pub trials: Vec<usize>,
    /// What the engine says of it, and what lets them go on.
    pub why: String,
}

/// "trials 3-5 are held: JobHeldUser; to let go on: scontrol release 4711_[3-5]".
impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (noun, are) = match self.trials.len() {
            1 => ("trial", "is"),
            _ => ("trials", "are"),
        };
        write!(f, "{noun} {} {are} held: {}", spans(&self.trials), self.why)
    }
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// With a score.
    Done,
    /// Without one: it would fail again, or was tried often enough.
    Failed,
}

/// What came of a trial: its result.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The version of the folder.
    pub format: u32,
    /// The trial's number.
    pub trial: usize,
    /// How it ended.
    pub state: End,
    /// The score, where there is one.
    pub score: Option<f64>,
    /// The column of the score.
    pub column: String,
    /// All scores of the end of the run, by column.
    pub scores: BTreeMap<String, f64>,
    /// Where it was best: the step of the score.
    pub step: Option<u64>,
    /// The checkpoint of that step, relative to the trial's folder.
    pub checkpoint: Option<String>,
    /// Why it failed.
    pub message: Option<String>,
    /// Seconds of training, over all tries.
    pub seconds: Option<f64>,
    /// When it began and ended, in seconds since 1970.
    pub began: u64,
    /// See `began`.
    pub ended: u64,
}

impl Outcome {
    /// Of a trial that has none yet.
    pub fn failed(trial: usize, column: &str, message: String) -> Outcome {
        Outcome {
            format: FORMAT,
            trial,
            state: End::Failed,
            score: None,
            column: column.to_owned(),
            scores: BTreeMap::new(),
            step: None,
            checkpoint: None,
            message: Some(message),
            seconds: None,
            began: now(),
            ended: now(),
        }
    }
}

/// One start of a trial: its tries/K.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Try {
    /// Who.
    pub holder: Holder,
    /// When, in seconds since 1970.
    pub began: u64,
    /// When it ended; none of one that was killed, or goes on.
    pub ended: Option<u64>,
    /// The exit code.
    pub exit: Option<u8>,
    /// What it said at the end.
    pub message: Option<String>,
}

/// The exit code of a worker that was given what cannot be used.
pub const BAD_INPUT: u8 = 2;
/// The exit code of a worker that was asked to stop and left a checkpoint.
pub const STOPPED: u8 = 130;

/// What the folder of a trial is called.
pub(crate) fn trial_name(number: usize) -> String {
    format!("{number:04}")
}

/// The folder of a trial in that of its study, by its name.
pub(crate) fn trial_in(study: &Path, name: &str) -> PathBuf {
    study.join("trials").join(name)
}

impl Folder {
    /// Opens the folder of a study.
    ///
    /// # Errors
    ///
    /// No such folder, no study.toml in it, or what is wrong in that.
    pub fn open(path: &Path) -> Result<Folder, Problem> {
        Folder::open_with::<&str>(path, &[])
    }

    /// The same with options such as `engine.jobs=2`, as after `--set`.
    ///
    /// # Errors
    ///
    /// As [`Folder::open`]; an option that cannot be.
    pub fn open_with<S: AsRef<str>>(path: &Path, options: &[S]) -> Result<Folder, Problem> {
        let file = path.join(FILE);
        if !found(&file)?.is_some_and(|f| f.is_file()) {
            let reason = match found(path)? {
                Some(f) if f.is_file() => "is a file, expected the folder of a study",
                Some(_) => "is not the folder of a study: it has no study.toml",
                None => "is not the folder of a study: there is no such folder",
            };
            return Err(Problem::folder(path, reason));
        }
        let study = Study::load_with(&file, options)?;
        let path = path
            .canonicalize()
            .map_err(|e| FileError::io(path, "open", e))?;
        // Engines write it into commands, JSON and YAML.
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        if !path.to_str().is_some_and(is_plain) {
            let reason =
                "is no place for a study: its path is not UTF-8, or has control characters in it";
            return Err(Problem::folder(&path, reason));
        }
        Ok(Folder {
            path,
            study,
            base: OnceLock::new(),
        })
    }

    /// SHA-256 of what trials and their scores depend on: of study.toml as [`Study::fingerprint`] has it, and of the file that is
    /// its base.
    ///
    /// # Errors
    ///
    /// A base that cannot be read.
    pub fn fingerprint(&self) -> Result<String, Problem> {
        let study = self.study.fingerprint();
        match self.base_file() {
            None => Ok(study),
            Some(file) => {
                let base = match self.base.get() {
                    Some(base) => base,
                    None => {
                        let hash = hash::of_file(&file)?;
                        self.base.get_or_init(|| hash)
                    }
                };
                Ok(hash::of_bytes(format!("{study} {base}").as_bytes()))
            }
        }
    }

    /// The file that is the base, if it is one: what looks like a path, from the study's folder.
    fn base_file(&self) -> Option<PathBuf> {
        let study = &self.study;
        study.base_is_file().then(|| self.path.join(&study.base))
    }

    /// Its path, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The study's name: that of its folder.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The base of the configurations: a preset's name, or the path of a file, which study.toml gives relative to itself.
    pub fn base(&self) -> String {
        let file = self.base_file();
        file.map_or(self.study.base.clone(), |f| f.display().to_string())
    }

    /// The folder of a trial.
    pub fn trial(&self, number: usize) -> PathBuf {
        trial_in(&self.path, &trial_name(number))
    }

    /// What tells who works at a trial, and did before.
    pub fn tries_of(&self, number: usize) -> PathBuf {
        self.trial(number).join("tries")
    }

    fn round_path(&self, round: usize) -> PathBuf {
        self.path.join("rounds").join(format!("{round:02}.json"))
    }

    /// A round that was proposed.
    ///
    /// # Errors
    ///
    /// A damaged file, one of another version or of another study.
    pub fn round(&self, round: usize) -> Result<Option<Round>, Problem> {
        let path = self.round_path(round);
        let Some(read) = self.read::<Round>(&path)? else {
            return Ok(None);
        };
        let fingerprint = self.fingerprint()?;
        if read.study != fingerprint {
            let reason = format!(
                "was proposed by another study.toml, or with another base: what is searched, how, and the score must stay as they \
                 are; take them back, or begin a study in another folder. If nothing has changed but the program, go on with the \
                 one that began it, or make it \"study\": {fingerprint:?} in each file of rounds/"
            );
            return Err(Problem::folder(&path, &reason));
        }
        let [_, per_round] = self.study.size();
        let numbers = read.trials.iter().map(|t| t.number);
        let expected = round * per_round..(round + 1) * per_round;
        if read.round != round || !numbers.eq(expected) {
            return Err(Problem::folder(&path, "has not the trials of its round"));
        }
        Ok(Some(read))
    }

    /// All rounds that were proposed, in their order.
    ///
    /// # Errors
    ///
    /// As [`Folder::round`].
    pub fn rounds(&self) -> Result<Vec<Round>, Problem> {
        let mut rounds = Vec::new();
        while let Some(round) = self.round(rounds.len())? {
            rounds.push(round);
        }
        Ok(rounds)
    }

    /// A new round of these trials.
    ///
    /// # Errors
    ///
    /// A base that cannot be read.
    pub fn new_round(&self, trials: Vec<Trial>, finished: &[Finished]) -> Result<Round, Problem> {
        Ok(Round {
            format: FORMAT,
            round: trials.first().map_or(0, |t| t.round),
            study: self.fingerprint()?,
            results: of_results(finished),
            trials,
            submissions: Vec::new(),
            next: None,
        })
    }

    /// Writes a round.
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn write_round(&self, round: &Round) -> Result<(), Problem> {
        self.write(&self.round_path(round.round), round)
    }

    /// The trial of that number, once it was proposed.
    ///
    /// # Errors
    ///
    /// As [`Folder::round`].
    pub fn proposed(&self, number: usize) -> Result<Option<Trial>, Problem> {
        let [_, per_round] = self.study.size();
        let round = number.checked_div(per_round).unwrap_or(0);
        let trials = self.round(round)?.map(|r| r.trials);
        Ok(trials.and_then(|t| t.into_iter().find(|t| t.number == number)))
    }

    /// What came of a trial, if it is finished.
    ///
    /// # Errors
    ///
    /// A damaged file, one of another version or trial.
    pub fn outcome(&self, number: usize) -> Result<Option<Outcome>, Problem> {
        let path = self.trial(number).join(RESULT);
        let Some(mut outcome) = self.read::<Outcome>(&path)? else {
            return Ok(None);
        };
        if let Some(reason) = outcome.score.and_then(|score| self.study.refuses(score)) {
            outcome = Outcome {
                state: End::Failed,
                score: None,
                message: Some(reason),
                ..outcome
            };
        }
        match outcome.trial == number {
            true => Ok(Some(outcome)),
            false => {
                let reason = format!("is the result of trial {}", outcome.trial);
                Err(Problem::folder(&path, &reason))
            }
        }
    }

    /// Writes what came of a trial.
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn write_outcome(&self, outcome: &Outcome) -> Result<(), Problem> {
        self.write(&self.trial(outcome.trial).join(RESULT), outcome)
    }

    /// The starts of a trial, in their order.
    ///
    /// # Errors
    ///
    /// A damaged file.
    pub fn tries(&self, number: usize) -> Result<Vec<Try>, Problem> {
        let mut tries = Vec::new();
        while let Some(one) = self.read(&self.try_path(number, tries.len()))? {
            tries.push(one);
        }
        Ok(tries)
    }

    fn try_path(&self, number: usize, k: usize) -> PathBuf {
        self.tries_of(number).join(format!("{}.json", k + 1))
    }

    /// Writes a start of a trial, the `k`-th from 0.
    ///
    /// # Errors
    ///
    /// What the system refuses.
    pub fn write_try(&self, number: usize, k: usize, one: &Try) -> Result<(), Problem> {
        self.write(&self.try_path(number, k), one)
    }

    /// Who works at a trial now.
    pub fn worker(&self, number: usize) -> Option<Holder> {
        counted(1);
        Lease::holder(&self.tries_of(number), WORKER)
    }

    /// The last step and epoch that the table of a trial's losses has.
    pub fn progress(&self, number: usize) -> Option<[u64; 2]> {
        let mut file = File::open(self.trial(number).join("metrics.csv")).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_BYTES)))
            .ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let last = text.trim_end_matches(|c| c != '\n').lines().last()?;
        let mut numbers = last.split(',').map(|n| n.parse().ok());
        Some([numbers.next()??, numbers.next()??])
    }

    fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Problem> {
        counted(1);
        if found(path)?.is_none() {
            return Ok(None);
        }
        let text = fs::read_to_string(path).map_err(|e| FileError::io(path, "read", e))?;
        counted(text.len());
        #[derive(Deserialize)]
        struct Version {
            format: Option<u32>,
        }
        if let Ok(Version {
            format: Some(format),
        }) = serde_json::from_str(&text)
            && format != FORMAT
        {
            let reason = format!(
                "is of version {format} of a study's folder, this program writes version {FORMAT}: go on with the program that began it"
            );
            return Err(Problem::folder(path, &reason));
        }
        let read = serde_json::from_str(&text);
        let damaged = |e| FileError::malformed(&path.display().to_string(), format!("{e}"));
        Ok(Some(read.map_err(damaged)?))
    }

    fn write<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), Problem> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| FileError::io(folder, "create", e))?;
        }
        let text = serde_json::to_string_pretty(value);
        let text = text.map_err(|e| FileError::malformed("JSON", e.to_string()))?;
        counted(text.len());
        Ok(write_atomic(path, |w| {
            w.write_all(text.as_bytes())?;
            w.write_all(b"\n")
        })?)
    }
}

/// So many files that are asked for, bytes of them, or trials of submissions: what a test counts.
#[cfg(not(test))]
fn counted(_n: usize) {}

#[cfg(test)]
thread_local!(static COUNTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

#[cfg(test)]
fn counted(n: usize) {
    COUNTED.set(COUNTED.get() + n);
}

/// What this thread has counted.
#[cfg(test)]
pub(crate) fn all_counted() -> usize {
    COUNTED.get()
}

/// SHA-256 of the results of trials, by their numbers.
pub(crate) fn of_results(finished: &[Finished]) -> String {
    let mut all: Vec<(usize, Option<f64>)> =
        finished.iter().map(|f| (f.trial.number, f.score)).collect();
    all.sort_by_key(|(number, _)| *number);
    hash::of_bytes(format!("{all:?}").as_bytes())
}
