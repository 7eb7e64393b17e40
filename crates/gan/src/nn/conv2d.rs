//! A convolution, a normaliser, then an activation.

use ganforge_settings::{Choice, Flat, settings};
use ganforge_tensor::Var;

use super::{
    Activation, Build, Filters, LayerRule, Map, MapMut, Misfit, NormKind, Parts, PartsMut, Relu,
    activated, needs_image,
};

settings! {
    /// A convolution: each of `channels` filters at each place of an image.
    ///
    /// y[b, i, j, o] = f(norm(sum over u, v, c of x[b, s·i + u - p, s·j + v - p, c] · w[u, v, c, o] + b[o]))
    ///
    /// x [b, h, w, c], w [kh, kw, c, channels], y [b, oh, ow, channels]
    pub struct Conv2d {
        /// The function.
        pub activation: Activation = Activation::Relu(Relu {});
        /// The convolution before it.
        pub filters: Filters = Filters::default(), Flat;
        /// What normalises the pre-activations, channel by channel.
        pub norm: Option<NormKind> = None, Choice;
    }
}

impl LayerRule for Conv2d {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let y = self.filters.convolved(build, x, self.filters.channels);
        let y = self.filters.weights.plus_bias(build, y);
        activated(build, y, self.norm.as_ref(), &self.activation)
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        self.filters.fits(needs_image("a convolution", input)?)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            map: Map::Filters(&self.filters),
            norm: self.norm.as_ref(),
            activation: Some(&self.activation),
        }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut {
            map: MapMut::Filters(&mut self.filters),
            norm: Some(&mut self.norm),
        }
    }
}
