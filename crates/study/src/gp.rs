//! A Gaussian process: what a few values of a function say about the others.
//!
//! ```text
//! y = f(x) + ε,  f ~ GP(0, k),  ε ~ N(0, noise)
//! k(a, b) = signal · (1 + √5 r + 5 r²/3) exp(-√5 r),  r² = Σ_j (a_j - b_j)² / length_j²
//! ```
//!
//! source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations 2.23 to 2.30, 4.17, 5.9,
//! 5.12.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rand::RngExt;

use crate::{Error, Random};

#[cfg(test)]
mod tests;

const SQRT_5: f64 = 2.236_067_977_499_79;

/// Points of the unit cube and what was seen there.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The points, each of the same number of coordinates.
    pub x: Vec<Vec<f64>>,
    /// A value for each.
    pub y: Vec<f64>,
    /// For each coordinate whether it numbers things that have no order: two that differ are 1 apart.
    pub is_choice: Vec<bool>,
}

/// What the process is believed to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Hyper {
    /// For each coordinate the distance over which the function changes.
    pub lengths: Vec<f64>,
    /// Variance of the function.
    pub signal: f64,
    /// Variance of what is added to each value that is seen.
    pub noise: f64,
}

/// Smallest and largest of a hyper-parameter.
type Bounds = [f64; 2];

/// Where the search for the likeliest hyper-parameters starts: lengths, signal, noise.
const STARTS: [Bounds; 3] = [[0.05, 5.0], [0.25, 4.0], [1e-4, 1.0]];
/// How far it may go: no further in the lengths, for a few points that happen to lie well do not show that a coordinate does
/// not matter, and one that is believed not to is no longer looked along.
const LIMITS: [Bounds; 3] = [[0.05, 5.0], [1e-2, 1e3], [1e-4, 1.0]];
/// Random starts.
const N_STARTS: usize = 10;
/// Steps from each of them at most, and how small they become: a hundredth of a hyper-parameter changes nothing.
const MAX_STEPS: usize = 80;
const CLOSE: f64 = 1e-2;

impl Hyper {
    /// From logarithms: lengths, signal, noise.
    fn of_logs(logs: &[f64]) -> Hyper {
        let (lengths, rest) = logs.split_at(logs.len() - 2);
        Hyper {
            lengths: lengths.iter().map(|x| x.exp()).collect(),
            signal: rest[0].exp(),
            noise: rest[1].exp(),
        }
    }

    /// For each logarithm its bounds.
    fn log_bounds(d: usize, of: [Bounds; 3]) -> impl Iterator<Item = Bounds> {
        let each = std::iter::repeat_n(of[0], d).chain([of[1], of[2]]);
        each.map(|bounds| bounds.map(f64::ln))
    }

    /// (a_c - b_c)² / length_c².
    fn part(&self, seen: &Seen, c: usize, a: &[f64], b: &[f64]) -> f64 {
        let gap = match seen.is_choice[c] {
            true => f64::from(a[c] != b[c]),
            false => a[c] - b[c],
        };
        (gap / self.lengths[c]).powi(2)
    }

    fn distance_2(&self, seen: &Seen, a: &[f64], b: &[f64]) -> f64 {
        (0..a.len()).map(|c| self.part(seen, c, a, b)).sum()
    }

    fn covariance(&self, seen: &Seen, a: &[f64], b: &[f64]) -> f64 {
        let root = SQRT_5 * self.distance_2(seen, a, b).sqrt();
        self.signal * (1.0 + root + root * root / 3.0) * (-root).exp()
    }
}

/// A process with what was seen of it.
#[derive(Clone, Debug)]
pub struct Gp {
    seen: Seen,
    hyper: Hyper,
    /// Of K + noise·I, [n, n].
    factor: Cholesky<f64, Dyn>,
    /// (K + noise·I)⁻¹ y, [n].
    weights: DVector<f64>,
}

impl Gp {
    /// The process of these hyper-parameters, knowing what was seen.
    ///
    /// Where rounding keeps K + noise·I from having a factor, up to 1e-4 of the signal is added to its diagonal.
    ///
    /// # Errors
    ///
    /// Numbers of another length than those beside them, or ones for which there is no factor: not finite, not above 0.
    pub fn new(seen: Seen, hyper: Hyper) -> Result<Gp, Error> {
        let d = hyper.lengths.len();
        let is_fit = seen.x.len() == seen.y.len()
            && seen.is_choice.len() == d
            && seen.x.iter().all(|x| x.len() == d);
        if !is_fit {
            return Err(Error::Lengths { d });
        }
        let n = seen.x.len();
        let kernel = DMatrix::from_fn(n, n, |i, j| match i >= j {
            // The factor reads the lower half.
            true => hyper.covariance(&seen, &seen.x[i], &seen.x[j]),
            false => 0.0,
        });
        let with = |jitter: f64| {
            let mut kernel = kernel.clone();
            (0..n).for_each(|i| kernel[(i, i)] += hyper.noise + jitter * hyper.signal);
            Cholesky::new(kernel)
        };
        let jitters = [0.0, 1e-10, 1e-8, 1e-6, 1e-4];
        let factor = jitters.into_iter().find_map(with).ok_or(Error::NoFactor)?;
        let weights = factor.solve(&DVector::from_column_slice(&seen.y));
        if !weights.iter().all(|w| w.is_finite()) {
            return Err(Error::NoFactor);
        }
        Ok(Gp {
            seen,
            hyper,
            factor,
            weights,
        })
    }

    /// The process under which what was seen is likeliest, found from ten random starts; `rng` draws them.
    ///
    /// # Errors
    ///
    /// As [`Gp::new`].
    pub fn likeliest(seen: &Seen, rng: &mut Random) -> Result<Gp, Error> {
        let d = seen.is_choice.len();
        let mut best: Option<Gp> = None;
        for _ in 0..N_STARTS {
            let start = Hyper::log_bounds(d, STARTS)
                .map(|[lo, hi]| lo + (hi - lo) * rng.random::<f64>())
                .collect();
            let found = climb(seen, start)?;
            if best
                .as_ref()
                .is_none_or(|b| found.likelihood() > b.likelihood())
            {
                best = Some(found);
            }
        }
        best.ok_or(Error::NoFactor)
    }

    /// What it is believed to be.
    pub fn hyper(&self) -> &Hyper {
        &self.hyper
    }

    /// Logarithm of the density of what was seen: -½ yᵀ(K + noise·I)⁻¹y - ½ ln det(K + noise·I) - n/2 ln 2π.
    pub fn likelihood(&self) -> f64 {
        let y = &self.seen.y;
        let fit: f64 = self.weights.iter().zip(y).map(|(w, y)| w * y).sum();
        let half_log_det: f64 = self
            .factor
            .l_dirty()
            .diagonal()
            .iter()
            .map(|l| l.ln())
            .sum();
        -0.5 * fit - half_log_det - 0.5 * y.len() as f64 * std::f64::consts::TAU.ln()
    }

    /// Derivatives of [`Gp::likelihood`] by the logarithms of the lengths, the signal and the noise: ½ tr((wwᵀ - K⁻¹) dK)
    /// with w = K⁻¹y, K with the noise.
    pub fn likelihood_slopes(&self) -> Vec<f64> {
        let (x, h) = (&self.seen.x, &self.hyper);
        let (n, d) = (x.len(), h.lengths.len());
        let inverse = self.factor.inverse();
        let mut slopes = vec![0.0; d + 2];
        for i in 0..n {
            let pull = |j: usize| self.weights[i] * self.weights[j] - inverse[(i, j)];
            slopes[d] += 0.5 * pull(i) * h.signal;
            slopes[d + 1] += 0.5 * pull(i) * h.noise;
            for j in 0..i {
                // Twice, for (i, j) and (j, i).
                let pull = pull(j) * h.signal;
                let root = SQRT_5 * h.distance_2(&self.seen, &x[i], &x[j]).sqrt();
                let decay = (-root).exp();
                slopes[d] += pull * (1.0 + root + root * root / 3.0) * decay;
                let by_length = pull * 5.0 / 3.0 * (1.0 + root) * decay;
                for (c, slope) in slopes[..d].iter_mut().enumerate() {
                    *slope += by_length * h.part(&self.seen, c, &x[i], &x[j]);
                }
            }
        }
        slopes
    }

    /// Covariances of f at a point with what was seen, [n].
    fn covariances(&self, x: &[f64]) -> DVector<f64> {
        let known = self.seen.x.iter();
        DVector::from_iterator(
            self.seen.x.len(),
            known.map(|a| self.hyper.covariance(&self.seen, a, x)),
        )
    }

    /// Mean of f at a point.
    pub fn mean(&self, x: &[f64]) -> f64 {
        self.covariances(x).dot(&self.weights)
    }

    /// Mean and variance of f at a point, without the noise.
    pub fn at(&self, x: &[f64]) -> (f64, f64) {
        let mut k = self.covariances(x);
        let mean = k.dot(&self.weights);
        // The factor has no 0 on its diagonal, so this does not fail.
        self.factor.l_dirty().solve_lower_triangular_mut(&mut k);
        (mean, (self.hyper.signal - k.norm_squared()).max(0.0))
    }

    /// For each value that was seen, how far it is above the mean that the process would have there had it seen all
    /// others alone: K⁻¹y over the diagonal of K⁻¹, K with the noise.
    pub fn left_out(&self) -> Vec<f64> {
        let inverse = self.factor.inverse();
        let each = self.weights.iter().enumerate();
        each.map(|(i, w)| w / inverse[(i, i)]).collect()
    }

    /// The same having seen f take its mean at `x` too: it is nowhere else in the mean, and surer of itself.
    ///
    /// # Errors
    ///
    /// As [`Gp::new`].
    pub fn imagining(mut self, x: Vec<f64>) -> Result<Gp, Error> {
        let (mean, _) = self.at(&x);
        self.seen.x.push(x);
        self.seen.y.push(mean);
        Gp::new(self.seen, self.hyper)
    }
}

/// Climbs the likelihood from these logarithms by the signs of its slopes, within the limits.
///
/// source: Riedmiller and Braun 1993, A direct adaptive method for faster backpropagation learning: the RPROP algorithm,
/// which needs no line search and does not mind the flat ridges of a likelihood.
fn climb(seen: &Seen, mut at: Vec<f64>) -> Result<Gp, Error> {
    let limits: Vec<Bounds> = Hyper::log_bounds(seen.is_choice.len(), LIMITS).collect();
    let mut best = Gp::new(seen.clone(), Hyper::of_logs(&at))?;
    let mut slopes = best.likelihood_slopes();
    let mut steps = vec![0.3; at.len()];
    let mut before = vec![0.0; at.len()];
    for _ in 0..MAX_STEPS {
        for (c, slope) in slopes.iter_mut().enumerate() {
            match *slope * before[c] {
                same if same > 0.0 => steps[c] = f64::min(steps[c] * 1.3, 1.0),
                turned if turned < 0.0 => {
                    steps[c] *= 0.4;
                    *slope = 0.0;
                }
                _ => {}
            }
            if *slope != 0.0 {
                at[c] = (at[c] + steps[c] * slope.signum()).clamp(limits[c][0], limits[c][1]);
            }
        }
        before = slopes;
        let here = Gp::new(seen.clone(), Hyper::of_logs(&at))?;
        slopes = here.likelihood_slopes();
        if here.likelihood() > best.likelihood() {
            best = here;
        }
        if steps.iter().all(|s| *s < CLOSE) {
            break;
        }
    }
    Ok(best)
}
