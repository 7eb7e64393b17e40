//! Values in another shape.

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::{Build, LayerRule, Misfit, flat};
use crate::config::ImageShape;

settings! {
    /// The same values as an image, row by row, its channels side by side.
    ///
    /// y [b, h, w, c] = x [b, h·w·c]
    #[derive(Copy)]
    pub struct Reshape {
        /// Height, width and channels.
        pub shape: [usize; 3] = [1, 1, 1], ImageShape;
    }
}

impl LayerRule for Reshape {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let [h, w, c] = self.shape;
        x.reshape([x.shape().dims().first().copied().unwrap_or(1), h, w, c])
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        let (values, got) = (
            self.shape.iter().product::<usize>(),
            input.iter().product::<usize>(),
        );
        if values == got {
            return Ok(());
        }
        let message = format!(
            "= {:?} has {values} values, the layer's input {got}",
            self.shape
        );
        Err(Misfit::new("shape", message))
    }

    fn shrink(&mut self, width: usize, side: usize) {
        let [h, w, c] = self.shape;
        self.shape = [h.min(side), w.min(side), c.min(width / 2)];
    }
}

settings! {
    /// The values of an image as a vector, row by row, the channels side by side.
    ///
    /// y [b, h·w·c] = x [b, h, w, c]
    #[derive(Copy)]
    pub struct Flatten {}
}

impl LayerRule for Flatten {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        flat(x)
    }
}
