//! Cases that are won already, left out of a game from logits.

use ganforge_settings::{below, list, settings};
use ganforge_tensor::Var;

settings! {
    /// Cases that are won already and left out of the losses, which are means over the whole minibatch still: a generated example
    /// that D takes for real is one for G, an example that D judges rightly is one for D.
    ///
    /// source: two cost classes of the released code of Goodfellow et al. 2014
    #[derive(Copy)]
    pub struct Won {
        /// Whose losses leave theirs out.
        pub of: Player = Player::G;
        /// How far on the right side of 0.5 D's probability of an example must be for it to be won for D.
        #[only(of, "of = \"both\"", |w| w.of == Player::Both)]
        pub d: f64 = 0.0, below(0.0, 0.5);
        /// How far above 0.5 D's probability of a generated example must be for it to be won for G.
        pub g: f64 = 0.0, below(0.0, 0.5);
    }
}

list! {
    /// Whose cases.
    pub enum Player {
        /// G's.
        "g" => G,
        /// D's and G's.
        "both" => Both,
    }
}

/// The logit of the probability 0.5 + `beyond`.
fn bound(beyond: f64) -> f64 {
    ((0.5 + beyond) / (0.5 - beyond)).ln()
}

impl Won {
    /// D's losses `[b, 1]` of real examples with these logits, 0 where the probability is 0.5 + d or more.
    #[track_caller]
    pub(super) fn of_real<'g>(won: Option<&Won>, logits: Var<'g>, losses: Var<'g>) -> Var<'g> {
        match won.filter(|w| w.of == Player::Both) {
            None => losses,
            Some(won) => (bound(won.d) - logits).step_mul(0.0, losses),
        }
    }

    /// D's losses `[b, 1]` of generated examples, 0 where the probability is 0.5 - d or less.
    #[track_caller]
    pub(super) fn of_fake<'g>(won: Option<&Won>, logits: Var<'g>, losses: Var<'g>) -> Var<'g> {
        match won.filter(|w| w.of == Player::Both) {
            None => losses,
            Some(won) => (logits + bound(won.d)).step_mul(0.0, losses),
        }
    }

    /// G's losses `[b, 1]` of its samples, 0 where the probability is 0.5 + g or more.
    #[track_caller]
    pub(super) fn of_g<'g>(won: Option<&Won>, logits: Var<'g>, losses: Var<'g>) -> Var<'g> {
        match won {
            None => losses,
            Some(won) => (bound(won.g) - logits).step_mul(0.0, losses),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::losses::Loss;
    use crate::losses::tests::{Pairs, assert_near};

    fn logit(p: f64) -> f64 {
        (p / (1.0 - p)).ln()
    }

    #[test]
    fn won_cases_have_neither_loss_nor_gradient() {
        let [real, fake] = [[0.4, 0.55, 0.7], [0.6, 0.45, 0.3]].map(|ps| ps.map(logit));
        let pairs = Pairs::of(&real, &fake);
        let find = |kind: &str, won: &str, what: &str| {
            let loss = Loss::called(kind, &[&format!("won = {won}")]).expect(won);
            pairs.find(&*loss.kind, what).expect(what)
        };
        for (won, counted) in [
            ("{ }", [0.0, 1.0, 1.0]),
            ("{ g = 0.15 }", [1.0, 1.0, 1.0]),
            ("{ of = \"both\", g = 0.2 }", [1.0, 1.0, 1.0]),
        ] {
            let probabilities = [0.6, 0.45, 0.3];
            let sum = |f: &dyn Fn(f64) -> f64| {
                let terms = probabilities.iter().zip(counted);
                terms.map(|(p, c)| c * f(*p)).sum::<f64>() / 3.0
            };
            assert_near(&find("ns", won, "g"), &[sum(&|p| -p.ln())], won);
            assert_near(&find("mm", won, "g"), &[sum(&|p| (1.0 - p).ln())], won);
            let slopes: Vec<f64> = (0..3)
                .map(|i| counted[i] * (probabilities[i] - 1.0) / 3.0)
                .collect();
            assert_near(&find("ns", won, "g/fake"), &slopes, won);
        }
        // With all samples beyond 0.5 G has no gradient at all.
        let sure = Pairs::of(&real, &[logit(0.6); 3]);
        let loss = Loss::called("ns", &["won = { }"]).expect("valid");
        let none = sure.find(&*loss.kind, "g/fake").expect("found");
        assert_eq!(none, [0.0; 3]);
        // D's own, with and without room.
        let (log, d) = (f64::ln, |won: &str| find("ns", won, "d"));
        let all = -(log(0.4) + log(0.55) + log(0.7)) - (log(0.4) + log(0.55) + log(0.7));
        assert_near(&d("{ }"), &[all / 3.0], "G's alone");
        let lost = -log(0.4) - log(0.4);
        assert_near(&d("{ of = \"both\" }"), &[lost / 3.0], "both");
        let near = -(log(0.4) + log(0.55)) * 2.0;
        assert_near(&d("{ of = \"both\", d = 0.1 }"), &[near / 3.0], "with room");
        let slopes = find("ns", "{ of = \"both\" }", "d/real");
        assert_near(&slopes, &[(0.4 - 1.0) / 3.0, 0.0, 0.0], "of real examples");
    }

    #[test]
    fn room_for_d_asks_that_its_cases_are_left_out() {
        let error = Loss::called("ns", &["won = { d = 0.1 }"]).expect_err("of G alone");
        assert!(error.to_string().contains("of = \"both\""), "{error}");
        let error = Loss::called("hinge", &["won = { }"]).expect_err("no logits");
        assert!(error.to_string().contains("won"), "{error}");
    }
}
