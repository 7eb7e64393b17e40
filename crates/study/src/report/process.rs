//! What a Gaussian process that saw all settings says of them.

use rand::SeedableRng;
use rand::seq::SliceRandom;

use super::shares::{Share, shares};
use super::{Setting, lower};
use crate::designs::latin_hypercube;
use crate::gp::{Gp, Seen};
use crate::{Dimension, Error, Random, Range, Scale, Study};

/// Fewest settings that it is asked about.
const FEWEST: usize = 5;
/// Most settings that it sees: the time that its hyper-parameters take grows with the third power.
const MOST: usize = 200;
/// Seed of which it sees, of the starts of its hyper-parameters, and of the points over which maps are means.
const SEED: u64 = 1;
/// Keys of which each pair has a map: those that matter most.
const MAPPED: usize = 4;
/// Places on the axis of a map for a key with more values.
const PLACES: usize = 20;
/// Most places of a key of a grid; where it has more, a map is of the process.
const MOST_PLACES: usize = 40;
/// Points of the other keys over which a place of a map is the mean.
const OTHERS: usize = 64;

/// A Gaussian process that saw the settings.
#[derive(Clone, Debug)]
pub struct Process {
    /// How many settings it saw: at most 200, drawn from all.
    pub settings: usize,
    /// The share of the variance of scores, on their scale, that it explains of settings that it did not see: each in turn
    /// with hyper-parameters from all. Below 0 where the mean of all would have been nearer.
    pub left_out: f64,
    /// For each key of the space which share it explains of the variance of the process's mean; none where that does not
    /// vary.
    pub shares: Option<Vec<Share>>,
    /// For pairs of the keys that matter most the scores to expect, the pair that matters most first.
    pub maps: Vec<Map>,
}

/// Scores by the values of two keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The keys, by their places in the space: along and up.
    pub keys: [usize; 2],
    /// For each the places in [0, 1] of its values.
    pub places: [Vec<f64>; 2],
    /// Whether these are means of settings that were tried; else of the process's mean over all values of the other keys.
    pub is_seen: bool,
    /// For each place up and, inner, each place along a mean on the score's scale, as a score; none where nothing was
    /// tried.
    pub scores: Vec<Vec<Option<f64>>>,
}

impl Process {
    /// `seen` are the settings in their order, with the mean and the standard deviation of their scores in `units`.
    pub(super) fn of(
        study: &Study,
        settings: &[Setting],
        seen: &Seen,
        units: [f64; 2],
    ) -> Result<Option<Process>, Error> {
        let scored = settings.iter().filter(|s| s.score.is_some()).count();
        if scored < FEWEST || units[1] == 0.0 {
            return Ok(None);
        }
        let mut rng = Random::seed_from_u64(SEED);
        let few = some_of(seen, &mut rng);
        let gp = Gp::likeliest(&few, &mut rng)?;
        let sum = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>();
        let d = study.space.len();
        let mean = |x: &[f64]| gp.mean(&listed(&study.space, x.to_vec()));
        let shares = shares(d, mean);
        let mut order: Vec<usize> = (0..d).collect();
        if let Some(shares) = &shares {
            order.sort_by(|a, b| shares[*b].total.total_cmp(&shares[*a].total));
        }
        order.truncate(MAPPED);
        let pairs = (1..order.len()).flat_map(|j| (0..j).map(move |i| [i, j]));
        let back = |y: f64| score_of(study, units[0] + units[1] * y);
        let map = |[i, j]: [usize; 2]| {
            let keys = [order[i], order[j]];
            match grid(study, keys) {
                Some(places) => Map::seen(keys, places, study, settings),
                None => Map::expected(keys, study, mean, back),
            }
        };
        Ok(Some(Process {
            settings: few.x.len(),
            left_out: 1.0 - sum(&gp.left_out()) / sum(&few.y),
            maps: pairs.map(map).collect(),
            shares,
        }))
    }
}

/// As many as a process can see.
fn some_of(seen: &Seen, rng: &mut Random) -> Seen {
    let mut chosen: Vec<usize> = (0..seen.x.len()).collect();
    if chosen.len() > MOST {
        chosen.shuffle(rng);
        chosen.truncate(MOST);
        chosen.sort_unstable();
    }
    Seen {
        x: chosen.iter().map(|i| seen.x[*i].clone()).collect(),
        y: chosen.iter().map(|i| seen.y[*i]).collect(),
        is_choice: seen.is_choice.clone(),
    }
}

/// A point with the coordinates of lists at the places of their values, as the process knows them.
fn listed(space: &[Dimension], mut x: Vec<f64>) -> Vec<f64> {
    for (u, dimension) in x.iter_mut().zip(space) {
        if dimension.choices().is_some() {
            *u = dimension.snapped(*u);
        }
    }
    x
}

/// The score whose place on its scale, the lower the better, is `y`.
pub(super) fn score_of(study: &Study, y: f64) -> f64 {
    study.score_scale.back(lower(study, y))
}

/// The places of two keys' values in a grid, where there are not too many.
fn grid(study: &Study, keys: [usize; 2]) -> Option<[Vec<f64>; 2]> {
    if !study.design.by.uses_grid() {
        return None;
    }
    let places = keys.map(|c| study.space[c].grid().unwrap_or_default());
    let is_good = |p: &Vec<f64>| (1..=MOST_PLACES).contains(&p.len());
    places.iter().all(is_good).then_some(places)
}

/// Which of the ascending places is the nearest.
fn nearest(places: &[f64], u: f64) -> usize {
    let above = places.partition_point(|p| *p < u).min(places.len() - 1);
    match above {
        0 => 0,
        above if u - places[above - 1] < places[above] - u => above - 1,
        above => above,
    }
}

/// The places of a key's values in a map: all of a few, else evenly.
fn places(dimension: &Dimension) -> Vec<f64> {
    let evenly = |n: usize| (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
    match &dimension.range {
        Range::Choice(_) | Range::Cases(_) => evenly(dimension.choices().unwrap_or(1)),
        Range::Whole(w) if w.hi - w.lo < PLACES && w.scale == Scale::Linear => {
            evenly(w.hi - w.lo + 1)
        }
        Range::Whole(_) | Range::Real(_) => evenly(PLACES),
    }
}

impl Map {
    /// Means of the settings that were tried, for each pair of values of a grid.
    fn seen(keys: [usize; 2], places: [Vec<f64>; 2], study: &Study, settings: &[Setting]) -> Map {
        let scale = study.score_scale;
        let mut sums = vec![vec![(0.0, 0usize); places[0].len()]; places[1].len()];
        for setting in settings {
            if let Some(score) = setting.score {
                let [along, up] = [0, 1].map(|k| nearest(&places[k], setting.point()[keys[k]]));
                let (sum, n) = &mut sums[up][along];
                *sum += scale.of(score);
                *n += 1;
            }
        }
        let mean = |(sum, n): (f64, usize)| (n > 0).then(|| scale.back(sum / n as f64));
        let rows = sums.into_iter();
        Map {
            keys,
            scores: rows
                .map(|row| row.into_iter().map(mean).collect())
                .collect(),
            places,
            is_seen: true,
        }
    }

    /// Means of the process's mean over the other keys.
    fn expected(
        keys: [usize; 2],
        study: &Study,
        mean: impl Fn(&[f64]) -> f64,
        back: impl Fn(f64) -> f64,
    ) -> Map {
        let places = keys.map(|c| places(&study.space[c]));
        let d = study.space.len();
        let mut rng = Random::seed_from_u64(SEED);
        // Nothing to take the mean over where there are only these two.
        let others = if d > 2 { OTHERS } else { 1 };
        let others = latin_hypercube::points(others, d, &mut rng);
        let at = |along: f64, up: f64| {
            let values = others.iter().map(|x| {
                let mut x = x.clone();
                (x[keys[0]], x[keys[1]]) = (along, up);
                mean(&x)
            });
            Some(back(values.sum::<f64>() / others.len() as f64))
        };
        let row = |up: &f64| places[0].iter().map(|along| at(*along, *up)).collect();
        Map {
            keys,
            scores: places[1].iter().map(row).collect(),
            places,
            is_seen: false,
        }
    }
}
