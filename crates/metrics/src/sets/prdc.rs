//! Precision, recall, density and coverage: by balls around features that reach to the k-th neighbour.
//!
//! Which ball a point lies in is decided in f64 by the sum of squared differences, so that copies have distance 0 and ties are ties.
//! For speed, products of the centred features in f32 come first: |u|² + |v|² - 2 u·v is off by at most a known multiple of
//! |u|² + |v|², and only where that leaves it open, which is rare, the differences are taken.

use std::sync::atomic::{AtomicBool, Ordering};

use ganforge_tensor::Device;
use rayon::prelude::*;

use super::products::by_blocks;
use super::{Component, Features, SetError};

/// Partial sums of a distance; fixed, so that it does not depend on the machine.
const LANES: usize = 8;

/// Which points belong to a ball.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ball {
    /// Those at its radius, too.
    Closed,
    /// Those nearer than its radius.
    Open,
}

impl Ball {
    fn holds(self, squared_distance: f64, squared_radius: f64) -> bool {
        match self {
            Ball::Closed => squared_distance <= squared_radius,
            Ball::Open => squared_distance < squared_radius,
        }
    }
}

/// The scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prdc {
    /// Share of generated points in the ball of a real one.
    pub precision: f64,
    /// Share of real points in the ball of a generated one.
    pub recall: f64,
    /// Real balls around a generated point, over k; can exceed 1.
    pub density: f64,
    /// Share of real points with a generated one in their ball.
    pub coverage: f64,
}

impl Prdc {
    /// 2 P R / (P + R), where that is not below 1e-5.
    pub fn f_score(&self) -> f64 {
        let (p, r) = (self.precision, self.recall);
        2.0 * p * r / (p + r).max(1e-5)
    }
}

/// With the ball of x reaching to its k-th nearest neighbour in its own set, itself not counted; copies count.
///
/// source: Kynkäänniemi et al. 2019 (precision, recall); Naeem et al. 2020 (density, coverage)
/// cost: 2 d (n² + m² + n m) flops, in f32
/// errors: features of different widths; no more than k rows; k of 0; features whose squares leave the range of f64
pub fn score<T: Component>(
    real: Features<'_, T>,
    generated: Features<'_, T>,
    k: usize,
    ball: Ball,
) -> Result<Prdc, SetError> {
    Ok(scores(real, generated, &[(k, ball)])?[0])
}

/// The scores for several numbers of neighbours and kinds of balls, for little more than those of one.
///
/// errors: those of [`score`]
pub fn scores<T: Component>(
    real: Features<'_, T>,
    generated: Features<'_, T>,
    balls: &[(usize, Ball)],
) -> Result<Vec<Prdc>, SetError> {
    scores_at(&Device::CPU, real, generated, balls)
}

/// The same with the products of rows computed on a device; the scores are the same.
///
/// errors: those of [`score`]; the device's
pub fn scores_at<T: Component>(
    device: &Device,
    real: Features<'_, T>,
    generated: Features<'_, T>,
    balls: &[(usize, Ball)],
) -> Result<Vec<Prdc>, SetError> {
    real.same_width(&generated)?;
    for &(k, _) in balls {
        if k == 0 {
            let message = "the 0th neighbour: expected k of at least 1";
            return Err(SetError::Setting(message.into()));
        }
        for set in [real, generated] {
            if set.n() <= k {
                let needed = k.saturating_add(1);
                return Err(SetError::few(
                    set.name(),
                    set.n(),
                    needed,
                    "k neighbours of each",
                ));
            }
        }
    }
    let space = Space::of(real, generated)?;
    let [real, generated] = &space.sets;
    let ks: Vec<usize> = balls.iter().map(|(k, _)| *k).collect();
    let real_radii = radii(device, real, &ks)?;
    let generated_radii = radii(device, generated, &ks)?;
    let flags = || -> Vec<Vec<AtomicBool>> {
        let of_row = |_| balls.iter().map(|_| AtomicBool::new(false)).collect();
        (0..real.n()).map(of_row).collect()
    };
    let (recalled, covered) = (flags(), flags());
    // For each generated row, how many real balls of each kind hold it.
    let mut counts: Vec<Vec<usize>> = Vec::with_capacity(generated.n());
    let (sets, d) = ([&*generated.values, &real.values], real.features.d());
    by_blocks(device, sets, d, |first, products| {
        let rows = products.par_chunks_exact(real.n()).enumerate();
        let block = rows.map(|(row, products)| {
            let g = first + row;
            let pair = Pair::new(generated, g, real);
            let mut counts = vec![0; balls.len()];
            for (x, &product) in products.iter().enumerate() {
                let at = pair.distance(x, product);
                for (kind, &(_, ball)) in balls.iter().enumerate() {
                    if pair.holds(x, at, real_radii[x][kind], ball) {
                        counts[kind] += 1;
                        covered[x][kind].store(true, Ordering::Relaxed);
                    }
                    if pair.holds(x, at, generated_radii[g][kind], ball) {
                        recalled[x][kind].store(true, Ordering::Relaxed);
                    }
                }
            }
            counts
        });
        counts.extend(block.collect::<Vec<_>>());
    })?;
    let (n, m) = (real.n() as f64, generated.n() as f64);
    let of_kind = |(kind, &(k, _)): (usize, &(usize, Ball))| {
        let share = |flags: &[Vec<AtomicBool>]| {
            let set = flags.iter().filter(|f| f[kind].load(Ordering::Relaxed));
            set.count() as f64 / n
        };
        Prdc {
            precision: counts.iter().filter(|c| c[kind] > 0).count() as f64 / m,
            recall: share(&recalled),
            density: counts.iter().map(|c| c[kind]).sum::<usize>() as f64 / (k as f64 * m),
            coverage: share(&covered),
        }
    };
    Ok(balls.iter().enumerate().map(of_kind).collect())
}

/// Both sets, and in f32 relative to the mean of the first and in a unit in which no norm exceeds 1.
struct Space<'a, T: Component> {
    sets: [Cloud<'a, T>; 2],
}

struct Cloud<'a, T: Component> {
    features: Features<'a, T>,
    /// [n, d], centred and scaled.
    values: Vec<f32>,
    /// Squared norms of its rows.
    norms: Vec<f64>,
    /// What squared distances are scaled by: a power of two, so that nothing is rounded.
    scale: f64,
    /// The largest error of a squared distance, over the sum of both squared norms.
    error: f64,
}

impl<'a, T: Component> Space<'a, T> {
    fn of(real: Features<'a, T>, generated: Features<'a, T>) -> Result<Self, SetError> {
        let (d, n) = (real.d(), real.n() as f64);
        let mut centre = vec![0.0; d];
        for row in 0..real.n() {
            let parts = centre.iter_mut().zip(real.row(row));
            parts.for_each(|(c, x)| *c += x / n);
        }
        let norm = |set: Features<'_, T>| {
            let rows = (0..set.n()).into_par_iter();
            let norms = rows.map(|row| {
                let parts = set.row(row).zip(&centre);
                parts.map(|(x, c)| (x - c).powi(2)).sum::<f64>()
            });
            norms.reduce(|| 0.0, f64::max)
        };
        let norms = [real, generated].map(norm);
        if let Some(set) = norms.iter().position(|norm| *norm > 1e300 || norm.is_nan()) {
            let name = [real, generated][set].name().to_owned();
            return Err(SetError::Large { name });
        }
        let largest = norms[0].max(norms[1]).sqrt();
        let exponent = if largest > 0.0 {
            -largest.log2().ceil()
        } else {
            0.0
        };
        let unit = exponent.clamp(-500.0, 500.0).exp2();
        let sets = [real, generated].map(|set| Cloud::of(set, &centre, unit));
        Ok(Space { sets })
    }
}

impl<'a, T: Component> Cloud<'a, T> {
    fn of(features: Features<'a, T>, centre: &[f64], unit: f64) -> Self {
        let d = features.d();
        let mut values = vec![0.0; features.n() * d];
        let rows = values.par_chunks_exact_mut(d).enumerate();
        let norms = rows.map(|(row, values)| {
            let parts = features.row(row).zip(centre);
            for (value, (x, c)) in values.iter_mut().zip(parts) {
                *value = ((x - c) * unit) as f32;
            }
            values.iter().map(|&v| f64::from(v).powi(2)).sum()
        });
        let norms = norms.collect();
        // d products and their sum, and a few more roundings: of the features to f32, of the differences in f64.
        let roundings = (d + 16) as f64 * f64::from(f32::EPSILON) / 2.0;
        Cloud {
            features,
            values,
            norms,
            scale: unit * unit,
            error: if roundings < 0.5 {
                roundings / (1.0 - roundings)
            } else {
                f64::INFINITY
            },
        }
    }

    fn n(&self) -> usize {
        self.norms.len()
    }
}

/// One row of a set against all rows of another.
struct Pair<'a, T: Component> {
    row: &'a [T],
    norm: f64,
    others: &'a Cloud<'a, T>,
}

impl<'a, T: Component> Pair<'a, T> {
    fn new(set: &'a Cloud<'a, T>, row: usize, others: &'a Cloud<'a, T>) -> Self {
        let d = set.features.d();
        Pair {
            row: &set.features.values()[row * d..(row + 1) * d],
            norm: set.norms[row],
            others,
        }
    }

    /// The squared distance to row `other` by their product, in the unit of the space, and how far it may be off.
    fn distance(&self, other: usize, product: f32) -> (f64, f64) {
        let norms = self.norm + self.others.norms[other];
        // The smallest numbers of f32 have fewer digits.
        (
            norms - 2.0 * f64::from(product),
            self.others.error * norms + 1e-30,
        )
    }

    /// The squared distance to row `other` by differences.
    fn exact(&self, other: usize) -> f64 {
        let d = self.row.len();
        let other = &self.others.features.values()[other * d..(other + 1) * d];
        let mut sums = [0.0; LANES];
        for (a, b) in self.row.chunks(LANES).zip(other.chunks(LANES)) {
            for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                let difference = a.into() - b.into();
                *sum += difference * difference;
            }
        }
        sums.iter().sum()
    }

    /// Whether a ball of this squared radius holds both.
    fn holds(&self, other: usize, (distance, error): (f64, f64), radius: f64, ball: Ball) -> bool {
        let scaled = radius * self.others.scale;
        if (distance - scaled).abs() > error {
            return distance < scaled;
        }
        ball.holds(self.exact(other), radius)
    }
}

/// The squared distance from each row to its k-th neighbour, for each k.
fn radii<T: Component>(
    device: &Device,
    set: &Cloud<'_, T>,
    ks: &[usize],
) -> Result<Vec<Vec<f64>>, SetError> {
    let mut radii = Vec::with_capacity(set.n());
    let (values, d) = (&*set.values, set.features.d());
    by_blocks(device, [values, values], d, |first, products| {
        let rows = products.par_chunks_exact(set.n()).enumerate();
        let block = rows.map(|(row, products)| {
            let pair = Pair::new(set, first + row, set);
            let bounds = products
                .iter()
                .enumerate()
                .filter(|(x, _)| *x != first + row);
            let bounds = bounds.map(|(x, &product)| (x, pair.distance(x, product)));
            let mut upper: Vec<f64> = bounds.clone().map(|(_, (at, error))| at + error).collect();
            let radius = |&k: &usize| {
                let (_, enough, _) = upper.select_nth_unstable_by(k - 1, f64::total_cmp);
                let near = bounds.clone();
                let near = near.filter(|(_, (at, error))| at - error <= *enough);
                let mut exact: Vec<f64> = near.map(|(x, _)| pair.exact(x)).collect();
                let (_, radius, _) = exact.select_nth_unstable_by(k - 1, f64::total_cmp);
                *radius
            };
            ks.iter().map(radius).collect::<Vec<f64>>()
        });
        radii.extend(block.collect::<Vec<_>>());
    })?;
    Ok(radii)
}

#[cfg(test)]
mod tests;
