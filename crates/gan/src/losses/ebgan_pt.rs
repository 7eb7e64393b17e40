//! Energy-based GAN with a pulling-away term.

use ganforge_settings::{above, closed, is_name, settings, text};
use ganforge_tensor::Var;

use super::ebgan::{Energy, hinged};
use super::margin::share_above_0;
use super::{Form, Judged, Objective};

settings! {
    /// Energy-based with a pulling-away term: as ebgan, and G also makes the codes of a minibatch of its samples, what
    /// the layer `code` of D gives, orthogonal to each other.
    ///
    /// G: L = mean E(G(z)) + weight · PT(S),  PT(S) = 1/(b(b - 1)) Σ_i Σ_{j≠i} (s_i·s_j / (‖s_i‖ ‖s_j‖))²
    /// source: Zhao et al. 2017, Energy-based Generative Adversarial Networks, section 2.4
    pub struct EbganPt {
        /// The energy that D brings generated examples to; on the scale of `energy`.
        pub margin: f64 = 10.0, above(0.0, 1e9);
        /// The measure of the error.
        pub energy: Energy = Energy::Norm;
        /// The weight of the pulling-away term.
        pub weight: f64 = 0.1, closed(0.0, 1e6);
        /// The layer of D whose outputs are the codes.
        pub code: String = "h0".to_owned(), text("the name of a layer", is_name);
    }
}

/// How far the rows of s `[b, n]` are from being orthogonal: 0 if they are, 1 if they all lie on one line.
#[track_caller]
pub fn pulling_away(s: Var<'_>) -> Var<'_> {
    let b = s.shape().dims()[0] as f64;
    let unit = s / s.sample_norms(1e-12);
    let cosines = unit.matmul(unit.transpose(&[1, 0]));
    // Each row with itself counts 1.
    (cosines.square().sum() - b) * (1.0 / (b * (b - 1.0)))
}

impl Objective for EbganPt {
    fn form(&self) -> Form {
        Form::Example
    }

    fn code(&self) -> Option<&str> {
        Some(&self.code)
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
        let energy = fake.d.mean();
        match fake.code {
            Some(code) => energy + pulling_away(code) * self.weight,
            None => energy,
        }
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
