//! What is known of a study.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ganforge_data::files::write_atomic;

use super::Problem;
use crate::folder::{End, Folder, Outcome};
use crate::{Record, State, Trial, journal};

/// Where a study is.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The round that goes on, from 0, and how many there are.
    pub round: [usize; 2],
    /// Trials of the whole study.
    pub trials: usize,
    /// What came of those that are finished, by number.
    pub outcomes: BTreeMap<usize, Outcome>,
    /// Of the round that goes on: those that run.
    pub running: BTreeSet<usize>,
    /// Those that wait.
    pub queued: BTreeSet<usize>,
}

/// What is known of a study without driving it.
///
/// # Errors
///
/// A damaged file.
pub fn look(folder: &Folder) -> Result<(Snapshot, Vec<Trial>), Problem> {
    let [rounds, per_round] = folder.study.size();
    let mut now = Snapshot {
        round: [0, rounds],
        trials: rounds * per_round,
        ..Snapshot::default()
    };
    let mut trials = Vec::new();
    for round in folder.rounds()? {
        now.round[0] = round.round;
        for trial in round.trials {
            let number = trial.number;
            match folder.outcome(number)? {
                Some(outcome) => drop(now.outcomes.insert(number, outcome)),
                None if folder.worker(number).is_some() => drop(now.running.insert(number)),
                None => drop(now.queued.insert(number)),
            }
            trials.push(trial);
        }
    }
    Ok((now, trials))
}

/// The trials as reports and journals show them.
///
/// # Errors
///
/// A damaged file.
pub fn records(folder: &Folder, now: &Snapshot, trials: &[Trial]) -> Result<Vec<Record>, Problem> {
    let record = |trial: &Trial| {
        let number = trial.number;
        let outcome = now.outcomes.get(&number);
        let begun = folder.tries(number)?.first().map(|t| t.began);
        let score = outcome.and_then(|o| o.score);
        let refused = score.and_then(|s| folder.study.refuses(s));
        let state = match outcome {
            Some(_) if refused.is_some() => State::Failed,
            Some(_) => score.map_or(State::Failed, State::Done),
            None if now.running.contains(&number) => State::Running,
            None => State::Waiting,
        };
        Ok(Record {
            trial: trial.clone(),
            state,
            begun: begun.map(|s| s as f64),
            ended: outcome.map(|o| o.ended as f64),
            seconds: outcome.and_then(|o| o.seconds),
            note: refused.or_else(|| outcome?.message.clone()),
        })
    };
    trials.iter().map(record).collect()
}

/// Writes Optuna's journal of what lies in the folder.
pub(super) fn write_journal(folder: &Folder) -> Result<(), Problem> {
    let (now, trials) = look(folder)?;
    let records = records(folder, &now, &trials)?;
    let path = folder.path().join(journal::FILE);
    // It is derived: one that cannot be read is written anew.
    let before = fs::read_to_string(&path).unwrap_or_default();
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
