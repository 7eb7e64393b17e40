//! Batch normalisation.

use ganforge_settings::{above, below, closed, list, settings};
use ganforge_tensor::Var;

use super::Norm;
use crate::nn::{Build, LayerRule};
use crate::tensors::Initial;

settings! {
    /// Each channel, of vectors each value, with mean 0 and variance 1 over the minibatch and all places, times a learned
    /// gamma, plus a learned beta.
    ///
    /// ```text
    /// y = gamma · (x - mean) / √(var + eps) + beta      x [b, .., c]; mean, var, gamma, beta [c]
    /// training:  mean = Σ x / n,  var = Σ (x - mean)² / n  over the n = b·.. values of a channel
    ///            running mean <- decay · running mean + (1 - decay) · mean, running var likewise, after each forward pass
    /// otherwise: mean, var = the running ones
    /// ```
    ///
    /// Every forward pass of training moves the running averages: of D those on real and on generated examples, on the points
    /// of a penalty, and that of G's step; of G that of each network's step. Where `train.joined` makes one minibatch of real
    /// and generated examples, they are normalised together. With `train.average` samples are drawn with the averages of gamma
    /// and beta and the running averages as they are.
    /// source: Ioffe and Szegedy 2015, Batch Normalization, algorithms 1 and 2
    #[derive(Copy)]
    pub struct BatchNorm {
        /// Added to the variance.
        pub epsilon: f64 = 1e-5, above(0.0, 1.0);
        /// Share of the running averages that stays at each forward pass; 1 - momentum of PyTorch.
        pub decay: f64 = 0.9, below(0.0, 1.0);
        /// The variance of which a running average is kept.
        pub running_variance: RunningVariance = RunningVariance::Biased;
        /// Standard deviation of the initial gammas, which are normal around 1.
        pub gamma_sd: f64 = 0.0, closed(0.0, 1.0);
    }
}

list! {
    /// Variances.
    pub enum RunningVariance {
        /// That which normalises, the mean of the squared deviations, as in the code of the large study of 2018.
        "biased" => Biased,
        /// n / (n - 1) of it, as in PyTorch.
        "unbiased" => Unbiased,
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
        let (deviation, var) = centred(build, x, self.decay, self.running_variance);
        let scale = gamma * (var + self.epsilon).rsqrt();
        deviation * scale + beta
    }

    fn sees_batch(&self) -> bool {
        true
    }
}

/// x minus the mean of each channel, and the variance of each channel, [c]: of the minibatch, which moves the running
/// averages `mean` and `var`, or these.
#[track_caller]
pub(super) fn centred<'g>(
    build: &mut Build<'g>,
    x: Var<'g>,
    decay: f64,
    running_variance: RunningVariance,
) -> (Var<'g>, Var<'g>) {
    let shape = x.shape();
    let c = shape.dims().last().copied().unwrap_or(1);
    let axes: Vec<usize> = (0..shape.rank().saturating_sub(1)).collect();
    let running_mean = build.buffer("mean", [c], Initial::Constant(0.0));
    let running_var = build.buffer("var", [c], Initial::Constant(1.0));
    if !build.uses_batch_statistics() {
        return (x - running_mean, running_var);
    }
    let [mean, var] = x.moments(&axes);
    let (deviation, var) = (x - mean, var.reshape([c]));
    let n = (shape.elements() / c.max(1)) as f64;
    let kept = match running_variance {
        RunningVariance::Unbiased if n > 1.0 => var * (n / (n - 1.0)),
        _ => var,
    };
    for (name, old, new) in [
        ("mean", running_mean, mean.reshape([c])),
        ("var", running_var, kept),
    ] {
        let new = old * decay + new * (1.0 - decay);
        build.update(name, new.detach());
    }
    (deviation, var)
}

/// As a layer of its own.
impl LayerRule for BatchNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        Norm::forward(self, build, x)
    }

    fn sees_batch(&self) -> bool {
        true
    }
}
