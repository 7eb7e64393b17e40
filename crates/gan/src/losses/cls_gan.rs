//! Conditional LS-GAN: D classifies, and its loss function is that of the classification.

use ganforge_settings::{closed, settings};
use ganforge_tensor::Var;

use super::cross_entropy::{cross_entropy, error_rate, log_sum_exp};
use super::margin::{Distance, margins, misses, watch};
use super::{Form, Judged, Objective};

settings! {
    /// Conditional loss-sensitive (CLS-GAN): D has an output for each class, and L(x, y) is the cross-entropy of the label y.
    /// D learns to classify real examples, better than the generated ones of the same classes; G makes its samples easy to
    /// classify as theirs.
    ///
    /// L(x, y) = log Σ_c exp output_c - output_y
    /// D: L = gamma mean L(x, y) + mean (tau ‖x_i - G(z_i)‖ + L(x_i, y_i) - L(G(z_i), y_i))₊
    /// G: L = mean L(G(z), y)
    /// source: Qi 2017, Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities, section 6, and its released
    /// code
    #[derive(Copy)]
    pub struct ClsGan {
        /// The margin per unit of distance.
        pub tau: f64 = 0.0008, closed(0.0, 1e6);
        /// The weight of the mean loss of real examples.
        pub gamma: f64 = 1.0, closed(0.0, 1e6);
        /// The distance of a pair.
        pub distance: Distance = Distance::L1;
    }
}

impl Objective for ClsGan {
    fn form(&self) -> Form {
        Form::Classes
    }

    #[track_caller]
    fn head<'g>(&self, output: Var<'g>, _x: Var<'g>, labels: Option<Var<'g>>) -> Var<'g> {
        match labels {
            Some(labels) => cross_entropy(output, labels),
            // Without a label it is that of the likeliest class.
            None => log_sum_exp(output) - output.maxout(output.shape().dims()[1]),
        }
    }

    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        let margins = margins(self.distance, self.tau, real, fake);
        let hinge = misses(margins, real, fake).relu().mean();
        hinge + real.d.mean() * self.gamma
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        fake.d.mean()
    }

    /// Beside those of pairs the share of real examples that D classifies wrongly.
    fn monitors(&self) -> &'static [&'static str] {
        &["active", "margin", "error"]
    }

    fn has_margin(&self) -> bool {
        true
    }

    #[track_caller]
    fn watch<'g>(&self, name: &str, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        match (name, real.labels) {
            ("error", Some(labels)) => error_rate(real.output, labels),
            _ => watch(
                name,
                margins(self.distance, self.tau, real, fake),
                real,
                fake,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::tests::{Pairs, assert_near};

    /// Two examples of the classes 2 and 0.
    fn pairs(real: [f64; 6], fake: [f64; 6]) -> Pairs {
        let pairs = Pairs::of(&[0.0; 2], &[0.0; 2]);
        Pairs {
            real: real.to_vec(),
            fake: fake.to_vec(),
            labels: vec![2.0, 0.0],
            ..pairs
        }
    }

    const EVEN: [f64; 6] = [0.0; 6];

    #[test]
    fn the_loss_function_is_the_cross_entropy_of_the_label() {
        let loss = ClsGan::default();
        let g = |fake| pairs(EVEN, fake).find(&loss, "g").expect("a loss");
        assert_near(&g(EVEN), &[3f64.ln()], "undecided");
        // Sure, right and wrong; a common constant does not matter, and nothing overflows.
        assert_near(&g([0.0, 0.0, 900.0, 0.0, 900.0, 0.0]), &[450.0], "sure");
        let some = [0.5, -1.0, 2.0, 0.0, 0.25, 1.0];
        assert_near(&g(some.map(|v| v + 800.0)), &g(some), "shifted");
    }

    #[test]
    fn the_error_is_the_share_of_real_examples_of_another_likeliest_class() {
        let loss = ClsGan::default();
        for (right, error) in [(0, 1.0), (1, 0.5), (2, 0.0)] {
            let mut real = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
            for (place, is_right) in [(2, right > 0), (3, right > 1)] {
                real[place] = if is_right { 2.0 } else { 0.0 };
            }
            let found = pairs(real, EVEN).find(&loss, "error").expect("a share");
            assert_eq!(found, [error]);
        }
    }
}
