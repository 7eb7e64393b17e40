//! Densities in one dimension, their optimal discriminator and their divergence.
//!
//! D*(x) = p(x) / (p(x) + q(x)) is the optimal D for data of density p and samples of density q. With it G's cost is
//! C(G) = -log 4 + 2 JSD(p, q), minimal, -log 4, where p = q (Goodfellow et al. 2014, section 4.1). JSD in nats, from 0
//! (equal) to log 2 (disjoint).

use std::f64::consts::LN_2;

use ganforge_data::{DataSet, Mixture};
use ganforge_settings::settings;
use ganforge_tensor::words::counted;

use crate::Better::Lower;
use crate::{Column, Error, Fit, Inputs, Metric, Needs, Numbers};

settings! {
    /// JSD of data and samples in 80 bins, in nats, C(G) = -log 4 + 2 JSD, and mean |D - D*|, D* the best D for the two. Toy
    /// sets on the line (Goodfellow et al. 2014, section 4).
    #[derive(Copy, Eq)]
    pub struct Density {}
}

impl Metric for Density {
    fn fits(&self, set: &DataSet) -> Result<Fit, String> {
        match set.mixture() {
            Some(truth) if truth.d == 1 => Ok(Fit::Unasked),
            _ => Err("a toy set on the line".into()),
        }
    }

    fn columns(&self) -> Vec<Column> {
        vec![
            Column::score("jsd", "JSD, nats", Lower, [4, 6]),
            Column::score("cost", "C(G)", Lower, [4, 6]),
            Column::score("d_error", "mean |D - D*|", Lower, [3, 6]),
            Column::about("n_samples", "samples", 0),
        ]
    }

    /// D in the middle of each bin.
    fn needs(&self, set: &DataSet, samples: usize) -> Needs {
        let bins = set.mixture().map(|truth| histogram(&[], &truth));
        let centres = bins.iter().flat_map(Histogram::centres);
        Needs {
            samples,
            points: centres.map(|x| x as f32).collect(),
            ..Needs::default()
        }
    }

    fn score(&self, inputs: &Inputs<'_>) -> Result<Numbers, Error> {
        let truth = inputs.mixture()?;
        let h = histogram(inputs.samples, &truth);
        let s = score(&h, &truth, inputs.d, inputs.samples.len());
        Ok(Numbers::of([s.jsd, s.cost, s.d_error, s.n_samples as f64]))
    }

    fn sentence(&self, numbers: &Numbers) -> String {
        let [jsd, cost, d_error, n] = numbers.array();
        format!(
            "JSD {jsd:.4} nats, C(G) {cost:.4} (at best -1.3863), mean |D - D*| {d_error:.3} ({})",
            counted(n as usize, "sample")
        )
    }
}

/// A score with what it was computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct DensityScore {
    /// Jensen-Shannon divergence between data and samples, in nats, over [`Histogram`]'s bins; lower is better.
    ///
    /// Chance alone gives about (bins in use - 1) / 8n: 0.0005 for 10,000 samples.
    pub jsd: f64,
    /// C(G) = -log 4 + 2 JSD.
    pub cost: f64,
    /// Mean |D - D*| where data and samples are: weighted by (p + q) / 2.
    pub d_error: f64,
    /// Number of samples.
    pub n_samples: usize,
}

/// The best discriminator's value where data have density p and samples q; 1/2 where there are neither.
///
/// D* = p / (p + q)
/// source: Goodfellow et al. 2014, proposition 1
pub fn optimal_d(p: f64, q: f64) -> f64 {
    if p + q == 0.0 { 0.5 } else { p / (p + q) }
}

/// The Jensen-Shannon divergence of two lists of probabilities, in nats.
///
/// JSD = KL(p, m) / 2 + KL(q, m) / 2, m = (p + q) / 2, 0 log 0 = 0
pub fn jsd(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(&p, &q)| term(p, q)).sum()
}

/// As [`jsd`], of two densities, by the trapezoidal rule on `steps` intervals of [lo, hi].
///
/// Densities that are smooth and vanish at both ends make the rule exact to many digits.
pub fn jsd_of(
    p: impl Fn(f64) -> f64,
    q: impl Fn(f64) -> f64,
    [lo, hi]: [f64; 2],
    steps: usize,
) -> f64 {
    let h = (hi - lo) / steps as f64;
    let at = |i: usize| {
        let x = lo + h * i as f64;
        let weight = if i == 0 || i == steps { 0.5 } else { 1.0 };
        weight * term(p(x), q(x))
    };
    h * (0..=steps).map(at).sum::<f64>()
}

/// What one outcome adds to the divergence.
fn term(p: f64, q: f64) -> f64 {
    let half = |a: f64| match a {
        0.0 => 0.0,
        a => 0.5 * a * (2.0 * a / (p + q)).ln(),
    };
    half(p) + half(q)
}

/// C(G), what G pays against the best D: max over D of V(D, G).
///
/// source: Goodfellow et al. 2014, theorem 1
pub fn cost(jsd: f64) -> f64 {
    -2.0 * LN_2 + 2.0 * jsd
}

/// Samples counted in equal bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Where the first bin begins and the last one ends.
    pub range: [f64; 2],
    /// Share of all samples in each bin.
    pub shares: Vec<f64>,
    /// Share of all samples below the first bin, and above the last one or no number.
    pub outside: [f64; 2],
}

impl Histogram {
    /// Counts `samples` in `bins` bins.
    pub fn new(samples: &[f32], range: [f64; 2], bins: usize) -> Histogram {
        let mut counts = vec![0_u64; bins];
        let mut outside = [0_u64; 2];
        let scale = bins as f64 / (range[1] - range[0]);
        for &x in samples {
            let x = f64::from(x);
            let bin = (x - range[0]) * scale;
            match counts.get_mut(bin as usize) {
                _ if x < range[0] => outside[0] += 1,
                Some(count) if x <= range[1] => *count += 1,
                _ => outside[1] += 1,
            }
        }
        let share = |count: u64| count as f64 / samples.len().max(1) as f64;
        Histogram {
            range,
            shares: counts.into_iter().map(share).collect(),
            outside: outside.map(share),
        }
    }

    /// Width of a bin.
    pub fn width(&self) -> f64 {
        (self.range[1] - self.range[0]) / self.shares.len() as f64
    }

    /// The middle of each bin.
    pub fn centres(&self) -> impl Iterator<Item = f64> {
        let (lo, width) = (self.range[0], self.width());
        (0..self.shares.len()).map(move |i| lo + width * (i as f64 + 0.5))
    }

    /// Density of the samples in each bin.
    pub fn densities(&self) -> impl Iterator<Item = f64> {
        let width = self.width();
        self.shares.iter().map(move |share| share / width)
    }
}

/// The bins of a score: 16 standard deviations around the centre of the data, 80 of them.
pub fn histogram(samples: &[f32], truth: &Mixture) -> Histogram {
    let (centre, side) = (truth.centres[0], 8.0 * truth.sd);
    Histogram::new(samples, [centre - side, centre + side], 80)
}

/// Share of the data in each bin of `h`, by Simpson's rule.
pub fn shares(truth: &Mixture, h: &Histogram) -> Vec<f64> {
    let (width, p) = (h.width(), |x: f64| truth.density(&[x]));
    let share = |x: f64| (p(x - width / 2.0) + 4.0 * p(x) + p(x + width / 2.0)) * width / 6.0;
    h.centres().map(share).collect()
}

/// Scores the samples in `h` of a generator that learnt from `truth`; `d` has D(x) at the middle of each bin.
pub fn score(h: &Histogram, truth: &Mixture, d: &[f64], n_samples: usize) -> DensityScore {
    let p = shares(truth, h);
    let both = || p.iter().zip(&h.shares);
    // What lies outside of all bins lies where the data are not.
    let outside: f64 = h.outside.iter().map(|&q| term(0.0, q)).sum();
    let jsd = jsd(&p, &h.shares) + outside;
    let weights: f64 = both().map(|(p, q)| p + q).sum();
    let errors = both().zip(d);
    let errors = errors.map(|((&p, &q), d)| (p + q) * (d - optimal_d(p, q)).abs());
    DensityScore {
        jsd,
        cost: cost(jsd),
        d_error: errors.sum::<f64>() / weights,
        n_samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_data::GAUSSIAN;

    fn normal(mean: f64, sd: f64) -> impl Fn(f64) -> f64 {
        let truth = Mixture {
            centres: vec![mean],
            d: 1,
            sd,
        };
        move |x| truth.density(&[x])
    }

    #[test]
    fn a_histogram_counts_what_is_in_and_out() {
        let samples = [-0.1, 0.0, 0.24, 0.25, 1.0, 1.01, f32::NAN, f32::INFINITY];
        let h = Histogram::new(&samples, [0.0, 1.0], 4);
        assert_eq!(h.shares, [0.25, 0.125, 0.0, 0.0]);
        assert_eq!(h.outside, [0.125, 0.5]);
        assert_eq!(
            h.centres().collect::<Vec<_>>(),
            [0.125, 0.375, 0.625, 0.875]
        );
        assert_eq!(h.densities().collect::<Vec<_>>(), [1.0, 0.5, 0.0, 0.0]);
        let inside = Histogram::new(&[1.0, 0.999], [0.0, 1.0], 4);
        assert_eq!((inside.shares[3], inside.outside), (0.5, [0.0, 0.5]));
    }

    #[test]
    fn the_data_themselves_are_no_further_than_chance() {
        let truth = GAUSSIAN.mixture();
        let samples = GAUSSIAN.draw(1).test.to_f32(0..10_000).unwrap();
        let h = histogram(&samples, &truth);
        let s = score(&h, &truth, &[0.5; 80], samples.len());
        assert!((0.0..0.001).contains(&s.jsd), "{s:?}");
        assert!((s.cost + 4.0_f64.ln()).abs() < 0.002, "{s:?}");
        assert!(s.d_error < 0.03, "{s:?}");
    }

    #[test]
    fn samples_elsewhere_are_a_whole_log_2_away() {
        let truth = GAUSSIAN.mixture();
        for elsewhere in [0.02, 1e9, -3.0, f32::NAN] {
            let h = histogram(&[elsewhere; 100], &truth);
            let d: Vec<f64> = h.centres().map(|x| f64::from(x > 0.05)).collect();
            let s = score(&h, &truth, &d, 100);
            assert!((s.jsd - LN_2).abs() < 1e-9, "{elsewhere}: {s:?}");
            assert!(
                s.cost.abs() < 1e-9 && s.d_error < 1e-9,
                "{elsewhere}: {s:?}"
            );
        }
    }

    #[test]
    fn a_shifted_gaussian_is_as_far_as_quadrature_says() {
        let truth = GAUSSIAN.mixture();
        // Every sample twice the standard deviation to the right: N(0,1) against N(2,1) in other units.
        let samples = GAUSSIAN.draw(1).train.to_f32(0..51_200).unwrap();
        let shifted: Vec<f32> = samples.iter().map(|x| x + 1.0).collect();
        let h = histogram(&shifted, &truth);
        let d: Vec<f64> = h
            .centres()
            .map(|x| optimal_d(normal(4.0, 0.5)(x), normal(5.0, 0.5)(x)))
            .collect();
        let s = score(&h, &truth, &d, shifted.len());
        assert!((s.jsd - 0.336_830_820_3).abs() < 0.003, "{s:?}");
        assert!(s.d_error < 0.01, "{s:?}");
    }

    #[test]
    fn divergences_are_those_of_the_closed_form_and_symmetric() {
        let (p, q) = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]);
        assert!((jsd(&p, &q) - 0.066_414_314_4).abs() < 1e-10);
        assert_eq!(jsd(&p, &q), jsd(&q, &p));
        assert_eq!(jsd(&p, &p), 0.0);
        assert!((jsd(&[1.0, 0.0], &[0.0, 1.0]) - LN_2).abs() < 1e-15);
        let by_rule = jsd_of(normal(0.0, 1.0), normal(1.0, 1.0), [-12.0, 13.0], 2000);
        assert!((by_rule - 0.111_421_482_2).abs() < 1e-10);
    }
}
