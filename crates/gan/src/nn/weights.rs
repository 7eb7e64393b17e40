//! What the maps of layers store, and what is done to it.

use ganforge_settings::{Choice, Reader, ZeroIsNone, closed, settings};
use ganforge_tensor::{Shape, Var};

use super::{Build, TransformKind};
use crate::config::{Bias, Biases, Init, Inits};
use crate::tensors::Initial;

settings! {
    /// The weights and biases of a map.
    pub struct Weights {
        /// Initial weights.
        pub init: Init = Init::Glorot, Inits;
        /// Initial biases: a number; `"none"`, no biases; `"marginals"`, log(p / (1 - p)) of each pixel's mean p over the
        /// training data, p clipped to [1e-7, 1 - 1e-7]; `"run"`, those of the layer from which the weights are taken; or
        /// `{ untied = b }`, of convolutions: a bias for each place of the output, not for each channel.
        pub bias: Bias = Bias::Constant(0.0), Biases;
        /// Largest L2 norm of the weights of an output, enforced after each update; 0: no constraint.
        pub max_col_norm: Option<f64> = None, ZeroIsNone(closed(0.0, 1e6));
        /// What is done to the weights before they are used.
        pub transform: Option<TransformKind> = None, Choice;
    }
    check Weights::check;
}

impl Weights {
    fn check(&mut self, table: &Reader<'_>) {
        if matches!(self.init, Init::Run(_)) != (self.bias == Bias::Run) {
            let message =
                "= \"run\" and init = { run = .. } go together: both come from the same layer";
            table.fault("bias", message);
        }
    }

    /// The weights of a map, as they are used.
    ///
    /// `fans` are the inputs of an output and the outputs of an input, `outputs` the axis of the outputs.
    #[track_caller]
    pub(super) fn of<'g>(
        &self,
        build: &mut Build<'g>,
        shape: impl Into<Shape>,
        fans: [usize; 2],
        outputs: usize,
    ) -> Var<'g> {
        let init = (&self.init).into();
        let w = build.weights_along("w", shape.into(), fans, outputs, init, self.max_col_norm);
        match &self.transform {
            Some(transform) => transform.of(build, w, outputs),
            None => w,
        }
    }

    /// x plus its biases: one for each entry of the last axis, or where they are untied for each value of an example.
    #[track_caller]
    pub(super) fn plus_bias<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let dims = x.shape();
        let dims = dims.dims();
        let own = match self.bias {
            Bias::None => return x,
            Bias::Untied(_) => dims.get(1..).unwrap_or(&[]),
            _ => dims.last().map_or(&[][..], std::slice::from_ref),
        };
        let init = Initial::of_bias(self.bias, &self.init);
        x + build.param("b", own, init)
    }
}
