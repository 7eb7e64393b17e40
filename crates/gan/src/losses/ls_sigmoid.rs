//! Least squares of probabilities: the form of the large study's code.

use ganforge_settings::settings;
use ganforge_tensor::Var;

use super::ls::half_square;
use super::{Judged, Objective};

settings! {
    /// Least squares of D's probabilities instead of its raw outputs: D brings them near 1 for real and near 0 for
    /// generated examples, G near 1.
    ///
    /// D: L = ½ mean (s(real) - 1)² + ½ mean s(fake)²,  s = sigmoid      dL/dreal = (s - 1)s(1 - s)/b
    /// G: L = ½ mean (s(fake) - 1)²                                      dL/dfake = (s - 1)s(1 - s)/b
    /// source: the code of Kurach et al. 2019; unlike the paper's (`ls`) its gradient fades where D is sure
    #[derive(Copy)]
    pub struct LeastSquaresSigmoid {}
}

impl Objective for LeastSquaresSigmoid {
    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        half_square(real.d.sigmoid(), 1.0) + half_square(fake.d.sigmoid(), 0.0)
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        half_square(fake.d.sigmoid(), 1.0)
    }

    #[track_caller]
    fn shown<'g>(&self, d: Var<'g>) -> Var<'g> {
        d.sigmoid()
    }
}
