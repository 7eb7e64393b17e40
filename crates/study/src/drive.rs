//! The driver: proposes a round, hands it to an engine, waits for its results, proposes the next.
//!
//! All that it knows lies in the study's folder, so it may die at any time: started again, it goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ganforge_data::Kind;
use ganforge_data::files::FileError;
use ganforge_data::hash;
use ganforge_settings::ConfigError;

use crate::engines::{Alive, EngineError, Place, Runs};
use crate::folder::{
    BAD_INPUT, FILE, Folder, Outcome, Round, STOPPED, Submission, Try, of_results,
};
use crate::lease::{Holder, Lease, Refused, STALE_AFTER, now};
use crate::propose::probes;
use crate::{Error, Finished, Trial, propose};

mod due;
mod look;

pub use due::Due;
use look::write_journal;
pub use look::{Snapshot, look, records};

/// The name under which a driver holds a study.
pub const DRIVER: &str = "driver";
/// After so many unanswered questions in a row an engine is given up.
const SILENCES: usize = 30;
/// The shortest pause between two writings of the journal, but at the end of a round.
const NOTES_EVERY: Duration = Duration::from_secs(10);
/// A trial is given up after so many times the time in which its result is usually seen: what is submitted again in vain is
/// refused, but what is given up is lost. A disk of a network may hide a new file for a minute.
const GIVES_UP_LATER: u32 = 7;
/// The longest pause between two signs of life to whoever watches.
const TELLS_EVERY: Duration = Duration::from_millis(200);

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
        let mut outcomes = BTreeMap::new();
        let mut finished = Vec::new();
        while let Some(mut round) = self.next(folder, &finished)? {
            let [rounds, per_round] = folder.study.size();
            let mut now = Snapshot {
                round: [round.round, rounds],
                trials: rounds * per_round,
                outcomes,
                ..Snapshot::default()
            };
            let ended = self.round(folder, &mut round, runs, &mut now, watch)?;
            outcomes = now.outcomes;
            if ended == Ended::Submitted {
                return Ok(ended);
            }
            for trial in round.trials {
                let score = outcomes.get(&trial.number).and_then(|o| o.score);
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

    /// Until each trial of the round is finished.
    fn round(
        &self,
        folder: &Folder,
        round: &mut Round,
        runs: &mut dyn Runs,
        now: &mut Snapshot,
        watch: &mut dyn Watch,
    ) -> Result<Ended, Problem> {
        // What was given to earlier tries may have been mended since.
        let tries_of = |t: &Trial| Ok((t.number, folder.tries(t.number)?.len()));
        let before: Result<BTreeMap<usize, usize>, Problem> =
            round.trials.iter().map(tries_of).collect();
        let before = before?;
        let mut gone: BTreeMap<usize, Instant> = BTreeMap::new();
        let (mut silences, mut is_unsure) = (0, true);
        // Since when the journal is as the folder is, and whether it is no more.
        let (mut noted, mut has_changed) = (None, true);
        loop {
            // The engine first: a result may be written between the two questions, but not lost between them.
            let alive = match self.ask(folder, round, runs, now, is_unsure) {
                Ok(alive) => {
                    (silences, is_unsure) = (0, false);
                    alive
                }
                Err(Problem::Engine(silent @ EngineError::Silent { .. }))
                    if silences < SILENCES =>
                {
                    if silences == 0 {
                        watch.message(&format!("{silent}; it is asked again"));
                    }
                    silences += 1;
                    self.wait(folder, runs, now, watch)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            runs.said().iter().for_each(|text| watch.message(text));
            // Whether each trial is finished or with the engine.
            let mut is_settled = true;
            let mut again = Vec::new();
            (now.queued, now.running) = (alive.queued.clone(), alive.running.clone());
            for trial in &round.trials {
                let number = trial.number;
                if now.outcomes.contains_key(&number) {
                    now.running.remove(&number);
                    now.queued.remove(&number);
                    continue;
                }
                if alive.queued.contains(&number) {
                    gone.remove(&number);
                    continue;
                }
                if let Some(outcome) = folder.outcome(number)? {
                    if let Some(message) = &outcome.message {
                        watch.message(&format!("trial {number} failed: {message}"));
                    }
                    now.outcomes.insert(number, outcome);
                    now.running.remove(&number);
                    has_changed = true;
                    continue;
                }
                if alive.running.contains(&number) {
                    gone.remove(&number);
                    continue;
                }
                if folder.worker(number).is_some() {
                    // Nobody's child, as after the death of a driver, or one that the engine has forgotten.
                    now.running.insert(number);
                    is_settled = false;
                    continue;
                }
                let since = gone.entry(number).or_insert_with(Instant::now).elapsed();
                if has_been_submitted(round, number) && since < runs.settles() {
                    now.running.insert(number);
                    is_settled = false;
                    continue;
                }
                match self.verdict(folder, (round, before[&number]), number)? {
                    Some(_) if since < runs.settles() * GIVES_UP_LATER => {
                        now.running.insert(number);
                        is_settled = false;
                    }
                    Some(outcome) => {
                        let message = outcome.message.as_deref().unwrap_or("");
                        watch.message(&format!("trial {number} failed: {message}"));
                        folder.write_outcome(&outcome)?;
                        now.outcomes.insert(number, outcome);
                        has_changed = true;
                    }
                    None => again.push(number),
                }
            }
            let submits = !again.is_empty();
            if submits {
                let mut waiting = 0;
                for number in &again {
                    gone.remove(number);
                    match has_been_submitted(round, *number) {
                        true if folder.tries(*number)?.is_empty() => waiting += 1,
                        true => {
                            watch.message(&format!("trial {number} ended without a result: again"))
                        }
                        false => {}
                    }
                }
                if waiting > 0 {
                    watch.message(&format!("trials that had not begun: {waiting}, again"));
                }
                now.queued.extend(&again);
                match self.submit(folder, round, runs, again) {
                    // It may have been taken all the same.
                    Err(Problem::Engine(silent @ EngineError::Silent { .. })) => {
                        watch.message(&format!("{silent}; it is asked what it has"));
                        (is_unsure, is_settled) = (true, false);
                    }
                    done => done?,
                }
            }
            let is_over = |t: &Trial| now.outcomes.contains_key(&t.number);
            let ends = round.trials.iter().all(is_over);
            has_changed |= submits;
            if has_changed && (ends || noted.is_none_or(|at: Instant| at.elapsed() > NOTES_EVERY)) {
                (noted, has_changed) = (Some(Instant::now()), false);
                // It is derived: the study goes on without it.
                if let Err(problem) = write_journal(folder) {
                    watch.message(&problem.to_string());
                }
            }
            if ends {
                watch.look(folder, now);
                return Ok(Ended::Done);
            }
            if let Some(command) = &self.detach
                && is_settled
                && runs.goes_on_alone()
            {
                if let Some(job) = runs.after(&round.submissions, command)? {
                    watch.message(&format!(
                        "job {job} goes on with the study when they are over"
                    ));
                }
                watch.look(folder, now);
                return Ok(Ended::Submitted);
            }
            self.wait(folder, runs, now, watch)?;
        }
    }

    /// Waits for the time of the next look at the engine, but not for whoever asks to stop.
    fn wait(
        &self,
        folder: &Folder,
        runs: &dyn Runs,
        now: &Snapshot,
        watch: &mut dyn Watch,
    ) -> Result<(), Problem> {
        let end = Instant::now() + runs.every();
        loop {
            watch.look(folder, now);
            if watch.should_stop() {
                return Err(Problem::Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TELLS_EVERY));
        }
    }

    /// What the engine has of all submissions of a round with trials that are not finished, after looking for those that it may
    /// have or not.
    fn ask(
        &self,
        folder: &Folder,
        round: &mut Round,
        runs: &mut dyn Runs,
        now: &Snapshot,
        is_unsure: bool,
    ) -> Result<Alive, Problem> {
        if is_unsure {
            self.recover(folder, round, runs)?;
        }
        let mut all = Alive::default();
        let is_over = |s: &Submission| s.trials.iter().all(|n| now.outcomes.contains_key(n));
        let is_asked = |s: &&Submission| is_of(folder, s) && !is_over(s);
        for submission in round.submissions.iter().filter(is_asked) {
            let alive = runs.alive(submission)?;
            all.queued.extend(alive.queued);
            all.running.extend(alive.running);
        }
        // One of an earlier submission may still wait where a later one runs.
        let running = all.running.clone();
        all.queued.retain(|n| !running.contains(n));
        Ok(all)
    }

    /// Submissions whose number an earlier driver did not live to note: asked for by name, forgotten where there are none. So are
    /// those that ended with their driver, whose trials had no chance to begin.
    fn recover(
        &self,
        folder: &Folder,
        round: &mut Round,
        runs: &mut dyn Runs,
    ) -> Result<(), Problem> {
        let mut kept = Vec::new();
        for submission in &round.submissions {
            let mut submission = submission.clone();
            let is_there = if !is_of(folder, &submission) {
                true
            } else if runs.goes_on_alone() {
                if submission.job.is_none() {
                    submission.job = runs.find(&submission.name)?;
                }
                submission.job.is_some()
            } else {
                runs.alive(&submission)? != Alive::default()
            };
            if is_there {
                kept.push(submission);
            }
        }
        round.submissions = kept;
        folder.write_round(round)
    }

    /// Hands trials to the engine. It is written down before that they will be, and after it under which number.
    fn submit(
        &self,
        folder: &Folder,
        round: &mut Round,
        runs: &mut dyn Runs,
        trials: Vec<usize>,
    ) -> Result<(), Problem> {
        let at = now();
        // The same study may lie in several folders.
        let study = format!("{} {}", folder.study.fingerprint(), folder.path().display());
        let study = &hash::of_bytes(study.as_bytes())[..8];
        for trials in runs.parts(trials) {
            let number = round.submissions.len();
            let submission = Submission {
                name: format!("ganforge-{study}-{at}-{}-{number}", round.round),
                engine: folder.study.engine.kind.name().to_owned(),
                job: None,
                trials,
                at,
            };
            round.submissions.push(submission.clone());
            folder.write_round(round)?;
            let done = runs.submit(&submission);
            match &done {
                Ok(job) => round.submissions[number].job = job.clone(),
                Err(EngineError::Silent { .. }) => {}
                Err(_) => round.submissions.truncate(number),
            }
            folder.write_round(round)?;
            done?;
        }
        Ok(())
    }

    /// Of a trial that nobody works at and that has no result: whether it is given up.
    ///
    /// errors: a last try, beyond the first `before`, that ended with the exit code 2: what it was given cannot be used, and the
    /// study stops
    fn verdict(
        &self,
        folder: &Folder,
        (round, before): (&Round, usize),
        number: usize,
    ) -> Result<Option<Outcome>, Problem> {
        let tries = folder.tries(number)?;
        let last = tries.last();
        let said = last.and_then(|t| t.message.clone());
        if tries.len() > before && last.is_some_and(|t| t.exit == Some(BAD_INPUT)) {
            let reason = said.unwrap_or_else(|| "bad input".to_owned());
            return Err(Problem::Trial { number, reason });
        }
        // Asked to stop, it left a checkpoint: that is no failure, nor is bad input that was mended since. One that was submitted
        // and never began is.
        let is_failure = |t: &&Try| !matches!(t.exit, Some(STOPPED | BAD_INPUT));
        let failed = tries.iter().filter(is_failure).count();
        let submitted = round.submissions.iter();
        let submitted = submitted.filter(|s| is_of(folder, s) && s.trials.contains(&number));
        let submitted = submitted.count();
        let failed = failed + submitted.saturating_sub(tries.len());
        if failed < folder.study.tries {
            return Ok(None);
        }
        let how = match last {
            None => "it never began; see tries/log.txt in its folder, and the engine's own log"
                .to_owned(),
            Some(t) => match (t.exit, said) {
                (Some(code), Some(said)) => format!("the last ended with exit code {code}: {said}"),
                (Some(code), None) => format!("the last ended with exit code {code}"),
                (None, _) => format!("the last, {}, was killed", t.holder),
            },
        };
        let message = format!("{failed} tries, none with a result: {how}");
        let outcome = Outcome::failed(number, &folder.study.score, message);
        Ok(Some(Outcome {
            began: tries.first().map_or(outcome.began, |t| t.began),
            ..outcome
        }))
    }
}

fn has_been_submitted(round: &Round, number: usize) -> bool {
    round.submissions.iter().any(|s| s.trials.contains(&number))
}

/// Whether a submission was made to the engine that the study has now.
fn is_of(folder: &Folder, submission: &Submission) -> bool {
    submission.engine == folder.study.engine.kind.name()
}
