//! Batch normalisation.

use ganforge_settings::{Flat, above, closed, settings};
use ganforge_tensor::Var;

use super::{Norm, Running};
use crate::nn::{Build, LayerRule};
use crate::tensors::Initial;

settings! {
    /// Each channel, of vectors each value, with mean 0 and variance 1 over the minibatch and all places, times a learned
    /// gamma, plus a learned beta.
    ///
    /// ```text
    /// y = gamma · (x - mean) / √(var + eps) + beta      x [b, .., c]; mean, var, gamma, beta [c]
    /// training:  mean = Σ x / n,  var = Σ (x - mean)² / n  over the n = b·.. values of a channel
    ///            running mean <- decay · running mean + (1 - decay) · mean, running var likewise, `moves` says when
    /// otherwise: mean, var = the running ones
    /// ```
    ///
    /// Which forward passes of training move the running averages is a setting, `moves`. Where `train.joined` makes one
    /// minibatch of real and generated examples, they are normalised together. With `train.average` samples are drawn with the
    /// averages of gamma and beta and with the running averages of the net that trains.
    /// source: Ioffe and Szegedy 2015, Batch Normalization, algorithms 1 and 2
    #[derive(Copy)]
    pub struct BatchNorm {
        /// Added to the variance.
        pub epsilon: f64 = 1e-5, above(0.0, 1.0);
        /// The running averages.
        pub running: Running = Running::default(), Flat;
        /// Standard deviation of the initial gammas, which are normal around 1.
        pub gamma_sd: f64 = 0.0, closed(0.0, 1.0);
    }
}

impl Norm for BatchNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let c = x.shape().dims().last().copied().unwrap_or(1);
        let gamma = match self.gamma_sd {
            0.0 => Initial::Constant(1.0),
            sd => Initial::NormalAround(1.0, sd),
        };
        let gamma = build.param("gamma", [c], gamma);
        let beta = build.param("beta", [c], Initial::Constant(0.0));
        let (deviation, var) = self.running.centred(build, x);
        let scale = gamma * (var + self.epsilon).rsqrt();
        deviation * scale + beta
    }

    fn running(&self) -> Option<&Running> {
        Some(&self.running)
    }
}

/// As a layer of its own.
impl LayerRule for BatchNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        Norm::forward(self, build, x)
    }

    fn running(&self) -> Option<&Running> {
        Some(&self.running)
    }
}
