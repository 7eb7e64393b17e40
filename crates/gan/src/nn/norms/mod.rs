//! Normalisers of pre-activations, each in its file.

mod batch;

pub use batch::{BatchNorm, RunningVariance};

use ganforge_settings::list;
use ganforge_tensor::Var;

use super::Build;

list! {
    /// Normalisers.
    pub enum NormKind: dyn Norm by "kind" {
        "batch" => Batch(BatchNorm),
    }
}

/// What normalises the pre-activations of a layer, between its map and its activation.
pub trait Norm: std::fmt::Debug + Send + Sync {
    /// x [b, n] or [b, h, w, c] normalised, of the same shape. What it stores, it asks `build` for: `gamma`, `beta`.
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g>;

    /// Whether an example's values depend on the other ones of its minibatch.
    fn sees_batch(&self) -> bool {
        false
    }
}
