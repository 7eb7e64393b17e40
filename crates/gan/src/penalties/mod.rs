//! Penalties on D, added to its loss; each has its file.

mod dragan;
mod gp;
mod gp_real;
mod l2;
mod lazy;
mod r1;
mod r2;
#[cfg(test)]
mod tests;
mod zero_centred;

pub use dragan::{Dragan, DraganForm};
pub use gp::GradientPenalty;
pub use gp_real::GradientPenaltyReal;
pub use l2::L2;
pub use lazy::{Due, PenaltyTerm};
pub use r1::R1;
pub use r2::R2;
pub use zero_centred::ZeroCentred;

use ganforge_settings::list;
use ganforge_tensor::{Result, Shape, Var};

use crate::losses::Judged;

list! {
    /// Penalties; each is monitored under its name.
    pub enum PenaltyKind: dyn Penalty by "kind" {
        "gp" was "gradient_penalty" => GradientPenalty(GradientPenalty),
        "dragan" => Dragan(Dragan),
        "l2" => L2(L2),
        "gp-real" => GradientPenaltyReal(GradientPenaltyReal),
        "r1" => R1(R1),
        "r2" => R2(R2),
        "zero-centred" => ZeroCentred(ZeroCentred),
    }
}

/// A term of D's loss that is not of the loss itself.
pub trait Penalty: std::fmt::Debug + Send + Sync {
    /// The term, a number.
    ///
    /// # Errors
    /// Points that D's outputs do not depend on.
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>>;

    /// Whether it takes gradients of what D says for the loss, [`At::real`] or [`At::fake`]: real and generated examples
    /// are then apart unless the configuration says otherwise, since a gradient in half of a joined minibatch costs as
    /// much as one in all of it.
    fn uses_loss_pass(&self) -> bool {
        false
    }

    /// Whether it fits examples of a shape, `[h, w, c]` or `[data]`: if not, the key that is wrong and what it is.
    ///
    /// # Errors
    /// A setting that is not for such examples.
    fn fits(&self, _example: &[usize]) -> Result<(), (&'static str, String)> {
        Ok(())
    }
}

/// Where D stands in an update of it: what penalties are made of.
pub struct At<'a, 'g> {
    /// A minibatch of data and what D says of it.
    pub real: Judged<'g>,
    /// Samples of G and what D says of them.
    pub fake: Judged<'g>,
    /// What D says, `[b, 1]`, of points `[b, data]` in training.
    pub critic: &'a dyn Fn(Var<'g>) -> Var<'g>,
    /// D's weights.
    pub weights: Vec<Var<'g>>,
    /// The shape of an example as it comes to D: `[h, w, c]` or `[data]`.
    pub example: &'a [usize],
    /// The least and the greatest value that data can have, where there are such.
    pub range: Option<[f64; 2]>,
    /// Draws numbers uniform on [0, 1) of a name and a shape.
    pub draw: &'a dyn Fn(&str, Shape) -> Var<'g>,
}

impl<'g> At<'_, 'g> {
    /// Numbers uniform on [0, 1), drawn anew in each update; each `part` draws its own, of which the first is "".
    #[track_caller]
    pub fn uniform(&self, part: &str, shape: impl Into<Shape>) -> Var<'g> {
        (self.draw)(part, shape.into())
    }

    /// Points `[b, data]` between real and generated examples: alpha·x + (1 - alpha)·G(z), alpha uniform on [0, 1) for each
    /// pair of them.
    #[track_caller]
    pub fn between_real_and_fake(&self) -> Var<'g> {
        let (real, fake) = (self.real.x, self.fake.x.detach());
        let alpha = self.uniform("", [real.shape().dims()[0], 1]);
        fake + (real - fake) * alpha
    }

    /// The squares of the norms of D's gradients, `[b, 1]`, at points `[b, data]`.
    ///
    /// # Errors
    /// Points that D's outputs do not depend on.
    #[track_caller]
    pub fn squared_slopes(&self, points: Var<'g>) -> Result<Var<'g>> {
        squared_slopes((self.critic)(points), points)
    }
}

impl<'g> Judged<'g> {
    /// The gradients, `[b, data]`, of what D says of the examples, from the pass in which it said so.
    ///
    /// # Errors
    /// Examples that it does not depend on.
    #[track_caller]
    pub fn slopes(&self) -> Result<Var<'g>> {
        slopes(self.d, self.x)
    }
}

/// The squares of the norms of the gradients, `[b, 1]`, of `d` `[b, 1]` in x `[b, data]`, row by row.
///
/// # Errors
/// d that does not depend on x.
#[track_caller]
pub fn squared_slopes<'g>(d: Var<'g>, x: Var<'g>) -> Result<Var<'g>> {
    Ok(slopes(d, x)?.square().sum_axes(&[1]))
}

#[track_caller]
fn slopes<'g>(d: Var<'g>, x: Var<'g>) -> Result<Var<'g>> {
    Ok(x.graph().grad(d.sum(), &[x])?[0])
}
