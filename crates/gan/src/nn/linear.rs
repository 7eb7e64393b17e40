//! An affine map, a normaliser, then an activation.

use std::ops::RangeInclusive;

use ganforge_settings::{Choice, Flat, settings};
use ganforge_tensor::Var;

use super::{Activation, Affine, Build, LayerRule, NormKind, Relu, Weights, activated};

settings! {
    /// An element-wise function of `units` pre-activations.
    ///
    /// y = f(norm(x · w + b))          x [b, inputs] or [b, h, w, c], w [inputs, units], y [b, units] or [b, shape]
    pub struct Linear {
        /// The function.
        pub activation: Activation = Activation::Relu(Relu {});
        /// The map before it.
        pub affine: Affine = Affine::default(), Flat;
        /// What normalises the pre-activations, of an image each channel.
        pub norm: Option<NormKind> = None, Choice;
    }
}

impl LayerRule for Linear {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let x = self.affine.shaped(self.affine.of(build, x, 1));
        activated(build, x, self.norm.as_ref(), &self.activation)
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

    fn weights(&self) -> Option<&Weights> {
        Some(&self.affine.weights)
    }

    fn weights_mut(&mut self) -> Option<&mut Weights> {
        Some(&mut self.affine.weights)
    }

    fn norm(&self) -> Option<&NormKind> {
        self.norm.as_ref()
    }

    fn norm_mut(&mut self) -> Option<&mut Option<NormKind>> {
        Some(&mut self.norm)
    }

    fn activation(&self) -> Option<&Activation> {
        Some(&self.activation)
    }

    fn shrink(&mut self, width: usize, side: usize) {
        self.affine.shrink(width, side);
    }
}
