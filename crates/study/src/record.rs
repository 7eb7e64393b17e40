//! Trials as reports and journals show them.

use crate::propose::{Finished, Trial};

/// A trial of a round that has been proposed, with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What is tried.
    pub trial: Trial,
    /// How far it is.
    pub state: State,
    /// When its first try began, in seconds after the beginning of 1970 in UTC.
    pub begun: Option<f64>,
    /// When it was done or failed.
    pub ended: Option<f64>,
    /// Seconds of training, over all its tries; none where that is not known.
    pub seconds: Option<f64>,
    /// What is to be said of it, such as why it failed.
    pub note: Option<String>,
}

/// How far a trial is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// Not begun.
    Waiting,
    /// Begun.
    Running,
    /// Over without a score.
    Failed,
    /// Over with this score, one that can be compared: a finite number.
    Done(f64),
}

impl Record {
    /// The same as [`crate::propose`] takes it; none while it is not over.
    pub fn finished(&self) -> Option<Finished> {
        let score = match self.state {
            State::Waiting | State::Running => return None,
            State::Failed => None,
            State::Done(score) => Some(score),
        };
        let trial = self.trial.clone();
        Some(Finished { trial, score })
    }
}
