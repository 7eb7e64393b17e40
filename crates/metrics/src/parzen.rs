//! Parzen-window log-likelihood, the score of the paper's Table 1.
//!
//! n samples s_1 .. s_n of a generator, each with d components, define a density: the mean of n Gaussians of width sigma.
//! Sizes: n samples, m points x, d components; samples [n, d] and points [m, d] are row-major. Results are in nats.

use std::fmt;

use ganforge_data::DataSet;
use ganforge_kernels::cpu::Workspace;
use ganforge_kernels::cpu::gemm::{Epilogue, Shape3, gemm};
use ganforge_settings::{settings, whole};
use ganforge_tensor::Device;
use ganforge_tensor::words::counted;
use rayon::prelude::*;

use crate::Better::Higher;
use crate::exp::sum_of_exps;
use crate::{Column, Error, Fit, Inputs, Metric, Numbers};

mod device;

settings! {
    /// Mean log-likelihood, in nats, of the test images under Gaussians around the samples; their width sigma is the one of
    /// logspace(-1, 0, 10) with the highest mean on validation images; of several folds the mean. Any data (Goodfellow et al.
    /// 2014, Table 1).
    #[derive(Copy, Eq)]
    pub struct Parzen {
        /// Images, the first of the validation part, that choose the width sigma of the Gaussians.
        pub valid: usize = 1000, whole(1, 1_000_000);
    }
}

impl Metric for Parzen {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        match set.mixture() {
            None => Ok(Fit::Unasked),
            Some(_) => Ok(Fit::Asked),
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score(
                "log_likelihood",
                "Parzen log-likelihood, nats",
                Higher,
                [1, 4],
            ),
            Column::about("stderr", "its standard error, nats", 4),
            Column::about("sigma", "width of the Gaussians", 6),
            Column::about("n_samples", "samples", 0),
            Column::about("n_valid", "validation images", 0),
            Column::about("n_test", "test images", 0),
        ]
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let of_fold = |(valid, test): (&ganforge_data::Images, &ganforge_data::Images)| {
            let chosen = valid.to_f32(0..self.valid.min(valid.n()))?;
            let test_images = test.to_f32(0..test.n())?;
            Ok(score_at(
                inputs.device,
                inputs.samples,
                &chosen,
                &test_images,
                test.d(),
            )?)
        };
        let folds: Result<Vec<ParzenScore>, Error> = inputs.data.folds().map(of_fold).collect();
        let score = ParzenScore::over_folds(folds?);
        Ok((&score.expect("a data set has a fold")).into())
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        ParzenScore::from(numbers).to_string()
    }
}

/// A score with what it was computed from.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ParzenScore {
    /// Mean log-likelihood of the test points, in nats; higher is better.
    pub log_likelihood: f64,
    /// Its standard error: population standard deviation over the test points / sqrt(n_test).
    pub stderr: f64,
    /// The width chosen on the validation points; of several folds the median of theirs.
    pub sigma: f64,
    /// Number of samples.
    pub n_samples: usize,
    /// Number of validation points.
    pub n_valid: usize,
    /// Number of test points.
    pub n_test: usize,
    /// Where the data have several folds, the score of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<ParzenScore>,
}

impl ParzenScore {
    /// The score over several folds, each with a width of its own: the mean of theirs; its standard error is their
    /// population standard deviation / sqrt(folds). Points are counted over all folds.
    ///
    /// source: Goodfellow et al. 2014, Table 1 (TFD: mean and standard error across folds)
    ///
    /// A single fold is its own score; none is no score.
    pub fn over_folds(mut folds: Vec<ParzenScore>) -> Option<ParzenScore> {
        if folds.len() < 2 {
            return folds.pop();
        }
        let values: Vec<f64> = folds.iter().map(|f| f.log_likelihood).collect();
        let (log_likelihood, std) = mean_and_std(&values);
        let mut sigmas: Vec<f64> = folds.iter().map(|f| f.sigma).collect();
        sigmas.sort_by(f64::total_cmp);
        Some(ParzenScore {
            log_likelihood,
            stderr: std / (folds.len() as f64).sqrt(),
            sigma: sigmas[(sigmas.len() - 1) / 2],
            n_samples: folds[0].n_samples,
            n_valid: folds.iter().map(|f| f.n_valid).sum(),
            n_test: folds.iter().map(|f| f.n_test).sum(),
            folds,
        })
    }

    /// The width, or those of the folds where they differ: "0.2154" or "0.1292, 0.1668".
    pub fn sigmas(&self) -> String {
        let mut all: Vec<f64> = self.folds.iter().map(|f| f.sigma).collect();
        if all.iter().all(|sigma| *sigma == self.sigma) {
            all = vec![self.sigma];
        }
        let all: Vec<String> = all.iter().map(|sigma| format!("{sigma:.4}")).collect();
        all.join(", ")
    }
}

impl From<&ParzenScore> for Numbers {
    fn from(s: &ParzenScore) -> Numbers {
        let counts = [s.n_samples, s.n_valid, s.n_test].map(|n| n as f64);
        Numbers {
            values: [&[s.log_likelihood, s.stderr, s.sigma][..], &counts].concat(),
            folds: s.folds.iter().map(Numbers::from).collect(),
        }
    }
}

impl From<&Numbers> for ParzenScore {
    fn from(numbers: &Numbers) -> ParzenScore {
        let [log_likelihood, stderr, sigma, samples, valid, test] = numbers.array();
        ParzenScore {
            log_likelihood,
            stderr,
            sigma,
            n_samples: samples as usize,
            n_valid: valid as usize,
            n_test: test as usize,
            folds: numbers.folds.iter().map(ParzenScore::from).collect(),
        }
    }
}

/// "Parzen log-likelihood 134.2 ± 2.1 nats (sigma 0.2154, 10000 samples, ...)"
impl fmt::Display for ParzenScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Parzen log-likelihood {:.1} ± {:.1} nats{} (sigma {}{}, {}, {} validation and {} test images)",
            self.log_likelihood,
            self.stderr,
            match self.folds.len() {
                0 => String::new(),
                n => format!(", mean over {n} folds"),
            },
            self.sigmas(),
            match sigma_grid().last().is_some_and(|last| self.sigma >= *last) {
                true => ", the largest tried",
                false => "",
            },
            counted(self.n_samples, "sample"),
            self.n_valid,
            self.n_test
        )
    }
}

/// Why there is no score.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParzenError {
    /// An array has no rows.
    #[error("parzen: {what} is empty, expected at least one row of {d} values")]
    Empty {
        /// Which array.
        what: &'static str,
        /// Components of a row.
        d: usize,
    },
    /// An array is not made of rows of d values.
    #[error("parzen: {what} has {len} values, not a multiple of the {d} of a row")]
    Ragged {
        /// Which array.
        what: &'static str,
        /// Its length.
        len: usize,
        /// Components of a row.
        d: usize,
    },
    /// A NaN or an infinity.
    #[error("parzen: {what}[{row}, {column}] is {value}, expected a finite number")]
    NotFinite {
        /// Which array.
        what: &'static str,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// Numbers so large that their products leave the range of f32.
    #[error(
        "parzen: {what}[{row}] lies {distance:e} from the mean of the samples, expected below 1e18"
    )]
    TooFar {
        /// Which array.
        what: &'static str,
        /// Row, from 0.
        row: usize,
        /// Euclidean distance.
        distance: f64,
    },
    /// A width that is no positive number, or too small to divide by.
    #[error("parzen: sigma must be from 1e-100 to 1e100, got {sigma}")]
    Sigma {
        /// The width.
        sigma: f64,
    },
    /// A device refused something.
    #[error(transparent)]
    Device(#[from] ganforge_kernels::cuda::Error),
}

ganforge_kernels::debug_as_display!(ParzenError);

/// Rows of points in one block; with `COLUMNS` it bounds the memory, 4 MiB of products.
const ROWS: usize = 256;

/// Samples in one block.
const COLUMNS: usize = 4096;

/// Squared norms of centred rows stay below this, so that f32 products stay finite.
const MAX_NORM_SQUARED: f64 = 1e36;

/// The widths tried on the validation points: logspace(-1, 0, 10).
pub fn sigma_grid() -> [f64; 10] {
    std::array::from_fn(|i| 10_f64.powf(i as f64 / 9.0 - 1.0))
}

/// Scores samples [n_samples, d] by the protocol of the paper's released script.
///
/// sigma = the width of [`sigma_grid`] with the highest mean L on `valid`; the smallest of equals
/// log_likelihood = mean of L over `test`, stderr = std(L, ddof 0) / sqrt(n_test)
/// source: Goodfellow et al. 2014, section 5 and Table 1; `parzen_ll.py` of the released code
/// errors: empty or ragged arrays, NaN or infinity
///
/// ```
/// use ganforge_metrics::parzen;
/// let samples: Vec<f32> = (0..100).map(|i| i as f32 / 100.0).collect(); // [100, 1]
/// let score = parzen::score(&samples, &[0.25, 0.75], &[0.1, 0.6], 1)?;
/// assert!(parzen::sigma_grid().contains(&score.sigma));
/// assert!(score.log_likelihood.abs() < 0.5, "a density of nearly 1 on [0, 1]");
/// # Ok::<(), parzen::ParzenError>(())
/// ```
pub fn score(
    samples: &[f32],
    valid: &[f32],
    test: &[f32],
    d: usize,
) -> Result<ParzenScore, ParzenError> {
    score_at(&Device::CPU, samples, valid, test, d)
}

/// The same, computed on a device: a GPU differs by less than 1e-4 nats, as it sums exponentials of f32.
///
/// errors: as [`score`]; the device's
pub fn score_at(
    device: &Device,
    samples: &[f32],
    valid: &[f32],
    test: &[f32],
    d: usize,
) -> Result<ParzenScore, ParzenError> {
    let window = Window::new(device, samples, d)?;
    let n_test = rows("test", test, d)?; // before the work on valid
    let grid = sigma_grid();
    let on_valid = window.evaluate("valid", valid, &grid)?;
    let means = on_valid.iter().map(|l| mean_and_std(l).0);
    let sigma = best_width(grid.into_iter().zip(means));
    let mut on_test = window.evaluate("test", test, &[sigma])?;
    let (log_likelihood, std) = mean_and_std(&on_test.swap_remove(0));
    Ok(ParzenScore {
        log_likelihood,
        stderr: std / (n_test as f64).sqrt(),
        sigma,
        n_samples: window.n,
        n_valid: valid.len() / d,
        n_test,
        folds: Vec::new(),
    })
}

/// Of widths, smallest first, with their mean L the one with the highest; the smallest of equals.
fn best_width(tried: impl Iterator<Item = (f64, f64)>) -> f64 {
    let best = tried.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.expect("the grid has widths").0
}

/// L of each point of x [m, d] under samples [n, d] with width sigma.
///
/// L(x) = log (1/n) Σ_j exp(-‖x - s_j‖² / 2σ²) - d log(σ √(2π))
/// source: Goodfellow et al. 2014, section 5; Breuleux et al. 2009
/// errors: empty or ragged arrays, NaN or infinity, a width outside 1e-100 ..= 1e100
pub fn log_likelihood(
    samples: &[f32],
    x: &[f32],
    d: usize,
    sigma: f64,
) -> Result<Vec<f64>, ParzenError> {
    Ok(log_likelihoods(samples, x, d, &[sigma])?.swap_remove(0))
}

/// L of each point for several widths, one vector per width, in one pass over the distances.
///
/// errors: as [`log_likelihood`]
pub fn log_likelihoods(
    samples: &[f32],
    x: &[f32],
    d: usize,
    sigmas: &[f64],
) -> Result<Vec<Vec<f64>>, ParzenError> {
    Window::new(&Device::CPU, samples, d)?.evaluate("x", x, sigmas)
}

/// Mean and population standard deviation.
fn mean_and_std(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// Number of rows of an array that is made of at least one row of finite numbers.
fn rows(what: &'static str, values: &[f32], d: usize) -> Result<usize, ParzenError> {
    if values.is_empty() {
        return Err(ParzenError::Empty { what, d });
    }
    if d == 0 || !values.len().is_multiple_of(d) {
        let len = values.len();
        return Err(ParzenError::Ragged { what, len, d });
    }
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values.len() / d),
        Some(i) => Err(ParzenError::NotFinite {
            what,
            row: i / d,
            column: i % d,
            value: values[i],
        }),
    }
}

/// Samples ready for use: centred on their mean, with their squared norms.
///
/// ‖x - s‖² = ‖x‖² + ‖s‖² - 2 x·s loses digits where norms are large against the distance. Distances do not change
/// when one vector is taken off both, so all rows are centred on the samples' mean, which makes norms small; norms are
/// f64, only x·s is f32. On MNIST one L is then within 0.005 nats of f64 at sigma 0.1, less at larger widths.
struct Window {
    d: usize,
    n: usize,
    samples: Samples,
}

enum Samples {
    Here {
        mean: Vec<f64>,
        samples: Vec<f32>,
        norms: Vec<f64>,
    },
    There(device::Samples),
}

/// One point's sums so far: `sums[i]` = Σ_j exp((nearest - d²_j) / 2σ_i²).
struct Point {
    nearest: f64,
    sums: Vec<f64>,
}

impl Window {
    fn new(device: &Device, samples: &[f32], d: usize) -> Result<Self, ParzenError> {
        let n = rows("samples", samples, d)?;
        if let Device::Cuda(device, _) = device {
            let (found, norms) = device::Samples::new(device, samples, d)?;
            check_norms("samples", 0, &norms)?;
            let samples = Samples::There(found);
            return Ok(Self { d, n, samples });
        }
        let mut mean = vec![0.0; d];
        for row in samples.chunks_exact(d) {
            for (m, v) in mean.iter_mut().zip(row) {
                *m += f64::from(*v);
            }
        }
        for m in &mut mean {
            *m /= n as f64;
        }
        let (centred, norms) = centre("samples", samples, 0, &mean)?;
        let samples = Samples::Here {
            mean,
            samples: centred,
            norms,
        };
        Ok(Self { d, n, samples })
    }

    /// L of each point, one vector per width.
    fn evaluate(
        &self,
        what: &'static str,
        x: &[f32],
        sigmas: &[f64],
    ) -> Result<Vec<Vec<f64>>, ParzenError> {
        let m = rows(what, x, self.d)?;
        for &sigma in sigmas {
            if !(1e-100..=1e100).contains(&sigma) {
                return Err(ParzenError::Sigma { sigma });
            }
        }
        let scales: Vec<f64> = sigmas.iter().map(|s| 0.5 / (s * s)).collect();
        let constants: Vec<f64> = sigmas
            .iter()
            .map(|s| (self.n as f64).ln() + self.d as f64 * (s * std::f64::consts::TAU.sqrt()).ln())
            .collect();
        let points = match &self.samples {
            Samples::Here { .. } => self.points(what, x, m, &scales)?,
            Samples::There(samples) => {
                let (points, norms) = samples.sums(x, &scales)?;
                check_norms(what, 0, &norms)?;
                points
            }
        };
        let l = |i: usize, p: &Point| p.sums[i].ln() - p.nearest * scales[i] - constants[i];
        let widths = 0..sigmas.len();
        Ok(widths
            .map(|i| points.iter().map(|p| l(i, p)).collect())
            .collect())
    }

    /// The sums of all points, block by block, on the CPU.
    fn points(
        &self,
        what: &'static str,
        x: &[f32],
        m: usize,
        scales: &[f64],
    ) -> Result<Vec<Point>, ParzenError> {
        let Samples::Here { mean, .. } = &self.samples else {
            unreachable!("called for samples here")
        };
        let mut points = Vec::with_capacity(m);
        let mut products = vec![0.0; ROWS.min(m) * COLUMNS.min(self.n)];
        let mut workspace = Workspace::default();
        for (block, x) in x.chunks(ROWS * self.d).enumerate() {
            let (x, norms) = centre(what, x, block * ROWS, mean)?;
            points.extend(self.block(&x, &norms, scales, &mut products, &mut workspace));
        }
        Ok(points)
    }

    /// The sums of a block of points over all samples. Each point's sums run over the samples in fixed blocks and
    /// lanes, so they do not depend on the number of threads.
    fn block(
        &self,
        x: &[f32],
        norms: &[f64],
        scales: &[f64],
        products: &mut [f32],
        workspace: &mut Workspace,
    ) -> Vec<Point> {
        let d = self.d;
        let mut points: Vec<Point> = norms
            .iter()
            .map(|_| Point {
                nearest: f64::INFINITY,
                sums: vec![0.0; scales.len()],
            })
            .collect();
        let Samples::Here {
            samples,
            norms: sample_norms,
            ..
        } = &self.samples
        else {
            unreachable!("called for samples here")
        };
        for (samples, sample_norms) in samples
            .chunks(COLUMNS * d)
            .zip(sample_norms.chunks(COLUMNS))
        {
            let columns = sample_norms.len();
            let products = &mut products[..norms.len() * columns];
            let dims = Shape3 {
                m: norms.len(),
                k: d,
                n: columns,
            };
            gemm(
                false,
                true,
                dims,
                x,
                samples,
                products,
                Epilogue::Store,
                workspace,
            );
            points
                .par_iter_mut()
                .zip(norms)
                .zip(products.par_chunks_exact(columns))
                .for_each_init(
                    || vec![0.0; columns],
                    |squares, ((point, norm), products)| {
                        for ((q, s), p) in squares.iter_mut().zip(sample_norms).zip(products) {
                            *q = (norm + s - 2.0 * f64::from(*p)).max(0.0);
                        }
                        point.add(squares, scales);
                    },
                );
        }
        points
    }
}

impl Point {
    /// Takes in more squared distances.
    fn add(&mut self, squares: &[f64], scales: &[f64]) {
        let nearest = squares.iter().copied().fold(self.nearest, f64::min);
        for (sum, scale) in self.sums.iter_mut().zip(scales) {
            // At the first block the old distance is infinite and the sum 0: exp(-inf) · 0 is 0.
            let old = *sum * ((nearest - self.nearest) * scale).exp();
            *sum = old + sum_of_exps(squares, nearest, *scale);
        }
        self.nearest = nearest;
    }
}

/// Centres rows on `mean`; their squared norms are those of the rounded rows. `first` is the row number of the first.
fn centre(
    what: &'static str,
    x: &[f32],
    first: usize,
    mean: &[f64],
) -> Result<(Vec<f32>, Vec<f64>), ParzenError> {
    let d = mean.len();
    let mut centred = x.to_vec();
    let mut norms = vec![0.0; x.len() / d];
    centred
        .par_chunks_exact_mut(d)
        .zip(&mut norms)
        .for_each(|(row, norm)| {
            for (v, m) in row.iter_mut().zip(mean) {
                *v = (f64::from(*v) - m) as f32;
                *norm += f64::from(*v) * f64::from(*v);
            }
        });
    check_norms(what, first, &norms)?;
    Ok((centred, norms))
}

/// Refuses rows too far from the mean; `first` is the row number of the first.
fn check_norms(what: &'static str, first: usize, norms: &[f64]) -> Result<(), ParzenError> {
    // What overflowed on the way is not a number, or infinite.
    match norms
        .iter()
        .position(|n| n.is_nan() || *n > MAX_NORM_SQUARED)
    {
        None => Ok(()),
        Some(i) => Err(ParzenError::TooFar {
            what,
            row: first + i,
            distance: norms[i].sqrt(),
        }),
    }
}

#[cfg(test)]
mod tests;
