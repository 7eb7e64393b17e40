//! One round, until its last trial is finished.
//!
//! A round may have a hundred thousand trials and is looked at every few seconds: a look takes a step for each trial, not one for
//! each trial of each submission.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ganforge_data::hash;

use super::look::write_journal;
use super::{Driver, Ended, Problem, Snapshot, Watch};
use crate::Trial;
use crate::engines::{Alive, EngineError, Runs};
use crate::folder::{BAD_INPUT, Folder, Outcome, Round, STOPPED, Submission, Try};
use crate::lease::{host, now};

/// After so many unanswered questions in a row an engine is given up.
const SILENCES: usize = 30;
/// The shortest pause between two writings of the journal, but at the end of a round.
const NOTES_EVERY: Duration = Duration::from_secs(10);
/// A trial is given up after so many times the time in which its result is usually seen: what is submitted again in vain is
/// refused, but what is given up is lost. A disk of a network may hide a new file for a minute.
const GIVES_UP_LATER: u32 = 7;
/// The longest pause between two signs of life to whoever watches.
const TELLS_EVERY: Duration = Duration::from_millis(200);

impl Driver<'_> {
    /// Until each trial of the round is finished.
    pub(super) fn round(
        &self,
        folder: &Folder,
        round: &mut Round,
        runs: &mut dyn Runs,
        now: &mut Snapshot,
        watch: &mut dyn Watch,
    ) -> Result<Ended, Problem> {
        (now.queued, now.running, now.held) = Default::default();
        // Of earlier rounds the journal tells already; what is known of them alone would cut it short.
        let is_last = folder.round(round.round + 1)?.is_none();
        // What was given to earlier tries may have been mended since.
        let mut before = BTreeMap::new();
        for number in round.trials.iter().map(|t| t.number) {
            let tries = folder.tries(number)?;
            now.begun.extend(tries.first().map(|t| (number, t.began)));
            before.insert(number, tries.len());
        }
        let mut gone: BTreeMap<usize, Instant> = BTreeMap::new();
        let (mut silences, mut is_unsure) = (0, true);
        // Since when the journal is as the folder is, and whether it is no more.
        let (mut noted, mut has_changed) = (None, true);
        loop {
            // The engine first: a result may be written between the two questions, but not lost between them.
            let alive = match self.ask(folder, round, (runs, watch), now, is_unsure) {
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
            let submitted = round.submitted(folder.study.engine.kind.name());
            let times = |number: usize| submitted.get(&number).copied().unwrap_or_default();
            // Whether each trial is finished or with the engine.
            let mut is_settled = true;
            let (mut again, mut beside) = (Vec::new(), 0);
            (now.queued, now.running) = (alive.queued.clone(), alive.running.clone());
            now.held = alive.held;
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
                if let Some(worker) = folder.worker(number) {
                    // Nobody's child, as after the death of a driver, or one that the engine has forgotten.
                    beside += usize::from(worker.host == host());
                    now.running.insert(number);
                    is_settled = false;
                    continue;
                }
                let since = gone.entry(number).or_insert_with(Instant::now).elapsed();
                let [by_any, by_this] = times(number);
                if by_any > 0 && since < runs.settles() {
                    now.running.insert(number);
                    is_settled = false;
                    continue;
                }
                match self.verdict(folder, [by_this, before[&number]], number)? {
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
            runs.beside(beside);
            let submits = !again.is_empty();
            if submits {
                let mut waiting = 0;
                for number in &again {
                    gone.remove(number);
                    match times(*number)[0] > 0 {
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
                if is_last && let Err(problem) = write_journal(folder, now) {
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
                round.next = runs.after(&round.submissions, command)?;
                folder.write_round(round)?;
                if let Some(job) = &round.next {
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
    /// have or not. What it holds back is told once, and written down.
    fn ask(
        &self,
        folder: &Folder,
        round: &mut Round,
        (runs, watch): (&mut dyn Runs, &mut dyn Watch),
        now: &Snapshot,
        is_unsure: bool,
    ) -> Result<Alive, Problem> {
        if is_unsure {
            self.recover(folder, round, runs)?;
        }
        let (mut all, mut has_changed, mut answered) = (Alive::default(), false, Ok(()));
        let is_over = |s: &Submission| s.trials.iter().all(|n| now.outcomes.contains_key(n));
        let is_asked = |s: &&mut Submission| is_of(folder, s) && !is_over(s);
        for submission in round.submissions.iter_mut().filter(is_asked) {
            let alive = match runs.alive(submission) {
                Ok(alive) => alive,
                Err(error) => {
                    answered = Err(error);
                    break;
                }
            };
            if alive.held != submission.held {
                submission.held.clone_from(&alive.held);
                has_changed = true;
            }
            all.queued.extend(alive.queued);
            all.running.extend(alive.running);
            all.held.extend(alive.held);
        }
        if has_changed {
            folder.write_round(round)?;
        }
        answered?;
        let is_new = |held: &&_| !now.held.contains(held);
        for held in all.held.iter().filter(is_new) {
            watch.message(&format!(
                "engine {}: {held}",
                folder.study.engine.kind.name()
            ));
        }
        // One of an earlier submission may still wait where a later one runs.
        let running = &all.running;
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
                !runs.alive(&submission)?.is_empty()
            };
            if is_there {
                kept.push(submission);
            }
        }
        round.submissions = kept;
        folder.write_round(round)
    }

    /// Hands trials to the engine. It is written down before that they will be, and after it under which numbers.
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
        let first = round.submissions.len();
        let parts = runs.parts(trials).into_iter().enumerate();
        round
            .submissions
            .extend(parts.map(|(i, trials)| Submission {
                name: format!("ganforge-{study}-{at}-{}-{}", round.round, first + i),
                engine: folder.study.engine.kind.name().to_owned(),
                job: None,
                trials,
                at,
                held: Vec::new(),
            }));
        folder.write_round(round)?;
        let mut done = Ok(());
        for i in first..round.submissions.len() {
            match runs.submit(&round.submissions[i]) {
                Ok(job) => round.submissions[i].job = job,
                Err(error) => {
                    // One that did not answer may have it all the same.
                    let may_have = matches!(error, EngineError::Silent { .. });
                    round.submissions.truncate(i + usize::from(may_have));
                    done = Err(error);
                    break;
                }
            }
        }
        folder.write_round(round)?;
        Ok(done?)
    }

    /// Of a trial that nobody works at and that has no result, and was submitted to this engine so often: whether it is given up.
    ///
    /// errors: a last try, beyond the first `before`, that ended with the exit code 2: what it was given cannot be used, and the
    /// study stops
    pub(super) fn verdict(
        &self,
        folder: &Folder,
        [submitted, before]: [usize; 2],
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

/// Whether a submission was made to the engine that the study has now.
fn is_of(folder: &Folder, submission: &Submission) -> bool {
    submission.engine == folder.study.engine.kind.name()
}
