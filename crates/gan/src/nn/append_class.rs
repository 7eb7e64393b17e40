//! The class of an example beside its values.

use ganforge_settings::{settings, whole};
use ganforge_tensor::Var;

use super::{Build, LayerRule};
use crate::config::MANY;

settings! {
    /// The input and behind it the class of the example as zeros with a one in the place of the class; beside each pixel of
    /// images, as further channels.
    ///
    /// y [b, n + classes] = x [b, n] ++ e[class], of images [b, h, w, c + classes]
    /// source: Mirza and Osindero 2014, Conditional Generative Adversarial Nets, section 3.2
    #[derive(Copy)]
    pub struct AppendClass {
        /// Number of classes.
        pub classes: usize = 10, whole(1, MANY);
    }
}

impl LayerRule for AppendClass {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let shape = x.shape();
        let (b, last) = (
            shape.dims().first().copied().unwrap_or(1),
            shape.rank().saturating_sub(1),
        );
        let mut dims = vec![1; shape.rank()];
        (dims[0], dims[last]) = (b, self.classes);
        let class = build.one_hot(b, self.classes).reshape(dims.as_slice());
        dims[..last].copy_from_slice(&shape.dims()[..last]);
        x.concat(class.broadcast_to(dims.as_slice()), last)
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::Graph;

    /// The layer's output for two examples of the classes 2 and 0 of three.
    fn made(shape: &[usize], x: &[f64]) -> (Vec<usize>, Vec<f64>) {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        let input = graph.input("x", shape);
        let y = AppendClass { classes: 3 }.forward(&mut build, input);
        let at = [("x", x.to_vec()), ("labels", vec![2.0, 0.0])];
        let values = y.evaluate(&at).expect("evaluated");
        (y.shape().dims().to_vec(), values)
    }

    #[test]
    fn the_class_stands_behind_the_values() {
        let (shape, values) = made(&[2, 2], &[5.0, 6.0, 7.0, 8.0]);
        assert_eq!(shape, [2, 5]);
        let expected = [5.0, 6.0, 0.0, 0.0, 1.0, 7.0, 8.0, 1.0, 0.0, 0.0];
        assert_eq!(values, expected);
    }

    #[test]
    fn the_class_stands_behind_the_channels_of_each_pixel() {
        let (shape, values) = made(&[2, 1, 2, 1], &[5.0, 6.0, 7.0, 8.0]);
        assert_eq!(shape, [2, 1, 2, 4]);
        let first = [5.0, 0.0, 0.0, 1.0, 6.0, 0.0, 0.0, 1.0];
        let second = [7.0, 1.0, 0.0, 0.0, 8.0, 1.0, 0.0, 0.0];
        assert_eq!(values, [first, second].concat());
    }
}
