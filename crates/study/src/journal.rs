//! A study as a journal of Optuna's, a window on it for those who have its dashboard: `optuna-dashboard optuna.log`.
//!
//! It is derived from the study and its trials, may be deleted, and is written anew as it was: nothing reads it back.
//!
//! source: Optuna 5.0, `optuna/storages/journal/_storage.py`, which replays the operations line by line; versions from 3.1
//! on read the same

use std::time::{Duration, UNIX_EPOCH};

use ganforge_data::time::date;
use serde_json::{Map, Value, json};

use crate::space::bare;
use crate::{Dimension, Direction, Range, Record, Scale, State, Study};

/// The file's name in a study's folder.
pub const FILE: &str = "optuna.log";

/// What an operation does.
#[derive(Clone, Copy)]
enum Operation {
    CreateStudy = 0,
    StudyAttribute = 3,
    CreateTrial = 4,
    Parameter = 5,
    End = 6,
    Attribute = 8,
}

/// States of trials.
const COMPLETE: u8 = 1;
const FAIL: u8 = 3;
const WAITING: u8 = 4;

/// The text of the journal of a study called `name`: an object of JSON a line. The trials are those of all rounds that have
/// been proposed, in the order of their numbers, which are then Optuna's too; where a trial is left out, the journal ends
/// before it.
pub fn journal(study: &Study, name: &str, trials: &[Record]) -> String {
    let mut text = String::new();
    let mut line = |operation: Operation, rest: Value| {
        let mut whole = Map::new();
        whole.insert("op_code".into(), json!(operation as u8));
        whole.insert("worker_id".into(), json!("ganforge"));
        if let Value::Object(rest) = rest {
            whole.extend(rest);
        }
        text += &(Value::Object(whole).to_string() + "\n");
    };
    let direction = match study.direction {
        Direction::Lower => 1,
        Direction::Higher => 2,
    };
    line(
        Operation::CreateStudy,
        json!({ "study_name": name, "directions": [direction] }),
    );
    let names = json!({ "study:metric_names": [study.score] });
    line(
        Operation::StudyAttribute,
        json!({ "study_id": 0, "system_attr": names }),
    );
    let distributions: Vec<String> = study.space.iter().map(distribution).collect();
    let in_turn = trials.iter().enumerate();
    for (id, record) in in_turn.take_while(|(id, record)| *id == record.trial.number) {
        let trial = &record.trial;
        let mut created = json!({ "study_id": 0, "datetime_start": record.begun.map(iso) });
        if record.state == State::Waiting {
            created["state"] = json!(WAITING);
        }
        line(Operation::CreateTrial, created);
        for ((dimension, u), distribution) in
            study.space.iter().zip(&trial.point).zip(&distributions)
        {
            line(
                Operation::Parameter,
                json!({
                    "trial_id": id,
                    "param_name": dimension.key,
                    "param_value_internal": dimension.value(*u),
                    "distribution": distribution,
                }),
            );
        }
        let mut attributes = vec![
            json!({ "options": trial.options }),
            json!({ "seed": trial.seed }),
            json!({ "round": trial.round }),
        ];
        attributes.extend(record.note.iter().map(|note| json!({ "note": note })));
        for attribute in attributes {
            line(
                Operation::Attribute,
                json!({ "trial_id": id, "user_attr": attribute }),
            );
        }
        let end = |state: u8, values: Value| {
            let complete = record.ended.or(record.begun).unwrap_or(0.0);
            json!({ "trial_id": id, "state": state, "values": values, "datetime_complete": iso(complete) })
        };
        match record.finished().map(|f| f.score) {
            None => {}
            Some(Some(score)) => line(Operation::End, end(COMPLETE, json!([score]))),
            Some(None) => line(Operation::End, end(FAIL, Value::Null)),
        }
    }
    text
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
