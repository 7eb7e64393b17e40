//! `ganforge study status`.

use ganforge::study::drive::{self, DRIVER, Snapshot};
use ganforge::study::folder::Folder;
use ganforge::study::lease::Lease;
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
    let (now, trials) = drive::look(&folder)?;
    match args.json {
        true => say(&json_of(&folder, &now, &trials)?),
        false => say(&text_of(&folder, &now, &trials, args.n)?),
    }
}

fn text_of(folder: &Folder, now: &Snapshot, trials: &[Trial], n: usize) -> Result<String, Failure> {
    let options = |number: usize| {
        let trial = trials.iter().find(|t| t.number == number);
        trial.map_or(String::new(), |t| searched(folder, t))
    };
    let mut lines = vec![headline(folder, now)];
    lines.push(match Lease::holder(folder.path(), DRIVER) {
        Some(driver) => format!("driver:  {driver}"),
        None if now.outcomes.len() == now.trials => "driver:  none, all is done".to_owned(),
        None => format!(
            "driver:  none; to go on: ganforge study run {}",
            folder.path().display()
        ),
    });
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
    Ok(lines.join("\n"))
}

fn json_of(folder: &Folder, now: &Snapshot, trials: &[Trial]) -> Result<String, Failure> {
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
    let all: Result<Vec<Value>, Failure> = trials.iter().map(trial).collect();
    let value = json!({
        "name": folder.name(),
        "score": folder.study.score,
        "direction": match folder.study.direction { Direction::Lower => "lower", Direction::Higher => "higher" },
        "rounds": now.round[1],
        "trials": now.trials,
        "finished": now.outcomes.len(),
        "failed": now.failed(),
        "driver": Lease::holder(folder.path(), DRIVER).map(|d| d.to_string()),
        "all": all?,
    });
    serde_json::to_string_pretty(&value)
        .map_err(|e| Failure::system(format!("cannot write JSON: {e}")))
}
