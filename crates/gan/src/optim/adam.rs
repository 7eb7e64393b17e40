//! Adam.

use ganforge_settings::{above, below, settings};
use ganforge_tensor::Var;

use super::Optimize;

settings! {
    /// m <- β1·m + (1-β1)·g,  s <- β2·s + (1-β2)·g²,  θ <- θ - lr·(m·c1) / (√(s·c2) + eps)
    ///
    /// c = 1/(1 - β^t) in the t-th update of the network corrects for the slots' start at 0.
    /// source: Kingma and Ba 2015, algorithm 1
    #[derive(Copy)]
    pub struct Adam {
        /// β1, decay of the mean of the gradient.
        pub beta1: f64 = 0.9, below(0.0, 1.0);
        /// β2, decay of the mean of its square.
        pub beta2: f64 = 0.999, below(0.0, 1.0);
        /// Added to the square root of that mean.
        pub eps: f64 = 1e-8, above(0.0, 1.0);
    }
}

impl Optimize for Adam {
    fn slots(&self) -> &'static [&'static str] {
        &["mean", "square"]
    }

    fn scalars(&self) -> &'static [&'static str] {
        &["mean_correction", "square_correction"]
    }

    fn values(&self, updates: u64, _: usize, out: &mut [f64]) {
        let t = updates as f64 + 1.0;
        for (c, beta) in out.iter_mut().zip([self.beta1, self.beta2]) {
            *c = 1.0 / (1.0 - beta.powf(t));
        }
    }

    #[track_caller]
    fn step<'g>(
        &self,
        param: Var<'g>,
        slots: &[Var<'g>],
        grad: Var<'g>,
        scalar: &dyn Fn(&str) -> Var<'g>,
    ) -> (Var<'g>, Vec<Var<'g>>) {
        let (beta1, beta2, lr) = (self.beta1, self.beta2, scalar("lr"));
        let m = slots[0] * beta1 + grad * (1.0 - beta1);
        let s = slots[1] * beta2 + grad.square() * (1.0 - beta2);
        let root = (s * scalar("square_correction")).sqrt() + self.eps;
        let step = m * scalar("mean_correction") / root;
        (param - step * lr, vec![m, s])
    }
}
