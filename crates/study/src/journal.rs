//! A study as a journal of Optuna's, a window on it for those who have its dashboard: `optuna-dashboard optuna.log`.
//!
//! It is derived from the study and its trials and may be deleted. A dashboard that looks on has read up to some byte and goes
//! on from there, so what was written stays as it was, and only what came since is added.
//!
//! source: Optuna 5.0, `optuna/storages/journal/_storage.py`, which replays the operations line by line; versions from 3.1
//! on read the same

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use ganforge_data::time::date;
use serde_json::{Map, Value, json};

use crate::space::bare;
use crate::{Dimension, Direction, Range, Record, Scale, Study};

/// The file's name in a study's folder.
pub const FILE: &str = "optuna.log";

/// What an operation does.
#[derive(Clone, Copy)]
enum Operation {
    CreateStudy = 0,
    StudyAttribute = 3,
    CreateTrial = 4,
    State = 6,
    Attribute = 8,
}

/// States of trials.
const RUNNING: u8 = 0;
const COMPLETE: u8 = 1;
const FAIL: u8 = 3;
const WAITING: u8 = 4;

/// The text of the journal of a study called `name`: an object of JSON a line. The trials are those of all rounds that have
/// been proposed, in the order of their numbers, which are then Optuna's too; where a trial is left out, the journal ends
/// before it.
///
/// It begins with `before`, the journal as it was, whose readers go on where they stopped; what came since follows. Where
/// `before` says what the trials do not, all is told anew, in the order of time.
pub fn journal(study: &Study, name: &str, trials: &[Record], before: &str) -> String {
    let lines = lines(study, name, trials);
    let mut said: HashMap<&str, usize> = HashMap::new();
    for line in before.split_inclusive('\n') {
        *said.entry(line).or_default() += 1;
    }
    let is_new = |line: &&String| match said.get_mut(line.as_str()) {
        Some(times) if *times > 0 => {
            *times -= 1;
            false
        }
        _ => true,
    };
    let new: String = lines.iter().filter(is_new).map(String::as_str).collect();
    match said.values().all(|times| *times == 0) {
        true => before.to_owned() + &new,
        false => lines.concat(),
    }
}

/// All lines, in the order of time: the rounds, in each its trials, then when they began and ended.
fn lines(study: &Study, name: &str, trials: &[Record]) -> Vec<String> {
    let direction = match study.direction {
        Direction::Lower => 1,
        Direction::Higher => 2,
    };
    let mut lines = vec![
        line(
            Operation::CreateStudy,
            json!({ "study_name": name, "directions": [direction] }),
        ),
        line(
            Operation::StudyAttribute,
            json!({ "study_id": 0, "system_attr": { "study:metric_names": [study.score] } }),
        ),
    ];
    let each = study.space.iter();
    let distributions: Map<String, Value> = each
        .map(|d| (d.key.clone(), json!(distribution(d))))
        .collect();
    let in_turn = trials.iter().enumerate();
    let in_turn = in_turn.take_while(|(id, record)| *id == record.trial.number);
    for round in trials[..in_turn.count()].chunk_by(|a, b| a.trial.round == b.trial.round) {
        lines.extend(round.iter().map(|r| created(study, &distributions, r)));
        let mut events: Vec<(f64, String)> = round.iter().flat_map(events).collect();
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        lines.extend(events.into_iter().map(|(_, line)| line));
    }
    lines
}

/// A trial as it was proposed.
fn created(study: &Study, distributions: &Map<String, Value>, record: &Record) -> String {
    let trial = &record.trial;
    let places = study.space.iter().zip(&trial.point);
    let values: Map<String, Value> = places
        .map(|(dimension, u)| (dimension.key.clone(), json!(dimension.value(*u))))
        .collect();
    line(
        Operation::CreateTrial,
        json!({
            "study_id": 0,
            "state": WAITING,
            "datetime_start": null,
            "params": values,
            "distributions": distributions,
            "user_attrs": { "options": trial.options, "seed": trial.seed, "round": trial.round + 1 },
        }),
    )
}

/// When a trial began and ended, and the lines that say so.
fn events(record: &Record) -> Vec<(f64, String)> {
    let id = record.trial.number;
    let state = |state: u8, values: Value, name: &str, at: f64| {
        line(
            Operation::State,
            json!({ "trial_id": id, "state": state, "values": values, name: iso(at) }),
        )
    };
    let begun = record
        .begun
        .map(|at| (at, state(RUNNING, Value::Null, "datetime_start", at)));
    let mut events: Vec<(f64, String)> = begun.into_iter().collect();
    if let Some(finished) = record.finished() {
        let end = record.ended.or(record.begun).unwrap_or(0.0);
        // Clocks of two machines may say that it ended before it began.
        let place = end.max(record.begun.unwrap_or(end));
        let note = record.note.iter().map(|note| {
            let attribute = json!({ "trial_id": id, "user_attr": { "note": note } });
            (place, line(Operation::Attribute, attribute))
        });
        events.extend(note);
        let (how, values) = match finished.score {
            Some(score) => (COMPLETE, json!([score])),
            None => (FAIL, Value::Null),
        };
        events.push((place, state(how, values, "datetime_complete", end)));
    }
    events
}

fn line(operation: Operation, rest: Value) -> String {
    let mut whole = Map::new();
    whole.insert("op_code".into(), json!(operation as u8));
    whole.insert("worker_id".into(), json!("ganforge"));
    if let Value::Object(rest) = rest {
        whole.extend(rest);
    }
    Value::Object(whole).to_string() + "\n"
}

/// A moment in UTC, given in seconds since 1970; with its offset, which Optuna wants.
fn iso(seconds: f64) -> String {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    date(UNIX_EPOCH + since).replace('Z', "+00:00")
}

/// What a key may be, as Optuna writes it: JSON in a string.
fn distribution(dimension: &Dimension) -> String {
    let is_log = |scale: Scale| scale != Scale::Linear;
    let (name, attributes) = match &dimension.range {
        Range::Real(r) => (
            "FloatDistribution",
            json!({ "low": r.lo, "high": r.hi, "log": is_log(r.scale), "step": null }),
        ),
        Range::Whole(w) => (
            "IntDistribution",
            json!({ "low": w.lo, "high": w.hi, "log": is_log(w.scale), "step": 1 }),
        ),
        Range::Choice(choice) => {
            let each = choice.values.iter();
            let values =
                each.map(|toml| serde_json::from_str(toml).unwrap_or_else(|_| json!(bare(toml))));
            (
                "CategoricalDistribution",
                json!({ "choices": values.collect::<Vec<Value>>() }),
            )
        }
        Range::Cases(cases) => {
            let n = cases.cases.len();
            let label = |i| dimension.label((i as f64 + 0.5) / n as f64);
            let labels: Vec<String> = (0..n).map(label).collect();
            ("CategoricalDistribution", json!({ "choices": labels }))
        }
    };
    json!({ "name": name, "attributes": attributes }).to_string()
}
