//! Binary cross-entropy, the paper's game, from logits and in nats.
//!
//! A logit a stands for D = sigmoid(a). softplus(-a) = -log D, softplus(a) = -log(1 - D), both
//! without overflow.

use ganforge_settings::{list, settings};
use ganforge_tensor::Var;

use super::Objective;

settings! {
    /// Binary cross-entropy: D classifies real and generated examples; G maximises D's error.
    ///
    /// D: L = mean softplus(-real) + mean softplus(fake), or half of it      real, fake: [b, 1] logits
    ///    dL/dreal = (s - 1)/b,  dL/dfake = s/b,  s = sigmoid(logit)
    /// G, non-saturating: L = mean softplus(-fake) = -mean log D(G(z))      dL/dfake = (s - 1)/b
    /// G, minimax:        L = -mean softplus(fake) = mean log(1 - D(G(z)))  dL/dfake = -s/b
    /// source: Goodfellow et al. 2014, equation 1 and section 3, last paragraph; the factor 1/2: released code;
    /// docs/book/src/loss-from-logits.md
    ///
    /// ```
    /// use ganforge_gan::config::GeneratorLoss;
    /// use ganforge_gan::losses::{Bce, Objective};
    /// let bce = Bce { half: false, generator: GeneratorLoss::NonSaturating };
    /// let g = ganforge_tensor::Graph::new();
    /// let logits = g.input("logits", [2, 1]);
    /// let loss = bce.g(logits);
    /// assert_eq!(loss.evaluate(&[("logits", vec![0.0, 0.0])])?, [2f64.ln()]); // D is undecided
    /// # Ok::<(), ganforge_tensor::Error>(())
    /// ```
    #[derive(Copy)]
    pub struct Bce {
        /// Whether D's loss has the factor 1/2 of the released code.
        pub half: bool = false;
        /// G's loss.
        pub generator: GeneratorLoss = GeneratorLoss::NonSaturating;
    }
}

list! {
    /// G's loss, from logits, mean over the batch.
    pub enum GeneratorLoss {
        /// -log D(G(z))
        "non-saturating" => NonSaturating,
        /// log(1 - D(G(z)))
        "minimax" => Minimax,
    }
}

impl Objective for Bce {
    #[track_caller]
    fn d<'g>(&self, real: Var<'g>, fake: Var<'g>) -> Var<'g> {
        let sum = (-real).softplus().mean() + fake.softplus().mean();
        if self.half { sum * 0.5 } else { sum }
    }

    #[track_caller]
    fn g<'g>(&self, fake: Var<'g>) -> Var<'g> {
        match self.generator {
            GeneratorLoss::NonSaturating => (-fake).softplus().mean(),
            GeneratorLoss::Minimax => -fake.softplus().mean(),
        }
    }

    #[track_caller]
    fn shown<'g>(&self, output: Var<'g>) -> Var<'g> {
        output.sigmoid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan, Store};

    const HALF: Bce = of(true, GeneratorLoss::NonSaturating);
    const WHOLE: Bce = of(false, GeneratorLoss::NonSaturating);
    const MINIMAX: Bce = of(false, GeneratorLoss::Minimax);

    const fn of(half: bool, generator: GeneratorLoss) -> Bce {
        Bce { half, generator }
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
        let non_saturating: Build = |a| WHOLE.g(a);
        let minimax: Build = |a| MINIMAX.g(a);
        assert_close(at(-5.0, minimax), -0.006_715_348_5, -0.006_692_850_9);
        assert_close(at(-5.0, non_saturating), 5.006_715_348_5, -0.993_307_149_1);
        assert_close(at(0.0, minimax), -std::f64::consts::LN_2, -0.5);
        assert_close(at(0.0, non_saturating), std::f64::consts::LN_2, -0.5);
    }

    #[test]
    fn an_undecided_discriminator_loses_log_2_per_half() {
        let half: Build = |a| HALF.d(a, a);
        let whole: Build = |a| WHOLE.d(a, a);
        assert_close(at(0.0, half), std::f64::consts::LN_2, 0.0);
        assert_close(at(0.0, whole), 1.386_294_361_1, 0.0);
        let real: Build = |a| {
            let zero = a.graph().constant(0.0, a.shape());
            HALF.d(a, zero)
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
            WHOLE.d(real, fake)
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
        let right: Build = |a| WHOLE.g(a);
        assert!(at(-8.0, right).1 < -0.99);
    }
}
