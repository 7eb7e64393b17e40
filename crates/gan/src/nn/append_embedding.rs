//! What is learnt of the class of an example beside its values.

use std::ops::RangeInclusive;

use ganforge_settings::{Flat, Reader, settings, whole};
use ganforge_tensor::Var;

use super::{Activation, Build, Identity, LayerRule, Map, MapMut, Parts, PartsMut, Weights};
use crate::config::{Bias, MANY};

settings! {
    /// The input and behind it `units` values of the class of the example that are learnt: a branch of the network that sees
    /// the class alone. Of images so many further channels, with values of their own for each pixel.
    ///
    /// y [b, n + units] = x [b, n] ++ f(max over p of (w[class] + b)_(j·pieces + p))       w [classes, units·pieces]
    /// of images y [b, h, w, c + units], w [classes, h·w·units·pieces]
    ///
    /// It is a dense layer of the class as zeros and a one, joined with the input: with pieces above 1 a maxout layer.
    /// source: Mirza and Osindero 2014, Conditional Generative Adversarial Nets, section 4.1; channels of images: Denton et al.
    /// 2015, Deep Generative Image Models using a Laplacian Pyramid, section 3.3
    pub struct AppendEmbedding {
        /// Number of classes.
        pub classes: usize = 10, whole(1, MANY);
        /// Values that are appended, of images channels.
        pub units: usize = 1, whole(1, MANY);
        /// Pre-activations per value, of which the largest is taken.
        pub pieces: usize = 1, whole(1, 1000);
        /// The function.
        pub activation: Activation = Activation::Linear(Identity {});
        /// What it stores.
        pub weights: Weights = Weights::default(), Flat;
    }
    check AppendEmbedding::check;
}

impl AppendEmbedding {
    fn check(&mut self, table: &Reader<'_>) {
        if matches!(self.weights.bias, Bias::Untied(_)) {
            table.fault("bias", "= { untied = .. } is of convolutions only");
        }
    }
}

impl LayerRule for AppendEmbedding {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let shape = x.shape();
        let (&[b, .., _], last) = (shape.dims(), shape.rank().saturating_sub(1)) else {
            return x; // a network's examples have values
        };
        let places: usize = shape.dims()[1..last].iter().product();
        let outputs = [places, self.units, self.pieces];
        let outputs = outputs.into_iter().fold(1, usize::saturating_mul);
        let fans = [self.classes, outputs];
        let w = self.weights.of(build, fans, fans, 1);
        let class = build.of_class(w, b);
        let class = self.weights.plus_bias(build, class);
        build.note_preactivation(class);
        let class = match self.pieces {
            1 => class,
            pieces => class.maxout(pieces),
        };
        let mut dims = shape.dims().to_vec();
        dims[last] = self.units;
        let class = self.activation.of(build, class);
        x.concat(class.reshape(dims.as_slice()), last)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            map: Map::Weights(&self.weights),
            ..Parts::default()
        }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut {
            map: MapMut::Weights(&mut self.weights),
            ..PartsMut::default()
        }
    }

    fn wants_images(&self) -> bool {
        false
    }

    fn outputs_key(&self) -> &'static str {
        "units"
    }

    /// Its input is among its outputs.
    fn range(&self) -> RangeInclusive<f32> {
        f32::NEG_INFINITY..=f32::INFINITY
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn shrink(&mut self, width: usize, _: usize) {
        self.units = self.units.min(width / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Relu;
    use ganforge_tensor::Graph;

    /// The layer's output for two examples of the classes 2 and 0 of three with `w` and biases `b`; the gradient of its sum in w.
    fn made(layer: &AppendEmbedding, shape: &[usize], w: &[f64], b: &[f64]) -> [Vec<f64>; 2] {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        build.at("D", "class");
        let x = graph.input("x", shape);
        let y = layer.forward(&mut build, x);
        let stored = graph.param("D.class.w", [3, w.len() / 3]);
        let dw = graph.grad(y.sum(), &[stored]).expect("reached")[0];
        let n: usize = shape.iter().product();
        let at = [
            ("x", (0..n).map(|v| v as f64).collect()),
            ("labels", vec![2.0, 0.0]),
            ("D.class.w", w.to_vec()),
            ("D.class.b", b.to_vec()),
        ];
        [y, dw].map(|var| var.evaluate(&at).expect("evaluated"))
    }

    fn layer(units: usize, pieces: usize) -> AppendEmbedding {
        AppendEmbedding {
            classes: 3,
            units,
            pieces,
            ..AppendEmbedding::default()
        }
    }

    const W: [f64; 12] = [
        1.0, 2.0, -3.0, 4.0, // class 0
        9.0, 9.0, 9.0, 9.0, // class 1
        -5.0, -6.0, 7.0, -8.0,
    ];

    #[test]
    fn the_row_of_the_class_stands_behind_the_values() {
        let relu = AppendEmbedding {
            activation: Activation::Relu(Relu {}),
            ..layer(4, 1)
        };
        let [y, dw] = made(&relu, &[2, 1], &W, &[0.5; 4]);
        assert_eq!(y, [0.0, 0.0, 0.0, 7.5, 0.0, 1.0, 1.5, 2.5, 0.0, 4.5]);
        // No example is of class 1; of the others those below 0 do not matter.
        let expected = [[1.0, 1.0, 0.0, 1.0], [0.0; 4], [0.0, 0.0, 1.0, 0.0]];
        assert_eq!(dw, expected.concat());
    }

    #[test]
    fn with_pieces_it_is_maxout() {
        let [y, _] = made(&layer(2, 2), &[2, 1], &W, &[0.0; 4]);
        assert_eq!(y, [0.0, -5.0, 7.0, 1.0, 2.0, 4.0]);
    }

    #[test]
    fn each_pixel_of_a_further_channel_has_its_own_value() {
        let [y, dw] = made(&layer(2, 1), &[2, 1, 2, 1], &W, &[0.0; 4]);
        let first = [0.0, -5.0, -6.0, 1.0, 7.0, -8.0];
        let second = [2.0, 1.0, 2.0, 3.0, -3.0, 4.0];
        assert_eq!(y, [first, second].concat());
        assert_eq!(dw, [[1.0; 4], [0.0; 4], [1.0; 4]].concat());
    }
}
