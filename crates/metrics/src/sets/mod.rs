//! Scores of a set of feature vectors against another: pure functions, for any network that gives the features.
//!
//! Sizes: n rows [n, d] of features, row-major; m rows of the other set. All arithmetic that a score rests on is in f64, and its order
//! is fixed: the same bits on any number of threads.
//!
//! ```
//! use ganforge_metrics::sets::{Features, frechet};
//! let real = Features::new("real", &[0.0f32, 1.0, 3.0, 10.0], 1)?;
//! let generated = Features::new("generated", &[0.5f32, 1.5, 20.0, 20.5, 9.0, 9.25], 1)?;
//! let fid = frechet::score(real, generated)?;
//! let (means, deviations) = (10.125 - 3.5f64, 8.651228 - 4.509250f64); // on a line FID is as simple as this
//! assert!((fid - (means.powi(2) + deviations.powi(2))).abs() < 1e-4);
//! # Ok::<(), ganforge_metrics::sets::SetError>(())
//! ```

use std::fmt;

pub mod files;
pub mod frechet;
pub mod inception_score;
pub mod kid;
mod linear;
pub mod moments;
pub mod ms_ssim;
pub mod prdc;
mod products;
pub mod protocol;
pub mod random_state;
pub mod resize;
mod scored;

pub use moments::{Moments, Statistics};
pub use scored::{Kind, Scores};

/// Components of features: f32 or f64.
pub trait Component: Copy + Into<f64> + Send + Sync {}

impl Component for f32 {}
impl Component for f64 {}

/// Rows of features, all of them finite.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a, T: Component = f32> {
    name: &'a str,
    values: &'a [T],
    d: usize,
}

impl<'a, T: Component> Features<'a, T> {
    /// `values` [n, d]; `name` says which set or file they are in errors.
    ///
    /// errors: no rows; values that do not make up rows of d; a NaN or an infinity, with its row and column
    pub fn new(name: &'a str, values: &'a [T], d: usize) -> Result<Self, SetError> {
        check_rows(name, values, d, 0)?;
        if values.is_empty() {
            return Err(SetError::few(name, 0, 1, "a score"));
        }
        Ok(Features { name, values, d })
    }

    /// What it is called in errors.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Rows.
    pub fn n(&self) -> usize {
        self.values.len() / self.d
    }

    /// Components of a row.
    pub fn d(&self) -> usize {
        self.d
    }

    /// The values [n, d].
    pub fn values(&self) -> &'a [T] {
        self.values
    }

    /// A row in f64.
    fn row(&self, row: usize) -> impl Iterator<Item = f64> + 'a {
        let row = &self.values[row * self.d..(row + 1) * self.d];
        row.iter().map(|&x| x.into())
    }

    /// These rows in f64, one after the other.
    fn rows(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().flat_map(|&row| self.row(row)).collect()
    }

    /// That both have rows of one width.
    fn same_width(&self, other: &Self) -> Result<(), SetError> {
        same_width((self.name, self.d), (other.name, other.d))
    }
}

fn same_width(a: (&str, usize), b: (&str, usize)) -> Result<(), SetError> {
    if a.1 == b.1 {
        return Ok(());
    }
    Err(SetError::Width {
        names: [a, b].map(|(name, _)| name.to_owned()),
        widths: [a.1, b.1],
    })
}

/// That `values` are rows of d finite numbers; the first of them is row `first` of the set.
fn check_rows<T: Component>(
    name: &str,
    values: &[T],
    d: usize,
    first: usize,
) -> Result<(), SetError> {
    if d == 0 || !values.len().is_multiple_of(d) {
        return Err(SetError::Ragged {
            name: name.to_owned(),
            len: values.len(),
            d,
        });
    }
    let not_finite = |value: &T| !(*value).into().is_finite();
    match values.iter().position(not_finite) {
        None => Ok(()),
        Some(at) => Err(SetError::NotFinite {
            name: name.to_owned(),
            row: first + at / d,
            column: at % d,
            value: values[at].into(),
        }),
    }
}

/// Why there is no score of two sets.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// A set is not made of rows of d values.
    #[error("{name}: {len} values are not rows of {d} features")]
    Ragged {
        /// Which set.
        name: String,
        /// Its values.
        len: usize,
        /// Components of a row.
        d: usize,
    },
    /// A NaN or an infinity.
    #[error("{name}: row {row}, column {column} is {value}, expected a finite number")]
    NotFinite {
        /// Which set.
        name: String,
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f64,
    },
    /// Too few rows for a score.
    #[error("{name}: {}, expected at least {needed} for {score}", counted(*.n))]
    Few {
        /// Which set.
        name: String,
        /// Its rows.
        n: usize,
        /// Rows that it takes.
        needed: usize,
        /// Which score.
        score: &'static str,
    },
    /// Rows of different widths.
    #[error(
        "rows of {} have {} features, those of {} have {}: expected the same number",
        .names[0], .widths[0], .names[1], .widths[1]
    )]
    Width {
        /// The sets.
        names: [String; 2],
        /// Components of their rows.
        widths: [usize; 2],
    },
    /// Numbers whose squares leave the range of f64.
    #[error("{name}: features so large cannot be scored: their squares leave the range of float64")]
    Large {
        /// Which set.
        name: String,
    },
    /// So many features that their covariance has no room.
    #[error("{name}: the covariance of {d} features takes more memory than there is")]
    Memory {
        /// Which set.
        name: String,
        /// Components of a row.
        d: usize,
    },
    /// Mean and covariance where features are asked for.
    #[error("{name}: has mean and covariance alone, which have no score but FID")]
    Alone {
        /// Which set.
        name: String,
    },
    /// Features without logits.
    #[error("{name}: has no logits, of which the inception score is made")]
    Unclassed {
        /// Which set.
        name: String,
    },
    /// What cannot be asked for.
    #[error("{0}")]
    Setting(String),
    /// A device refused something.
    #[error(transparent)]
    Device(#[from] ganforge_tensor::Error),
}

ganforge_kernels::debug_as_display!(SetError);

impl SetError {
    fn few(name: &str, n: usize, needed: usize, score: &'static str) -> SetError {
        SetError::Few {
            name: name.to_owned(),
            n,
            needed,
            score,
        }
    }
}

fn counted(rows: usize) -> String {
    ganforge_tensor::words::counted(rows, "row")
}

/// Rows that do not make up a covariance of full rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FewRows {
    /// Which set.
    pub name: String,
    /// Its rows.
    pub n: usize,
    /// Components of a row.
    pub d: usize,
}

impl fmt::Display for FewRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FewRows { name, n, d } = self;
        let rows = counted(*n);
        write!(
            f,
            "{name}: {rows} of {d} features have a singular covariance (more than {d} rows would not), and few rows make FID too large"
        )
    }
}

#[cfg(test)]
mod planted;
#[cfg(test)]
mod tests;
