//! Kernel distance of two sets: KID, with the features of an Inception network.

use ganforge_tensor::Device;
use rayon::prelude::*;

use super::linear::{Matrix, product};
use super::products::by_blocks;
use super::random_state::RandomState;
use super::{Component, Features, SetError};

/// Rows whose kernels are computed at once; fixed, since sums are taken in this order.
const ROWS: usize = 256;

/// Blocks or subsets from which on their spread says something of the mean.
const ENOUGH: usize = 5;

/// k(a, b) = (gamma · a · b + coef0)^degree
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel {
    /// The exponent.
    pub degree: i32,
    /// What the product is scaled by; none: 1 / d.
    pub gamma: Option<f64>,
    /// What is added.
    pub coef0: f64,
}

impl Default for Kernel {
    fn default() -> Self {
        Kernel {
            degree: 3,
            gamma: None,
            coef0: 1.0,
        }
    }
}

impl Kernel {
    /// The kernel as a function of the product of two rows of d.
    fn of(self, d: usize) -> impl Fn(f64) -> f64 + Sync {
        let gamma = self.gamma.unwrap_or(1.0 / d as f64);
        move |product| (gamma * product + self.coef0).powi(self.degree)
    }
}

/// Which rows are compared with which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// `count` times `size` rows of each set without replacement, first of the generated, then of the real ones.
    Subsets {
        /// How many subsets.
        count: usize,
        /// Rows of each set in one.
        size: usize,
        /// Seed of the [`RandomState`].
        seed: u32,
        /// Whether smaller sets have smaller subsets; otherwise they are refused.
        shrink: bool,
    },
    /// Consecutive blocks of at most `size` rows, of nearly equal sizes; rows should be in random order.
    Blocks {
        /// Rows of the larger set in one.
        size: usize,
    },
}

impl Draw {
    /// What torch-fidelity does unasked: 100 subsets of 1000.
    pub const SUBSETS: Draw = Draw::Subsets {
        count: 100,
        size: 1000,
        seed: 2020,
        shrink: false,
    };

    /// Rows of the generated and of the real set for each estimate.
    fn rows(&self, m: usize, n: usize) -> Vec<[Vec<usize>; 2]> {
        match *self {
            Draw::Subsets {
                count, size, seed, ..
            } => {
                let mut state = RandomState::new(seed);
                let size = size.min(m).min(n);
                let mut draw = || [m, n].map(|rows| state.choice(rows, size));
                (0..count).map(|_| draw()).collect()
            }
            Draw::Blocks { size } => {
                let blocks = m.max(n).div_ceil(size.max(1));
                // The first blocks are smaller by one where the rows do not divide.
                let of = |rows: usize, block: usize| {
                    let (larger, short) =
                        (rows.div_ceil(blocks), blocks * rows.div_ceil(blocks) - rows);
                    let start = |block: usize| block * larger - block.min(short);
                    (start(block)..start(block + 1)).collect()
                };
                (0..blocks)
                    .map(|block| [of(m, block), of(n, block)])
                    .collect()
            }
        }
    }
}

/// Estimates of the distance, one for each subset or block.
#[derive(Clone, Debug, PartialEq)]
pub struct Kid {
    /// Their mean: the score.
    pub mean: f64,
    /// Their standard deviation, with divisor n.
    pub deviation: f64,
    /// The standard error, if there are five estimates. Of n blocks, which share no row, the deviation over √n. Subsets share rows,
    /// and the jackknife says √(m / (N - m)) times their deviation, for m of the N rows of the smaller set; none if m = N. It is
    /// that of the score of all rows, and too large where both sets are of one distribution.
    ///
    /// source: Shao and Wu 1989, A General Theory for Jackknife Variance Estimation
    pub stderr: Option<f64>,
    /// How many.
    pub estimates: usize,
}

/// The squared maximum mean discrepancy of two sets, without bias: on average 0 for sets of one distribution.
///
/// Σ_{i≠j} k(x_i, x_j) / m(m - 1) + Σ_{i≠j} k(y_i, y_j) / n(n - 1) - 2 / mn Σ_ij k(x_i, y_j)
///
/// source: Gretton et al. 2012, lemma 6; Bińkowski et al. 2018, section 4
/// cost: d · (m² + n² + 2 m n) flops, in f64
/// errors: fewer than two rows; features of different widths; kernels that leave the range of f64
pub fn unbiased<T: Component>(
    x: Features<'_, T>,
    y: Features<'_, T>,
    kernel: Kernel,
) -> Result<f64, SetError> {
    let (m, n) = (x.n(), y.n());
    let whole = [(0..m).collect(), (0..n).collect()];
    check(x, y, 2)?;
    estimate(&Device::CPU, x, y, &whole, kernel)
}

/// The mean over subsets or blocks.
///
/// errors: those of [`unbiased`]; a set of fewer rows than a subset is to have; no subsets, or subsets of fewer than two rows
pub fn score<T: Component>(
    real: Features<'_, T>,
    generated: Features<'_, T>,
    draw: Draw,
    kernel: Kernel,
) -> Result<Kid, SetError> {
    score_at(&Device::CPU, real, generated, draw, kernel)
}

/// The same with the products of rows computed on a device, in f32: about 1e-6 of the mean kernel off.
///
/// errors: those of [`score`]; the device's
pub fn score_at<T: Component>(
    device: &Device,
    real: Features<'_, T>,
    generated: Features<'_, T>,
    draw: Draw,
    kernel: Kernel,
) -> Result<Kid, SetError> {
    let needed = match draw {
        Draw::Subsets { count: 0, .. } => {
            return Err(SetError::Setting("KID of no subsets".into()));
        }
        Draw::Subsets { size: 0 | 1, .. } | Draw::Blocks { size: 0 | 1 } => {
            return Err(SetError::Setting(
                "KID of a single row: expected subsets of at least 2".into(),
            ));
        }
        Draw::Subsets {
            size,
            shrink: false,
            ..
        } => size,
        _ => 2,
    };
    check(real, generated, needed)?;
    let estimates: Result<Vec<f64>, SetError> = draw
        .rows(generated.n(), real.n())
        .iter()
        .map(|rows| {
            let few = |(set, rows): (&str, &Vec<usize>)| {
                (rows.len() < 2).then(|| SetError::few(set, rows.len(), 2, "a block of KID"))
            };
            let sets = [generated.name(), real.name()].into_iter().zip(rows);
            match sets.filter_map(few).next() {
                Some(error) => Err(error),
                None => estimate(device, generated, real, rows, kernel),
            }
        })
        .collect();
    let estimates = estimates?;
    let n = estimates.len() as f64;
    let mean = estimates.iter().sum::<f64>() / n;
    let variance = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / n;
    let scale = match draw {
        Draw::Blocks { .. } => 1.0 / n,
        Draw::Subsets { size, .. } => {
            let all = real.n().min(generated.n());
            let size = size.min(all);
            size as f64 / (all - size) as f64
        }
    };
    let stderr = (variance * scale).sqrt();
    Ok(Kid {
        mean,
        deviation: variance.sqrt(),
        stderr: (estimates.len() >= ENOUGH && stderr.is_finite()).then_some(stderr),
        estimates: estimates.len(),
    })
}

fn check<T: Component>(
    x: Features<'_, T>,
    y: Features<'_, T>,
    needed: usize,
) -> Result<(), SetError> {
    x.same_width(&y)?;
    let score = if needed > 2 { "a subset of KID" } else { "KID" };
    for set in [x, y] {
        if set.n() < needed {
            return Err(SetError::few(set.name(), set.n(), needed, score));
        }
    }
    Ok(())
}

/// [`unbiased`] of some rows of both sets.
fn estimate<T: Component>(
    device: &Device,
    x: Features<'_, T>,
    y: Features<'_, T>,
    rows: &[Vec<usize>; 2],
    kernel: Kernel,
) -> Result<f64, SetError> {
    let d = x.d();
    let [m, n] = [0, 1].map(|set: usize| rows[set].len() as f64);
    let (a, b) = (x.rows(&rows[0]), y.rows(&rows[1]));
    let [in_a, in_b, between] = match device {
        Device::Cpu(_) => {
            let (a, b) = (Matrix::new(&a, d), Matrix::new(&b, d));
            let pairs = [(a, a, true), (b, b, true), (a, b, false)];
            pairs.map(|(a, b, below)| sum(a, b, below, kernel))
        }
        Device::Cuda(..) => {
            let [a, b] = [a, b].map(|set| -> Vec<f32> { set.iter().map(|x| *x as f32).collect() });
            [
                sum_at(device, [&a, &a], d, true, kernel)?,
                sum_at(device, [&b, &b], d, true, kernel)?,
                sum_at(device, [&a, &b], d, false, kernel)?,
            ]
        }
    };
    let estimate = 2.0 * (in_a / (m * (m - 1.0)) + in_b / (n * (n - 1.0)) - between / (m * n));
    let large = || SetError::Large {
        name: x.name().to_owned(),
    };
    estimate.is_finite().then_some(estimate).ok_or_else(large)
}

/// The sum of k(a_i, b_j), over all pairs or over those with j < i.
fn sum(a: Matrix<'_>, b: Matrix<'_>, below: bool, kernel: Kernel) -> f64 {
    let kernel = kernel.of(a.columns());
    let transposed = b.transposed();
    let bt = Matrix::new(&transposed, b.height());
    let blocks: Vec<f64> = (0..a.height().div_ceil(ROWS))
        .into_par_iter()
        .map(|block| {
            let first = block * ROWS;
            let rows = ROWS.min(a.height() - first);
            let width = if below { first + rows } else { b.height() };
            let mut products = vec![0.0; rows * width];
            let (a, bt) = (a.rows(first, rows), bt.first_columns(width));
            product(1.0, a, bt, 0.0, &mut products);
            let rows = products.chunks_exact(width).enumerate();
            rows.map(|(row, products)| {
                let products = &products[..if below { first + row } else { width }];
                products.iter().map(|p| kernel(*p)).sum::<f64>()
            })
            .sum()
        })
        .collect();
    blocks.iter().sum()
}

/// The same of rows in f32 with their products computed on a device.
fn sum_at(
    device: &Device,
    sets: [&[f32]; 2],
    d: usize,
    below: bool,
    kernel: Kernel,
) -> Result<f64, SetError> {
    let (kernel, width) = (kernel.of(d), sets[1].len() / d);
    let mut blocks = Vec::new();
    by_blocks(device, sets, d, |first, products| {
        let rows = products.par_chunks_exact(width).enumerate();
        let sums = rows.map(|(row, products)| {
            let products = &products[..if below { first + row } else { width }];
            products.iter().map(|p| kernel((*p).into())).sum::<f64>()
        });
        blocks.push(sums.collect::<Vec<f64>>().iter().sum::<f64>());
    })?;
    Ok(blocks.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{features, golden_at, noise, normal, set};
    use super::*;

    const REAL: &str = "real.a";
    const FAKE: &str = "fake.a";

    fn subsets(count: usize, size: usize) -> Draw {
        Draw::Subsets {
            count,
            size,
            seed: 2020,
            shrink: false,
        }
    }

    fn score_of(rows: usize, draw: Draw, kernel: Kernel) -> Kid {
        let ((real, d), (fake, _)) = (set(REAL), set(FAKE));
        score(
            features(&real[..rows * d], d),
            features(&fake, d),
            draw,
            kernel,
        )
        .expect("scored")
    }

    #[test]
    fn kid_is_that_of_other_programs() {
        let other = Kernel {
            degree: 2,
            gamma: Some(0.5),
            coef0: 0.0,
        };
        for (name, rows, draw, kernel) in [
            ("1 subset of 180", 180, subsets(1, 180), Kernel::default()),
            ("10 subsets of 50", 200, subsets(10, 50), Kernel::default()),
            (
                "10 subsets of 50, degree 2, gamma 0.5, coef0 0",
                200,
                subsets(10, 50),
                other,
            ),
        ] {
            let kid = score_of(rows, draw, kernel);
            let name = format!("torch-fidelity, {name}");
            for (got, place) in [(kid.mean, "0"), (kid.deviation, "1")] {
                let expected = golden_at(&["kid", &name, place]);
                assert!(
                    (got - expected).abs() < 2e-5 * expected.abs() + 1e-12,
                    "{name} {got}"
                );
            }
        }
        let kid = score_of(180, subsets(1, 180), Kernel::default());
        let expected = golden_at(&["kid", "clean-fid, 1 subset of 180"]);
        assert!((kid.mean - expected).abs() < 2e-5 * expected);
        assert_eq!((kid.stderr, kid.estimates), (None, 1));
    }

    /// The definition, pair by pair.
    fn naive(x: &[f64], y: &[f64], d: usize) -> f64 {
        let k = |a: &[f64], b: &[f64]| {
            let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            (product / d as f64 + 1.0).powi(3)
        };
        let rows =
            |x: &[f64]| -> Vec<Vec<f64>> { x.chunks_exact(d).map(<[f64]>::to_vec).collect() };
        let (x, y) = (rows(x), rows(y));
        let mean = |a: &[Vec<f64>], b: &[Vec<f64>], same: bool| {
            let mut sum = 0.0;
            for (i, a) in a.iter().enumerate() {
                for (j, b) in b.iter().enumerate() {
                    sum += if same && i == j { 0.0 } else { k(a, b) };
                }
            }
            sum / (a.len() * (b.len() - usize::from(same))) as f64
        };
        mean(&x, &x, true) + mean(&y, &y, true) - 2.0 * mean(&x, &y, false)
    }

    #[test]
    fn kid_is_its_definition_for_any_sizes() {
        let (x, y) = (
            [1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
            [2.0, 0.0, 0.0, 0.0, 1.0, -1.0],
        );
        let kid = unbiased(features(&x, 2), features(&y, 2), Kernel::default()).expect("scored");
        assert!((kid - 17.0 / 36.0).abs() < 1e-14, "{kid}"); // 0.4722222
        let d = 7;
        for (m, n) in [(2, 3), (256, 257), (600, 90)] {
            let (x, y) = (normal("kid.x", m * d), normal("kid.y", n * d));
            let y: Vec<f64> = y.iter().map(|y| y + 0.25).collect();
            let expected = naive(&x, &y, d);
            let got =
                unbiased(features(&x, d), features(&y, d), Kernel::default()).expect("scored");
            assert!((got - expected).abs() < 1e-12, "{m} {n}: {got} {expected}");
        }
    }

    #[test]
    fn kid_has_no_bias() {
        let (d, n, draws) = (4, 6, 2000);
        let values = normal("unbiased", 2 * n * d * draws);
        let kids: Vec<f64> = values
            .chunks_exact(2 * n * d)
            .map(|sets| {
                let (x, y) = sets.split_at(n * d);
                unbiased(features(x, d), features(y, d), Kernel::default()).expect("scored")
            })
            .collect();
        let mean = kids.iter().sum::<f64>() / draws as f64;
        let variance = kids.iter().map(|k| (k - mean).powi(2)).sum::<f64>() / draws as f64;
        let error = (variance / draws as f64).sqrt();
        assert!(mean.abs() < 3.0 * error && error < 0.1, "{mean} ± {error}");
        assert!(kids.iter().any(|k| *k < 0.0));
    }

    #[test]
    fn blocks_are_consecutive_and_nearly_equal() {
        let sizes = |m, n, size| -> Vec<[usize; 2]> {
            let blocks = Draw::Blocks { size }.rows(m, n);
            for (set, rows) in [m, n].into_iter().enumerate() {
                let all: Vec<usize> = blocks.iter().flat_map(|b| b[set].clone()).collect();
                assert_eq!(all, (0..rows).collect::<Vec<_>>());
            }
            blocks.iter().map(|b| [b[0].len(), b[1].len()]).collect()
        };
        assert_eq!(sizes(10, 10, 4), [[3, 3], [3, 3], [4, 4]]);
        assert_eq!(sizes(1024, 1024, 1024), [[1024, 1024]]);
        assert_eq!(sizes(11, 6, 4), [[3, 2], [4, 2], [4, 2]]);
        let ((real, d), (fake, _)) = (set(REAL), set(FAKE));
        let (real, fake) = (&real[..180 * d], &fake[..]);
        let kid = score(
            features(real, d),
            features(fake, d),
            Draw::Blocks { size: 36 },
            Kernel::default(),
        );
        let kid = kid.expect("scored");
        let parts = real.chunks_exact(36 * d).zip(fake.chunks_exact(36 * d));
        let parts = parts.map(|(r, f)| {
            unbiased(features(f, d), features(r, d), Kernel::default()).expect("scored")
        });
        let parts: Vec<f64> = parts.collect();
        assert!((kid.mean - parts.iter().sum::<f64>() / 5.0).abs() < 1e-15);
        let variance = parts.iter().map(|k| (k - kid.mean).powi(2)).sum::<f64>() / 5.0;
        assert!((kid.stderr.expect("five blocks") - (variance / 5.0).sqrt()).abs() < 1e-15);
    }

    /// The standard deviation of the scores of 200 pairs of sets against the standard errors that each of them tells.
    #[test]
    fn the_standard_error_is_that_of_another_draw_of_both_sets() {
        let (d, n, draws) = (4, 80, 200);
        let values = normal("stderr", 2 * n * d * draws);
        let kids: Vec<[f64; 2]> = values
            .chunks_exact(2 * n * d)
            .map(|sets| {
                let (x, y) = sets.split_at(n * d);
                let y: Vec<f64> = y.iter().map(|y| y + 0.7).collect();
                let draw = subsets(60, 30);
                let kid = score(features(x, d), features(&y, d), draw, Kernel::default());
                let kid = kid.expect("scored");
                [kid.mean, kid.stderr.expect("fewer rows than there are")]
            })
            .collect();
        let mean = |i: usize| kids.iter().map(|k| k[i]).sum::<f64>() / draws as f64;
        let variance = kids.iter().map(|k| (k[0] - mean(0)).powi(2)).sum::<f64>() / draws as f64;
        let ratio = mean(1) / variance.sqrt();
        assert!((0.8..1.25).contains(&ratio), "{ratio}");
        let (x, y) = values[..2 * n * d].split_at(n * d);
        let whole = score(
            features(x, d),
            features(y, d),
            subsets(60, n),
            Kernel::default(),
        );
        assert_eq!(whole.expect("scored").stderr, None);
    }

    #[test]
    fn kid_refuses_too_few_rows() {
        let values = normal("few", 40);
        let (few, many) = (features(&values[..10], 2), features(&values, 2));
        let message = |draw| {
            score(many, few, draw, Kernel::default())
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            message(subsets(3, 6)),
            "test: 5 rows, expected at least 6 for a subset of KID"
        );
        assert_eq!(message(subsets(0, 6)), "KID of no subsets");
        assert!(message(subsets(3, 1)).contains("at least 2"));
        assert_eq!(
            message(Draw::Blocks { size: 4 }),
            "test: 1 row, expected at least 2 for a block of KID"
        );
        let shrunk = Draw::Subsets {
            count: 3,
            size: 6,
            seed: 1,
            shrink: true,
        };
        assert!(score(many, few, shrunk, Kernel::default()).is_ok());
    }

    #[test]
    fn kid_does_not_depend_on_threads() {
        let values = normal("threads", 700 * 3);
        let (x, y) = (features(&values[..600 * 3], 3), features(&values[300..], 3));
        let kid = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().expect("a pool");
            pool.install(|| unbiased(x, y, Kernel::default()).expect("scored"))
        };
        assert_eq!(kid(1).to_bits(), kid(3).to_bits());
    }

    #[test]
    #[ignore = "a measurement, of about a minute"]
    fn speed_of_kid() {
        let (n, d) = (10_000, 2048);
        let values: Vec<f32> = (0..n * d)
            .map(|i| (noise("speed", i as u32) >> 8) as f32 / 1e7)
            .collect();
        let start = std::time::Instant::now();
        let draw = subsets(10, 1000);
        let kid = score(
            features(&values, d),
            features(&values, d),
            draw,
            Kernel::default(),
        );
        println!(
            "10 subsets of 1000 x {d}: {:?}, {:?}",
            start.elapsed(),
            kid.expect("scored")
        );
    }
}
