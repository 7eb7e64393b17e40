//! Modes covered and share of high-quality samples, for data that are a mixture of Gaussians.

use ganforge_data::{DataSet, Mixture};
use ganforge_settings::settings;
use ganforge_tensor::words::counted;

use crate::Better::Higher;
use crate::{Column, Error, Fit, Inputs, Metric, Numbers};

settings! {
    /// Modes covered, by at least 1 % of all samples within 3 standard deviations, and the share of samples within 3 standard
    /// deviations of any mode. Toy sets.
    #[derive(Copy, Eq)]
    pub struct Modes {}
}

impl Metric for Modes {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        match set.mixture() {
            Some(truth) if truth.d > 1 => Ok(Fit::Unasked),
            Some(_) => Ok(Fit::Asked),
            None => Err("a toy set, whose modes are known".into()),
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("covered", "modes covered", Higher, [1, 0]),
            Column::about("modes", "modes there are", 0),
            Column::score(
                "high_quality",
                "share of samples of high quality",
                Higher,
                [3, 4],
            ),
            Column::about("n_samples", "samples", 0),
        ]
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let truth = inputs.mixture()?;
        let s = score(inputs.samples, &truth);
        let [covered, modes, n] = [s.covered, s.modes, s.n_samples].map(|n| n as f64);
        Ok(Numbers::of([covered, modes, s.high_quality, n]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [covered, modes, high_quality, n] = numbers.array();
        format!(
            "{covered} of {modes} modes covered, {:.1} % of {} of high quality (within 3 sd)",
            100.0 * high_quality,
            counted(n as usize, "sample")
        )
    }
}

/// A sample is of high quality within this many standard deviations of a centre.
pub const NEAR: f64 = 3.0;
/// A mode is covered if this share of all samples lies near its centre.
pub const SHARE: f64 = 0.01;

/// A score with what it was computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct ModesScore {
    /// Modes near whose centre lie at least 1 % of the samples.
    pub covered: usize,
    /// Modes there are.
    pub modes: usize,
    /// Share of the samples within 3 standard deviations of a centre.
    pub high_quality: f64,
    /// Number of samples.
    pub n_samples: usize,
}

/// Scores samples [n, d] of a generator that learnt from `truth`; samples without number are near nothing.
///
/// near: Euclidean distance to the nearest centre <= 3 sd
/// covered: a mode with at least n / 100 samples near its centre
pub fn score(samples: &[f32], truth: &Mixture) -> ModesScore {
    let counts = near(samples, truth);
    let n_samples = samples.len() / truth.d;
    let enough = SHARE * n_samples as f64;
    let is_covered = |count: &&usize| n_samples > 0 && **count as f64 >= enough;
    ModesScore {
        covered: counts.iter().filter(is_covered).count(),
        modes: truth.modes(),
        high_quality: counts.iter().sum::<usize>() as f64 / n_samples.max(1) as f64,
        n_samples,
    }
}

/// How many of the samples [n, d] lie near each centre of `truth`.
pub fn near(samples: &[f32], truth: &Mixture) -> Vec<usize> {
    let mut counts = vec![0; truth.modes()];
    let mut x = vec![0.0; truth.d];
    for sample in samples.chunks_exact(truth.d) {
        x.iter_mut().zip(sample).for_each(|(x, &s)| *x = s.into());
        let (mode, distance) = truth.nearest(&x);
        if distance <= NEAR * truth.sd {
            counts[mode] += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_data::{GRID, RING};

    /// As many copies of each centre as `counts` says.
    fn copies(truth: &Mixture, counts: &[usize]) -> Vec<f32> {
        let centres = truth.centres.chunks_exact(truth.d).zip(counts);
        let all = centres.flat_map(|(c, &n)| c.repeat(n));
        all.map(|v| v as f32).collect()
    }

    #[test]
    fn a_mode_is_covered_from_one_sample_in_a_hundred_on() {
        let ring = RING.mixture();
        let mut samples = copies(&ring, &[10, 9, 0, 100, 10, 10, 10, 10]);
        samples.extend([0.0; 2 * 841]); // the ring's middle: 1000 samples in all
        let s = score(&samples, &ring);
        assert_eq!((s.covered, s.modes, s.n_samples), (6, 8, 1000));
        assert!((s.high_quality - 0.159).abs() < 1e-12);
    }

    #[test]
    fn near_is_up_to_three_standard_deviations() {
        let ring = RING.mixture();
        // Around the first centre, (2, 0).
        let samples = [2.0599, 0.0, 2.0601, 0.0, 2.0, -0.0599, 2.05, 0.05];
        assert_eq!(near(&samples, &ring), [2, 0, 0, 0, 0, 0, 0, 0]);
        let s = score(&samples, &ring);
        assert_eq!((s.covered, s.high_quality), (1, 0.5));
    }

    #[test]
    fn the_data_themselves_cover_all_modes() {
        for toy in [&RING, &GRID] {
            let (truth, data) = (toy.mixture(), toy.draw(3));
            let s = score(&data.test.to_f32(0..10_000).unwrap(), &truth);
            assert_eq!(s.covered, s.modes);
            // Within 3 sd in two dimensions: 1 - exp(-9 / 2) = 0.98889.
            assert!((s.high_quality - 0.98889).abs() < 0.005, "{s:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_near_nothing() {
        let ring = RING.mixture();
        let s = score(&[f32::NAN, 0.0, f32::INFINITY, 1.0], &ring);
        assert_eq!((s.covered, s.high_quality), (0, 0.0));
        assert_eq!(score(&[], &ring).covered, 0);
    }
}
