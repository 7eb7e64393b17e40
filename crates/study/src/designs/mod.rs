//! Ways to choose what is tried next. To add one, write its file, with its settings and its [`Propose`], and one line of
//! the list below.

use ganforge_settings::list;

use crate::Random;
use crate::gp::Seen;
use crate::space::Dimension;

mod gp_ucb;
pub(crate) mod grid;
pub(crate) mod latin_hypercube;
mod random;

pub use gp_ucb::GpUcb;
pub use grid::Grid;
pub use latin_hypercube::LatinHypercube;
pub use random::Drawn;

list! {
    /// A design.
    pub enum Design: dyn Propose by "kind" {
        "grid" => Grid(Grid),
        "random" => Drawn(Drawn),
        "latin-hypercube" => LatinHypercube(LatinHypercube),
        "gp-ucb" => GpUcb(GpUcb),
    }
}

/// What a design does.
pub trait Propose: std::fmt::Debug + Send + Sync {
    /// How many rounds it has, and how many points in each; none: more than can be counted.
    fn size(&self, space: &[Dimension]) -> Option<[usize; 2]>;

    /// The points of a round, counted from 0, in the unit cube: a coordinate for each dimension. They need not be snapped.
    ///
    /// `seen` are the points of the rounds before it, snapped, and how they did, 0 in the mean, the lower the better.
    ///
    /// # Errors
    ///
    /// Numbers that it cannot reckon with.
    fn points(
        &self,
        space: &[Dimension],
        round: usize,
        seen: &Seen,
        rng: &mut Random,
    ) -> Result<Vec<Vec<f64>>, crate::Error>;

    /// Whether it tries the values that [`Dimension::grid`] names.
    fn uses_grid(&self) -> bool {
        false
    }
}
