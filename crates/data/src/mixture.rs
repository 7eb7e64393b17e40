//! Mixtures of Gaussians, drawn from a seed.

use std::f64::consts::PI;

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::stream_number;
use sha2::{Digest, Sha256};

use super::dataset::owned;
use super::{Dataset, Images, Origin, hash};

/// Points to train on: 200 minibatches of 256.
const TRAIN: usize = 51_200;
/// Points to validate, and as many to test on.
const TEST: usize = 10_000;

/// A mixture of equally likely, round Gaussians: the distribution of a toy set.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// The centres, [modes, d].
    pub centres: Vec<f64>,
    /// Components of a point.
    pub d: usize,
    /// Standard deviation of each component around its centre.
    pub sd: f64,
}

impl Mixture {
    /// Number of Gaussians.
    pub fn modes(&self) -> usize {
        self.centres.len() / self.d
    }

    /// Probability density at x `[d]`.
    pub fn density(&self, x: &[f64]) -> f64 {
        let scale = (self.sd * (2.0 * PI).sqrt()).powi(self.d as i32) * self.modes() as f64;
        let exponent = |centre: &[f64]| -squared_distance(x, centre) / (2.0 * self.sd * self.sd);
        let centres = self.centres.chunks_exact(self.d);
        centres.map(|c| exponent(c).exp()).sum::<f64>() / scale
    }

    /// The nearest centre to x `[d]`: its number and its distance.
    pub fn nearest(&self, x: &[f64]) -> (usize, f64) {
        let centres = self.centres.chunks_exact(self.d).enumerate();
        let squared = centres.map(|(i, c)| (i, squared_distance(x, c)));
        let nearest = squared.min_by(|a, b| a.1.total_cmp(&b.1));
        let (mode, squared) = nearest.unwrap_or((0, f64::INFINITY));
        (mode, squared.sqrt())
    }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

impl Mixture {
    /// The data set called `name` of the key `seed`; `classes` are the names of the modes.
    ///
    /// A point is the centre of a random mode plus normal numbers, both from Philox streams of the part's name.
    pub(super) fn draw(&self, name: &str, classes: &'static [&'static str], seed: u64) -> Dataset {
        let mut sum = Sha256::new();
        let mut part = |part: &str, n: usize| {
            let (values, modes) = self.points(seed, &format!("data/{name}/{part}"), n);
            values.iter().for_each(|v| sum.update(v.to_le_bytes()));
            Images::from_values(self.d, values).with_labels(modes)
        };
        let (train, valid, test) = (
            part("train", TRAIN),
            part("valid", TEST),
            part("test", TEST),
        );
        Dataset {
            name: name.to_string(),
            origin: Origin::Drawn,
            height: 1,
            width: self.d,
            channels: 1,
            classes: owned(classes),
            train,
            valid,
            test,
            further_folds: Vec::new(),
            sha256: hash::hex(sum),
        }
    }

    /// n points of the key `seed`, [n, d], and the mode of each; each `name` draws its own.
    fn points(&self, seed: u64, name: &str, n: usize) -> (Vec<f32>, Vec<u8>) {
        let stream = |name: &str| RandomStream {
            key: seed,
            stream: stream_number(name),
            counter: 0,
        };
        let mut mode = vec![0.0; n];
        let modes = self.modes() as f32;
        rng::uniform(stream(&format!("{name}/mode")), 0, 0.0, modes, &mut mode);
        let mut points = vec![0.0; n * self.d];
        rng::normal(stream(name), 0, 0.0, self.sd as f32, &mut points);
        for (point, mode) in points.chunks_exact_mut(self.d).zip(&mode) {
            let centre = &self.centres[*mode as usize * self.d..];
            for (value, c) in point.iter_mut().zip(centre) {
                *value += *c as f32;
            }
        }
        (points, mode.into_iter().map(|mode| mode as u8).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::{GAUSSIAN, GRID, RING, Toy};

    /// Mean and standard deviation, and what the mean of that many may err by.
    fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        let variance = values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        (mean, variance.sqrt())
    }

    #[test]
    fn modes_are_equally_likely_and_as_wide_as_they_should_be() {
        for toy in [&RING, &GRID] {
            let (mixture, data) = (toy.mixture(), toy.draw(1));
            let points = data.train.to_f32(0..TRAIN).unwrap();
            let points: Vec<f64> = points.into_iter().map(f64::from).collect();
            let mut counts = vec![0.0; mixture.modes()];
            let mut offsets = Vec::new();
            for x in points.chunks_exact(2) {
                let (mode, distance) = mixture.nearest(x);
                assert!(distance < 6.0 * mixture.sd, "{x:?}");
                counts[mode] += 1.0;
                offsets.extend([0, 1].map(|i| x[i] - mixture.centres[2 * mode + i]));
            }
            let share = 1.0 / mixture.modes() as f64;
            let error = (share * (1.0 - share) / TRAIN as f64).sqrt();
            for count in counts {
                assert!(
                    (count / TRAIN as f64 - share).abs() < 5.0 * error,
                    "{toy:?}"
                );
            }
            let (mean, sd) = moments(offsets.iter().copied());
            let error = mixture.sd / (offsets.len() as f64).sqrt();
            assert!(mean.abs() < 5.0 * error && (sd - mixture.sd).abs() < 5.0 * error);
        }
    }

    #[test]
    fn the_gaussian_has_mean_4_and_sd_one_half() {
        let data = GAUSSIAN.draw(7);
        let values = data.train.to_f32(0..TRAIN).unwrap();
        let (mean, sd) = moments(values.iter().map(|&v| f64::from(v)));
        let error = 0.5 / (TRAIN as f64).sqrt();
        assert!((mean - 4.0).abs() < 5.0 * error && (sd - 0.5).abs() < 5.0 * error);
    }

    #[test]
    fn the_seed_makes_the_data_and_its_hash() {
        let (a, b, c) = (RING.draw(1), RING.draw(1), RING.draw(2));
        assert_eq!(a.sha256, b.sha256);
        assert_ne!(a.sha256, c.sha256);
        let of = |data: &Dataset| data.train.to_f32(0..4).unwrap();
        assert_eq!(of(&a), of(&b));
        assert_ne!(of(&a), of(&c));
        assert_ne!(of(&a), a.test.to_f32(0..4).unwrap(), "parts differ");
    }

    #[test]
    fn densities_are_those_of_the_formula() {
        let at = |toy: &Toy, x: &[f64]| toy.mixture().density(x);
        assert!((at(&GAUSSIAN, &[4.0]) - 0.797_884_560_802_865).abs() < 1e-12);
        assert!((at(&GAUSSIAN, &[5.0]) - 0.107_981_933_026_376).abs() < 1e-12);
        // Far from all other modes: 1 / 8 of 1 / (2 pi sd^2).
        let peak = 1.0 / (8.0 * TAU * 0.02 * 0.02);
        assert!((at(&RING, &[2.0, 0.0]) - peak).abs() < 1e-9 * peak);
        assert_eq!(GRID.mixture().nearest(&[1.1, -2.3]).0, 15);
    }
}
