//! A gradient penalty between real and generated examples, towards 0.

use ganforge_settings::{above, settings};
use ganforge_tensor::{Result, Var};

use super::{At, Penalty};

settings! {
    /// weight · mean ‖∇D(x~)‖₂²,  x~ = alpha·x + (1 - alpha)·G(z), one alpha per example
    ///
    /// source: Thanh-Tung, Tran and Venkatesh 2019, Improving Generalization and Stability of Generative Adversarial Networks
    #[derive(Copy)]
    pub struct ZeroCentred {
        /// Its factor, λ.
        pub weight: f64 = 10.0, above(0.0, 1e6);
    }
}

impl Penalty for ZeroCentred {
    #[track_caller]
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>> {
        let between = at.between_real_and_fake();
        Ok(at.squared_slopes(between)?.mean() * self.weight)
    }
}
