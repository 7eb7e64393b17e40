//! What is tried next, given what came of the rounds before.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::designs::grid;
use crate::gp::Seen;
use crate::study::{Direction, Study};
use crate::{Dimension, Error, Random};

/// A run that is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Its number in the study, from 0.
    pub number: usize,
    /// Its round, from 0.
    pub round: usize,
    /// What it changes of the base, as after `--set`; the seed is not among it.
    pub options: Vec<String>,
    /// The seed of the run.
    pub seed: u64,
    /// Where its settings are in the unit cube: for each dimension of the space, in its order, a place in [0, 1].
    pub point: Vec<f64>,
}

/// A trial that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// What was tried.
    pub trial: Trial,
    /// Its score. One that is not finite, or has no logarithm where the study compares logarithms, is none: the trial counts
    /// as one that failed.
    pub score: Option<f64>,
}

/// The trials of the first round of which some are not finished; none when all are.
///
/// It depends on the study and on the finished trials of the rounds before, in whatever order they are given, and on nothing
/// else: so a round that was interrupted is proposed again as it was. Where those trials were is read from them, not
/// reckoned again, so that a program that would have chosen otherwise goes on from what was done.
///
/// # Errors
///
/// Trials that are not those of this study: a number twice or out of turn, another number of coordinates.
pub fn propose(study: &Study, finished: &[Finished]) -> Result<Option<Vec<Trial>>, Error> {
    let [rounds, per_round] = study.size();
    let mut by_number = BTreeMap::new();
    for one in finished {
        let number = one.trial.number;
        if by_number.insert(number, one).is_some() {
            return Err(Error::Twice { number });
        }
    }
    let missing = (0..).find(|n| !by_number.contains_key(n)).unwrap_or(0);
    let round = missing.checked_div(per_round).unwrap_or(0).min(rounds);
    let first = round * per_round;
    let (end, is_over) = match round < rounds {
        true => (first.saturating_add(per_round), false),
        false => (first, true),
    };
    if let Some((&number, _)) = by_number.range(end..).next() {
        return Err(match is_over {
            true => Error::Beyond { number, n: end },
            false => Error::OutOfTurn { number, missing },
        });
    }
    if is_over {
        return Ok(None);
    }
    let past: Vec<&Finished> = by_number.range(..first).map(|(_, one)| *one).collect();
    let (seen, _) = seen(study, &past)?;
    let points = points(study, round, &seen)?;
    let trials = points.iter().enumerate().flat_map(|(i, point)| {
        let place = |(d, u): (&Dimension, &f64)| d.snapped(*u);
        let point: Vec<f64> = study.space.iter().zip(point).map(place).collect();
        let seeds = study.seeds.iter().enumerate();
        seeds.map(move |(s, seed)| {
            let number = first + i * study.seeds.len() + s;
            trial(study, [number, round], *seed, point.clone())
        })
    });
    Ok(Some(trials.collect()))
}

/// Trials by which one knows what of the space can be trained: each key at both its ends, each of its choices, with the others at
/// their first.
pub(crate) fn probes(study: &Study) -> Vec<(&Dimension, Trial)> {
    let first = vec![0.0; study.space.len()];
    let mut probes = Vec::new();
    for (i, dimension) in study.space.iter().enumerate() {
        let places = match dimension.choices() {
            Some(n) => (0..n).map(|c| (c as f64 + 0.5) / n as f64).collect(),
            None => vec![0.0, 1.0],
        };
        for place in places {
            let mut point = first.clone();
            point[i] = place;
            probes.push((dimension, trial(study, [0; 2], study.seeds[0], point)));
        }
    }
    probes
}

/// The trial at a point.
fn trial(study: &Study, [number, round]: [usize; 2], seed: u64, point: Vec<f64>) -> Trial {
    let each = study.space.iter().zip(&point);
    let chosen = each.flat_map(|(d, u)| d.options(*u));
    Trial {
        number,
        round,
        options: study.set.iter().cloned().chain(chosen).collect(),
        seed,
        point,
    }
}

/// The points of a round: those of the design in the whole space, or in each cell for itself, the first ones of all cells before
/// the second ones.
fn points(study: &Study, round: usize, seen: &Seen) -> Result<Vec<Vec<f64>>, Error> {
    let (mut rng, by) = (random(study, round), &study.design.by);
    if !study.design.apart {
        return by.points(&study.space, round, seen, &mut rng);
    }
    let cells = study.cells();
    let is_cell = |c: &usize| cells.contains(c);
    let (keys, others): (Vec<usize>, Vec<usize>) = (0..study.space.len()).partition(is_cell);
    let of = |keys: &[usize]| -> Vec<Dimension> {
        keys.iter().map(|c| study.space[*c].clone()).collect()
    };
    let (all, space) = (grid::all(&of(&keys)), of(&others));
    let mut found = Vec::new();
    for cell in &all {
        let is_here = |x: &&Vec<f64>| keys.iter().zip(cell).all(|(c, u)| x[*c] == *u);
        let here = seen.x.iter().zip(&seen.y).filter(|(x, _)| is_here(x));
        let inner = |x: &[f64]| others.iter().map(|c| x[*c]).collect();
        let (x, mut y): (Vec<Vec<f64>>, Vec<f64>) = here.map(|(x, y)| (inner(x), *y)).unzip();
        standardise(&mut y);
        let is_choice = others.iter().map(|c| seen.is_choice[*c]).collect();
        let seen = Seen { x, y, is_choice };
        found.push(by.points(&space, round, &seen, &mut rng)?);
    }
    let n = found.first().map_or(0, Vec::len);
    let whole = |cell: &[f64], inner: &[f64]| {
        let mut point = vec![0.0; study.space.len()];
        let each = keys.iter().zip(cell).chain(others.iter().zip(inner));
        each.for_each(|(c, u)| point[*c] = *u);
        point
    };
    let at = |i: usize| {
        let each = all.iter().zip(&found);
        each.map(move |(cell, points)| whole(cell, &points[i]))
    };
    Ok((0..n).flat_map(at).collect())
}

/// The generator of a round: its seed is the round's number in what that of the study draws.
fn random(study: &Study, round: usize) -> Random {
    let mut seeds = Random::seed_from_u64(study.design.seed);
    let seed = (0..=round).fold(0, |_, _| seeds.next_u64());
    Random::seed_from_u64(seed)
}

/// The number of the settings of a trial: trials of the same settings differ in their seeds and follow each other.
pub(crate) fn settings_of(study: &Study, trial: &Trial) -> usize {
    trial.number / study.seeds.len()
}

/// Trials, in the order of their numbers, by their settings.
pub(crate) fn by_settings<'a>(
    study: &Study,
    sorted: &'a [&'a Finished],
) -> impl Iterator<Item = &'a [&'a Finished]> {
    sorted.chunk_by(|a, b| settings_of(study, &a.trial) == settings_of(study, &b.trial))
}

/// What was seen by these trials, in the order of their numbers: for each of the settings [its score](median_score), on the
/// score's scale, the lower the better, with mean 0 and standard deviation 1 over all; and the mean and the standard
/// deviation that they had before.
pub(crate) fn seen(study: &Study, past: &[&Finished]) -> Result<(Seen, [f64; 2]), Error> {
    for Finished { trial, .. } in past {
        let (number, d) = (trial.number, study.space.len());
        if trial.point.len() != d || !trial.point.iter().all(|u| (0.0..=1.0).contains(u)) {
            return Err(Error::Point { number, d });
        }
    }
    let failed = failed(study, past.iter().copied());
    let groups = || by_settings(study, past);
    // Where nothing has a score yet, all are alike.
    let value = |group: &[&Finished]| {
        median_score(study, group, failed).map_or(0.0, |score| signed(study, score))
    };
    let mut y: Vec<f64> = groups().map(value).collect();
    let units = standardise(&mut y);
    let seen = Seen {
        x: groups().map(|same| same[0].trial.point.clone()).collect(),
        y,
        is_choice: study.space.iter().map(|d| d.choices().is_some()).collect(),
    };
    Ok((seen, units))
}

impl Finished {
    /// Its score, where it has one that can be compared.
    pub(crate) fn compared(&self, study: &Study) -> Option<f64> {
        self.score.filter(|s| study.refuses(*s).is_none())
    }
}

/// What a trial that failed counts as, of a study with these trials: what the study says, else the worst; none where there
/// is neither.
pub(crate) fn failed<'a>(study: &Study, trials: impl Iterator<Item = &'a Finished>) -> Option<f64> {
    let by_sign = |a: &f64, b: &f64| signed(study, *a).total_cmp(&signed(study, *b));
    let worst = trials.filter_map(|t| t.compared(study)).max_by(by_sign);
    study.failed_score.or(worst)
}

/// The score of settings with these runs: the median, of an even number the middle of the two in the middle on the score's
/// scale. A run that failed counts as `failed`; none where that is none and all did.
pub(crate) fn median_score(study: &Study, runs: &[&Finished], failed: Option<f64>) -> Option<f64> {
    let scores = runs.iter().map(|run| run.compared(study).or(failed));
    let mut sorted: Vec<f64> = scores.flatten().collect();
    sorted.sort_by(f64::total_cmp);
    let (half, scale) = (sorted.len() / 2, study.score_scale);
    match sorted.len() % 2 {
        _ if sorted.is_empty() => None,
        0 => {
            let [low, high] = [sorted[half - 1], sorted[half]];
            let middle = scale.back((scale.of(low) + scale.of(high)) / 2.0);
            Some(middle.clamp(low, high))
        }
        _ => Some(sorted[half]),
    }
}

/// A score on its scale, the lower the better.
fn signed(study: &Study, score: f64) -> f64 {
    match study.direction {
        Direction::Lower => study.score_scale.of(score),
        Direction::Higher => -study.score_scale.of(score),
    }
}

/// Mean 0 and standard deviation 1; all 0 if they are all the same. Gives the mean and the standard deviation before.
fn standardise(y: &mut [f64]) -> [f64; 2] {
    // Of equal values the mean may differ by rounding.
    if let Some(&first) = y.first()
        && y.iter().all(|y| *y == first)
    {
        y.fill(0.0);
        return [first, 0.0];
    }
    let n = y.len().max(1) as f64;
    let mean = y.iter().sum::<f64>() / n;
    y.iter_mut().for_each(|y| *y -= mean);
    let sd = (y.iter().map(|y| y * y).sum::<f64>() / n).sqrt();
    y.iter_mut().for_each(|y| *y /= sd);
    [mean, sd]
}
