//! The size of D's weights.

use ganforge_settings::{above, settings};
use ganforge_tensor::{Result, Var};

use super::{At, Penalty};

settings! {
    /// weight · mean of ½ ‖w‖₂² over the weight tensors w of D, without biases and what normalisers learn
    ///
    /// The mean is of tensors, not of values. Weights with spectral norm count as they are stored, before they are divided.
    /// source: released code of Kurach et al. 2019, A Large-Scale Study on Regularization and Normalization in GANs
    #[derive(Copy)]
    pub struct L2 {
        /// Its factor, λ.
        pub weight: f64 = 0.01, above(0.0, 1e6);
    }
}

impl Penalty for L2 {
    #[track_caller]
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>> {
        let halves = at.weights.iter().map(|w| w.square().sum() * 0.5);
        let sum = halves.reduce(|sum, half| sum + half);
        let sum = sum.unwrap_or_else(|| at.real.x.graph().constant(0.0, []));
        Ok(sum * (self.weight / at.weights.len().max(1) as f64))
    }
}
