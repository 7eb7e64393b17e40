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
