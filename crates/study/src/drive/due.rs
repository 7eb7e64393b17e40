//! What is due, for engines that are not driven but given a round.

use super::look::{look, write_journal};
use super::{Driver, Problem, take};
use crate::Finished;
use crate::folder::{Folder, Round};

/// The round that a study is at.
#[derive(Clone, Debug)]
pub struct Due {
    /// The round, written down.
    pub round: Round,
    /// Its trials without a result, at which nobody works.
    pub trials: Vec<usize>,
    /// Those at which somebody works.
    pub running: Vec<usize>,
}

impl Driver<'_> {
    /// Proposes the round that is next, if it was not proposed yet, and says which of its trials are due; none when all of the
    /// study is finished. Trials that were tried often enough are given up. Nothing is submitted.
    ///
    /// # Errors
    ///
    /// What [`Problem`] lists, but nothing of an engine.
    pub fn due(&self, folder: &Folder) -> Result<Option<Due>, Problem> {
        let _lease = take(folder)?;
        let due = self.next_due(folder)?;
        write_journal(folder, &mut look(folder)?)?;
        Ok(due)
    }

    fn next_due(&self, folder: &Folder) -> Result<Option<Due>, Problem> {
        if folder.round(0)?.is_none() {
            self.check_space(folder)?;
        }
        let mut finished = Vec::new();
        while let Some(round) = self.next(folder, &finished)? {
            let [mut trials, mut running] = [Vec::new(), Vec::new()];
            let submitted = round.submitted(folder.study.engine.kind.name());
            for trial in &round.trials {
                let number = trial.number;
                let mut outcome = folder.outcome(number)?;
                if outcome.is_none() && folder.worker(number).is_some() {
                    running.push(number);
                    continue;
                }
                if outcome.is_none() {
                    let times = submitted.get(&number).map_or(0, |[_, by_this]| *by_this);
                    outcome = self
                        .verdict(folder, [times, 0], number)
                        .map_err(once_mended)?;
                    outcome
                        .iter()
                        .try_for_each(|given_up| folder.write_outcome(given_up))?;
                }
                match outcome {
                    None => trials.push(number),
                    Some(outcome) => finished.push(Finished {
                        trial: trial.clone(),
                        score: outcome.score,
                    }),
                }
            }
            if !(trials.is_empty() && running.is_empty()) {
                return Ok(Some(Due {
                    round,
                    trials,
                    running,
                }));
            }
        }
        Ok(None)
    }
}

/// Nobody knows whether bad input was mended since: who says so is the one who removes the try.
fn once_mended(problem: Problem) -> Problem {
    match problem {
        Problem::Trial { number, reason } => Problem::Trial {
            number,
            reason: format!(
                "{reason}; once that is mended, remove the newest file of trials/{number:04}/tries, and ask again"
            ),
        },
        other => other,
    }
}
