//! Penalties on D, added to its loss; each has its file.

mod gp;

pub use gp::GradientPenalty;

use ganforge_settings::list;
use ganforge_tensor::{Result, Shape, Var};

use crate::losses::Judged;

list! {
    /// Penalties; each is monitored under its name.
    pub enum PenaltyKind: dyn Penalty by "kind" { "gp" was "gradient_penalty" => GradientPenalty(GradientPenalty) }
}

/// A term of D's loss that is not of the loss itself.
pub trait Penalty: std::fmt::Debug + Send + Sync {
    /// The term, a number.
    ///
    /// # Errors
    /// Points that D's outputs do not depend on.
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>>;
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
    /// What the penalty's random numbers are called.
    pub name: &'a str,
}

impl<'g> At<'_, 'g> {
    /// Numbers uniform on [0, 1), drawn anew in each update; each `part` draws its own, of which the first is "".
    #[track_caller]
    pub fn uniform(&self, part: &str, shape: impl Into<Shape>) -> Var<'g> {
        let name = match part {
            "" => self.name.to_owned(),
            _ => format!("{}/{part}", self.name),
        };
        self.real.x.graph().uniform(&name, shape, 0.0, 1.0)
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

/// The squares of the norms of the gradients, `[b, 1]`, of `d` `[b, 1]` in x `[b, data]`, row by row.
///
/// # Errors
/// d that does not depend on x.
#[track_caller]
pub fn squared_slopes<'g>(d: Var<'g>, x: Var<'g>) -> Result<Var<'g>> {
    let slopes = x.graph().grad(d.sum(), &[x])?[0];
    Ok(slopes.square().sum_axes(&[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::gradcheck::{Point, check};

    use crate::config::Config;

    /// A penalty at minibatches `[b, data]` of a critic with these weights.
    pub(super) fn term<'g>(
        penalty: &dyn Penalty,
        real: Var<'g>,
        fake: Var<'g>,
        critic: &dyn Fn(Var<'g>) -> Var<'g>,
        weights: &[Var<'g>],
    ) -> Var<'g> {
        let judged = |x: Var<'g>| Judged {
            x,
            ..Judged::of(critic(x))
        };
        let at = At {
            real: judged(real),
            fake: judged(fake),
            critic,
            weights: weights.to_vec(),
            name: "penalty",
        };
        penalty.term(&at).expect("reached")
    }

    fn point(dims: [usize; 2], varies: bool, seed: usize) -> Point {
        let n = dims[0] * dims[1];
        Point {
            shape: dims.into(),
            data: (0..n).map(|i| ((7 * i + 3 * seed) as f64).sin()).collect(),
            varies,
        }
    }

    /// In the parameters of a critic, of which it holds second derivatives where the penalty holds first ones.
    #[test]
    fn the_gradient_of_each_is_that_of_differences() {
        let points = [
            point([4, 5], true, 1),
            point([5, 1], true, 2),
            point([3, 4], false, 3),
            point([3, 4], false, 4),
        ];
        for name in PenaltyKind::NAMES {
            let option = format!("discriminator.penalty=[\"{name}\"]");
            let config = Config::preset("ring").and_then(|c| c.with(&[option]));
            let penalty = &config.expect("a name of the list").discriminator.penalties[0];
            let found = check(&points, 1, 7, |_, x| {
                term(
                    &**penalty,
                    x[2],
                    x[3],
                    &|p| p.matmul(x[0]).tanh().matmul(x[1]),
                    &x[..2],
                )
            });
            let found = found.expect("recorded");
            assert!(found.iter().all(|f| f.passes()), "{name}: {found:?}");
        }
    }
}
