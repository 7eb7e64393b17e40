//! The affine map of layers that have one.

use ganforge_settings::{Reader, ZeroIsNone, closed, settings, whole};
use ganforge_tensor::Var;

use super::Build;
use crate::config::{Bias, Biases, Init, Inits, MANY};
use crate::tensors::Initial;

settings! {
    /// x · w + b
    pub struct Affine {
        /// Number of outputs.
        #[shown("128, in G's last layer the size of an example, in D's last layer 1")]
        pub units: usize = 128, whole(1, MANY);
        /// Initial weights.
        pub init: Init = Init::Glorot, Inits;
        /// Initial biases: a number; `"marginals"`, log(p / (1 - p)) of each pixel's mean p over the training data, p
        /// clipped to [1e-7, 1 - 1e-7]; or `"run"`, those of the layer from which the weights are taken.
        pub bias: Bias = Bias::Constant(0.0), Biases;
        /// Largest L2 norm of a column of the weights, enforced after each update; 0: no constraint.
        pub max_col_norm: Option<f64> = None, ZeroIsNone(closed(0.0, 1e6));
    }
    check Affine::check;
}

impl Affine {
    fn check(&mut self, table: &Reader<'_>) {
        if matches!(self.init, Init::Run(_)) != (self.bias == Bias::Run) {
            let message =
                "= \"run\" and init = { run = .. } go together: both come from the same layer";
            table.fault("bias", message);
        }
    }

    /// x · w + b with `pieces` outputs per unit          x [b, inputs], w [inputs, units·pieces], b [units·pieces]
    #[track_caller]
    pub(super) fn of<'g>(&self, build: &mut Build<'g>, x: Var<'g>, pieces: usize) -> Var<'g> {
        let inputs = x.shape().dims().last().copied().unwrap_or(1);
        let outputs = self.units.saturating_mul(pieces);
        let (init, bias) = (&self.init, Initial::of_bias(self.bias, &self.init));
        let fans = [inputs, outputs];
        let w = build.weights("w", fans, fans, init.into(), self.max_col_norm);
        let b = build.param("b", [outputs], bias);
        x.matmul(w) + b
    }
}
