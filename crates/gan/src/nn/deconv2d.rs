//! A transposed convolution, a normaliser, then an activation.

use ganforge_settings::{Choice, Flat, settings};
use ganforge_tensor::Var;

use super::{
    Activation, Build, Filters, LayerRule, Map, MapMut, Misfit, NormKind, Parts, PartsMut, Relu,
    activated, as_image,
};

settings! {
    /// A transposed convolution, called deconvolution in GANs: the exact adjoint of the convolution from its output to its
    /// input, which enlarges an image by `stride`.
    ///
    /// y = f(norm(convᵀ(x, w) + b))          x [b, h, w, c], w [kh, kw, channels, c], y [b, H, W, channels]
    ///
    /// With padding = "same" H = h · stride; with a padding of p H = (h - 1) · stride + kernel - 2p, which is
    /// PyTorch's `ConvTranspose2d`: 4x4, stride 2, padding 1 doubles an image; 4x4, stride 1, padding 0 makes 4x4 of a
    /// single place. A vector of n values counts as an image of one place and n channels.
    pub struct Deconv2d {
        /// The function.
        pub activation: Activation = Activation::Relu(Relu {});
        /// The deconvolution before it.
        pub filters: Filters = Filters::default(), Flat;
        /// What normalises the pre-activations, channel by channel.
        pub norm: Option<NormKind> = None, Choice;
    }
}

impl LayerRule for Deconv2d {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let y = self.filters.deconvolved(build, x);
        let y = self.filters.weights.plus_bias(build, y);
        activated(build, y, self.norm.as_ref(), &self.activation)
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        self.filters.fits_backwards(as_image(input)?)
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
