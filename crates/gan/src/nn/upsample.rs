//! Larger images without weights.

use ganforge_settings::{list, settings, whole};
use ganforge_tensor::Var;

use super::{Build, LayerRule, Misfit, image_of, needs_image};

settings! {
    /// An image `factor` times as high and as wide.          x [b, h, w, c], y [b, h·factor, w·factor, c]
    #[derive(Copy)]
    pub struct Upsample {
        /// How many times as high and as wide.
        pub factor: usize = 2, whole(1, 100);
        /// What the new pixels are.
        pub between: Between = Between::Nearest;
    }
}

list! {
    /// Pixels between those of an image that becomes larger.
    pub enum Between {
        /// Each pixel, repeated.
        "nearest" => Nearest,
        /// Interpolated between the four nearest centres of pixels.
        "bilinear" => Bilinear,
        /// 0: each pixel stands at the upper left of its square, as in the residual blocks of the large study of 2018.
        "zeros" => Zeros,
    }
}

impl LayerRule for Upsample {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        match self.between {
            Between::Nearest => x.upsample_nearest(self.factor),
            Between::Zeros => x.unpool_zeros(self.factor),
            Between::Bilinear => {
                let [h, w, _] = image_of(x);
                x.resize_bilinear([h, w].map(|side| side.saturating_mul(self.factor)))
            }
        }
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        needs_image("an enlargement", input).map(|_| ())
    }

    fn wants_images(&self) -> bool {
        true
    }
}
