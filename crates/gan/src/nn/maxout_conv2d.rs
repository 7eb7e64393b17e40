//! A convolution, then the maximum over pieces.

use ganforge_settings::{Flat, settings, whole};
use ganforge_tensor::Var;

use super::{Build, Filters, LayerRule, Map, MapMut, Misfit, Parts, PartsMut, needs_image};

settings! {
    /// A convolution, then at each place the maximum over `pieces` consecutive of `channels * pieces` channels.
    ///
    /// y[.., o] = max over p of (conv(x, w) + b)[.., o·pieces + p]          x [b, h, w, c], y [b, oh, ow, channels]
    /// source: Goodfellow et al. 2013, Maxout Networks, section 2
    pub struct MaxoutConv2d {
        /// Pre-activations per channel.
        pub pieces: usize = 2, whole(1, 1000);
        /// The convolution before it.
        pub filters: Filters = Filters::default(), Flat;
    }
}

impl LayerRule for MaxoutConv2d {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let outputs = self.filters.channels.saturating_mul(self.pieces);
        let y = self.filters.convolved(build, x, outputs);
        let y = self.filters.weights.plus_bias(build, y);
        build.note_preactivation(y);
        y.maxout(self.pieces)
    }

    fn fits(&self, input: &[usize]) -> Result<(), Misfit> {
        self.filters.fits(needs_image("a convolution", input)?)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            map: Map::Filters(&self.filters),
            ..Parts::default()
        }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut {
            map: MapMut::Filters(&mut self.filters),
            ..PartsMut::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::Graph;

    #[test]
    fn a_channel_is_the_largest_of_its_neighbouring_pieces() {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        build.at("D", "h");
        build.set("D.h.w", graph.input("w", [1, 1, 1, 4]));
        build.set("D.h.b", graph.input("b", [4]));
        let layer = MaxoutConv2d {
            pieces: 2,
            filters: Filters {
                channels: 2,
                kernel: [1, 1],
                ..Filters::default()
            },
        };
        let y = layer.forward(&mut build, graph.input("x", [1, 1, 2, 1]));
        assert_eq!(y.shape().dims(), [1, 1, 2, 2]);
        let feeds = [
            ("x", vec![1.0, -2.0]),
            ("w", vec![1.0, -1.0, 3.0, 2.0]),
            ("b", vec![0.0, 0.5, 0.0, -1.0]),
        ];
        assert_eq!(y.evaluate(&feeds).expect("values"), [1.0, 3.0, 2.5, -5.0]);
    }
}
