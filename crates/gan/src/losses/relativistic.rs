//! The relativistic game of pairs.

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::{Judged, Objective};

settings! {
    /// Relativistic: D says of a pair of a real and a generated example which one is real; G turns its answer round.
    ///
    /// D: L = mean softplus(-(real_i - fake_i))      dL/dreal_i = (s - 1)/b,  s = sigmoid(real_i - fake_i)
    /// G: L = mean softplus(-(fake_i - real_i))
    /// source: Jolicoeur-Martineau 2019, The relativistic discriminator, section 4.1; with the penalties r1 and r2 it is the
    /// loss of Huang et al. 2024, The GAN is dead; long live the GAN!
    #[derive(Copy)]
    pub struct Relativistic {}
}

impl Objective for Relativistic {
    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        (fake.d - real.d).softplus().mean()
    }

    fn g_sees_real(&self) -> bool {
        true
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        (fake.beside() - fake.d).softplus().mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::tests::{Pairs, assert_near};

    /// D's loss is that of G where the two kinds change places, and a constant added to D changes neither.
    #[test]
    fn only_the_difference_of_a_pair_counts() {
        let [real, fake] = [[0.5, -1.0], [2.0, 0.25]];
        let find = |real: &[f64], fake: &[f64], what| {
            let pairs = Pairs::of(real, fake);
            pairs.find(&Relativistic {}, what).expect(what)
        };
        assert_near(
            &find(&real, &fake, "d"),
            &find(&fake, &real, "g"),
            "swapped",
        );
        let shifted = [real, fake].map(|outputs| outputs.map(|v| v + 7.0));
        for what in ["d", "g", "d/real", "g/fake"] {
            let found = find(&shifted[0], &shifted[1], what);
            assert_near(&found, &find(&real, &fake, what), what);
        }
    }
}
