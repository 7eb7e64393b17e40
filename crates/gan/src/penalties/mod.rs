//! Penalties on D, added to its loss; each has its file.

mod gradient;

pub use gradient::GradientPenalty;

use ganforge_settings::list;
use ganforge_tensor::{Result, Var};

list! {
    /// Penalties; the name of one is that of its monitor, too.
    pub enum PenaltyKind: dyn Penalty by "kind" { "gradient_penalty" => GradientPenalty(GradientPenalty) }
}

/// A term of D's loss that asks D at other points than its loss does.
pub trait Penalty: std::fmt::Debug + Send + Sync {
    /// The term, a number. `critic` gives D's outputs [b, 1] for points [b, ...]; `real` and `fake` are the minibatches
    /// of the step; `eps` [b, 1] is uniform on [0, 1), drawn anew in each step.
    ///
    /// # Errors
    /// Points that D's outputs do not depend on.
    fn term<'g>(
        &self,
        critic: &dyn Fn(Var<'g>) -> Var<'g>,
        real: Var<'g>,
        fake: Var<'g>,
        eps: Var<'g>,
    ) -> Result<Var<'g>>;
}
