//! Inception score: how sure a classifier is of each image, and how varied its answers are.

use super::random_state::RandomState;
use super::{Component, Features, SetError};

/// The scores of splits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InceptionScore {
    /// Their mean: the score, from 1 to the number of classes.
    pub mean: f64,
    /// Their standard deviation, with divisor n.
    pub deviation: f64,
    /// How many.
    pub splits: usize,
}

/// exp of the mean over x of KL(p(y | x) ‖ p(y)), with p(y) the mean of p(y | x) over a split.
///
/// Split i of s has the rows from ⌊i n / s⌋ on; where `shuffle` has a seed, in the order of [`RandomState::permutation`].
///
/// source: Salimans et al. 2016, section 4
/// errors: no splits, or more of them than rows
pub fn score<T: Component>(
    logits: Features<'_, T>,
    splits: usize,
    shuffle: Option<u32>,
) -> Result<InceptionScore, SetError> {
    let (n, classes) = (logits.n(), logits.d());
    if splits == 0 {
        return Err(SetError::Setting("inception score of no splits".into()));
    }
    if n < splits {
        return Err(SetError::few(
            logits.name(),
            n,
            splits,
            "a row in each split",
        ));
    }
    let order = match shuffle {
        Some(seed) => RandomState::new(seed).permutation(n),
        None => (0..n).collect(),
    };
    let bound = |split: usize| (split as u128 * n as u128 / splits as u128) as usize;
    let scores: Vec<f64> = (0..splits)
        .map(|split| {
            let rows = &order[bound(split)..bound(split + 1)];
            of_split(logits.rows(rows).chunks_exact(classes), classes)
        })
        .collect();
    let n = splits as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n;
    Ok(InceptionScore {
        mean,
        deviation: variance.sqrt(),
        splits,
    })
}

/// The score of some rows of logits.
fn of_split<'a>(rows: impl ExactSizeIterator<Item = &'a [f64]>, classes: usize) -> f64 {
    let n = rows.len() as f64;
    let logs: Vec<Vec<f64>> = rows.map(log_softmax).collect();
    let mut marginal = vec![0.0; classes];
    for row in &logs {
        marginal
            .iter_mut()
            .zip(row)
            .for_each(|(m, l)| *m += l.exp());
    }
    let marginal: Vec<f64> = marginal.iter().map(|m| (m / n).ln()).collect();
    let divergence = |row: &Vec<f64>| -> f64 {
        let terms = row.iter().zip(&marginal);
        // 0 · log 0 is 0.
        let terms = terms.map(|(l, m)| match l.exp() {
            0.0 => 0.0,
            p => p * (l - m),
        });
        terms.sum()
    };
    (logs.iter().map(divergence).sum::<f64>() / n).exp()
}

fn log_softmax(row: &[f64]) -> Vec<f64> {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|x| (x - largest).exp()).sum();
    row.iter().map(|x| x - largest - sum.ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{features, golden_at, set};
    use super::*;

    #[test]
    fn the_score_is_that_of_torch_fidelity() {
        let (logits, classes) = set("logits");
        for (name, splits, shuffle) in [
            ("10 splits", 10, None),
            ("10 splits, shuffled", 10, Some(2020)),
            ("1 split", 1, None),
        ] {
            let is = score(features(&logits, classes), splits, shuffle).expect("scored");
            for (got, place) in [(is.mean, "0"), (is.deviation, "1")] {
                let expected = golden_at(&["inception_score", name, place]);
                assert!((got - expected).abs() < 1e-12, "{name}: {got} {expected}");
            }
        }
    }

    #[test]
    fn known_scores() {
        let of = |p: &[f64], classes| {
            let logits: Vec<f64> = p.iter().map(|p| p.ln()).collect();
            score(features(&logits, classes), 1, None)
                .expect("scored")
                .mean
        };
        assert!((of(&[0.9, 0.1, 0.1, 0.9], 2) - 1.444_934_8).abs() < 5e-8);
        assert!((of(&[0.25; 12], 4) - 1.0).abs() < 1e-15);
        // Sure of one class each, and all classes: as many as there are. The rest underflows.
        let sure = [1e4, 0.0, 0.0, 0.0, 1e4, 0.0, 0.0, 0.0, 1e4];
        let is = score(features(&sure, 3), 1, None).expect("scored");
        assert!((is.mean - 3.0).abs() < 1e-14, "{is:?}");
        let missing = score(features(&sure[..6], 3), 1, None).expect("scored");
        assert!((missing.mean - 2.0).abs() < 1e-14, "{missing:?}");
    }

    #[test]
    fn as_many_splits_as_rows_at_most() {
        let logits = features(&[0.0, 1.0, 2.0, 3.0], 2);
        assert_eq!(score(logits, 2, None).expect("scored").mean, 1.0);
        let message = score(logits, 3, None).expect_err("refused").to_string();
        assert_eq!(
            message,
            "test: 2 rows, expected at least 3 for a row in each split"
        );
        score(logits, 0, None).expect_err("refused");
    }
}
