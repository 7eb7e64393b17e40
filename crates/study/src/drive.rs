//! The driver: proposes a round, hands it to an engine, waits for its results, proposes the next.
//!
//! All that it knows lies in the study's folder, so it may die at any time: started again, it goes on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ganforge_data::Kind;
use ganforge_data::files::FileError;
use ganforge_settings::ConfigError;

use crate::engines::{EngineError, Place, Runs};
use crate::folder::{FILE, Folder, Round, of_results};
use crate::lease::{Holder, Lease, Refused, STALE_AFTER};
use crate::propose::probes;
use crate::{Error, Finished, Trial, propose};

mod due;
mod look;
mod round;

pub use due::Due;
pub use look::{Snapshot, look, look_at, records};

/// The name under which a driver holds a study.
pub const DRIVER: &str = "driver";

/// Why a study does not go on.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// What is wrong in study.toml.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Results that are not those of this study.
    #[error(transparent)]
    Proposal(#[from] Error),
    /// An engine that does not do what it was asked for.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What is wrong with a file of the study's folder.
    #[error("{}: {reason}", .path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// A trial that cannot be trained as it is.
    #[error("trial {number} cannot be trained: {reason}")]
    Trial {
        /// Its number.
        number: usize,
        /// Why.
        reason: String,
    },
    /// Somebody asked it to stop.
    #[error("stopped")]
    Stopped,
}

/// As [`fmt::Display`]: what `fn main() -> Result` prints.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Problem {
    pub(crate) fn folder(path: &Path, reason: &str) -> Problem {
        Problem::Folder {
            path: path.to_path_buf(),
            reason: reason.to_owned(),
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        match self {
            Problem::Config(error) => error.refused.map_or(Kind::Input, Kind::of_io),
            Problem::File(error) => error.kind(),
            Problem::Engine(EngineError::BadInput { .. }) => Kind::Input,
            Problem::Engine(_) => Kind::System,
            Problem::Proposal(_) | Problem::Folder { .. } | Problem::Trial { .. } => Kind::Input,
            Problem::Stopped => Kind::Work,
        }
    }
}

/// Who looks on.
pub trait Watch {
    /// A look at the study, from time to time.
    fn look(&mut self, folder: &Folder, now: &Snapshot);
    /// Something worth a line.
    fn message(&mut self, text: &str);
    /// Whether to stop.
    fn should_stop(&self) -> bool;
}

/// What the driver does not know itself.
pub struct Driver<'a> {
    /// The program that does trials, and how a process is asked to stop.
    pub place: Place,
    /// What is wrong with a trial's settings, before anything is submitted.
    pub check: &'a dyn Fn(&Folder, &Trial) -> Result<(), String>,
    /// To return once a round is submitted, instead of waiting for it: the command that goes on when the round is over, for
    /// engines that can run it then.
    pub detach: Option<Vec<String>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All trials of the study are finished.
    Done,
    /// What can be submitted is, and goes on without the driver.
    Submitted,
}

/// Takes the folder for this driver; the flag is set where another one has taken it since.
///
/// # Errors
///
/// Another driver has it.
pub fn take(folder: &Folder) -> Result<(Lease, Arc<AtomicBool>), Problem> {
    let is_lost = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_lost);
    let lost = move || flag.store(true, Ordering::SeqCst);
    let lease = Lease::take(folder.path(), DRIVER, Holder::this(None), lost);
    let lease = lease.map_err(|refused| match refused {
        Refused::File(e) => e.into(),
        Refused::Held(other) => taken(folder, other),
    })?;
    Ok((lease, is_lost))
}

/// Who looks on, of a driver that stops where another one has taken the study.
struct Guarded<'a> {
    watch: &'a mut dyn Watch,
    is_lost: Arc<AtomicBool>,
}

impl Watch for Guarded<'_> {
    fn look(&mut self, folder: &Folder, now: &Snapshot) {
        self.watch.look(folder, now);
    }

    fn message(&mut self, text: &str) {
        self.watch.message(text);
    }

    fn should_stop(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst) || self.watch.should_stop()
    }
}

fn taken(folder: &Folder, by: Option<Holder>) -> Problem {
    let by = by.map_or("another process".to_owned(), |other| other.to_string());
    let reason = format!(
        "has a driver already, {by}: stop that one first; if it is dead, its place is free {} minutes after its last word",
        STALE_AFTER.as_secs() / 60
    );
    Problem::folder(folder.path(), &reason)
}

impl Driver<'_> {
    /// Does the study in `folder`, from where it is to its end.
    ///
    /// # Errors
    ///
    /// What [`Problem`] lists. What runs locally has stopped with a checkpoint, what runs elsewhere goes on, and the next call
    /// goes on from there.
    pub fn run(&self, folder: &Folder, watch: &mut dyn Watch) -> Result<Ended, Problem> {
        let (_lease, is_lost) = take(folder)?;
        if folder.round(0)?.is_none() {
            self.check_space(folder)?;
        }
        let mut runs = folder.study.engine.kind.open(&self.place)?;
        let mut watch = Guarded { watch, is_lost };
        let done = self.rounds(folder, &mut *runs, &mut watch);
        let left = match done {
            Ok(Ended::Done) => Ok(()),
            // What was submitted may go on, where it can.
            _ => runs.leave(),
        };
        if matches!(done, Err(Problem::Stopped)) && runs.goes_on_alone() {
            watch.message("what was submitted goes on without the driver");
        }
        if watch.is_lost.load(Ordering::SeqCst) {
            return Err(taken(folder, None));
        }
        // Why it ends is told first.
        let done = done?;
        left?;
        Ok(done)
    }

    /// What would contradict the configuration is found before the first trial: each key at both its ends, each of its choices.
    fn check_space(&self, folder: &Folder) -> Result<(), Problem> {
        for (dimension, probe) in probes(&folder.study) {
            (self.check)(folder, &probe).map_err(|reason| {
                let key = &dimension.key;
                let file = folder.path().join(FILE);
                Problem::folder(
                    &file,
                    &format!("space.{key} contradicts the base: {reason}"),
                )
            })?;
        }
        Ok(())
    }

    fn rounds(
        &self,
        folder: &Folder,
        runs: &mut dyn Runs,
        watch: &mut dyn Watch,
    ) -> Result<Ended, Problem> {
        let [rounds, per_round] = folder.study.size();
        let mut now = Snapshot {
            round: [0, rounds],
            trials: rounds * per_round,
            ..Snapshot::default()
        };
        let mut finished = Vec::new();
        while let Some(mut round) = self.next(folder, &finished)? {
            now.round[0] = round.round;
            now.proposed.extend(round.trials.iter().cloned());
            let ended = self.round(folder, &mut round, runs, &mut now, watch)?;
            if ended == Ended::Submitted {
                return Ok(ended);
            }
            for trial in round.trials {
                let score = now.outcomes.get(&trial.number).and_then(|o| o.score);
                finished.push(Finished { trial, score });
            }
        }
        Ok(Ended::Done)
    }

    /// The round after those that are finished: as it was written down, or proposed now and written down.
    fn next(&self, folder: &Folder, finished: &[Finished]) -> Result<Option<Round>, Problem> {
        let [rounds, per_round] = folder.study.size();
        let number = finished.len().checked_div(per_round).unwrap_or(rounds);
        if let Some(round) = folder.round(number)? {
            if round.results != of_results(finished) {
                let file = format!("rounds/{number:02}.json");
                let reason = "was proposed from other results than those that lie in trials/ now: bring the result.json back that was \
                    changed or removed, or remove this file, those of later rounds and the folders of their trials";
                return Err(Problem::folder(&folder.path().join(file), reason));
            }
            return Ok(Some(round));
        }
        let Some(trials) = propose(&folder.study, finished)? else {
            return Ok(None);
        };
        for trial in &trials {
            let number = trial.number;
            (self.check)(folder, trial).map_err(|reason| Problem::Trial { number, reason })?;
        }
        let round = folder.new_round(trials, finished)?;
        folder.write_round(&round)?;
        Ok(Some(round))
    }
}
