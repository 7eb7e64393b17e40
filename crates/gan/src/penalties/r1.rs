//! R1: D's gradient at real examples, towards 0.

use ganforge_settings::{above, settings};
use ganforge_tensor::{Result, Var};

use super::{At, Penalty, squared_slopes};

settings! {
    /// weight/2 · mean ‖∇D(x)‖₂² at real examples x
    ///
    /// source: Mescheder, Geiger and Nowozin 2018, Which Training Methods for GANs do actually Converge?, equation 9 (γ = 10)
    #[derive(Copy)]
    pub struct R1 {
        /// Its factor, γ.
        pub weight: f64 = 10.0, above(0.0, 1e6);
    }
}

impl Penalty for R1 {
    #[track_caller]
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>> {
        Ok(squared_slopes(at.real.d, at.real.x)?.mean() * (self.weight / 2.0))
    }

    fn uses_loss_pass(&self) -> bool {
        true
    }
}
