//! Conditional batch normalisation.

use ganforge_settings::{Flat, above, settings, whole};
use ganforge_tensor::Var;

use super::{Norm, Running};
use crate::config::MANY;
use crate::nn::{Build, LayerRule};
use crate::tensors::Initial;

settings! {
    /// Batch normalisation with a gain and a shift of each channel for each class of examples.
    ///
    /// y = (1 + gamma[class]) · (x - mean) / √(var + eps) + beta[class]     x [b, .., c]; gamma, beta [classes, c]; mean, var [c]
    ///
    /// gamma and beta begin at 0: the gain is 1 + gamma. Mean and variance are those of batch normalisation, of examples of
    /// all classes together, and so are their running averages.
    /// source: de Vries et al. 2017, Modulating early visual processing by language, section 3; the gain's 1 as in the code
    /// of BigGAN
    #[derive(Copy)]
    pub struct ConditionalBatchNorm {
        /// Number of classes.
        pub classes: usize = 10, whole(1, MANY);
        /// Added to the variance.
        pub epsilon: f64 = 1e-5, above(0.0, 1.0);
        /// The running averages.
        pub running: Running = Running::default(), Flat;
    }
}

impl Norm for ConditionalBatchNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let shape = x.shape();
        let b = shape.dims().first().copied().unwrap_or(1);
        let c = shape.dims().last().copied().unwrap_or(1);
        let mut of_example = vec![1; shape.rank()];
        (of_example[0], of_example[shape.rank() - 1]) = (b, c);
        let mut row = |part| {
            let table = build.param(part, [self.classes, c], Initial::Constant(0.0));
            build.of_class(table, b).reshape(of_example.as_slice())
        };
        let (gamma, beta) = (row("gamma"), row("beta"));
        let (deviation, var) = self.running.centred(build, x);
        deviation * (var + self.epsilon).rsqrt() * (gamma + 1.0) + beta
    }

    fn running(&self) -> Option<&Running> {
        Some(&self.running)
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }
}

/// As a layer of its own.
impl LayerRule for ConditionalBatchNorm {
    #[track_caller]
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        Norm::forward(self, build, x)
    }

    fn running(&self) -> Option<&Running> {
        Some(&self.running)
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }
}
