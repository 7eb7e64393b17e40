//! GAN losses: pure functions of D's outputs, means over the batch. Each has its file.

mod bce;
mod least_squares;

pub use bce::{Bce, GeneratorLoss};
pub use least_squares::LeastSquares;

use ganforge_settings::{list, settings};
use ganforge_tensor::Var;

settings! {
    /// What D and G minimise, in nats, means over the batch.
    pub struct Loss {
        /// The loss.
        #[was("discriminator")]
        pub kind: LossKind = LossKind::Bce(Bce::default());
    }
}

list! {
    /// A loss.
    pub enum LossKind: dyn Objective by "kind" {
        "bce" => Bce(Bce),
        "least_squares" => LeastSquares(LeastSquares),
    }
}

/// The losses that D and G minimise.
pub trait Objective: std::fmt::Debug + Send + Sync {
    /// D's loss from its outputs [b, 1] for real and for generated examples.
    fn d<'g>(&self, real: Var<'g>, fake: Var<'g>) -> Var<'g>;
    /// G's loss from D's outputs [b, 1] for its samples.
    fn g<'g>(&self, fake: Var<'g>) -> Var<'g>;
    /// The quantity that monitors report for an output of D: a probability, if the output represents one.
    fn shown<'g>(&self, output: Var<'g>) -> Var<'g> {
        output
    }
}
