//! What the best of some settings may be expected to have.

use rand::SeedableRng;
use rand::seq::SliceRandom;

use super::spread::percentile;
use super::{Setting, lower};
use crate::propose::failed;
use crate::{Random, Study};

/// How many practitioners are imagined.
const PRACTITIONERS: usize = 1000;
/// Seed of what they draw.
const SEED: u64 = 1;
/// The band that holds nine of ten of them.
const BAND: [f64; 2] = [0.05, 0.95];
/// Budgets up to which each is reckoned; above, 30 for each factor of 10.
const EACH: usize = 100;
const PER_DECADE: f64 = 30.0;

/// The best score of so many settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// How many settings were tried.
    pub settings: usize,
    /// The mean over 1,000 practitioners.
    pub mean: f64,
    /// What 5 % and what 95 % of them are below.
    pub band: [f64; 2],
}

/// The best score against the number of settings: the mean over practitioners who each try these settings, those of a
/// round after those of the rounds before, and within a round in an order of their own. Settings without a score count as
/// a failed trial does. Empty where no setting has a score.
///
/// source: Kurach, Lucic et al. 2019, A large-scale study on regularization and normalization in GANs, section 3, "minimum
/// FID for a budget"; the order within rounds is ours
pub(super) fn curve(study: &Study, settings: &[Setting], members: &[usize]) -> Vec<Best> {
    if members.iter().all(|i| settings[*i].score.is_none()) {
        return Vec::new();
    }
    let runs = settings.iter().flat_map(|s| &s.runs);
    let failed = failed(study, runs);
    let rounds: Vec<Vec<f64>> = members
        .chunk_by(|a, b| round(&settings[*a]) == round(&settings[*b]))
        .map(|round| {
            let scores = round.iter().filter_map(|i| settings[*i].score.or(failed));
            scores.map(|score| lower(study, score)).collect()
        })
        .collect();
    let budgets = budgets(members.len());
    let mut lowest = vec![Vec::with_capacity(PRACTITIONERS); budgets.len()];
    let mut rng = Random::seed_from_u64(SEED);
    for _ in 0..PRACTITIONERS {
        let mut order = Vec::with_capacity(members.len());
        for round in &rounds {
            let first = order.len();
            order.extend_from_slice(round);
            order[first..].shuffle(&mut rng);
        }
        let (mut so_far, mut tried) = (f64::INFINITY, 0);
        for (budget, lowest) in budgets.iter().zip(&mut lowest) {
            so_far = order[tried..*budget].iter().copied().fold(so_far, f64::min);
            tried = *budget;
            lowest.push(so_far);
        }
    }
    let best = |(settings, mut lowest): (usize, Vec<f64>)| {
        lowest.sort_by(f64::total_cmp);
        let mean = lowest.iter().sum::<f64>() / lowest.len() as f64;
        let mut band = BAND.map(|p| lower(study, percentile(&lowest, p)));
        band.sort_by(f64::total_cmp);
        Best {
            settings,
            mean: lower(study, mean),
            band,
        }
    };
    budgets.into_iter().zip(lowest).map(best).collect()
}

fn round(setting: &Setting) -> usize {
    setting.runs[0].trial.round
}

/// Up to `n`, which is one of them.
fn budgets(n: usize) -> Vec<usize> {
    let mut budgets: Vec<usize> = (1..=n.min(EACH)).collect();
    let mut next = EACH as f64;
    while budgets.last().is_some_and(|last| *last < n) {
        next *= 10f64.powf(1.0 / PER_DECADE);
        budgets.push((next.round() as usize).min(n));
    }
    budgets
}
