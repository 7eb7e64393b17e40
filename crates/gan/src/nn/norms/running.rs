//! The running averages of batch normalisation.

use ganforge_settings::{below, list, settings};
use ganforge_tensor::Var;

use crate::nn::Build;
use crate::tensors::Initial;

settings! {
    /// Averages of the means and variances of minibatches, by which samples are normalised.
    #[derive(Copy)]
    pub struct Running {
        /// Share of the running averages that stays at each move; 1 - momentum of PyTorch.
        pub decay: f64 = 0.9, below(0.0, 1.0);
        /// The variance of which a running average is kept.
        pub running_variance: RunningVariance = RunningVariance::Biased;
        /// Forward passes of training that move the running averages.
        pub moves: MovedBy = MovedBy::EachPass;
        /// Whether a minibatch in shards (train.shards) is normalised by the mean and variance of all of it, not shard by shard.
        pub sync: bool = false;
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

list! {
    /// Forward passes of training that move running averages.
    pub enum MovedBy {
        /// All, one after the other: of D those on real and on generated examples, on the points of a penalty, and that of
        /// G's step; of G that of each network's step. So the large study's code and PyTorch do.
        "each_pass" => EachPass,
        /// The last one of each training step, once: of both networks that of G's step; with simultaneous updates of D that on
        /// generated examples, or on the points of its last penalty.
        "last_pass" => LastPass,
        /// Those on real examples, of D: what is generated never moves them.
        "real" => Real,
    }
}

impl Running {
    /// x minus the mean of each channel, and the variance of each channel, `[c]`: of the minibatch, which moves the running
    /// averages `mean` and `var`, or these.
    #[track_caller]
    pub(super) fn centred<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> (Var<'g>, Var<'g>) {
        let shape = x.shape();
        let c = shape.dims().last().copied().unwrap_or(1);
        let axes: Vec<usize> = (0..shape.rank().saturating_sub(1)).collect();
        let running_mean = build.buffer("mean", [c], Initial::Constant(0.0));
        let running_var = build.buffer("var", [c], Initial::Constant(1.0));
        if !build.uses_batch_statistics() {
            return (x - running_mean, running_var);
        }
        let shards = if self.sync { build.shards() } else { 1 };
        let [mean, var] = match shards {
            1 => x.moments(&axes),
            _ => of_all_shards(x.moments(&axes), shards),
        };
        let (deviation, var) = (x - mean, var.reshape([c]));
        if self.moves == MovedBy::Real && !build.is_of_real_examples() {
            return (deviation, var);
        }
        let n = (shards * shape.elements() / c.max(1)) as f64;
        let kept = match self.running_variance {
            RunningVariance::Unbiased if n > 1.0 => var * (n / (n - 1.0)),
            _ => var,
        };
        for (name, now, new) in [
            ("mean", running_mean, mean.reshape([c])),
            ("var", running_var, kept),
        ] {
            let old = match self.moves {
                MovedBy::LastPass => build.at_start(name, now),
                MovedBy::EachPass | MovedBy::Real => now,
            };
            let new = old * self.decay + new * (1.0 - self.decay);
            build.update(name, new.detach());
        }
        (deviation, var)
    }
}

/// Mean and variance of all examples from those that the shards have of their own, which are as many each.
///
/// mean = 1/V Σ mean_i,  var = 1/V Σ var_i + 1/V Σ (mean_i - mean)²     the sums in the order of the shards
///
/// source: Chan, Golub and LeVeque 1983, Algorithms for Computing the Sample Variance, equation 2.1, of equal parts
#[track_caller]
fn of_all_shards<'g>(own: [Var<'g>; 2], shards: usize) -> [Var<'g>; 2] {
    let shape = own[0].shape();
    let c = shape.elements();
    let [mean, var] = own.map(|v| v.reshape([1, c]));
    let all = mean.concat(var, 1).all_gather(shards);
    let means = all.slice([0, 0], [shards, c]);
    let vars = all.slice([0, c], [shards, c]);
    let mean = means.mean_axes(&[0]);
    let var = vars.mean_axes(&[0]) + (means - mean).square().mean_axes(&[0]);
    [mean, var].map(|v| v.reshape(shape))
}
