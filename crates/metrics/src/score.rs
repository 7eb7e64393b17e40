//! The score of a run: which one follows from its data set.

use ganforge_tensor::words::counted;
use std::fmt;

use super::modes::ModesScore;
use super::parzen::{ParzenScore, sigma_grid};
use crate::density::DensityScore;
use ganforge_data::DataSet;
use ganforge_data::Mixture;

/// Kinds of score, with the distribution of the data where it is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Log-likelihood under a Parzen window: images.
    Parzen,
    /// Modes covered: toy sets in two dimensions.
    Modes(Mixture),
    /// Densities compared: toy sets on the line.
    Density(Mixture),
}

/// How good a run's samples are.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Score {
    /// Images.
    Parzen(ParzenScore),
    /// Toy sets in two dimensions.
    Modes(ModesScore),
    /// Toy sets on the line.
    Density(DensityScore),
}

/// One number of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreValue {
    /// Its name in [`Measure::columns`].
    pub column: &'static str,
    /// What it is called where people read it, with its unit.
    pub label: &'static str,
    /// The decimals that say something.
    pub decimals: usize,
    /// The number.
    pub value: f64,
}

impl Measure {
    /// The measure of a data set.
    pub fn of(set: &DataSet) -> Measure {
        match set {
            DataSet::Toy(toy) => match toy.mixture() {
                line if line.d == 1 => Measure::Density(line),
                plane => Measure::Modes(plane),
            },
            _ => Measure::Parzen,
        }
    }

    /// The columns of scores.csv after step and epoch.
    pub fn columns(&self) -> &'static str {
        match self {
            Measure::Parzen => "log_likelihood,stderr,sigma,n_samples,n_valid,n_test",
            Measure::Modes(_) => "covered,modes,high_quality,n_samples",
            Measure::Density(_) => "jsd,cost,d_error,n_samples",
        }
    }
}

impl Score {
    /// The numbers that say how good the samples are.
    pub fn values(&self) -> Vec<ScoreValue> {
        let value = |column, label, decimals, value| ScoreValue {
            column,
            label,
            decimals,
            value,
        };
        match self {
            Score::Parzen(s) => vec![value(
                "log_likelihood",
                "Parzen log-likelihood, nats",
                1,
                s.log_likelihood,
            )],
            Score::Modes(s) => vec![
                value("covered", "modes covered", 1, s.covered as f64),
                value(
                    "high_quality",
                    "share of samples of high quality",
                    3,
                    s.high_quality,
                ),
            ],
            Score::Density(s) => vec![
                value("jsd", "JSD, nats", 4, s.jsd),
                value("cost", "C(G)", 4, s.cost),
                value("d_error", "mean |D - D*|", 3, s.d_error),
            ],
        }
    }

    /// The values of [`Measure::columns`].
    pub fn row(&self) -> String {
        match self {
            Score::Parzen(s) => format!(
                "{:.4},{:.4},{:.6},{},{},{}",
                s.log_likelihood, s.stderr, s.sigma, s.n_samples, s.n_valid, s.n_test
            ),
            Score::Modes(s) => format!(
                "{},{},{:.4},{}",
                s.covered, s.modes, s.high_quality, s.n_samples
            ),
            Score::Density(s) => format!(
                "{:.6},{:.6},{:.6},{}",
                s.jsd, s.cost, s.d_error, s.n_samples
            ),
        }
    }
}

/// "Parzen log-likelihood 134.2 ± 2.1 nats (sigma 0.2154, 10000 samples, ...)", and the like.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Score::Parzen(s) => write!(
                f,
                "Parzen log-likelihood {:.1} ± {:.1} nats{} (sigma {}{}, {}, {} validation \
                 and {} test images)",
                s.log_likelihood,
                s.stderr,
                match s.folds.len() {
                    0 => String::new(),
                    n => format!(", mean over {n} folds"),
                },
                s.sigmas(),
                match sigma_grid().last().is_some_and(|last| s.sigma >= *last) {
                    true => ", the largest tried",
                    false => "",
                },
                counted(s.n_samples, "sample"),
                s.n_valid,
                s.n_test
            ),
            Score::Modes(s) => write!(
                f,
                "{} of {} modes covered, {:.1} % of {} of high quality (within 3 sd)",
                s.covered,
                s.modes,
                100.0 * s.high_quality,
                counted(s.n_samples, "sample")
            ),
            Score::Density(s) => write!(
                f,
                "JSD {:.4} nats, C(G) {:.4} (at best -1.3863), mean |D - D*| {:.3} ({})",
                s.jsd,
                s.cost,
                s.d_error,
                counted(s.n_samples, "sample")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_data::{GAUSSIAN, MNIST, RING};

    fn parzen() -> Score {
        Score::Parzen(ParzenScore {
            log_likelihood: 134.25,
            stderr: 2.0625,
            sigma: 0.21544346900318834,
            n_samples: 10_000,
            n_valid: 1000,
            n_test: 10_000,
            folds: Vec::new(),
        })
    }

    fn modes() -> Score {
        Score::Modes(ModesScore {
            covered: 7,
            modes: 8,
            high_quality: 0.875,
            n_samples: 10_000,
        })
    }

    fn density() -> Score {
        Score::Density(DensityScore {
            jsd: 0.125,
            cost: -1.136294,
            d_error: 0.0625,
            n_samples: 10_000,
        })
    }

    #[test]
    fn a_score_has_the_columns_of_its_measure() {
        let toy = |toy| Measure::of(&DataSet::Toy(toy));
        for (measure, score, row) in [
            (
                Measure::of(&DataSet::Published(&MNIST)),
                parzen(),
                "134.2500,2.0625,0.215443,10000,1000,10000",
            ),
            (toy(&RING), modes(), "7,8,0.8750,10000"),
            (
                toy(&GAUSSIAN),
                density(),
                "0.125000,-1.136294,0.062500,10000",
            ),
        ] {
            let columns = measure.columns().split(',').count();
            assert_eq!(score.row(), row);
            assert_eq!(row.split(',').count(), columns);
        }
    }

    fn folds() -> Score {
        let fold = |log_likelihood, sigma| ParzenScore {
            log_likelihood,
            stderr: 7.0,
            sigma,
            n_samples: 10_000,
            n_valid: 418,
            n_test: 836,
            folds: Vec::new(),
        };
        let folds = vec![
            fold(2.0, 0.5),
            fold(6.0, 0.25),
            fold(4.0, 0.75),
            fold(8.0, 1.0),
        ];
        Score::Parzen(ParzenScore::over_folds(folds).expect("four folds"))
    }

    #[test]
    fn a_score_over_folds_is_their_mean_with_its_own_error() {
        let score = folds();
        // Mean 5, population variance 5, over four folds.
        assert_eq!(score.row(), "5.0000,1.1180,0.500000,10000,1672,3344");
        let text = score.to_string();
        assert!(
            text.contains("5.0 ± 1.1 nats, mean over 4 folds (sigma 0.5000, 0.2500, 0.7500, 1.0000, 10000 samples"),
            "{text}"
        );
        let Score::Parzen(single) = parzen() else {
            panic!("a Parzen score");
        };
        let same = ParzenScore::over_folds(vec![single.clone()]);
        assert_eq!(same, Some(single));
        assert_eq!(ParzenScore::over_folds(Vec::new()), None);
    }

    #[test]
    fn a_width_at_the_end_of_those_tried_is_called_that() {
        let Score::Parzen(mut score) = parzen() else {
            panic!("a Parzen score");
        };
        let says_so = |s: &ParzenScore| {
            let text = Score::Parzen(s.clone()).to_string();
            text.contains("the largest tried")
        };
        assert!(!says_so(&score));
        score.sigma = sigma_grid()[9];
        assert!(says_so(&score));
    }

    #[test]
    fn scores_are_told_apart_in_json() {
        for score in [parzen(), modes(), density(), folds()] {
            let text = serde_json::to_string(&score).expect("JSON");
            let back: Score = serde_json::from_str(&text).expect(&text);
            assert_eq!(back, score);
        }
        assert!(serde_json::from_str::<Score>("{\"covered\": 8}").is_err());
    }
}
