//! Mean and covariance of features, row after row.

use super::linear::{Matrix, add_products};
use super::{Component, Features, FewRows, SetError, check_rows};

/// Rows whose products are added at once; fixed, so that it does not matter in which pieces rows come.
const ROWS: usize = 256;

/// The sums of which mean and covariance are made. Memory: d² + 256 d numbers, however many rows there are.
///
/// ```
/// use ganforge_metrics::sets::Moments;
/// let mut moments = Moments::new("real", 2);
/// moments.push(&[2.0f32, 1.0, 2.0, 1.0])?;
/// moments.push(&[1.0f32, 1.0, 1.0, 1.0])?;
/// let statistics = moments.finish()?;
/// assert_eq!(statistics.mean, [1.5, 1.0]);
/// assert!((statistics.covariance[0] - 1.0 / 3.0).abs() < 1e-15); // divisor n - 1
/// # Ok::<(), ganforge_metrics::sets::SetError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Moments {
    name: String,
    d: usize,
    n: usize,
    /// The first row, which all are taken relative to: where values are large and differ little, no digits are lost.
    origin: Vec<f64>,
    sums: Vec<f64>,
    /// [d, d], the lower triangle; empty until the first rows come.
    products: Vec<f64>,
    /// Rows that still wait to be added.
    waiting: Vec<f64>,
}

impl Moments {
    /// Of no rows yet; `name` says which set or file they are in errors.
    pub fn new(name: &str, d: usize) -> Moments {
        Moments {
            name: name.to_owned(),
            d,
            n: 0,
            origin: Vec::new(),
            sums: vec![0.0; d],
            products: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Adds rows [n, d].
    ///
    /// errors: values that do not make up rows of d; a NaN or an infinity, with its row among all rows; a covariance that takes more
    /// memory than there is
    pub fn push<T: Component>(&mut self, rows: &[T]) -> Result<(), SetError> {
        check_rows(&self.name, rows, self.d, self.n)?;
        if self.products.is_empty() {
            check_memory(&self.name, self.d)?;
            self.products = vec![0.0; self.d * self.d];
        }
        for row in rows.chunks_exact(self.d) {
            if self.n == 0 {
                self.origin = row.iter().map(|&x| x.into()).collect();
            }
            let row = row.iter().zip(&self.origin);
            self.waiting
                .extend(row.map(|(&x, origin)| x.into() - origin));
            self.n += 1;
            if self.waiting.len() == ROWS * self.d {
                self.add();
            }
        }
        Ok(())
    }

    fn add(&mut self) {
        for row in self.waiting.chunks_exact(self.d) {
            self.sums.iter_mut().zip(row).for_each(|(s, x)| *s += x);
        }
        if !self.waiting.is_empty() {
            add_products(Matrix::new(&self.waiting, self.d), &mut self.products);
        }
        self.waiting.clear();
    }

    /// Mean and covariance.
    ///
    /// errors: fewer than two rows; numbers whose squares leave the range of f64
    pub fn finish(mut self) -> Result<Statistics, SetError> {
        if self.n < 2 {
            return Err(SetError::few(&self.name, self.n, 2, "a covariance"));
        }
        self.add();
        let (n, d) = (self.n as f64, self.d);
        let mean = self.origin.iter().zip(&self.sums);
        let mean = mean.map(|(origin, sum)| origin + sum / n).collect();
        let mut covariance = self.products;
        for i in 0..d {
            for j in 0..=i {
                let product = covariance[i * d + j] - self.sums[i] * self.sums[j] / n;
                covariance[i * d + j] = product / (n - 1.0);
                covariance[j * d + i] = covariance[i * d + j];
            }
        }
        Statistics::new(&self.name, Some(self.n), mean, covariance)
    }
}

/// That a covariance of `d` features fits in memory, with what a distance takes beside it.
pub(super) fn check_memory(name: &str, d: usize) -> Result<(), SetError> {
    let numbers = d.checked_mul(d).and_then(|square| square.checked_mul(4));
    let has_room = |n| Vec::<f64>::new().try_reserve_exact(n).is_ok();
    match numbers {
        Some(n) if has_room(n) => Ok(()),
        _ => Err(SetError::Memory {
            name: name.to_owned(),
            d,
        }),
    }
}

/// Mean and covariance of a set of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// What the set is called.
    pub name: String,
    /// Its rows, where that is known: a file of statistics need not say.
    pub n: Option<usize>,
    /// \[d\]
    pub mean: Vec<f64>,
    /// [d, d], symmetric, with divisor n - 1.
    pub covariance: Vec<f64>,
}

impl Statistics {
    /// Those of a file, say.
    ///
    /// errors: a covariance that is not [d, d] for a mean of d components, not finite, not symmetric (1e-6 relative to its largest
    /// variance), or with a negative variance
    pub fn new(
        name: &str,
        n: Option<usize>,
        mean: Vec<f64>,
        mut covariance: Vec<f64>,
    ) -> Result<Statistics, SetError> {
        let d = mean.len();
        if d == 0 || covariance.len() != d * d {
            return Err(SetError::Setting(format!(
                "{name}: a mean of {d} features and a covariance of {} values, expected {d} x {d}",
                covariance.len()
            )));
        }
        if !mean.iter().chain(&covariance).all(|x| x.is_finite()) {
            return Err(SetError::Large {
                name: name.to_owned(),
            });
        }
        let largest = (0..d).map(|i| covariance[i * d + i].abs());
        let tolerance = 1e-6 * largest.fold(0.0, f64::max);
        for i in 0..d {
            for j in 0..=i {
                let (below, above) = (covariance[i * d + j], covariance[j * d + i]);
                if (below - above).abs() > tolerance || (i == j && below < -tolerance) {
                    return Err(SetError::Setting(format!(
                        "{name}: [{i}, {j}] is {below} and [{j}, {i}] is {above}, which no covariance has"
                    )));
                }
                let mean = 0.5 * below + 0.5 * above;
                (covariance[i * d + j], covariance[j * d + i]) = (mean, mean);
            }
        }
        Ok(Statistics {
            name: name.to_owned(),
            n,
            mean,
            covariance,
        })
    }

    /// Those of features that are all there.
    ///
    /// errors: as [`Moments::push`] and [`Moments::finish`]
    pub fn of<T: Component>(features: Features<'_, T>) -> Result<Statistics, SetError> {
        let mut moments = Moments::new(features.name(), features.d());
        moments.push(features.values())?;
        moments.finish()
    }

    /// Components of a row.
    pub fn d(&self) -> usize {
        self.mean.len()
    }

    /// The sum of the variances.
    pub fn trace(&self) -> f64 {
        let d = self.d();
        (0..d).map(|i| self.covariance[i * d + i]).sum()
    }

    /// What is to be said where there are no more rows than features.
    pub fn warning(&self) -> Option<FewRows> {
        let n = self.n.filter(|&n| n <= self.d())?;
        Some(FewRows {
            name: self.name.clone(),
            n,
            d: self.d(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_covariance_beyond_memory_is_refused() {
        check_memory("a.npy", 64).expect("room");
        for d in [1 << 30, usize::MAX] {
            assert_eq!(
                check_memory("a.npy", d).expect_err("refused").to_string(),
                format!("a.npy: the covariance of {d} features takes more memory than there is")
            );
        }
    }
}
