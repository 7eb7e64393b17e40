//! The relativistic game against the average.

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::{Judged, Objective};

settings! {
    /// Relativistic, against the average: D says of an example whether it is more real than the other kind is on average.
    ///
    /// D: L = mean softplus(-(real - mean fake)) + mean softplus(fake - mean real)
    /// G: L = mean softplus(-(fake - mean real)) + mean softplus(real - mean fake)
    /// source: Jolicoeur-Martineau 2019, The relativistic discriminator, section 4.2; the released code halves both
    #[derive(Copy)]
    pub struct RelativisticAverage {}
}

/// The loss that is low where `high` is above the mean of `low` and `low` below that of `high`.
#[track_caller]
fn apart<'g>(high: Var<'g>, low: Var<'g>) -> Var<'g> {
    (low.mean() - high).softplus().mean() + (low - high.mean()).softplus().mean()
}

impl Objective for RelativisticAverage {
    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        apart(real.d, fake.d)
    }

    fn g_sees_real(&self) -> bool {
        true
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        apart(fake.d, fake.beside())
    }
}
