//! An affine map, then an activation.

use std::ops::RangeInclusive;

use ganforge_settings::{Flat, settings};
use ganforge_tensor::Var;

use super::{Activation, Affine, Build, LayerRule, Relu};

settings! {
    /// An element-wise function of `units` pre-activations.
    ///
    /// y = f(x · w + b)          x [b, inputs], w [inputs, units], y [b, units]
    pub struct Linear {
        /// The function.
        pub activation: Activation = Activation::Relu(Relu {});
        /// The map before it.
        pub affine: Affine = Affine::default(), Flat;
    }
}

impl LayerRule for Linear {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        self.activation.of(self.affine.of(build, x, 1))
    }

    fn range(&self) -> RangeInclusive<f32> {
        self.activation.range()
    }

    fn affine(&self) -> Option<&Affine> {
        Some(&self.affine)
    }

    fn affine_mut(&mut self) -> Option<&mut Affine> {
        Some(&mut self.affine)
    }
}
