//! Energy-based GAN with a pulling-away term.

use ganforge_settings::{Flat, closed, is_name, settings, text};
use ganforge_tensor::Var;

use super::ebgan::Energies;
use super::{Form, Judged, Objective, norms};

settings! {
    /// Energy-based with a pulling-away term: as ebgan, and G also makes the codes of a minibatch of its samples, what
    /// the layer `code` of D gives, orthogonal to each other.
    ///
    /// G: L = mean E(G(z)) + weight · PT(S),  PT(S) = 1/(b(b - 1)) Σ_i Σ_{j≠i} (s_i·s_j / (‖s_i‖ ‖s_j‖))²
    /// source: Zhao et al. 2017, Energy-based Generative Adversarial Networks, section 2.4
    pub struct EbganPt {
        /// Energies and how far they are raised.
        pub energies: Energies = Energies::default(), Flat;
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
    let unit = s / norms(s, 1e-12);
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

    fn compares_samples(&self) -> bool {
        true
    }

    #[track_caller]
    fn head<'g>(&self, output: Var<'g>, x: Var<'g>, _labels: Option<Var<'g>>) -> Var<'g> {
        self.energies.of(output, x)
    }

    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        self.energies.hinged(real, fake)
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        let energy = fake.d.mean();
        match fake.code {
            Some(code) => energy + pulling_away(code) * self.weight,
            None => energy,
        }
    }

    fn scalar(&self, epoch: usize) -> Option<(&'static str, f64)> {
        self.energies.scalar(epoch)
    }

    fn monitors(&self) -> &'static [&'static str] {
        self.energies.monitors()
    }

    #[track_caller]
    fn watch<'g>(&self, name: &str, _real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        self.energies.watch(name, fake)
    }

    fn doubt(&self, real: f64, fake: f64) -> Option<String> {
        self.energies.doubt(real, fake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::tests::assert_near;
    use ganforge_tensor::Graph;

    fn of(codes: &[[f64; 2]]) -> f64 {
        let graph = Graph::new();
        let s = graph.input("s", [codes.len(), 2]);
        let term = pulling_away(s).evaluate(&[("s", codes.concat())]);
        term.expect("a number")[0]
    }

    #[test]
    fn the_term_is_the_mean_squared_cosine_of_two_codes() {
        let third = of(&[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]);
        let orthogonal = of(&[[0.0, 2.0], [3.0, 0.0]]);
        let equal = of(&[[0.6, 0.8]; 4]);
        let opposite = of(&[[0.6, 0.8], [-0.6, -0.8]]);
        let found = [third, orthogonal, equal, opposite];
        assert_near(&found, &[1.0 / 3.0, 0.0, 1.0, 1.0], "cosines");
    }

    #[test]
    fn the_length_of_a_code_does_not_matter() {
        let codes = [[0.3, -0.4], [1.0, 0.2], [-0.5, 0.9]];
        let mut scaled = codes;
        scaled[1] = scaled[1].map(|v| 40.0 * v);
        assert_near(&[of(&scaled)], &[of(&codes)], "scaled");
    }
}
