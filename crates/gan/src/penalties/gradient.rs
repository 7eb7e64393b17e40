//! The gradient penalty of WGAN-GP.

use ganforge_settings::{above, settings};
use ganforge_tensor::{Result, Var};

use super::Penalty;

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
    fn term<'g>(
        &self,
        critic: &dyn Fn(Var<'g>) -> Var<'g>,
        real: Var<'g>,
        fake: Var<'g>,
        eps: Var<'g>,
    ) -> Result<Var<'g>> {
        let fake = fake.detach();
        let between = fake + (real - fake) * eps;
        let outputs = critic(between).sum();
        let slope = real.graph().grad(outputs, &[between])?[0];
        let norm = (slope.square().sum_axes(&[1]) + self.epsilon).sqrt();
        Ok((norm - 1.0).square().mean() * self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::Graph;

    #[test]
    fn that_of_a_linear_critic_is_the_distance_of_its_norm_from_1() {
        let graph = Graph::new();
        let w = graph.constant(2.0, [4, 1]); // a norm of 4
        let x = graph.input("x", [3, 4]);
        let eps = graph.uniform("eps", [3, 1], 0.0, 1.0);
        for (epsilon, expected) in [(1e-12, 90.0), (9.0, 160.0)] {
            let penalty = GradientPenalty {
                epsilon,
                ..GradientPenalty::default()
            };
            let term = penalty.term(&|x| x.matmul(w), x, x * 0.5, eps);
            let value = term.unwrap().evaluate(&[("x", vec![0.3; 12])]).unwrap();
            assert!((value[0] - expected).abs() < 1e-4, "{value:?}");
        }
    }
}
