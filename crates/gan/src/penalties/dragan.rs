//! The gradient penalty of DRAGAN, around the data.

use ganforge_settings::{above, list, settings};
use ganforge_tensor::{Result, Var};

use super::{At, Penalty, squared_slopes};

settings! {
    /// weight · mean (√(‖∇D(x~)‖₂² + epsilon) - 1)² at points x~ around real examples
    ///
    /// source: Kodali et al. 2017, On Convergence and Stability of GANs; the two forms and epsilon are those of the released
    /// code of Kurach et al. 2019, A Large-Scale Study on Regularization and Normalization in GANs
    #[derive(Copy)]
    pub struct Dragan {
        /// Its factor, λ.
        pub weight: f64 = 10.0, above(0.0, 1e6);
        /// Where the points are, and what the gradient is of.
        pub form: DraganForm = DraganForm::Noise;
        /// Added under the square root, whose derivative at 0 is infinite.
        pub epsilon: f64 = 1e-4, above(0.0, 1.0);
    }
}

list! {
    /// Points around examples x, with u uniform on [0, 1) for each value and std the standard deviation of all values of the
    /// minibatch.
    pub enum DraganForm {
        /// x + std·(u - 0.5), clipped to the range of the data; the gradient of D's output.
        "noise" => Noise,
        /// x + alpha·0.5·std·u, alpha uniform on [0, 1) for each example; the gradient of the sigmoid of D's output.
        "interpolated" => Interpolated,
    }
}

impl Penalty for Dragan {
    #[track_caller]
    fn term<'g>(&self, at: &At<'_, 'g>) -> Result<Var<'g>> {
        let x = at.real.x;
        let u = at.uniform("", x.shape());
        let squares = match self.form {
            DraganForm::Noise => {
                let points = x + deviation(x) * (u - 0.5);
                let points = match at.range {
                    Some([lo, hi]) => points.clip(lo, hi),
                    None => points,
                };
                at.squared_slopes(points)?
            }
            DraganForm::Interpolated => {
                let alpha = at.uniform("alpha", [x.shape().dims()[0], 1]);
                let points = x + deviation(x) * 0.5 * u * alpha;
                squared_slopes((at.critic)(points).sigmoid(), points)?
            }
        };
        let slope = (squares + self.epsilon).sqrt();
        Ok((slope - 1.0).square().mean() * self.weight)
    }
}

/// The standard deviation of all values of x `[b, data]`, a number: the root of their mean squared distance from their mean.
#[track_caller]
fn deviation(x: Var<'_>) -> Var<'_> {
    (x - x.mean()).square().mean().sqrt()
}
