//! A transposed convolution, a normaliser, then an activation.

use std::ops::RangeInclusive;

use ganforge_settings::{Choice, Flat, settings};
use ganforge_tensor::Var;

use super::{
    Activation, Build, Filters, LayerRule, Misfit, NormKind, Relu, Weights, activated, as_image,
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

    fn wants_images(&self) -> bool {
        true
    }

    fn range(&self) -> RangeInclusive<f32> {
        self.activation.range()
    }

    fn weights(&self) -> Option<&Weights> {
        Some(&self.filters.weights)
    }

    fn weights_mut(&mut self) -> Option<&mut Weights> {
        Some(&mut self.filters.weights)
    }

    fn outputs_key(&self) -> &'static str {
        "channels"
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

    fn shrink(&mut self, width: usize, _: usize) {
        self.filters.shrink(width);
    }
}
