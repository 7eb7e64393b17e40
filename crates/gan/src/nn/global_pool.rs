//! Each channel of an image as one number.

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::{Build, LayerRule, Misfit, image_of, needs_image};

settings! {
    /// The mean of each channel over the image.
    ///
    /// y[b, c] = mean over i, j of x[b, i, j, c]          x [b, h, w, c], y [b, c]
    #[derive(Copy)]
    pub struct GlobalMeanPool {}
}

impl LayerRule for GlobalMeanPool {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let [_, _, c] = image_of(x);
        x.mean_axes(&[1, 2]).reshape([x.shape().dims()[0], c])
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        needs_image("a pool", input).map(|_| ())
    }

    fn wants_images(&self) -> bool {
        true
    }
}

settings! {
    /// The sum of each channel over the image.
    ///
    /// y[b, c] = sum over i, j of x[b, i, j, c]          x [b, h, w, c], y [b, c]
    #[derive(Copy)]
    pub struct GlobalSumPool {}
}

impl LayerRule for GlobalSumPool {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let [_, _, c] = image_of(x);
        x.sum_axes(&[1, 2]).reshape([x.shape().dims()[0], c])
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        needs_image("a pool", input).map(|_| ())
    }

    fn wants_images(&self) -> bool {
        true
    }
}
