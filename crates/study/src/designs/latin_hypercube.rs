//! Random settings that cover the range of each key.

use ganforge_settings::{settings, whole};
use rand::RngExt;
use rand::seq::SliceRandom;

use super::Propose;
use crate::gp::Seen;
use crate::space::Dimension;
use crate::{Error, Random};

settings! {
    /// Drawn so that of n settings one is in each n-th part of the range of each key, in one round.
    ///
    /// source: McKay, Beckman and Conover 1979, A comparison of three methods for selecting values of input variables
    #[derive(Copy)]
    pub struct LatinHypercube {
        /// How many settings.
        pub settings: usize = 24, whole(1, 1_000_000);
    }
}

impl Propose for LatinHypercube {
    fn size(&self, _: &[Dimension]) -> Option<[usize; 2]> {
        Some([1, self.settings])
    }

    fn points(
        &self,
        space: &[Dimension],
        _: usize,
        _: &Seen,
        rng: &mut Random,
    ) -> Result<Vec<Vec<f64>>, Error> {
        Ok(points(self.settings, space.len(), rng))
    }
}

/// `n` points of `d` coordinates.
pub(crate) fn points(n: usize, d: usize, rng: &mut Random) -> Vec<Vec<f64>> {
    let mut points = vec![Vec::with_capacity(d); n];
    for _ in 0..d {
        let mut parts: Vec<usize> = (0..n).collect();
        parts.shuffle(rng);
        for (point, part) in points.iter_mut().zip(parts) {
            point.push((part as f64 + rng.random::<f64>()) / n as f64);
        }
    }
    points
}
