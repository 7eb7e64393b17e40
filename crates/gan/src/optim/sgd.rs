//! Gradient descent with classical momentum.

use ganforge_settings::{Inline, below, settings, whole};
use ganforge_tensor::Var;

use super::Optimize;
use crate::config::MANY;
use crate::schedule;

settings! {
    /// v <- μ·v - lr·g,  θ <- θ + v, with Nesterov's momentum θ <- θ + μ·v - lr·g
    ///
    /// source: Goodfellow et al. 2014, algorithm 1 ("momentum"); released configurations (μ by epoch); Sutskever et al. 2013,
    /// On the importance of initialization and momentum in deep learning, in the parameters that it evaluates gradients at
    #[derive(Copy)]
    pub struct Sgd {
        /// μ by epoch.
        pub momentum: Momentum = Momentum::default(), Inline;
    }
}

settings! {
    /// Momentum that runs linearly in epochs from `start` to `end` and stays there.
    #[derive(Copy)]
    pub struct Momentum {
        /// Value up to epoch `first`.
        pub start: f64 = 0.0, below(0.0, 1.0);
        /// Value from epoch `last` on.
        #[shown("start", of start)]
        pub end: f64 = start, below(0.0, 1.0);
        /// The last epoch, counted from 1, with the value `start`.
        pub first: usize = 1, whole(1, MANY);
        /// The first epoch with the value `end`; above `first`.
        #[shown("first + 1", of first)]
        pub last: usize = first + 1, whole(first + 1, MANY + 1);
        /// Whether it is Nesterov's: the step then also goes on along the new velocity.
        #[only(start, "start or end above 0", |m| m.start > 0.0 || m.end > 0.0)]
        pub nesterov: bool = false;
    }
}

impl Optimize for Sgd {
    fn slots(&self) -> &'static [&'static str] {
        &["velocity"]
    }

    fn scalars(&self) -> &'static [&'static str] {
        &["momentum"]
    }

    fn reported(&self) -> usize {
        1
    }

    fn values(&self, _: u64, epoch: usize, out: &mut [f64]) {
        out[0] = schedule::momentum(&self.momentum, epoch);
    }

    #[track_caller]
    fn step<'g>(
        &self,
        param: Var<'g>,
        slots: &[Var<'g>],
        grad: Var<'g>,
        scalar: &dyn Fn(&str) -> Var<'g>,
    ) -> (Var<'g>, Vec<Var<'g>>) {
        let lr = scalar("lr");
        let v = slots[0] * scalar("momentum") - grad * lr;
        let new = match self.momentum.nesterov {
            false => param + v,
            true => param + (v * scalar("momentum") - grad * lr),
        };
        (new, vec![v])
    }
}
