//! The gradient penalty of WGAN-GP.

use ganforge_settings::{above, settings};
use ganforge_tensor::{Result, Var};

use super::{At, Penalty};

settings! {
    /// λ · mean (√(‖∇f(x~)‖₂² + epsilon) - 1)²,  x~ = eps·x + (1 - eps)·G(z), one eps per example
    ///
    /// source: Gulrajani et al. 2017, Improved Training of Wasserstein GANs, algorithm 1 (λ = 10)
    #[derive(Copy)]
    pub struct GradientPenalty {
        /// λ.
        pub weight: f64 = 10.0, above(0.0, 1e6);
        /// Added under the square root, whose derivative at 0 is infinite; 1e-4 in the code of the large study of 2018.
        pub epsilon: f64 = 1e-12, above(0.0, 1.0);
    }
}

impl Penalty for GradientPenalty {
    #[track_caller]
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>> {
        let (real, fake) = (at.real.x, at.fake.x.detach());
        let eps = at.uniform("", [real.shape().dims()[0], 1]);
        let between = fake + (real - fake) * eps;
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
        let w = graph.constant(2.0, [4, 1]); // a norm of 4
        let x = graph.input("x", [3, 4]);
        for (epsilon, expected) in [(1e-12, 90.0), (9.0, 160.0)] {
            let penalty = GradientPenalty {
                epsilon,
                ..GradientPenalty::default()
            };
            let term = term(&penalty, x, x * 0.5, &|x| x.matmul(w), &[w]);
            let value = term.evaluate(&[("x", vec![0.3; 12])]).unwrap();
            assert!((value[0] - expected).abs() < 1e-4, "{value:?}");
        }
    }
}
