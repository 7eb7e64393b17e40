//! The minimax game, whose value G minimises as it stands.

use ganforge_settings::{closed, settings};
use ganforge_tensor::Var;

use super::ns::cross_entropy;
use super::{Judged, Objective, Won};

settings! {
    /// Binary cross-entropy, minimax: D classifies real and generated examples; G lowers the value of D's game, which
    /// leaves it next to no gradient while D is sure.
    ///
    /// D: as that of ns
    /// G: L = -mean softplus(fake) = mean log(1 - D(G(z)))      dL/dfake = -s/b,  s = sigmoid(logit)
    /// source: Goodfellow et al. 2014, equation 1; docs/book/src/loss-from-logits.md
    #[derive(Copy)]
    pub struct Minimax {
        /// Whether D's loss has the factor 1/2 of the released code.
        pub half: bool = false;
        /// The label of real examples in D's loss; below 1 it is smoothed on one side.
        pub real_label: f64 = 1.0, closed(0.5, 1.0);
        /// Cases that are won already: left out of the losses.
        pub won: Option<Won> = None;
    }
}

impl Objective for Minimax {
    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        cross_entropy(
            real.d,
            fake.d,
            self.half,
            self.real_label,
            self.won.as_ref(),
        )
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        -Won::of_g(self.won.as_ref(), fake.d, fake.d.softplus()).mean()
    }

    #[track_caller]
    fn shown<'g>(&self, d: Var<'g>) -> Var<'g> {
        d.sigmoid()
    }
}
