//! RMSProp.

use ganforge_settings::{above, below, settings};
use ganforge_tensor::Var;

use super::Optimize;

settings! {
    /// s <- α·s + (1-α)·g²,  θ <- θ - lr·g / (√s + eps)
    ///
    /// source: Tieleman and Hinton 2012, lecture 6.5; eps outside of the root as in PyTorch. The critic of Arjovsky et al.
    /// 2017 (Wasserstein GAN) is trained with it at lr = 0.00005.
    #[derive(Copy)]
    pub struct RmsProp {
        /// α, decay of the mean of the gradient's square.
        pub alpha: f64 = 0.99, below(0.0, 1.0);
        /// Added to the square root of that mean.
        pub eps: f64 = 1e-8, above(0.0, 1.0);
    }
}

impl Optimize for RmsProp {
    fn slots(&self) -> &'static [&'static str] {
        &["square"]
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[]
    }

    fn values(&self, _: u64, _: usize, _: &mut [f64]) {}

    #[track_caller]
    fn step<'g>(
        &self,
        param: Var<'g>,
        slots: &[Var<'g>],
        grad: Var<'g>,
        scalar: &dyn Fn(&str) -> Var<'g>,
    ) -> (Var<'g>, Vec<Var<'g>>) {
        let s = slots[0] * self.alpha + grad.square() * (1.0 - self.alpha);
        let step = grad / (s.sqrt() + self.eps);
        (param - step * scalar("lr"), vec![s])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::Graph;

    /// `torch.optim.RMSprop([p], lr=0.01)` of PyTorch 2 in f64, from p and along the gradients here: p and the mean of the
    /// squares after each step.
    #[test]
    fn steps_are_those_of_pytorch() {
        let mut at = [vec![0.5, -1.0, 2.0, 0.0], vec![0.0; 4]];
        for (gradient, expected) in [
            (
                [0.3, -2.0, 0.0, 1e-3],
                [
                    [0.400_000_033_333, -0.900_000_005, 2.0, -0.099_990_001],
                    [9e-4, 0.04, 0.0, 1e-8],
                ],
            ),
            (
                [-0.7, 0.5, 4.0, 1e-3],
                [
                    [
                        0.491_985_920_325,
                        -0.924_368_512_754,
                        1.900_000_002_5,
                        -0.170_873_096_731,
                    ],
                    [0.005_791, 0.042_1, 0.16, 1.99e-8],
                ],
            ),
            (
                [0.1, 0.1, -0.2, -5.0],
                [
                    [
                        0.478_892_575_532,
                        -0.929_260_901_499,
                        1.905_018_858_506,
                        -0.070_873_102_672,
                    ],
                    [0.005_833_09, 0.041_779, 0.158_8, 0.250_000_019_701],
                ],
            ),
        ] {
            let graph = Graph::new();
            let [p, s, g] = ["p", "s", "g"].map(|name| graph.input(name, [4]));
            let lr = graph.constant(0.01, [1]);
            let (p, slots) = RmsProp::default().step(p, &[s], g, &|_| lr);
            let feeds = [
                ("p", at[0].clone()),
                ("s", at[1].clone()),
                ("g", gradient.to_vec()),
            ];
            at = [p, slots[0]].map(|v| v.evaluate(&feeds).expect("a value"));
            for (found, expected) in at.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 1e-11, "{found} {expected}");
            }
        }
    }
}
