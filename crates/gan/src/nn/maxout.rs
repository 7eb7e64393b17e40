//! A linear map, then the maximum over pieces.

use ganforge_settings::{settings, whole};
use ganforge_tensor::Var;

use super::{Build, LayerRule, linear};
use crate::config::Layer;

settings! {
    /// The maximum over `pieces` consecutive of `units * pieces` pre-activations.
    ///
    /// y_j = max over p of (x · w + b)_(j·pieces + p)          x [b, inputs], w [inputs, units·pieces], y [b, units]
    /// source: Goodfellow et al. 2013, Maxout Networks, section 2
    #[derive(Copy)]
    pub struct Maxout {
        /// Pre-activations per unit.
        pub pieces: usize = 5, whole(1, 1000);
    }
}

impl LayerRule for Maxout {
    #[track_caller]
    fn forward<'g>(&self, layer: &Layer, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let outputs = layer.units.saturating_mul(self.pieces);
        linear::map(layer, outputs, build, x).maxout(self.pieces)
    }
}
