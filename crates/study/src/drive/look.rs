//! What is known of a study.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ganforge_data::files::write_atomic;

use super::Problem;
use crate::folder::{End, Folder, Held, Outcome, Round};
use crate::{Record, State, Trial, journal};

/// Where a study is.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The round that goes on, from 0, and how many there are.
    pub round: [usize; 2],
    /// Trials of the whole study.
    pub trials: usize,
    /// Those that have been proposed; the place of each is its number.
    pub proposed: Vec<Trial>,
    /// When their first tries began, in seconds since 1970, by number.
    pub begun: BTreeMap<usize, u64>,
    /// What came of those that are finished, by number.
    pub outcomes: BTreeMap<usize, Outcome>,
    /// Of the round that goes on: those that run.
    pub running: BTreeSet<usize>,
    /// Those that wait.
    pub queued: BTreeSet<usize>,
    /// Those that would wait for ever.
    pub held: Vec<Held>,
}

/// What is known of a study without driving it.
///
/// # Errors
///
/// A damaged file.
pub fn look(folder: &Folder) -> Result<Snapshot, Problem> {
    look_at(folder).map(|(now, _)| now)
}

/// The same with the round that it is at, once there is one.
///
/// # Errors
///
/// A damaged file.
pub fn look_at(folder: &Folder) -> Result<(Snapshot, Option<Round>), Problem> {
    let [rounds, per_round] = folder.study.size();
    let mut now = Snapshot {
        round: [0, rounds],
        trials: rounds * per_round,
        ..Snapshot::default()
    };
    let mut last = None;
    for round in folder.rounds()? {
        now.round[0] = round.round;
        for trial in &round.trials {
            let number = trial.number;
            let tries = folder.tries(number)?;
            now.begun.extend(tries.first().map(|t| (number, t.began)));
            match folder.outcome(number)? {
                Some(outcome) => drop(now.outcomes.insert(number, outcome)),
                None if folder.worker(number).is_some() => drop(now.running.insert(number)),
                None => drop(now.queued.insert(number)),
            }
        }
        now.proposed.extend(round.trials.iter().cloned());
        last = Some(round);
    }
    let submissions = last.as_ref().map_or(&[][..], |r: &Round| &r.submissions);
    // An engine that is no longer used is not asked.
    let engine = submissions.last().map(|s| &s.engine);
    let submissions = submissions.iter().filter(|s| Some(&s.engine) == engine);
    for held in submissions.flat_map(|s| &s.held) {
        // As the driver saw it: some may run since.
        let trials = held.trials.iter().copied();
        let trials: Vec<usize> = trials.filter(|n| now.queued.contains(n)).collect();
        if !trials.is_empty() {
            let why = held.why.clone();
            now.held.push(Held { trials, why });
        }
    }
    Ok((now, last))
}

/// The trials as reports and journals show them.
pub fn records(folder: &Folder, now: &Snapshot) -> Vec<Record> {
    let record = |trial: &Trial| {
        let number = trial.number;
        let outcome = now.outcomes.get(&number);
        let score = outcome.and_then(|o| o.score);
        let refused = score.and_then(|s| folder.study.refuses(s));
        let state = match outcome {
            Some(_) if refused.is_some() => State::Failed,
            Some(_) => score.map_or(State::Failed, State::Done),
            None if now.running.contains(&number) => State::Running,
            None => State::Waiting,
        };
        Record {
            trial: trial.clone(),
            state,
            begun: now.begun.get(&number).map(|s| *s as f64),
            ended: outcome.map(|o| o.ended as f64),
            seconds: outcome.and_then(|o| o.seconds),
            note: refused.or_else(|| outcome?.message.clone()),
        }
    };
    now.proposed.iter().map(record).collect()
}

/// Writes Optuna's journal of what is known. The folder is asked only for the beginnings of trials that have begun since.
pub(super) fn write_journal(folder: &Folder, now: &mut Snapshot) -> Result<(), Problem> {
    let begun = now.running.iter().chain(now.outcomes.keys());
    let new: Vec<usize> = begun
        .filter(|n| !now.begun.contains_key(n))
        .copied()
        .collect();
    for number in new {
        let tries = folder.tries(number)?;
        now.begun.extend(tries.first().map(|t| (number, t.began)));
    }
    let path = folder.path().join(journal::FILE);
    // It is derived: one that cannot be read is written anew.
    let before = fs::read_to_string(&path).unwrap_or_default();
    let records = records(folder, now);
    let text = journal::journal(&folder.study, &folder.name(), &records, &before);
    Ok(write_atomic(&path, |w| w.write_all(text.as_bytes()))?)
}

impl Snapshot {
    /// The finished trials with a score, best first.
    pub fn ranked(&self, direction: crate::Direction) -> Vec<(&usize, f64)> {
        let scored = self.outcomes.iter();
        let mut scored: Vec<(&usize, f64)> =
            scored.filter_map(|(n, o)| Some((n, o.score?))).collect();
        scored.sort_by(|a, b| match direction {
            crate::Direction::Lower => a.1.total_cmp(&b.1),
            crate::Direction::Higher => b.1.total_cmp(&a.1),
        });
        scored
    }

    /// The best of them.
    pub fn best(&self, direction: crate::Direction) -> Option<(&Outcome, f64)> {
        let scored = self.outcomes.values().filter_map(|o| Some((o, o.score?)));
        // Of equal ones the first, as above.
        scored.min_by(|a, b| match direction {
            crate::Direction::Lower => a.1.total_cmp(&b.1),
            crate::Direction::Higher => b.1.total_cmp(&a.1),
        })
    }

    /// How many trials are held back.
    pub fn held(&self) -> usize {
        self.held.iter().map(|h| h.trials.len()).sum()
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        let failed = |o: &&Outcome| o.state == End::Failed;
        self.outcomes.values().filter(failed).count()
    }

    /// Seconds until all trials are finished, at the pace of those that are: none before the first.
    pub fn left(&self, at_once: usize) -> Option<f64> {
        let seconds = self.outcomes.values().filter_map(|o| o.seconds);
        let (n, sum) = seconds.fold((0usize, 0.0), |(n, sum), s| (n + 1, sum + s));
        let left = self.trials.saturating_sub(self.outcomes.len()) as f64;
        (n > 0).then(|| left * sum / n as f64 / at_once.max(1) as f64)
    }
}
