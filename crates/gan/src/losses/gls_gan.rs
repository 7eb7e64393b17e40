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

impl Objective for GlsGan {
    #[track_caller]
    fn head<'g>(&self, output: Var<'g>, _x: Var<'g>, _labels: Option<Var<'g>>) -> Var<'g> {
        self.output.of(output)
    }

    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        let margins = margins(self.distance, self.tau, real, fake);
        misses(margins, real, fake).leaky_relu(self.slope).mean()
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
