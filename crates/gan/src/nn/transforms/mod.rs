//! What is done to the weights of a map before they are used, each in its file.

mod spectral_norm;
mod weight_norm;

pub use spectral_norm::{Moves, SpectralNorm};
pub use weight_norm::WeightNorm;

use ganforge_settings::list;
use ganforge_tensor::Var;

use super::Build;

list! {
    /// Transforms of weights.
    pub enum TransformKind: dyn Transform by "kind" {
        "spectral_norm" => SpectralNorm(SpectralNorm),
        "weight_norm" => WeightNorm(WeightNorm),
    }
}

/// A map from the stored weights to those that a layer uses.
pub trait Transform: std::fmt::Debug + Send + Sync {
    /// The weights that are used, of the shape of the stored ones `w`; `outputs` is the axis of the outputs. What it
    /// stores itself, it asks `build` for.
    fn of<'g>(&self, build: &mut Build<'g>, w: Var<'g>, outputs: usize) -> Var<'g>;
}
