//! Channels as pixels.

use ganforge_settings::{settings, whole};
use ganforge_tensor::Var;

use super::{Build, LayerRule, Misfit, needs_image};

settings! {
    /// Each group of factor² channels as a square of pixels: depth to space.
    ///
    /// y[b, i·r + u, j·r + v, k] = x[b, i, j, (u·r + v)·c + k]          x [b, h, w, c·r²], y [b, h·r, w·r, c]
    /// source: Shi et al. 2016, Real-Time Single Image and Video Super-Resolution, equation 4, which takes channel
    /// k·r² + u·r + v, as PyTorch does
    #[derive(Copy)]
    pub struct PixelShuffle {
        /// How many times as high and as wide, r.
        pub factor: usize = 2, whole(1, 100);
    }
}

impl LayerRule for PixelShuffle {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x.pixel_shuffle(self.factor)
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        let [_, _, c] = needs_image("a pixel shuffle", input)?;
        let pixels = self.factor * self.factor;
        if c.is_multiple_of(pixels) {
            return Ok(());
        }
        let message = format!(
            "= {} needs channels in groups of {pixels}, and its input has {c}",
            self.factor
        );
        Err(Misfit::new("factor", message))
    }

    fn wants_images(&self) -> bool {
        true
    }
}
