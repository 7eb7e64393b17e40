//! Random settings.

use ganforge_settings::{settings, whole};
use rand::RngExt;

use super::Propose;
use crate::gp::Seen;
use crate::space::Dimension;
use crate::{Error, Random};

settings! {
    /// Drawn evenly on the scale of each key, in one round.
    #[derive(Copy)]
    pub struct Drawn {
        /// How many settings.
        pub settings: usize = 24, whole(1, 1_000_000);
    }
}

impl Propose for Drawn {
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
        Ok((0..self.settings).map(|_| point(space, rng)).collect())
    }
}

/// A point anywhere in the cube.
pub(super) fn point(space: &[Dimension], rng: &mut Random) -> Vec<f64> {
    space.iter().map(|_| rng.random()).collect()
}
