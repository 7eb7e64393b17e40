//! `ganforge study status`.

use ganforge::study::drive::{self, DRIVER, Snapshot};
use ganforge::study::engines::spans;
use ganforge::study::folder::{Folder, Held, Round, Submission};
use ganforge::study::lease::{Holder, Lease};
use ganforge::study::{Direction, Trial};
use serde_json::{Value, json};

use super::Place;
use super::screen::{headline, searched};
use crate::cli::failure::Failure;
use crate::cli::options::count;
use crate::cli::output::say;

/// Show how far a study is, what runs, what failed and what is best.
#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: Place,
    /// How many of the best trials to show
    #[arg(short, value_name = "N", default_value = "10", value_parser = count)]
    n: usize,
    /// Print JSON: all trials with their options, states and scores
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let folder = args.place.open()?;
    let (now, round) = drive::look_at(&folder)?;
    let told = Told {
        driver: Lease::holder(folder.path(), DRIVER),
        // What is over is not with an engine.
        submissions: with_engines(&now, round.as_ref()),
        next: round.and_then(|r| r.next),
        folder,
        now,
    };
    match args.json {
        true => say(&told.json()?),
        false => say(&told.text(args.n)),
    }
}

/// What is told of a study.
struct Told {
    folder: Folder,
    now: Snapshot,
    driver: Option<Holder>,
    /// What engines were given that goes on without a driver, with those of the trials that are not finished.
    submissions: Vec<Submission>,
    /// The job that goes on with the study after them.
    next: Option<String>,
}

/// The submissions of a round that go on without a driver, without the trials that are finished. Engines have a number for them.
fn with_engines(now: &Snapshot, round: Option<&Round>) -> Vec<Submission> {
    let is_left = |n: &usize| !now.outcomes.contains_key(n);
    let left = |s: &Submission| Submission {
        trials: s.trials.iter().copied().filter(is_left).collect(),
        ..s.clone()
    };
    let submissions = round.map_or(&[][..], |r| &r.submissions);
    let mut alone: Vec<Submission> = Vec::new();
    // A trial that was submitted again is with the last one.
    for submission in submissions.iter().rev().filter(|s| s.job.is_some()) {
        let mut own = left(submission);
        let is_elsewhere = |n: &usize| alone.iter().any(|s| s.trials.contains(n));
        own.trials.retain(|n| !is_elsewhere(n));
        if !own.trials.is_empty() {
            alone.push(own);
        }
    }
    alone.reverse();
    alone
}

/// "slurm was given trials 0-3 (job 4711)".
fn given(submission: &Submission) -> String {
    let job = submission.job.as_deref().unwrap_or("");
    let trials = match submission.trials[..] {
        [one] => format!("trial {one}"),
        _ => format!("trials {}", spans(&submission.trials)),
    };
    format!("{} was given {trials} (job {job})", submission.engine)
}

impl Told {
    /// Who drives it, or how it goes on where nobody does.
    fn driver(&self) -> String {
        if let Some(driver) = &self.driver {
            return driver.to_string();
        }
        if self.now.outcomes.len() == self.now.trials {
            return "none, all is done".to_owned();
        }
        let engine = self.submissions.last().map(|s| s.engine.as_str());
        let command = super::to_go_on(&self.folder, engine);
        let given: Vec<String> = self.submissions.iter().map(given).collect();
        match (&self.next, given.is_empty()) {
            (None, true) => format!("none; to go on: {command}"),
            (None, false) => format!("none, but {}; to go on: {command}", given.join(", ")),
            (Some(next), false) => format!(
                "none, but {}; job {next} is to go on when they are over; if it is gone: {command}",
                given.join(", ")
            ),
            (Some(next), true) => {
                format!("none, job {next} is to go on; if it is gone: {command}")
            }
        }
    }

    fn text(&self, n: usize) -> String {
        let (folder, now) = (&self.folder, &self.now);
        let options = |number: usize| searched(folder, now, number);
        let mut lines = vec![headline(folder, now)];
        lines.push(format!("driver:  {}", self.driver()));
        lines.extend(now.held.iter().map(|held| format!("held:    {held}")));
        for number in &now.running {
            let who = folder
                .worker(*number)
                .map_or(String::new(), |w| w.to_string());
            let at = match folder.progress(*number) {
                Some([step, epoch]) => format!("epoch {epoch}, step {step}"),
                None => "beginning".to_owned(),
            };
            lines.push(format!(
                "running: trial {number}, {at}, {who}, {}",
                options(*number)
            ));
        }
        for (number, score) in now.ranked(folder.study.direction).into_iter().take(n) {
            let column = &now.outcomes[number].column;
            lines.push(format!(
                "best:    trial {number}, {column} {score}, {}",
                options(*number)
            ));
        }
        for outcome in now.outcomes.values().filter(|o| o.score.is_none()) {
            let message = outcome.message.as_deref().unwrap_or("no message");
            let number = outcome.trial;
            lines.push(format!(
                "failed:  trial {number}, {message}, {}",
                options(number)
            ));
        }
        lines.join("\n")
    }

    fn json(&self) -> Result<String, Failure> {
        let (folder, now) = (&self.folder, &self.now);
        let trial = |trial: &Trial| -> Result<Value, Failure> {
            let number = trial.number;
            let outcome = now.outcomes.get(&number);
            let state = match outcome {
                Some(o) => serde_json::to_value(o.state).unwrap_or_default(),
                None if now.running.contains(&number) => json!("running"),
                None => json!("waiting"),
            };
            Ok(json!({
                "trial": number,
                "round": trial.round,
                "options": trial.options,
                "seed": trial.seed,
                "state": state,
                "score": outcome.and_then(|o| o.score),
                "message": outcome.and_then(|o| o.message.clone()),
                "seconds": outcome.and_then(|o| o.seconds),
                "tries": folder.tries(number)?.len(),
            }))
        };
        let submission =
            |s: &Submission| json!({ "engine": s.engine, "job": s.job, "trials": s.trials });
        let held = |h: &Held| json!({ "trials": h.trials, "why": h.why });
        let all: Result<Vec<Value>, Failure> = now.proposed.iter().map(trial).collect();
        let value = json!({
            "name": folder.name(),
            "score": folder.study.score,
            "direction": match folder.study.direction { Direction::Lower => "lower", Direction::Higher => "higher" },
            "rounds": now.round[1],
            "trials": now.trials,
            "finished": now.outcomes.len(),
            "failed": now.failed(),
            "driver": self.driver.as_ref().map(Holder::to_string),
            "submissions": self.submissions.iter().map(submission).collect::<Vec<_>>(),
            "next": self.next,
            "held": now.held.iter().map(held).collect::<Vec<_>>(),
            "all": all?,
        });
        serde_json::to_string_pretty(&value)
            .map_err(|e| Failure::system(format!("cannot write JSON: {e}")))
    }
}
