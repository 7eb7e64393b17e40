//! The affine map of layers that have one.

use ganforge_settings::{Flat, Maybe, Reader, settings, whole};
use ganforge_tensor::Var;

use super::{Build, Weights, flat};
use crate::config::{Bias, ImageShape, MANY};

settings! {
    /// x · w + b
    pub struct Affine {
        /// The output as an image, [height, width, channels].
        #[shown("none: a vector of `units` values")]
        pub shape: Option<[usize; 3]> = None, Maybe(ImageShape);
        /// Number of outputs.
        #[shown("128, in G's last layer the size of an example, in D's last layer 1; with shape, its values", of shape)]
        pub units: usize = shape.map_or(128, |s: [usize; 3]| s.iter().product()), whole(1, MANY);
        /// What it stores.
        pub weights: Weights = Weights::default(), Flat;
    }
    check Affine::check;
}

impl Affine {
    fn check(&mut self, table: &Reader<'_>) {
        if let Some(shape) = self.shape
            && shape.iter().product::<usize>() != self.units
        {
            let (values, units) = (shape.iter().product::<usize>(), self.units);
            let message = format!("must be {values}, the values of shape = {shape:?}, got {units}");
            table.fault("units", &message);
        }
        if self.shape.is_some() && self.units > MANY {
            let message = format!("has {} values, at most {MANY}", self.units);
            table.fault("shape", &message);
        }
        if matches!(self.weights.bias, Bias::Untied(_)) {
            table.fault("bias", "= { untied = .. } is of convolutions only");
        }
    }

    /// x · w + b with `pieces` outputs per unit          x [b, ...], w [inputs, units·pieces], b [units·pieces]
    ///
    /// An image is taken row by row, its channels side by side.
    #[track_caller]
    pub(super) fn of<'g>(&self, build: &mut Build<'g>, x: Var<'g>, pieces: usize) -> Var<'g> {
        let x = flat(x);
        let inputs = x.shape().dims().last().copied().unwrap_or(1);
        let outputs = self.units.saturating_mul(pieces);
        let fans = [inputs, outputs];
        let w = self.weights.of(build, fans, fans, 1);
        self.weights.plus_bias(build, x.matmul(w))
    }

    /// Values [b, units] in the shape that they are given.
    #[track_caller]
    pub(super) fn shaped<'g>(&self, x: Var<'g>) -> Var<'g> {
        match self.shape {
            None => x,
            Some([h, w, c]) => x.reshape([x.shape().dims()[0], h, w, c]),
        }
    }

    /// Makes it smaller for a check of its formula.
    pub(super) fn shrink(&mut self, width: usize, side: usize) {
        match &mut self.shape {
            None => self.units = self.units.min(width),
            Some([h, w, c]) => {
                (*h, *w, *c) = ((*h).min(side), (*w).min(side), (*c).min(width / 2));
                self.units = *h * *w * *c;
            }
        }
    }
}
