//! Energy-based GAN: D is an auto-encoder.

use ganforge_settings::{above, list, settings};
use ganforge_tensor::Var;

use super::margin::share_above_0;
use super::{Form, Judged, Objective};

settings! {
    /// Energy-based: D is an auto-encoder, and what it says of an example is its energy, the error with which it
    /// reconstructs it. D lowers that of real examples and raises that of generated ones up to a margin; G lowers it.
    ///
    /// D: L = mean E(x) + mean (margin - E(G(z)))₊, a hinge for each example      dL/dE(G(z)) = -1/b where E < margin
    /// G: L = mean E(G(z))
    /// E(x) = ‖Dec(Enc(x)) - x‖₂, or the mean of the squares
    /// source: Zhao et al. 2017, Energy-based Generative Adversarial Networks, section 2.1
    #[derive(Copy)]
    pub struct Ebgan {
        /// The energy that D brings generated examples to; on the scale of `energy`.
        pub margin: f64 = 10.0, above(0.0, 1e9);
        /// The measure of the error.
        pub energy: Energy = Energy::Norm;
    }
}

list! {
    /// The measure of a reconstruction's error, over all values of an example.
    pub enum Energy {
        /// The root of the sum of squares, as in the paper.
        "norm" => Norm,
        /// The mean of the squares, as in the code that most copies follow.
        "mse" => Mse,
    }
}

impl Energy {
    /// `[b, 1]` of reconstructions of examples, both `[b, data]`.
    #[track_caller]
    pub(super) fn of<'g>(self, output: Var<'g>, x: Var<'g>) -> Var<'g> {
        match self {
            Energy::Norm => (output - x).sample_norms(1e-12),
            Energy::Mse => {
                let values = x.shape().dims()[1] as f64;
                (output - x).square().sum_axes(&[1]) * (1.0 / values)
            }
        }
    }
}

/// D's loss.
#[track_caller]
pub(super) fn hinged<'g>(real: &Judged<'g>, fake: &Judged<'g>, margin: f64) -> Var<'g> {
    real.d.mean() + (margin - fake.d).relu().mean()
}

impl Objective for Ebgan {
    fn form(&self) -> Form {
        Form::Example
    }

    #[track_caller]
    fn head<'g>(&self, output: Var<'g>, x: Var<'g>, _labels: Option<Var<'g>>) -> Var<'g> {
        self.energy.of(output, x)
    }

    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        hinged(real, fake, self.margin)
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        fake.d.mean()
    }

    /// The share of generated examples whose energy is below the margin.
    fn monitors(&self) -> &'static [&'static str] {
        &["active"]
    }

    #[track_caller]
    fn watch<'g>(&self, _name: &str, _real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        share_above_0(self.margin - fake.d)
    }
}
