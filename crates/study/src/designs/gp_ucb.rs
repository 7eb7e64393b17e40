//! A Gaussian process chooses where the score may be best.

use ganforge_settings::{above, settings, whole};

use super::{Propose, latin_hypercube, random};
use crate::gp::{Gp, Seen};
use crate::space::Dimension;
use crate::{Error, Random};

settings! {
    /// Rounds of settings, the first a Latin hypercube, each later one where a Gaussian process that has seen all scores
    /// so far puts the lowest bound.
    ///
    /// ```text
    /// a(x) = mean(x) - √(caution · 2 ln(d t² π² / (6 delta))) sd(x)     in round t = 1, 2, .. of d keys
    /// ```
    ///
    /// Each point of a round is the lowest of a; the process then imagines to have seen its mean there, which leaves the
    /// mean as it is and makes the next point another one.
    ///
    /// source: Srinivas et al. 2010, Gaussian process optimization in the bandit setting, theorem 1 and section 6;
    /// Desautels, Krause and Burdick 2014, Parallelizing exploration-exploitation tradeoffs (GP-BUCB)
    #[derive(Copy)]
    pub struct GpUcb {
        /// How many rounds.
        pub rounds: usize = 12, whole(1, 10_000);
        /// How many settings in each.
        pub batch: usize = 10, whole(1, 10_000);
        /// With what probability the true score may ever be outside of the bounds.
        pub delta: f64 = 0.1, above(0.0, 1.0);
        /// Factor of the theory's variance of the bound, which is too careful in practice.
        pub caution: f64 = 0.2, above(0.0, 10.0);
    }
}

/// Points of which the best are looked at more closely.
const CANDIDATES: usize = 2000;
/// So many of them.
const REFINED: usize = 5;
/// First and last step of a closer look, as a share of the range.
const STEPS: [f64; 2] = [0.1, 5e-4];

impl Propose for GpUcb {
    fn size(&self, _: &[Dimension]) -> Option<[usize; 2]> {
        Some([self.rounds, self.batch])
    }

    fn points(
        &self,
        space: &[Dimension],
        round: usize,
        seen: &Seen,
        rng: &mut Random,
    ) -> Result<Vec<Vec<f64>>, Error> {
        if seen.x.is_empty() {
            return Ok(latin_hypercube::points(self.batch, space.len(), rng));
        }
        let weight = self.weight(space.len(), round);
        let mut gp = Gp::likeliest(seen, rng)?;
        let mut tried = seen.x.clone();
        for _ in 0..self.batch {
            let point = lowest(space, &tried, rng, |x| {
                let (mean, variance) = gp.at(x);
                mean - weight * variance.sqrt()
            });
            gp = gp.imagining(point.clone())?;
            tried.push(point);
        }
        Ok(tried.split_off(seen.x.len()))
    }
}

impl GpUcb {
    /// Standard deviations between the mean and the bound.
    fn weight(&self, d: usize, round: usize) -> f64 {
        let (d, t) = (d as f64, (round + 1) as f64);
        let pi2 = std::f64::consts::PI.powi(2);
        let beta = 2.0 * (d * t * t * pi2 / (6.0 * self.delta)).ln();
        (self.caution * beta).max(0.0).sqrt()
    }
}

/// A point where `f` is low: the best of many random ones and of the neighbourhood of what was tried, after a closer look
/// at each of the best. One that was tried already only where no other was found.
fn lowest(
    space: &[Dimension],
    tried: &[Vec<f64>],
    rng: &mut Random,
    f: impl Fn(&[f64]) -> f64,
) -> Vec<f64> {
    let drawn = (0..CANDIDATES).map(|_| snapped(space, random::point(space, rng)));
    let all = drawn.chain(tried.iter().cloned());
    let mut all: Vec<(f64, Vec<f64>)> = all.map(|x| (f(&x), x)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.dedup();
    let looked_at: Vec<_> = all
        .iter()
        .take(REFINED)
        .map(|start| refined(space, start.clone(), &f))
        .collect();
    let best = |of: &mut dyn Iterator<Item = &(f64, Vec<f64>)>| {
        of.min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, x)| x.clone())
    };
    let is_new = |c: &&(f64, Vec<f64>)| !tried.contains(&c.1);
    let new = best(&mut looked_at.iter().chain(&all).filter(is_new));
    new.or_else(|| best(&mut looked_at.iter()))
        .unwrap_or_default()
}

/// Walks from a point along one coordinate after the other while `f` falls, in steps that halve.
fn refined(
    space: &[Dimension],
    (mut low, mut at): (f64, Vec<f64>),
    f: impl Fn(&[f64]) -> f64,
) -> (f64, Vec<f64>) {
    let mut step = STEPS[0];
    while step >= STEPS[1] {
        let mut has_moved = false;
        for (c, dimension) in space.iter().enumerate() {
            let others: Vec<f64> = match dimension.choices() {
                Some(n) => (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect(),
                None => vec![at[c] - step, at[c] + step],
            };
            for other in others {
                let mut next = at.clone();
                next[c] = dimension.snapped(other.clamp(0.0, 1.0));
                let value = f(&next);
                if value < low {
                    (low, at, has_moved) = (value, next, true);
                }
            }
        }
        if !has_moved {
            step /= 2.0;
        }
    }
    (low, at)
}

fn snapped(space: &[Dimension], point: Vec<f64>) -> Vec<f64> {
    let each = space.iter().zip(point);
    each.map(|(dimension, u)| dimension.snapped(u)).collect()
}
