//! Residual blocks.

use ganforge_settings::{Choice, Flat, list, settings, whole};
use ganforge_tensor::Var;
use ganforge_tensor::ops::Window;

use super::{
    Activation, Build, LayerRule, Map, MapMut, Misfit, NormKind, Parts, PartsMut, Relu, Weights,
    image_of, needs_image,
};
use crate::config::{Bias, MANY};

settings! {
    /// Two convolutions, each after a normaliser and an activation, added to one that leads past them.
    ///
    /// ```text
    /// y = conv2(f(norm2(conv1(f(norm1(x)))))) + shortcut(x)          x [b, h, w, c], y [b, h', w', channels]
    /// up:    conv1 and shortcut convolve the image at twice its size, with zeros between its pixels
    /// down:  conv2 and shortcut are followed by a mean over 2x2 pixels
    /// ```
    ///
    /// All three are 3x3 with "same" padding, the shortcut too, also where no size changes; conv1 and the shortcut have c
    /// inputs, conv2 `channels`. Tensors: `conv1.w`, `conv1.b`, `conv2.w`, .. `shortcut.b`, `norm1.gamma`, ..
    ///
    /// Sizes change inside of the convolutions, which then multiply with no zero that was put in and make no pixel that
    /// is averaged away: a quarter and 16/36 of the multiplications, the same numbers up to rounding.
    /// source: Kurach et al. 2019, A Large-Scale Study on Regularization and Normalization in GANs, appendix, and its code
    pub struct Block {
        /// The function before each of the two convolutions.
        pub activation: Activation = Activation::Relu(Relu {});
        /// Channels of the output.
        pub channels: usize = 64, whole(1, MANY);
        /// What becomes of the size of the image.
        pub resize: Resize = Resize::None;
        /// What each of the three convolutions stores.
        pub weights: Weights = Weights::default(), Flat;
        /// What normalises before the activations, channel by channel.
        pub norm: Option<NormKind> = None, Choice;
    }
}

list! {
    /// Sizes of the output of a block.
    pub enum Resize {
        /// That of the input.
        "none" => None,
        /// Twice as high and as wide.
        "up" => Up,
        /// Half as high and as wide.
        "down" => Down,
    }
}

impl Block {
    /// A convolution 3x3, resized.
    #[track_caller]
    fn convolved<'g>(
        &self,
        build: &mut Build<'g>,
        part: &str,
        x: Var<'g>,
        resize: Resize,
    ) -> Var<'g> {
        build.within(part, |build| {
            let [h, w, c] = image_of(x);
            let fans = [c, self.channels].map(|n| n.saturating_mul(9));
            let filters = self.weights.of(build, [3, 3, c, self.channels], fans, 3);
            let same = |h, w| Window::same([h, w], [3, 3], [1, 1]);
            let y = match (resize, build.as_written()) {
                (Resize::None, _) => x.conv2d(filters, same(h, w)),
                (Resize::Up, false) => x.unpool_conv(filters, 2),
                (Resize::Up, true) => x.unpool_zeros(2).conv2d(filters, same(2 * h, 2 * w)),
                (Resize::Down, false) => x.conv_mean_pool(filters, 2),
                (Resize::Down, true) => x.conv2d(filters, same(h, w)).mean_pool([2, 2]),
            };
            self.weights.plus_bias(build, y)
        })
    }

    /// The activation of normalised values.
    #[track_caller]
    fn activated<'g>(&self, build: &mut Build<'g>, part: usize, x: Var<'g>) -> Var<'g> {
        let x = match &self.norm {
            Some(norm) => build.within(&format!("norm{part}"), |build| norm.forward(build, x)),
            None => x,
        };
        build.within(&format!("activation{part}"), |build| {
            build.note_preactivation(x);
            self.activation.of(build, x)
        })
    }
}

impl LayerRule for Block {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let (first, second) = match self.resize {
            Resize::Down => (Resize::None, Resize::Down),
            resize => (resize, Resize::None),
        };
        let shortcut = self.convolved(build, "shortcut", x, self.resize);
        let y = self.activated(build, 1, x);
        let y = self.convolved(build, "conv1", y, first);
        let y = self.activated(build, 2, y);
        self.convolved(build, "conv2", y, second) + shortcut
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        let [h, w, _] = needs_image("a block of convolutions", input)?;
        if matches!(self.weights.bias, Bias::Untied(_)) {
            let message = "= { untied = .. } is of single convolutions";
            return Err(Misfit::new("bias", message));
        }
        if self.resize == Resize::Down && (h % 2, w % 2) != (0, 0) {
            let message = format!(
                "= \"down\" halves images of an even height and width, and its input is {h}x{w}"
            );
            return Err(Misfit::new("resize", message));
        }
        if let Some(norm) = &self.norm {
            let fits = norm.fits(input);
            fits.map_err(|message| Misfit::new("norm", message))?;
        }
        Ok(())
    }

    fn shrink(&mut self, width: usize, _: usize) {
        self.channels = self.channels.min(width / 2);
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            map: Map::Weights(&self.weights),
            norm: self.norm.as_ref(),
            ..Parts::default()
        }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut {
            map: MapMut::Weights(&mut self.weights),
            norm: Some(&mut self.norm),
        }
    }
}
