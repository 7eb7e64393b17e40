//! R2: D's gradient at generated examples, towards 0.

use ganforge_settings::{above, settings};
use ganforge_tensor::{Result, Var};

use super::{At, Penalty, squared_slopes};

settings! {
    /// weight/2 · mean ‖∇D(G(z))‖₂² at generated examples G(z)
    ///
    /// source: Mescheder, Geiger and Nowozin 2018, Which Training Methods for GANs do actually Converge?, equation 10 (γ = 10)
    #[derive(Copy)]
    pub struct R2 {
        /// Its factor, γ.
        pub weight: f64 = 10.0, above(0.0, 1e6);
    }
}

impl Penalty for R2 {
    #[track_caller]
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>> {
        Ok(squared_slopes(at.fake.d, at.fake.x)?.mean() * (self.weight / 2.0))
    }

    fn uses_loss_pass(&self) -> bool {
        true
    }
}
