//! Normalisers of pre-activations, each in its file.

mod batch;
mod conditional;
mod instance;
mod layer;
mod running;

pub use batch::BatchNorm;
pub use conditional::ConditionalBatchNorm;
pub use instance::InstanceNorm;
pub use layer::LayerNorm;
pub use running::{MovedBy, Running, RunningVariance};

use ganforge_settings::list;
use ganforge_tensor::Var;

use super::Build;

list! {
    /// Normalisers.
    pub enum NormKind: dyn Norm by "kind" {
        "batch" => Batch(BatchNorm),
        "conditional" => Conditional(ConditionalBatchNorm),
        "layer" => Layer(LayerNorm),
        "instance" => Instance(InstanceNorm),
    }
}

/// What normalises the pre-activations of a layer, between its map and its activation.
pub trait Norm: std::fmt::Debug + Send + Sync {
    /// x [b, n] or [b, h, w, c] normalised, of the same shape. What it stores, it asks `build` for: `gamma`, `beta`.
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g>;

    /// Whether it takes examples of this shape, `[n]` or `[h, w, c]`.
    ///
    /// # Errors
    /// Why not, as what the norm does.
    fn fits(&self, _values: &[usize]) -> Result<(), String> {
        Ok(())
    }

    /// The running averages that it keeps, where it normalises by minibatches.
    fn running(&self) -> Option<&Running> {
        None
    }

    /// How many classes of examples it tells apart, where it asks for them, [`Build::labels`].
    fn classes(&self) -> Option<usize> {
        None
    }
}

/// (x - mean) / √(variance + epsilon) over `axes`, the variance being the mean of the squared deviations.
#[track_caller]
fn standardised<'g>(x: Var<'g>, axes: &[usize], epsilon: f64) -> Var<'g> {
    let [mean, variance] = x.moments(axes);
    (x - mean) * (variance + epsilon).rsqrt()
}
