//! The non-saturating game: binary cross-entropy from logits, in nats.
//!
//! A logit a stands for D = sigmoid(a). softplus(-a) = -log D, softplus(a) = -log(1 - D), both without overflow.

use ganforge_settings::{closed, settings};
use ganforge_tensor::Var;

use super::{Judged, Objective, Won};

settings! {
    /// Binary cross-entropy, non-saturating: D classifies real and generated examples; G raises the probability that its
    /// samples are taken for real.
    ///
    /// D: L = mean [y softplus(-real) + (1 - y) softplus(real)] + mean softplus(fake), or half of it; y the label of real
    ///    examples                              dL/dreal = (s - y)/b,  dL/dfake = s/b,  s = sigmoid(logit)
    /// G: L = mean softplus(-fake) = -mean log D(G(z))                     dL/dfake = (s - 1)/b
    /// source: Goodfellow et al. 2014, equation 1 and section 3, last paragraph; the factor 1/2: released code; labels
    /// below 1: Salimans et al. 2016, section 3.4; docs/book/src/loss-from-logits.md
    ///
    /// ```
    /// use ganforge_gan::losses::{Judged, NonSaturating, Objective};
    /// let g = ganforge_tensor::Graph::new();
    /// let logits = g.input("logits", [2, 1]);
    /// let loss = NonSaturating::default().g(&Judged::of(logits));
    /// assert_eq!(loss.evaluate(&[("logits", vec![0.0, 0.0])])?, [2f64.ln()]); // D is undecided
    /// # Ok::<(), ganforge_tensor::Error>(())
    /// ```
    #[derive(Copy)]
    pub struct NonSaturating {
        /// Whether D's loss has the factor 1/2 of the released code.
        pub half: bool = false;
        /// The label of real examples in D's loss; below 1 it is smoothed on one side.
        pub real_label: f64 = 1.0, closed(0.5, 1.0);
        /// Cases that are won already: left out of the losses.
        pub won: Option<Won> = None;
    }
}

impl Objective for NonSaturating {
    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        cross_entropy(
            real.d,
            fake.d,
            self.half,
            self.real_label,
            self.won.as_ref(),
        )
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        Won::of_g(self.won.as_ref(), fake.d, (-fake.d).softplus()).mean()
    }

    #[track_caller]
    fn shown<'g>(&self, d: Var<'g>) -> Var<'g> {
        d.sigmoid()
    }
}

/// D's loss from its logits `[b, 1]`.
#[track_caller]
pub(super) fn cross_entropy<'g>(
    real: Var<'g>,
    fake: Var<'g>,
    half: bool,
    real_label: f64,
    won: Option<&Won>,
) -> Var<'g> {
    let mean_of_real = |losses| Won::of_real(won, real, losses).mean();
    let of_real = mean_of_real((-real).softplus());
    let of_real = match real_label {
        1.0 => of_real,
        y => of_real * y + mean_of_real(real.softplus()) * (1.0 - y),
    };
    let sum = of_real + Won::of_fake(won, fake, fake.softplus()).mean();
    if half { sum * 0.5 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan, Store};

    use crate::losses::Minimax;

    const HALF: NonSaturating = of(true);
    const WHOLE: NonSaturating = of(false);
    const MINIMAX: Minimax = Minimax {
        half: false,
        real_label: 1.0,
        won: None,
    };

    const fn of(half: bool) -> NonSaturating {
        NonSaturating {
            half,
            real_label: 1.0,
            won: None,
        }
    }

    type Build = for<'g> fn(Var<'g>) -> Var<'g>;

    /// Loss and its slope at one logit.
    fn at(a: f32, build: Build) -> (f32, f32) {
        let g = Graph::new();
        let x = g.input("a", [1, 1]);
        let loss = build(x);
        let slope = g.grad(loss, &[x]).expect("reached")[0];
        let plan = Plan::of(&g).fetch("loss", loss).fetch("slope", slope);
        let plan = plan.compile().expect("a valid graph");
        let (mut store, mut cpu) = (Store::new(0), Cpu::new(&plan));
        cpu.run(&plan, &mut store, &[Feed::new("a", [1, 1], &[a])])
            .expect("runs");
        let value = |name| cpu.fetch(&plan, &store, name).expect("fetched")[0];
        (value("loss"), value("slope"))
    }

    fn assert_close(got: (f32, f32), loss: f64, slope: f64) {
        let close = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-6 * b.abs().max(1e-3);
        assert!(
            close(got.0, loss) && close(got.1, slope),
            "{got:?} for {loss} and {slope}"
        );
    }

    #[test]
    fn slopes_are_those_of_the_papers_two_generator_games() {
        let non_saturating: Build = |a| WHOLE.g(&Judged::of(a));
        let minimax: Build = |a| MINIMAX.g(&Judged::of(a));
        assert_close(at(-5.0, minimax), -0.006_715_348_5, -0.006_692_850_9);
        assert_close(at(-5.0, non_saturating), 5.006_715_348_5, -0.993_307_149_1);
        assert_close(at(0.0, minimax), -std::f64::consts::LN_2, -0.5);
        assert_close(at(0.0, non_saturating), std::f64::consts::LN_2, -0.5);
    }

    #[test]
    fn an_undecided_discriminator_loses_log_2_per_half() {
        let half: Build = |a| HALF.d(&Judged::of(a), &Judged::of(a));
        let whole: Build = |a| WHOLE.d(&Judged::of(a), &Judged::of(a));
        assert_close(at(0.0, half), std::f64::consts::LN_2, 0.0);
        assert_close(at(0.0, whole), 1.386_294_361_1, 0.0);
        let real: Build = |a| {
            let zero = a.graph().constant(0.0, a.shape());
            HALF.d(&Judged::of(a), &Judged::of(zero))
        };
        let s = 1.0 / (1.0 + (-1.5f64).exp());
        let loss = 0.5 * (-s.ln() + std::f64::consts::LN_2);
        assert_close(at(1.5, real), loss, 0.5 * (s - 1.0));
    }

    #[test]
    fn the_losses_a_popular_tutorial_prints_point_the_wrong_way() {
        // D's: mean D(x) + mean D(G(z)), minimised. Its slope pushes the logits of real images down as well, and its
        // minimum, 0, is where D says 0 to everything. The right loss pushes the logits of real images up.
        let printed: Build = |real| real.sigmoid().mean();
        let right: Build = |real| {
            let fake = real.graph().constant(0.0, real.shape());
            WHOLE.d(&Judged::of(real), &Judged::of(fake))
        };
        for logit in [-3.0, 0.0, 3.0] {
            assert!(
                at(logit, printed).1 > 0.0 && at(logit, right).1 < 0.0,
                "{logit}"
            );
        }
        assert!(at(-20.0, printed).0 < 1e-8);
        // G's second one: D(G(z)), minimised, against the first, -mean D(G(z)): their slopes cancel.
        let (first, second): (Build, Build) = (|a| -a.sigmoid().mean(), |a| a.sigmoid().mean());
        assert_eq!(at(0.7, first).1, -at(0.7, second).1);
        // And the first has next to no slope where D is confident, unlike -log D(G(z)).
        assert!(at(-8.0, first).1.abs() < 4e-4);
        let right: Build = |a| WHOLE.g(&Judged::of(a));
        assert!(at(-8.0, right).1 < -0.99);
    }
}
