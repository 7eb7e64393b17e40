//! An affine map, a normaliser, then an activation.

use ganforge_settings::{Choice, Flat, settings};
use ganforge_tensor::Var;

use super::{
    Activation, Affine, Build, LayerRule, Map, MapMut, NormKind, Parts, PartsMut, Relu, activated,
};

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

    fn parts(&self) -> Parts<'_> {
        Parts {
            map: Map::Affine(&self.affine),
            norm: self.norm.as_ref(),
            activation: Some(&self.activation),
        }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut {
            map: MapMut::Affine(&mut self.affine),
            norm: Some(&mut self.norm),
        }
    }
}
