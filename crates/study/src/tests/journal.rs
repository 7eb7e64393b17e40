//! Optuna's journal: its text, and what Optuna reads in it.

use std::process::Command;

use serde_json::{Value, json};

use crate::journal::journal;
use crate::{Record, State, Study, propose};

const STUDY: &str = r#"
base = "mnist"
set = ["train.epochs=2"]
score = "fid"
seeds = [1, 2]
[design]
kind = "random"
settings = 3
[space.optimizer.lr]
lo = 1e-5
hi = 1e-2
scale = "log10"
[space.noise.dim]
kind = "whole"
lo = 16
hi = 256
scale = "log2"
[space.loss.kind]
kind = "choice"
values = ["ns", 'a "b"', 3, 0.5, true]
[space.betas]
kind = "cases"
cases = [["optimizer.beta2=0.9", "train.k=5"], ["optimizer.beta2=0.999", "train.k=1"]]
"#;

/// The journal that the test holds it to. Where it is to change: the test says what is written now.
const GOLDEN: &str = include_str!("../../tests/fixtures/optuna.log");

/// A trial of each state.
fn trials(study: &Study) -> Vec<Record> {
    let states = [
        State::Done(23.5),
        State::Failed,
        State::Failed,
        State::Running,
        State::Done(1e-3),
        State::Waiting,
    ];
    let trials = propose(study, &[]).expect("in turn").expect("a round");
    let record = |(trial, state): (crate::Trial, State)| {
        let begun = 1_796_083_200.0 + 100.0 * trial.number as f64;
        let is_over = matches!(state, State::Done(_) | State::Failed);
        Record {
            begun: (state != State::Waiting).then_some(begun),
            ended: is_over.then_some(begun + 60.0),
            seconds: is_over.then_some(50.0),
            note: (trial.number == 1).then(|| "loss of D: NaN at step 12".to_owned()),
            trial,
            state,
        }
    };
    trials.into_iter().zip(states).map(record).collect()
}

fn study() -> Study {
    Study::from_toml(STUDY, "study.toml").expect("a study")
}

#[test]
fn a_journal_has_an_operation_a_line_and_is_the_same_whenever_it_is_written() {
    let study = study();
    let written = journal(&study, "betas", &trials(&study), "");
    assert!(written == GOLDEN, "{written}");
    assert_eq!(journal(&study, "betas", &trials(&study), &written), written);
    // Optuna numbers trials as they come: what is left out ends the journal.
    let mut some = trials(&study);
    some.remove(2);
    let shorter = journal(&study, "betas", &some, "");
    assert_eq!(shorter.matches("\"op_code\":4,").count(), 2);
    let higher = STUDY.replace("score = \"fid\"", "score = \"fid\"\ndirection = \"higher\"");
    let higher = Study::from_toml(&higher, "study.toml").expect("a study");
    let begin = journal(&higher, "betas", &[], "");
    assert!(begin.starts_with("{\"directions\":[2],"), "{begin}");
}

/// A study of two rounds, each time that something came of one of its trials.
fn growing() -> (Study, Vec<Vec<Record>>) {
    let search = "kind = \"gp-ucb\"\nrounds = 2\nbatch = 2";
    let text = STUDY.replace("kind = \"random\"\nsettings = 3", search);
    let study = Study::from_toml(&text, "study.toml").expect("a study");
    let (mut records, mut times): (Vec<Record>, _) = (Vec::new(), Vec::new());
    for round in 0..2 {
        let finished: Vec<_> = records.iter().filter_map(Record::finished).collect();
        let trials = propose(&study, &finished).expect("in turn");
        records.extend(trials.expect("a round").into_iter().map(|trial| Record {
            trial,
            state: State::Waiting,
            begun: None,
            ended: None,
            seconds: None,
            note: None,
        }));
        times.push(records.clone());
        // The last one to begin ends first; results of the same moment, and an earlier one that is seen late.
        let at = 1_796_083_200.0 + 1000.0 * f64::from(round);
        let first = 4 * round as usize;
        for i in 0..4 {
            let one = &mut records[first + i];
            (one.state, one.begun) = (State::Running, Some(at + i as f64));
            times.push(records.clone());
        }
        for (i, ended) in [(3, 100.0), (0, 300.0), (2, 200.0), (1, 300.0)] {
            let one = &mut records[first + i];
            one.ended = Some(at + ended);
            (one.state, one.note) = match i {
                2 => (State::Failed, Some("loss of D: NaN at step 12".to_owned())),
                _ => (State::Done(20.0 + i as f64), None),
            };
            times.push(records.clone());
        }
    }
    (study, times)
}

#[test]
fn a_later_journal_begins_with_the_earlier_and_has_what_one_written_at_once_has() {
    let (study, times) = growing();
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut text = String::new();
    for records in &times {
        let later = journal(&study, "grows", records, &text);
        assert!(later.starts_with(&text), "{text}\n{later}");
        assert!(later.len() > text.len());
        let at_once = journal(&study, "grows", records, "");
        assert_eq!(sorted(&later), sorted(&at_once));
        text = later;
    }
    // What is seen late comes late; at once, all is in the order of time.
    let at_once = journal(&study, "grows", &times[times.len() - 1], "");
    assert_ne!(text, at_once);
    let times_of = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
        let time = |l: Value| {
            Some(
                l.get("datetime_start")
                    .or(l.get("datetime_complete"))?
                    .as_str()?
                    .to_owned(),
            )
        };
        lines.filter_map(time).collect()
    };
    assert!(times_of(&at_once).is_sorted() && !times_of(&text).is_sorted());
    // Of another name, of other results, or damaged: all anew.
    let last = &times[times.len() - 1];
    for other in [
        text.replace("20.0", "21.0"),
        text[..text.len() - 9].to_owned(),
        "?\n".to_owned(),
    ] {
        assert_eq!(journal(&study, "grows", last, &other), at_once);
    }
    assert!(!journal(&study, "renamed", last, &text).contains("grows"));
}

/// What Optuna says of a journal, as JSON.
const READ: &str = r#"
import json, sys, optuna
from datetime import timezone
try:
    from optuna.storages.journal import JournalFileBackend
except ImportError:
    from optuna.storages import JournalFileStorage as JournalFileBackend
storage = optuna.storages.JournalStorage(JournalFileBackend(sys.argv[1]))
study = optuna.load_study(study_name=None, storage=storage)
utc = lambda t: t and t.astimezone(timezone.utc).isoformat()
print(json.dumps({
    "name": study.study_name,
    "direction": study.direction.name,
    "names": study.metric_names,
    "best": study.best_trial.number,
    "choices": study.trials[0].distributions["loss.kind"].choices,
    "trials": [{
        "number": t.number, "state": t.state.name, "value": t.value, "params": t.params, "attrs": t.user_attrs,
        "begun": utc(t.datetime_start), "ended": utc(t.datetime_complete),
        "log": t.distributions["optimizer.lr"].log, "dims": [t.distributions["noise.dim"].low, t.distributions["noise.dim"].high],
    } for t in study.get_trials()],
}))
"#;

#[test]
fn optuna_reads_the_trials_as_they_are() {
    if !testkit::has_python("optuna") {
        return;
    }
    let study = study();
    let trials = trials(&study);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(crate::journal::FILE);
    std::fs::write(&path, journal(&study, "betas", &trials, "")).expect("written");
    let run = Command::new("python3")
        .args(["-c", READ])
        .arg(&path)
        .output();
    let run = run.expect("python3 runs");
    let said = String::from_utf8_lossy(&run.stderr);
    let read: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(
        (&read["name"], &read["direction"]),
        (&json!("betas"), &json!("MINIMIZE"))
    );
    assert_eq!(
        (&read["names"], &read["best"]),
        (&json!(["fid"]), &json!(4))
    );
    assert_eq!(read["choices"], json!(["ns", "a \"b\"", 3, 0.5, true]));
    let found = read["trials"].as_array().expect("a list");
    assert_eq!(found.len(), trials.len());
    for (found, record) in found.iter().zip(&trials) {
        let (state, value) = match record.state {
            State::Done(x) => ("COMPLETE", json!(x)),
            State::Failed => ("FAIL", Value::Null),
            State::Running => ("RUNNING", Value::Null),
            State::Waiting => ("WAITING", Value::Null),
        };
        let trial = &record.trial;
        assert_eq!(found["number"], trial.number);
        assert_eq!((&found["state"], &found["value"]), (&json!(state), &value));
        for (dimension, u) in study.space.iter().zip(&trial.point) {
            let found = &found["params"][&dimension.key];
            match found {
                Value::Number(_) if dimension.choices().is_none() => {
                    assert_eq!(found.as_f64(), Some(dimension.value(*u)), "{dimension:?}");
                }
                Value::String(text) => assert_eq!(*text, dimension.label(*u)),
                other => assert_eq!(other.to_string(), dimension.label(*u)),
            }
        }
        assert_eq!(found["attrs"]["options"], json!(trial.options));
        assert_eq!(found["attrs"]["seed"], trial.seed);
        assert_eq!(found["attrs"]["round"], trial.round + 1);
        assert_eq!(found["attrs"]["note"], json!(record.note));
        let (_, clock) = found["begun"]
            .as_str()
            .unwrap_or("T")
            .split_once('T')
            .expect("T");
        let expected = record.begun.map_or(String::new(), |_| {
            let seconds = 100 * trial.number;
            format!(
                "{:02}:{:02}:{:02}+00:00",
                seconds / 3600,
                seconds / 60 % 60,
                seconds % 60
            )
        });
        assert_eq!(clock, expected);
        assert_eq!(found["ended"].is_null(), record.ended.is_none());
        assert_eq!(
            (&found["log"], &found["dims"]),
            (&json!(true), &json!([16, 256]))
        );
    }
}
