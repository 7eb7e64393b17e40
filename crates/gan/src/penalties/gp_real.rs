//! The gradient penalty of LS-GAN's follow-up, at real examples.

use ganforge_settings::{above, settings};
use ganforge_tensor::{Result, Var};

use super::{At, Penalty};

settings! {
    /// weight · mean √(‖∇L(x)‖₂² + epsilon) at real examples x: the norm itself, towards 0
    ///
    /// source: Qi 2017, Loss-Sensitive Generative Adversarial Networks; the penalty is that of its released code with gradient
    /// penalty (weight 10), as is per_pixel
    #[derive(Copy)]
    pub struct GradientPenaltyReal {
        /// Its factor.
        pub weight: f64 = 10.0, above(0.0, 1e6);
        /// Added under the square root, whose derivative at 0 is infinite.
        pub epsilon: f64 = 1e-12, above(0.0, 1.0);
        /// Whether the norm is of the channels of each pixel, and the mean over pixels, as in the released code, instead of
        /// the norm of all of an example.
        pub per_pixel: bool = false;
    }
}

impl Penalty for GradientPenaltyReal {
    #[track_caller]
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>> {
        let slopes = at.real.slopes()?;
        let squares = match (self.per_pixel, at.example) {
            (true, &[h, w, c]) => {
                let pixels = slopes.shape().dims()[0] * h * w;
                slopes.reshape([pixels, c]).square().sum_axes(&[1])
            }
            _ => slopes.square().sum_axes(&[1]),
        };
        Ok((squares + self.epsilon).sqrt().mean() * self.weight)
    }

    fn uses_loss_pass(&self) -> bool {
        true
    }

    fn fits(&self, example: &[usize]) -> Result<(), (&'static str, String)> {
        match (self.per_pixel, example.len()) {
            (true, n) if n != 3 => {
                let message = "is of images, which D sees where a layer of it is of images";
                Err(("per_pixel", message.to_owned()))
            }
            _ => Ok(()),
        }
    }
}
