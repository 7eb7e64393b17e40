//! Instance normalisation.

use ganforge_settings::{above, settings};
use ganforge_tensor::Var;

use super::{Norm, standardised};
use crate::nn::{Build, LayerRule, Misfit};
use crate::tensors::Initial;

settings! {
    /// Each channel of each image with mean 0 and variance 1 over its places, times a learned gamma, plus a learned beta.
    ///
    /// y = gamma · (x - mean) / √(variance + eps) + beta          x, y [b, h, w, c]; mean, variance [b, 1, 1, c]; gamma, beta [c]
    ///
    /// The variance is the mean of the squared deviations; samples are normalised as in training.
    /// source: Ulyanov et al. 2016, Instance Normalization, equation 4; gamma and beta: Dumoulin et al. 2017, equation 5
    #[derive(Copy)]
    pub struct InstanceNorm {
        /// Added to the variance.
        pub epsilon: f64 = 1e-5, above(0.0, 1.0);
    }
}

impl Norm for InstanceNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let c = x.shape().dims().last().copied().unwrap_or(1);
        let gamma = build.param("gamma", [c], Initial::Constant(1.0));
        let beta = build.param("beta", [c], Initial::Constant(0.0));
        let axes: Vec<usize> = (1..x.shape().rank().saturating_sub(1)).collect();
        standardised(x, &axes, self.epsilon) * gamma + beta
    }

    fn fits(&self, values: &[usize]) -> Result<(), String> {
        match *values {
            [h, w, _] if h * w > 1 => Ok(()),
            [h, w, _] => Err(format!(
                "normalises each channel of an image over its places, and there is {h} x {w} of them"
            )),
            _ => {
                Err("normalises the channels of images, and the values here are vectors".to_owned())
            }
        }
    }
}

/// As a layer of its own.
impl LayerRule for InstanceNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        Norm::forward(self, build, x)
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        Norm::fits(self, input).map_err(|message| Misfit::new("kind", message))
    }

    fn wants_images(&self) -> bool {
        true
    }
}
