//! Generalised LS-GAN: a family of costs from LS-GAN to WGAN.

use ganforge_settings::{closed, settings};
use ganforge_tensor::Var;

use super::margin::{Distance, MONITORS, Output, margins, misses, watch};
use super::{Judged, Objective};

settings! {
    /// Generalised loss-sensitive (GLS-GAN): as ls-gan, but a pair that keeps its margin counts with a factor. Slope 0 is
    /// LS-GAN, slope 1 the Wasserstein critic f = -L, slope -1 the absolute value.
    ///
    /// D: L = mean C(tau ‖x_i - G(z_i)‖ + L(x_i) - L(G(z_i))),  C(a) = a above 0, slope · a below
    /// G: L = mean L(G(z))
    /// C(a) >= a, which the theory asks for, holds for slopes up to 1.
    /// source: Qi 2018, the same paper, section 5, and its released code
    #[derive(Copy)]
    pub struct GlsGan {
        /// The margin per unit of distance.
        pub tau: f64 = 0.0002, closed(0.0, 1e6);
        /// The slope of the cost below 0.
        pub slope: f64 = 0.0, closed(-1000.0, 1.0);
        /// The distance of a pair.
        pub distance: Distance = Distance::L1;
        /// What L is of D's last output.
        pub output: Output = Output::Linear;
    }
}

impl GlsGan {
    /// C(a).
    #[track_caller]
    fn cost<'g>(&self, a: Var<'g>) -> Var<'g> {
        a.leaky_relu(self.slope)
    }
}

impl Objective for GlsGan {
    #[track_caller]
    fn head<'g>(&self, output: Var<'g>, _x: Var<'g>, _labels: Option<Var<'g>>) -> Var<'g> {
        self.output.of(output)
    }

    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        let margins = margins(self.distance, self.tau, real, fake);
        self.cost(misses(margins, real, fake)).mean()
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
    use crate::losses::tests::{Pairs, assert_near};
    use crate::losses::{Loss, LsGan, Wasserstein};
    use ganforge_tensor::Graph;
    use ganforge_tensor::gradcheck::draw;
    use ganforge_tensor::ops::{In, Range};

    fn of(slope: f64, tau: f64) -> GlsGan {
        GlsGan {
            tau,
            slope,
            ..GlsGan::default()
        }
    }

    fn pairs() -> Pairs {
        let pairs = Pairs::of(&[0.2, -1.0, 2.0], &[0.5, 0.3, -0.4]);
        pairs.with(&[0.0, 0.1, 0.9], &[0.7, -0.2, 0.3])
    }

    #[test]
    fn slope_1_has_the_gradient_of_the_wasserstein_critic_for_any_tau() {
        let negated = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| -v).collect() };
        let critic = Pairs::of(&negated(&pairs().real), &negated(&pairs().fake));
        for what in ["d/real", "d/fake", "g/fake"] {
            let expected = negated(&critic.find(&Wasserstein {}, what).unwrap());
            for tau in [0.0, 0.3, 50.0] {
                let found = pairs().find(&of(1.0, tau), what).unwrap();
                assert_near(&found, &expected, what);
            }
        }
    }

    #[test]
    fn slope_0_is_ls_gan() {
        let ls_gan = LsGan {
            tau: 0.3,
            output: Output::Linear,
            ..LsGan::default()
        };
        for what in ["d", "d/real", "d/fake", "g", "g/fake", "active", "margin"] {
            let [found, expected] = [&of(0.0, 0.3) as &dyn Objective, &ls_gan]
                .map(|loss| pairs().find(loss, what).unwrap());
            assert_eq!(found, expected, "{what}");
        }
    }

    /// a = 0.3·|x - G(z)| + L(x) - L(G(z)): -0.09, -1.21, 2.58.
    #[test]
    fn slope_minus_1_is_the_mean_size() {
        let found = pairs().find(&of(-1.0, 0.3), "d").unwrap();
        assert_near(&found, &[(0.09 + 1.21 + 2.58) / 3.0], "mean |a|");
    }

    #[test]
    fn the_cost_is_not_below_its_argument_up_to_slope_1() {
        let shape = [1000].into();
        let drawn = draw(
            &In {
                shape,
                range: Range::Real(-5.0, 5.0),
            },
            3,
        );
        let drawn: Vec<f64> = drawn.into_iter().map(f64::from).collect();
        let graph = Graph::new();
        let a = graph.input("a", shape);
        let keeps = |slope: f64| {
            let costs = of(slope, 0.0).cost(a).evaluate(&[("a", drawn.clone())]);
            let costs = costs.expect("evaluated");
            costs
                .iter()
                .zip(&drawn)
                .all(|(c, a)| c >= a && (*a < 0.0 || c == a))
        };
        for slope in [-7.0, -1.0, 0.0, 0.5, 1.0] {
            assert!(keeps(slope), "{slope}");
        }
        assert!(!keeps(1.5));
        let error = Loss::called("gls-gan", &["slope = 1.5"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("gls-gan:2: slope must be"), "{error}");
    }
}
