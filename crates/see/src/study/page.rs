//! The page's data.

use serde_json::{Value, json};

use ganforge_study::report::{Best, Cell, Map, Process, Spread};
use ganforge_study::{Dimension, Direction, Record, Scale, State};

use super::Report;
use crate::html::Page;

/// Most cells that are shown: the best ones.
const MAX_CELLS: usize = 60;
/// Most settings in a page: the best ones.
const MAX_SETTINGS: usize = 2000;
/// Most trials in its table: running ones, those that failed, the best ones.
const MAX_TRIALS: usize = 4000;

const STYLES: [&str; 2] = [
    include_str!("../../assets/report/report.css"),
    include_str!("../../assets/study/study.css"),
];
const SCRIPTS: [&str; 5] = [
    include_str!("../../assets/report/chart.js"),
    include_str!("../../assets/study/axes.js"),
    include_str!("../../assets/study/plots.js"),
    include_str!("../../assets/study/parallel.js"),
    include_str!("../../assets/study/study.js"),
];

pub(super) fn page(report: &Report<'_>) -> String {
    Page {
        title: &report.title,
        styles: &STYLES,
        scripts: &SCRIPTS,
        data: &data(report),
    }
    .render()
}

fn data(report: &Report<'_>) -> Value {
    let (study, results) = (report.study, report.results);
    let [rounds, per_round] = study.size();
    let is = |wanted: fn(&State) -> bool| {
        let there = report.trials.iter().filter(|t| wanted(&t.state));
        there.count()
    };
    let seconds: Vec<f64> = report.trials.iter().filter_map(|t| t.seconds).collect();
    let shown = shown(report);
    json!({
        "title": report.title,
        "base": study.base,
        "score": study.score,
        "is_lower_better": study.direction == Direction::Lower,
        "is_log": is_log(report),
        "seeds": study.seeds,
        "progress": {
            "trials": rounds * per_round,
            "rounds": rounds,
            "per_round": per_round,
            "done": is(|s| matches!(s, State::Done(_))),
            "failed": is(|s| *s == State::Failed),
            "running": is(|s| *s == State::Running),
            "waiting": is(|s| *s == State::Waiting),
            "seconds": (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>()),
        },
        "space": study.space.iter().map(dimension).collect::<Vec<Value>>(),
        "cell_keys": study.cells(),
        "cells": cells(report).into_iter().map(cell).collect::<Vec<Value>>(),
        "cells_in_all": results.cells.len(),
        "all": cell(&results.all),
        "settings": shown.iter().map(|i| setting(report, *i)).collect::<Vec<Value>>(),
        "settings_in_all": results.settings.len(),
        "trials": trials(report),
        "trials_in_all": report.trials.len(),
        "process": results.process.as_ref().map(process),
        "best": results.best.map(|i| setting(report, i)),
        "best_toml": report.best_toml,
        "study_toml": study.to_toml(),
        "facts": report.facts,
    })
}

/// Whether scores stand on a logarithmic axis: as the study compares them, where all of them are above 0.
pub(super) fn is_log(report: &Report<'_>) -> bool {
    let mut scores = report.results.settings.iter().filter_map(|s| s.score);
    report.study.score_scale != Scale::Linear && scores.all(|s| s > 0.0)
}

fn dimension(dimension: &Dimension) -> Value {
    match (dimension.choices(), dimension.stretch()) {
        (Some(n), _) => {
            let label = |i| dimension.label((i as f64 + 0.5) / n as f64);
            json!({ "key": dimension.key, "values": (0..n).map(label).collect::<Vec<String>>() })
        }
        (_, stretch) => {
            let (range, scale) = stretch.unwrap_or(([0.0, 1.0], Scale::Linear));
            json!({ "key": dimension.key, "range": range, "is_log": scale != Scale::Linear })
        }
    }
}

fn spread(spread: &Option<Spread>) -> Value {
    let spread = spread.as_ref();
    spread.map_or(Value::Null, |s| {
        json!({ "n": s.n, "quartiles": s.quartiles, "whiskers": s.whiskers, "beyond": s.beyond })
    })
}

fn cell(cell: &Cell) -> Value {
    let column = |of: fn(&Best) -> f64| cell.budget.iter().map(of).collect::<Vec<f64>>();
    json!({
        "values": cell.values,
        "settings": cell.settings.len(),
        "runs": cell.runs,
        "top": spread(&cell.top),
        "scores": spread(&cell.scores),
        "budget": {
            "settings": cell.budget.iter().map(|b| b.settings).collect::<Vec<usize>>(),
            "mean": column(|b| b.mean),
            "low": column(|b| b.band[0]),
            "high": column(|b| b.band[1]),
        },
    })
}

/// The cells that are shown, in their order: the best ones, by the median of their best settings.
pub(super) fn cells<'a>(report: &'a Report<'_>) -> Vec<&'a Cell> {
    let cells = &report.results.cells;
    let score = |cell: &Cell| cell.top.as_ref().map(|top| top.quartiles[1]);
    let shown = best(report, MAX_CELLS, cells.iter().map(score).collect());
    shown.into_iter().map(|i| &cells[i]).collect()
}

/// The settings that are in the page, by their places: the best ones, in the order of their numbers.
fn shown(report: &Report<'_>) -> Vec<usize> {
    let scores = report.results.settings.iter().map(|s| s.score);
    best(report, MAX_SETTINGS, scores.collect())
}

/// The places of the best of these scores, ascending; those without one are the worst.
fn best(report: &Report<'_>, most: usize, scores: Vec<Option<f64>>) -> Vec<usize> {
    let worse = |i: &usize| match (scores[*i], report.study.direction) {
        (None, _) => f64::INFINITY,
        (Some(score), Direction::Lower) => score,
        (Some(score), Direction::Higher) => -score,
    };
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|a, b| worse(a).total_cmp(&worse(b)));
    places.truncate(most);
    places.sort_unstable();
    places
}

/// What tells a trial's settings apart: for each key its value in words.
pub(super) fn labels(report: &Report<'_>, point: &[f64]) -> Vec<String> {
    let each = report.study.space.iter().zip(point);
    each.map(|(dimension, u)| dimension.label(*u)).collect()
}

fn setting(report: &Report<'_>, i: usize) -> Value {
    let setting = &report.results.settings[i];
    let scores: Vec<Option<f64>> = setting.runs.iter().map(|r| r.score).collect();
    json!({
        "number": setting.number,
        "round": setting.runs[0].trial.round + 1,
        "point": setting.point(),
        "labels": labels(report, setting.point()),
        "score": setting.score,
        "runs": scores,
    })
}

/// Trials for the table, in the order of their numbers.
fn trials(report: &Report<'_>) -> Vec<Value> {
    let mut shown: Vec<&Record> = report.trials.iter().collect();
    if shown.len() > MAX_TRIALS {
        let sign = match report.study.direction {
            Direction::Lower => 1.0,
            Direction::Higher => -1.0,
        };
        let rank = |record: &Record| match record.state {
            State::Running => [0.0, 0.0],
            State::Failed => [1.0, 0.0],
            State::Done(x) => [2.0, sign * x],
            State::Waiting => [3.0, 0.0],
        };
        shown.sort_by(|a, b| {
            let ([a0, a1], [b0, b1]) = (rank(a), rank(b));
            a0.total_cmp(&b0).then(a1.total_cmp(&b1))
        });
        shown.truncate(MAX_TRIALS);
        shown.sort_by_key(|record| record.trial.number);
    }
    let row = |record: &&Record| {
        let (state, score) = match record.state {
            State::Waiting => ("waiting", None),
            State::Running => ("running", None),
            State::Done(score) => ("done", Some(score)),
            State::Failed => ("failed", None),
        };
        json!({
            "number": record.trial.number,
            "round": record.trial.round + 1,
            "seed": record.trial.seed,
            "labels": labels(report, &record.trial.point),
            "state": state,
            "score": score,
            "seconds": record.seconds,
            "note": record.note,
        })
    };
    shown.iter().map(row).collect()
}

fn process(process: &Process) -> Value {
    let shares = process.shares.as_ref();
    let shares = shares.map(|s| s.iter().map(|s| [s.first, s.total]).collect::<Vec<_>>());
    json!({
        "settings": process.settings,
        "left_out": process.left_out,
        "shares": shares,
        "maps": process.maps.iter().map(map).collect::<Vec<Value>>(),
    })
}

fn map(map: &Map) -> Value {
    json!({ "keys": map.keys, "places": map.places, "is_seen": map.is_seen, "scores": map.scores })
}
