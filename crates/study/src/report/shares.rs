//! Which coordinates of a function matter.

use rand::SeedableRng;

use crate::Random;
use crate::designs::latin_hypercube;

/// Points at which a function is asked, for each of two samples and of their mixtures.
const POINTS: usize = 8192;
/// Seed of where they are.
const SEED: u64 = 1;

/// How much of a function's variance a coordinate explains when all are drawn evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Alone: the variance of the function's mean given the coordinate.
    pub first: f64,
    /// Together with the others: the mean of its variance given all others. At least `first`, but for the error of both.
    pub total: f64,
}

/// For each of `d` coordinates of a function of the unit cube the share that it explains of the variance; none where the
/// function does not vary. Their standard errors are about 0.01.
///
/// ```text
/// first_i = Var(E(f | x_i)) / Var(f) = E(f(B) (f(A with B's x_i) - f(A))) / Var(f)
/// total_i = E(Var(f | all but x_i)) / Var(f) = ½ E((f(A) - f(A with B's x_i))²) / Var(f)
/// ```
///
/// A and B are two Latin hypercubes; f is taken without its mean, which changes nothing but the error.
///
/// source: Saltelli et al. 2010, Variance based sensitivity analysis of model output, table 2, equations b and f
pub(super) fn shares(d: usize, f: impl Fn(&[f64]) -> f64) -> Option<Vec<Share>> {
    let both = latin_hypercube::points(POINTS, 2 * d, &mut Random::seed_from_u64(SEED));
    let value = |x: &[f64]| f(x);
    let mut a: Vec<f64> = both.iter().map(|x| value(&x[..d])).collect();
    let mut b: Vec<f64> = both.iter().map(|x| value(&x[d..])).collect();
    let n = POINTS as f64;
    let mean = (a.iter().sum::<f64>() + b.iter().sum::<f64>()) / (2.0 * n);
    a.iter_mut().chain(&mut b).for_each(|y| *y -= mean);
    let variance = a.iter().chain(&b).map(|y| y * y).sum::<f64>() / (2.0 * n);
    let largest = a.iter().chain(&b).fold(mean.abs(), |m, y| m.max(y.abs()));
    // What is left of rounding is no variance.
    if variance.sqrt() <= 1e-9 * largest {
        return None;
    }
    let share = |c: usize| {
        let (mut first, mut total) = (0.0, 0.0);
        for ((both, a), b) in both.iter().zip(&a).zip(&b) {
            let mut x = both[..d].to_vec();
            x[c] = both[d + c];
            let mixed = f(&x) - mean;
            first += b * (mixed - a);
            total += (a - mixed) * (a - mixed) / 2.0;
        }
        Share {
            first: (first / (n * variance)).clamp(0.0, 1.0),
            total: total / (n * variance),
        }
    };
    Some((0..d).map(share).collect())
}
