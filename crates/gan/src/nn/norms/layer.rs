//! Layer normalisation.

use ganforge_settings::{above, settings};
use ganforge_tensor::Var;

use super::{Norm, standardised};
use crate::nn::{Build, LayerRule, Misfit};
use crate::tensors::Initial;

settings! {
    /// Each example's values with mean 0 and variance 1 over all of them, of an image over places and channels together,
    /// times a learned gamma, plus a learned beta of each channel, of vectors of each value.
    ///
    /// y = gamma · (x - mean) / √(variance + eps) + beta          x, y [b, .., c]; gamma, beta [c]
    ///
    /// The variance is the mean of the squared deviations. No example sees another one: it is the normaliser that a
    /// gradient penalty allows in a critic. PyTorch's of images has a gamma and a beta of each value.
    /// source: Ba et al. 2016, Layer Normalization, equation 4; of images as in the code of the large study of 2018
    #[derive(Copy)]
    pub struct LayerNorm {
        /// Added to the variance.
        pub epsilon: f64 = 1e-5, above(0.0, 1.0);
    }
}

impl Norm for LayerNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let c = x.shape().dims().last().copied().unwrap_or(1);
        let gamma = build.param("gamma", [c], Initial::Constant(1.0));
        let beta = build.param("beta", [c], Initial::Constant(0.0));
        let axes: Vec<usize> = (1..x.shape().rank()).collect();
        standardised(x, &axes, self.epsilon) * gamma + beta
    }

    fn fits(&self, values: &[usize]) -> Result<(), String> {
        match values.iter().product::<usize>() {
            1 => Err("normalises the values of an example, and there is one of them".to_owned()),
            _ => Ok(()),
        }
    }
}

/// As a layer of its own.
impl LayerRule for LayerNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        Norm::forward(self, build, x)
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        Norm::fits(self, input).map_err(|message| Misfit::new("kind", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::Graph;
    use ganforge_tensor::gradcheck::{Point, check};

    const X: [f64; 8] = [1.0, 2.0, 4.0, -1.0, 0.5, 0.5, 0.25, 3.0];
    const WEIGHTS: [f64; 8] = [1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0];

    /// The layer on x [2, 4] with these gammas and betas in the place of its parameters.
    fn layer<'g>(x: Var<'g>, gamma: Var<'g>, beta: Var<'g>) -> Var<'g> {
        let mut build = Build::new(x.graph());
        build.at("D", "n");
        build.set("D.n.gamma", gamma);
        build.set("D.n.beta", beta);
        Norm::forward(&LayerNorm::default(), &mut build, x)
    }

    /// `torch.nn.LayerNorm(4)` of PyTorch 2 in f64 with these gammas and betas, and its gradients of a weighted sum.
    #[test]
    fn outputs_and_gradients_are_those_of_pytorch() {
        let graph = Graph::new();
        let x = graph.input("x", [2, 4]);
        let [gamma, beta] = ["gamma", "beta"].map(|name| graph.input(name, [4]));
        let y = layer(x, gamma, beta);
        let sum = (y * graph.input("weights", [2, 4])).sum();
        let grads = graph.grad(sum, &[x, gamma, beta]).expect("reached");
        let feeds = [
            ("x", X.to_vec()),
            ("gamma", vec![1.0, 0.5, 2.0, -1.0]),
            ("beta", vec![0.0, 0.1, -0.2, 0.3]),
            ("weights", WEIGHTS.to_vec()),
        ];
        for (found, expected) in [
            (
                y,
                &[
                    -0.277_349_671_421,
                    0.238_674_835_711,
                    2.573_496_714_211,
                    1.686_748_357_106,
                    -0.500_771_411_19,
                    -0.150_385_705_595,
                    -1.646_672_965_66,
                    -1.424_879_305_21,
                ][..],
            ),
            (
                grads[0],
                &[
                    0.533_363_111_616,
                    -0.533_363_111_616,
                    0.106_681_156_133,
                    -0.106_681_156_133,
                    0.847_545_330_187,
                    -1.378_105_386_213,
                    0.482_348_571_471,
                    0.048_211_484_555,
                ],
            ),
            (
                grads[1],
                &[
                    -2.280_435_316_181,
                    -0.947_614_890_728,
                    2.713_572_105_657,
                    -3.822_114_123_213,
                ],
            ),
            (grads[2], &[5.0; 4]),
        ] {
            let found = found.evaluate(&feeds).expect("values");
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-11, "{found} {expected}");
            }
        }
    }

    #[test]
    fn first_and_second_derivatives_are_those_of_differences() {
        let point = |shape: &[usize], data: &[f64]| Point {
            shape: ganforge_tensor::Shape::new(shape),
            data: data.to_vec(),
            varies: true,
        };
        let points = [
            point(&[2, 4], &X),
            point(&[4], &[1.0, 0.5, 2.0, -1.0]),
            point(&[4], &[0.0, 0.1, -0.2, 0.3]),
        ];
        for order in [1, 2] {
            let found = check(&points, order, 7, |_, x| {
                layer(x[0], x[1], x[2]).square().sum()
            });
            let found = found.expect("recorded");
            assert!(found.iter().all(|f| f.passes()), "{found:?}");
        }
    }
}
