//! Means over windows.

use ganforge_settings::{Flat, settings};
use ganforge_tensor::Var;
use ganforge_tensor::ops::Divisor;

use super::{Build, LayerRule, Misfit, Pooling};

settings! {
    /// The mean of each channel over each window.
    ///
    /// y[b, i, j, c] = sum over u, v of x[b, s·i + u - p, s·j + v - p, c] / n          x [b, h, w, c], y [b, oh, ow, c]
    #[derive(Copy)]
    pub struct MeanPool {
        /// Its windows.
        pub windows: Pooling = Pooling::default(), Flat;
        /// Whether cells around the image count as zeros of a mean, or not at all.
        pub counts_padding: bool = false;
    }
}

impl LayerRule for MeanPool {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let divisor = match self.counts_padding {
            true => Divisor::Kernel,
            false => Divisor::Inside,
        };
        x.pool(self.windows.kernel, self.windows.window(x), divisor)
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        self.windows.fits(input)
    }

    fn wants_images(&self) -> bool {
        true
    }
}
