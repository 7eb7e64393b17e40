//! The Wasserstein game: D is a critic.

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::{Judged, Objective};

settings! {
    /// Wasserstein: D, a critic, raises its outputs for real and lowers them for generated examples; G raises them. What
    /// keeps the critic from growing without bound is not of the loss: `discriminator.clip`, a penalty or spectral norm.
    ///
    /// D: L = -mean real + mean fake      dL/dreal = -1/b,  dL/dfake = 1/b;  -L estimates the Wasserstein-1 distance times
    ///    the Lipschitz bound of the critic
    /// G: L = -mean fake
    /// source: Arjovsky et al. 2017, Wasserstein GAN, algorithm 1
    #[derive(Copy)]
    pub struct Wasserstein {}
}

impl Objective for Wasserstein {
    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        fake.d.mean() - real.d.mean()
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        -fake.d.mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::tests::{Pairs, assert_near};

    /// A point at 0 and one at t, and the best critic of slope 1: the distance, where the Jensen-Shannon divergence is
    /// log 2 for every t.
    #[test]
    fn the_loss_of_the_best_critic_is_minus_the_distance() {
        for t in [-3.0, -0.01, 0.5, 20.0f64] {
            let critic = |x: f64| -t.signum() * x;
            let pairs = Pairs::of(&[critic(0.0)], &[critic(t)]);
            let found = pairs.find(&Wasserstein {}, "d").unwrap();
            assert_near(&found, &[-t.abs()], "distance");
        }
    }
}
