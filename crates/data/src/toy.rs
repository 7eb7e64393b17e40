//! Data of known distribution, drawn from a seed: what a generator should make of them is known exactly.
//!
//! ```
//! use ganforge_data::Toy;
//! let data = Toy::Ring.draw(1);
//! assert_eq!((data.train.n(), data.valid.n(), data.test.n(), data.train.d()), (51_200, 10_000, 10_000, 2));
//! assert_eq!(Toy::Ring.mixture().modes(), 8);
//! ```

use std::f64::consts::{PI, TAU};

use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_tensor::stream_number;
use sha2::{Digest, Sha256};

use super::{Dataset, Images, Origin, hash};

/// Points to train on: 200 minibatches of 256.
pub const TRAIN: usize = 51_200;
/// Points to validate, and as many to test on.
pub const TEST: usize = 10_000;

/// Radius of the ring.
const RADIUS: f64 = 2.0;
/// Standard deviation of a mode of the ring and of the grid.
const SD: f64 = 0.02;

/// A toy data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toy {
    /// 8 Gaussians on a circle of radius 2, sd 0.02.
    Ring,
    /// 25 Gaussians at (i, j) for i, j = -2 ..= 2, sd 0.02.
    Grid,
    /// One Gaussian on the line: mean 4, sd 0.5.
    Gaussian,
}

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

impl Toy {
    /// All of them.
    pub const ALL: [Toy; 3] = [Toy::Ring, Toy::Grid, Toy::Gaussian];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Toy::Ring => "ring",
            Toy::Grid => "grid",
            Toy::Gaussian => "gaussian",
        }
    }

    /// Its distribution.
    pub fn mixture(self) -> Mixture {
        let (centres, d, sd) = match self {
            Toy::Ring => {
                let angle = |i: u32| TAU * f64::from(i) / 8.0;
                let point = |i| [RADIUS * angle(i).cos(), RADIUS * angle(i).sin()];
                ((0..8).flat_map(point).collect(), 2, SD)
            }
            Toy::Grid => {
                let point = |i: i32| [f64::from(i / 5 - 2), f64::from(i % 5 - 2)];
                ((0..25).flat_map(point).collect(), 2, SD)
            }
            Toy::Gaussian => (vec![4.0], 1, 0.5),
        };
        Mixture { centres, d, sd }
    }

    /// The data set of the key `seed`: 51,200 points to train, 10,000 to validate and 10,000 to test on.
    ///
    /// A point is the centre of a random mode plus normal numbers, both from Philox streams of the part's name.
    pub fn draw(self, seed: u64) -> Dataset {
        let mixture = self.mixture();
        let mut sum = Sha256::new();
        let mut part = |part: &str, n: usize| {
            let values = mixture.draw(seed, &format!("data/{}/{part}", self.name()), n);
            values.iter().for_each(|v| sum.update(v.to_le_bytes()));
            Images::from_values(mixture.d, values)
        };
        let (train, valid, test) = (
            part("train", TRAIN),
            part("valid", TEST),
            part("test", TEST),
        );
        Dataset {
            name: self.name().to_string(),
            origin: Origin::Drawn,
            height: 1,
            width: mixture.d,
            channels: 1,
            train,
            valid,
            test,
            further_folds: Vec::new(),
            sha256: hash::hex(sum),
        }
    }
}

impl Mixture {
    /// n points of the key `seed`, [n, d]; each `name` draws its own.
    fn draw(&self, seed: u64, name: &str, n: usize) -> Vec<f32> {
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
        for (point, mode) in points.chunks_exact_mut(self.d).zip(mode) {
            let centre = &self.centres[mode as usize * self.d..];
            for (value, c) in point.iter_mut().zip(centre) {
                *value += *c as f32;
            }
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and standard deviation, and what the mean of that many may err by.
    fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        let variance = values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        (mean, variance.sqrt())
    }

    #[test]
    fn modes_are_equally_likely_and_as_wide_as_they_should_be() {
        for toy in [Toy::Ring, Toy::Grid] {
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
        let data = Toy::Gaussian.draw(7);
        let values = data.train.to_f32(0..TRAIN).unwrap();
        let (mean, sd) = moments(values.iter().map(|&v| f64::from(v)));
        let error = 0.5 / (TRAIN as f64).sqrt();
        assert!((mean - 4.0).abs() < 5.0 * error && (sd - 0.5).abs() < 5.0 * error);
    }

    #[test]
    fn the_seed_makes_the_data_and_its_hash() {
        let (a, b, c) = (Toy::Ring.draw(1), Toy::Ring.draw(1), Toy::Ring.draw(2));
        assert_eq!(a.sha256, b.sha256);
        assert_ne!(a.sha256, c.sha256);
        let of = |data: &Dataset| data.train.to_f32(0..4).unwrap();
        assert_eq!(of(&a), of(&b));
        assert_ne!(of(&a), of(&c));
        assert_ne!(of(&a), a.test.to_f32(0..4).unwrap(), "parts differ");
    }

    #[test]
    fn densities_are_those_of_the_formula() {
        let at = |toy: Toy, x: &[f64]| toy.mixture().density(x);
        assert!((at(Toy::Gaussian, &[4.0]) - 0.797_884_560_802_865).abs() < 1e-12);
        assert!((at(Toy::Gaussian, &[5.0]) - 0.107_981_933_026_376).abs() < 1e-12);
        // Far from all other modes: 1 / 8 of 1 / (2 pi sd^2).
        let peak = 1.0 / (8.0 * TAU * SD * SD);
        assert!((at(Toy::Ring, &[2.0, 0.0]) - peak).abs() < 1e-9 * peak);
        assert_eq!(Toy::Grid.mixture().nearest(&[1.1, -2.3]).0, 15);
    }
}
