//! Maxima over windows.

use ganforge_settings::{Flat, settings};
use ganforge_tensor::Var;

use super::{Build, LayerRule, Misfit, Pooling};

settings! {
    /// The maximum of each channel over each window; cells around the image do not count.
    ///
    /// y[b, i, j, c] = max over u, v of x[b, s·i + u - p, s·j + v - p, c]          x [b, h, w, c], y [b, oh, ow, c]
    #[derive(Copy)]
    pub struct MaxPool {
        /// Its windows.
        pub windows: Pooling = Pooling::default(), Flat;
    }
}

impl LayerRule for MaxPool {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x.max_pool(self.windows.kernel, self.windows.window(x))
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        self.windows.fits(input)
    }

    fn wants_images(&self) -> bool {
        true
    }
}
