//! The same line for every value.

use ganforge_settings::{closed, settings};
use ganforge_tensor::Var;

use super::{Build, LayerRule};

settings! {
    /// factor * x + offset: with 2 and -1 pixels from 0 to 1 become values from -1 to 1.
    #[derive(Copy)]
    pub struct Scale {
        /// Factor.
        pub factor: f64 = 1.0, closed(-1e6, 1e6);
        /// Added to the product.
        pub offset: f64 = 0.0, closed(-1e6, 1e6);
    }
}

impl LayerRule for Scale {
    #[track_caller]
    fn forward<'g>(&self, _: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        x * self.factor + self.offset
    }
}
