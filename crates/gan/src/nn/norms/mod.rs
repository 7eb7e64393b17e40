//! Normalisers of pre-activations, each in its file.

mod batch;
mod conditional;
mod instance;
mod layer;

pub use batch::{BatchNorm, RunningVariance};
pub use conditional::ConditionalBatchNorm;
pub use instance::InstanceNorm;
pub use layer::LayerNorm;

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

    /// Whether an example's values depend on the other ones of its minibatch.
    fn sees_batch(&self) -> bool {
        false
    }

    /// Whether it asks for the classes of the examples, [`Build::labels`].
    fn needs_labels(&self) -> bool {
        false
    }
}

/// (x - mean) / √(variance + epsilon) over `axes`, the variance being the mean of the squared deviations.
#[track_caller]
fn standardised<'g>(x: Var<'g>, axes: &[usize], epsilon: f64) -> Var<'g> {
    let [mean, variance] = x.moments(axes);
    (x - mean) * (variance + epsilon).rsqrt()
}
