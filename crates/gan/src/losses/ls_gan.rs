//! Loss-sensitive GAN: D is a loss function, low for what is real.

use ganforge_settings::{closed, settings};
use ganforge_tensor::Var;

use super::margin::{Distance, MONITORS, Output, margins, misses, watch};
use super::{Judged, Objective};

settings! {
    /// Loss-sensitive (LS-GAN; not least squares): D is a loss L, lower for a real example than for the generated one that it
    /// is paired with, by a margin that shrinks as the two come near each other; G lowers L of its samples.
    ///
    /// D: L = gamma mean L(x) + mean (tau ‖x_i - G(z_i)‖ + L(x_i) - L(G(z_i)))₊      dL/dL(x_i) = (gamma + [active])/b
    /// G: L = mean L(G(z)); the margin is a constant to both
    /// source: Qi 2017, Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities, and its released code
    #[derive(Copy)]
    pub struct LsGan {
        /// The margin per unit of distance.
        pub tau: f64 = 0.0002, closed(0.0, 1e6);
        /// The weight of the mean loss of real examples.
        pub gamma: f64 = 0.0, closed(0.0, 1e6);
        /// The distance of a pair.
        pub distance: Distance = Distance::L1;
        /// What L is of D's last output.
        pub output: Output = Output::Relu;
    }
}

impl Objective for LsGan {
    #[track_caller]
    fn head<'g>(&self, output: Var<'g>, _x: Var<'g>, _labels: Option<Var<'g>>) -> Var<'g> {
        self.output.of(output)
    }

    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        let margins = margins(self.distance, self.tau, real, fake);
        let hinge = misses(margins, real, fake).relu().mean();
        match self.gamma {
            0.0 => hinge,
            gamma => hinge + real.d.mean() * gamma,
        }
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        fake.d.mean()
    }

    fn monitors(&self) -> &'static [&'static str] {
        MONITORS
    }

    fn has_margin(&self) -> bool {
        true
    }

    #[track_caller]
    fn watch<'g>(&self, name: &str, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        watch(
            name,
            margins(self.distance, self.tau, real, fake),
            real,
            fake,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::Wasserstein;
    use crate::losses::tests::{Pairs, assert_near};

    fn of(tau: f64, distance: Distance) -> LsGan {
        LsGan {
            tau,
            distance,
            ..LsGan::default()
        }
    }

    #[test]
    fn a_pair_counts_where_it_misses_its_margin_and_else_not() {
        let pair = Pairs::of(&[0.2], &[1.0]).with(&[0.0, 0.0], &[3.0, -4.0]);
        for (distance, length) in [(Distance::L1, 7.0), (Distance::L2, 5.0)] {
            let find = |margin: f64, what| pair.find(&of(margin / length, distance), what).unwrap();
            for (what, kept, missed) in [
                ("d", 0.0, 0.2),
                ("d/real", 0.0, 1.0),
                ("d/fake", 0.0, -1.0),
                ("active", 0.0, 1.0),
                ("margin", 0.5, 1.0),
            ] {
                assert_near(&find(0.5, what), &[kept], what);
                assert_near(&find(1.0, what), &[missed], what);
            }
        }
    }

    #[test]
    fn equal_minibatches_have_no_margin_and_no_loss() {
        let x = [0.3, -0.7, 0.1, 0.9];
        let pairs = Pairs::of(&[0.4, 1.5], &[0.4, 1.5]).with(&x, &x);
        for distance in [Distance::L1, Distance::L2] {
            for what in ["d", "margin", "active"] {
                assert_eq!(
                    pairs.find(&of(3.0, distance), what).unwrap(),
                    [0.0],
                    "{what}"
                );
            }
        }
    }

    #[test]
    fn the_margin_is_a_constant_to_both_networks() {
        let pair = Pairs::of(&[0.2], &[0.1]).with(&[0.0], &[1.0]);
        for what in ["d/gz", "g/gz"] {
            assert!(pair.find(&of(1.0, Distance::L1), what).is_err(), "{what}");
        }
    }

    /// Which real example a generated one is paired with matters, unlike in the Wasserstein game.
    #[test]
    fn permuted_samples_are_other_pairs() {
        let [real, x] = [[0.2, 1.0, 0.6], [0.0, 0.5, 1.0]];
        let pairs = Pairs::of(&real, &[1.1, 0.3, 0.7]).with(&x, &[0.9, 0.2, 0.4]);
        let permuted = Pairs::of(&real, &[0.3, 0.7, 1.1]).with(&x, &[0.2, 0.4, 0.9]);
        let d = |pairs: &Pairs, loss: &dyn Objective| pairs.find(loss, "d").unwrap()[0];
        let loss = of(1.0, Distance::L1);
        assert!((d(&pairs, &loss) - d(&permuted, &loss)).abs() > 0.01);
        let wgan = Wasserstein {};
        assert_near(&[d(&pairs, &wgan)], &[d(&permuted, &wgan)], "wgan");
    }

    #[test]
    fn a_relu_can_die_and_a_softplus_not() {
        let pair = Pairs::of(&[-3.0], &[-2.0]).with(&[0.0], &[1.0]);
        for (output, is_dead) in [(Output::Relu, true), (Output::Softplus, false)] {
            let loss = LsGan {
                output,
                ..of(1.0, Distance::L1)
            };
            for what in ["d/real", "d/fake", "g/fake"] {
                assert_eq!(pair.find(&loss, what).unwrap() == [0.0], is_dead, "{what}");
            }
        }
    }
}
