//! The gradient penalty of WGAN-GP.

use ganforge_settings::{above, settings};
use ganforge_tensor::{Result, Var};

use super::{At, Penalty};

settings! {
    /// weight · mean (√(‖∇f(x~)‖₂² + epsilon) - 1)²,  x~ = alpha·x + (1 - alpha)·G(z), one alpha per example
    ///
    /// source: Gulrajani et al. 2017, Improved Training of Wasserstein GANs, algorithm 1 (λ = 10)
    #[derive(Copy)]
    pub struct GradientPenalty {
        /// Its factor, λ.
        pub weight: f64 = 10.0, above(0.0, 1e6);
        /// Added under the square root, whose derivative at 0 is infinite; 1e-4 in the code of the large study of 2018.
        pub epsilon: f64 = 1e-12, above(0.0, 1.0);
    }
}

impl Penalty for GradientPenalty {
    #[track_caller]
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>> {
        let between = at.between_real_and_fake();
        let slope = (at.squared_slopes(between)? + self.epsilon).sqrt();
        Ok((slope - 1.0).square().mean() * self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::penalties::tests::term;
    use ganforge_tensor::Graph;

    #[test]
    fn that_of_a_linear_critic_is_the_distance_of_its_norm_from_1() {
        let graph = Graph::new();
        let x = graph.input("x", [3, 2]);
        let w = graph.input("w", [2, 1]);
        // One whose weights are 0 says the same everywhere: (√epsilon - 1)².
        for (weights, epsilon, expected) in [
            ([3.0, 4.0], 1e-12, 16.0),
            ([3.0, 4.0], 1e-4, 16.000_080),
            ([0.0, 0.0], 1e-4, 0.980_1),
            ([0.0, 0.0], 0.25, 0.25),
        ] {
            let penalty = GradientPenalty {
                weight: 1.0,
                epsilon,
            };
            let term = term(&penalty, x, x * 0.5, &|x| x.matmul(w), &[w]);
            let at = [("x", vec![0.3; 6]), ("w", weights.to_vec())];
            let value = term.evaluate(&at).unwrap();
            assert!((value[0] - expected).abs() < 1e-9, "{value:?}");
        }
    }
}
