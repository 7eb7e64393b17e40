//! Penalties on D, added to its loss; each has its file.

mod gradient;

pub use gradient::GradientPenalty;

use ganforge_settings::list;
use ganforge_tensor::{Result, Var};

list! {
    /// Penalties; each is monitored under its name.
    pub enum PenaltyKind: dyn Penalty by "kind" { "gradient_penalty" => GradientPenalty(GradientPenalty) }
}

/// A term of D's loss that evaluates D at other points than the loss itself.
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

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::gradcheck::{Point, check};

    use crate::config::Config;

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
            point([3, 1], false, 5),
        ];
        for name in PenaltyKind::NAMES {
            let option = format!("discriminator.penalty=[\"{name}\"]");
            let config = Config::preset("ring").and_then(|c| c.with(&[option]));
            let penalty = &config.expect("a name of the list").discriminator.penalties[0];
            let found = check(&points, 1, 7, |_, x| {
                let term = penalty.term(&|p| p.matmul(x[0]).tanh().matmul(x[1]), x[2], x[3], x[4]);
                term.expect("reached")
            });
            let found = found.expect("recorded");
            assert!(found.iter().all(|f| f.passes()), "{name}: {found:?}");
        }
    }
}
