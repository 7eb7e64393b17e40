//! Weight normalisation.

use ganforge_settings::{UnlessZero, settings, whole};
use ganforge_tensor::Var;

use super::Transform;
use crate::nn::Build;
use crate::tensors::Initial;

settings! {
    /// The weights of each output divided by their L2 norm, times a gain of the output, `g`, 1 at first.
    ///
    /// w'_o = g_o · w_o / ‖w_o‖
    /// source: Salimans and Kingma 2016, Weight Normalization, equation 2; section 3 of where g begins
    #[derive(Copy)]
    pub struct WeightNorm {
        /// So many training images, drawn at random, choose where g and the biases begin, layer by layer: what comes out of the map
        /// has mean 0 and variance 1 of them, as it is in training, with noise and dropout; 0: g begins at 1.
        pub images: Option<usize> = None, UnlessZero(whole(0, 1_000_000));
        /// Whether g is learnt. Otherwise it stays where it begins, and no layer can outgrow the noise on its outputs.
        pub learnt: bool = true;
    }
}

impl Transform for WeightNorm {
    #[track_caller]
    fn of<'g>(&self, build: &mut Build<'g>, w: Var<'g>, outputs: usize) -> Var<'g> {
        let shape = w.shape();
        let mut of_outputs = vec![1; shape.rank()];
        of_outputs[outputs] = shape.dims()[outputs];
        let (n, one) = ([shape.dims()[outputs]], Initial::Constant(1.0));
        let gain = match self.learnt {
            true => build.param("g", n, one),
            false => build.buffer("g", n, one),
        };
        let norm = w.square().sum_to(of_outputs.as_slice()).sqrt();
        w * (gain.reshape(of_outputs.as_slice()) / norm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::Role;
    use ganforge_tensor::Graph;

    #[test]
    fn a_gain_that_is_not_learnt_is_no_parameter() {
        for (learnt, role) in [(true, Role::Param), (false, Role::Buffer)] {
            let graph = Graph::new();
            let mut build = Build::new(&graph);
            build.at("D", "h");
            let norm = WeightNorm {
                learnt,
                ..WeightNorm::default()
            };
            norm.of(&mut build, graph.input("w", [2, 2]), 1);
            let roles: Vec<Role> = build.tensors().iter().map(|s| s.role).collect();
            assert_eq!(roles, [role]);
        }
    }

    #[test]
    fn the_weights_of_an_output_have_the_norm_of_its_gain() {
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        build.at("D", "h");
        build.set("D.h.g", graph.input("g", [2]));
        let w = graph.input("w", [2, 2]);
        let feeds = [("w", vec![3.0, 1.0, 4.0, 0.0]), ("g", vec![10.0, -2.0])];
        let of_columns = WeightNorm::default().of(&mut build, w, 1).evaluate(&feeds);
        assert_eq!(of_columns.expect("values"), [6.0, -2.0, 8.0, 0.0]);
        let of_rows = WeightNorm::default()
            .of(&mut build, w, 0)
            .square()
            .sum_axes(&[1]);
        for (found, gain) in of_rows
            .evaluate(&feeds)
            .expect("values")
            .iter()
            .zip([10.0f64, -2.0])
        {
            assert!((found.sqrt() - gain.abs()).abs() < 1e-12, "{found}");
        }
    }
}
