//! The hinge game.

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::{Judged, Objective};

settings! {
    /// Hinge: D pushes its outputs above 1 for real and below -1 for generated examples, and no further; G raises them.
    ///
    /// D: L = mean (1 - real)₊ + mean (1 + fake)₊      dL/dreal = -1/b where real < 1, dL/dfake = 1/b where fake > -1
    /// G: L = -mean fake
    /// source: Lim and Ye 2017, Geometric GAN; Miyato et al. 2018, Spectral Normalization for GANs, equations 16 and 17
    #[derive(Copy)]
    pub struct Hinge {}
}

impl Objective for Hinge {
    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        (1.0 - real.d).relu().mean() + (fake.d + 1.0).relu().mean()
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        -fake.d.mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::tests::{Pairs, assert_near};

    #[test]
    fn outputs_beyond_1_have_no_gradient() {
        let pairs = Pairs::of(&[0.5, 2.0], &[-2.0, 0.0]);
        let find = |what| pairs.find(&Hinge {}, what).expect(what);
        assert_near(&find("d"), &[0.25 + 0.5], "loss");
        assert_near(&find("d/real"), &[-0.5, 0.0], "real");
        assert_near(&find("d/fake"), &[0.0, 0.5], "fake");
        assert_near(&find("g/fake"), &[-0.5, -0.5], "G");
    }
}
