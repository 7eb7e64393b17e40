//! An affine map, then the maximum over pieces.

use ganforge_settings::{Flat, settings, whole};
use ganforge_tensor::Var;

use super::{Affine, Build, LayerRule, Map, MapMut, Parts, PartsMut};

settings! {
    /// The maximum over `pieces` consecutive of `units * pieces` pre-activations.
    ///
    /// y_j = max over p of (x · w + b)_(j·pieces + p)          x [b, inputs], w [inputs, units·pieces], y [b, units]
    /// source: Goodfellow et al. 2013, Maxout Networks, section 2
    pub struct Maxout {
        /// Pre-activations per unit.
        pub pieces: usize = 5, whole(1, 1000);
        /// The map before it.
        pub affine: Affine = Affine::default(), Flat;
    }
}

impl LayerRule for Maxout {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let x = self.affine.of(build, x, self.pieces);
        build.note_preactivation(x);
        self.affine.shaped(x.maxout(self.pieces))
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            map: Map::Affine(&self.affine),
            ..Parts::default()
        }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut {
            map: MapMut::Affine(&mut self.affine),
            ..PartsMut::default()
        }
    }
}
