//! Least squares: D's outputs are numbers to be near to, not logits.

use ganforge_settings::{closed, settings};
use ganforge_tensor::Var;

use super::{Judged, Objective};

settings! {
    /// D brings its outputs near `real` for real and near `fake` for generated examples; G brings them near `target`.
    ///
    /// D: L = ½ mean (real_out - real)² + ½ mean (fake_out - fake)²      dL/dreal_out = (real_out - real)/b
    /// G: L = ½ mean (fake_out - target)²                                dL/dfake_out = (fake_out - target)/b
    /// source: Mao et al. 2017, Least Squares Generative Adversarial Networks, equation 9 (a = 0, b = c = 1); with
    /// a = -1, b = 1, c = 0 the game has the Pearson χ² divergence as its value (equation 8)
    #[derive(Copy)]
    pub struct LeastSquares {
        /// D's output for real examples: b of the paper.
        pub real: f64 = 1.0, closed(-100.0, 100.0);
        /// D's output for generated examples: a of the paper.
        pub fake: f64 = 0.0, closed(-100.0, 100.0);
        /// What G wants D to say of its samples: c of the paper.
        pub target: f64 = 1.0, closed(-100.0, 100.0);
    }
}

/// ½ mean (x - to)²
#[track_caller]
pub(super) fn half_square<'g>(x: Var<'g>, to: f64) -> Var<'g> {
    (x - to).square().mean() * 0.5
}

impl Objective for LeastSquares {
    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        half_square(real.d, self.real) + half_square(fake.d, self.fake)
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        half_square(fake.d, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::Graph;
    use ganforge_tensor::gradcheck::{Point, check};

    const OUTPUTS: [f64; 4] = [1.5, -0.25, 0.0, 3.0];

    /// What `mse_loss(x, full_like(x, to)) / 2` is in PyTorch 2 for these outputs, in f64, and its gradient.
    #[test]
    fn losses_and_gradients_are_those_of_pytorch() {
        let loss = LeastSquares::default();
        let (near_1, near_0) = (
            (0.851_562_5, [0.125, -0.3125, -0.25, 0.5]),
            (1.414_062_5, [0.375, -0.0625, 0.0, 0.75]),
        );
        let graph = Graph::new();
        let x = graph.input("x", [4, 1]);
        let [zero, one] = [0.0, 1.0].map(|v| graph.constant(v, [4, 1]));
        let at = [("x", OUTPUTS.to_vec())];
        for (y, (value, gradient)) in [
            (loss.d(&Judged::of(x), &Judged::of(zero)), near_1),
            (loss.d(&Judged::of(one), &Judged::of(x)), near_0),
            (loss.g(&Judged::of(x)), near_1),
        ] {
            let dx = graph.grad(y, &[x]).expect("reached")[0];
            assert_eq!(y.evaluate(&at).expect("a value"), [value]);
            assert_eq!(dx.evaluate(&at).expect("a gradient"), gradient);
        }
    }

    #[test]
    fn first_and_second_derivatives_are_those_of_differences() {
        let point = |shift: f64| Point {
            shape: [4, 1].into(),
            data: OUTPUTS.map(|x| x + shift).to_vec(),
            varies: true,
        };
        let chi_square = LeastSquares {
            real: 1.0,
            fake: -1.0,
            target: 0.0,
        };
        for order in [1, 2] {
            let found = check(&[point(0.0), point(0.5)], order, 7, |_, x| {
                chi_square.d(&Judged::of(x[0]), &Judged::of(x[1])) + chi_square.g(&Judged::of(x[1]))
            });
            let found = found.expect("recorded");
            assert!(found.iter().all(|f| f.passes()), "{found:?}");
        }
    }
}
