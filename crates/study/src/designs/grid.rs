//! All combinations.

use ganforge_settings::settings;

use super::Propose;
use crate::gp::Seen;
use crate::space::Dimension;
use crate::{Error, Random};

settings! {
    /// All combinations of the values of each key, in one round; the last key changes fastest.
    #[derive(Copy)]
    pub struct Grid {}
}

impl Propose for Grid {
    fn size(&self, space: &[Dimension]) -> Option<[usize; 2]> {
        let sides = space.iter().map(|d| d.grid().map_or(0, |g| g.len()));
        let all = sides.into_iter().try_fold(1usize, usize::checked_mul)?;
        Some([1, all])
    }

    fn points(
        &self,
        space: &[Dimension],
        _: usize,
        _: &Seen,
        _: &mut Random,
    ) -> Result<Vec<Vec<f64>>, Error> {
        Ok(all(space))
    }

    fn uses_grid(&self) -> bool {
        true
    }
}

/// All combinations of the values of each key; none where a number has no [values of a grid](Dimension::grid).
pub(crate) fn all(space: &[Dimension]) -> Vec<Vec<f64>> {
    let mut points = vec![Vec::new()];
    for dimension in space {
        let values = dimension.grid().unwrap_or_default();
        let with = |point: Vec<f64>| {
            let each = values.iter().map(|v| [point.as_slice(), &[*v]].concat());
            each.collect::<Vec<_>>()
        };
        points = points.into_iter().flat_map(with).collect();
    }
    points
}
