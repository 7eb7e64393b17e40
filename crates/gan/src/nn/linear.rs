//! A linear map, then an activation.

use std::ops::RangeInclusive;

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::{Activation, Build, LayerRule, Relu};
use crate::config::Layer;
use crate::tensors::Initial;

settings! {
    /// An element-wise function of `units` pre-activations.
    ///
    /// y = f(x · w + b)          x [b, inputs], w [inputs, units], y [b, units]
    pub struct Linear {
        /// The function.
        pub activation: Activation = Activation::Relu(Relu {});
    }
}

impl LayerRule for Linear {
    #[track_caller]
    fn forward<'g>(&self, layer: &Layer, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        self.activation.of(map(layer, layer.units, build, x))
    }

    fn range(&self) -> RangeInclusive<f32> {
        self.activation.range()
    }
}

/// The pre-activations x · w + b of a layer: [b, outputs].
#[track_caller]
pub(super) fn map<'g>(layer: &Layer, outputs: usize, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
    let inputs = x.shape().dims().last().copied().unwrap_or(1);
    let (init, bias) = (&layer.init, Initial::of_bias(layer.bias, &layer.init));
    let fans = [inputs, outputs];
    let w = build.weights("w", fans, fans, init.into(), layer.max_col_norm);
    let b = build.param("b", [outputs], bias);
    x.matmul(w) + b
}
