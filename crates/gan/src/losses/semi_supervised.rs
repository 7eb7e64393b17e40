//! Semi-supervised learning: D tells classes apart, and generated examples are one class more.

use ganforge_settings::{closed, is_name, settings, text};
use ganforge_tensor::Var;

use super::{Form, Judged, Objective, cross_entropy, error_rate, log_sum_exp};

settings! {
    /// Semi-supervised: D has an output for each class and learns the classes of the few examples whose labels are known
    /// (`data.labelled`). Generated examples are one class more, whose output is 0; real ones without labels are of any other
    /// class. G matches features: on the mean, a layer of D is to give of its samples what it gives of real examples.
    ///
    /// Z(x) = log Σ_c exp output_c,  D(x) = sigmoid Z(x)
    /// D: L = mean (Z(x) - output_y) of labelled examples + weight/2 · (mean (softplus Z(x) - Z(x)) + mean softplus Z(G(z)))
    /// G: L = mean over the values of f of (mean f(x) - mean f(G(z)))²,  f the outputs of the layer `code`
    /// source: Salimans et al. 2016, Improved Techniques for Training GANs, sections 3.1 and 5, and its released code
    pub struct SemiSupervised {
        /// The weight of what examples without labels add to D's loss.
        pub weight: f64 = 1.0, closed(0.0, 1e6);
        /// The layer of D whose outputs G matches, usually the last hidden one.
        pub code: String = "h1".to_owned(), text("the name of a layer", is_name);
        /// Whether the real examples whose features G matches are, with alternating updates, other ones than D has just learnt from.
        /// Then they count as examples of the epoch, too.
        pub fresh: bool = true;
    }
}

/// (mean f(x) - mean f(G(z)))², means over the minibatches `[b, values]`, averaged over the values.
#[track_caller]
pub fn feature_matching<'g>(real: Var<'g>, fake: Var<'g>) -> Var<'g> {
    let mean = |f: Var<'g>| f.sum_axes(&[0]) * (1.0 / f.shape().dims()[0] as f64);
    (mean(real) - mean(fake)).square().mean()
}

impl Objective for SemiSupervised {
    fn form(&self) -> Form {
        Form::Classes
    }

    /// The logit of an example's being real, of whatever class.
    #[track_caller]
    fn head<'g>(&self, output: Var<'g>, _x: Var<'g>, _labels: Option<Var<'g>>) -> Var<'g> {
        log_sum_exp(output)
    }

    fn code(&self) -> Option<&str> {
        Some(&self.code)
    }

    fn g_sees_real(&self) -> bool {
        true
    }

    fn g_sees_other_examples(&self) -> bool {
        self.fresh
    }

    fn learns_from_labelled(&self) -> bool {
        true
    }

    #[track_caller]
    fn d<'g>(&self, real: &Judged<'g>, fake: &Judged<'g>) -> Var<'g> {
        let of_real = (real.d.softplus() - real.d).mean();
        let unsupervised = (of_real + fake.d.softplus().mean()) * (0.5 * self.weight);
        match real.labelled {
            Some((output, labels)) => cross_entropy(output, labels).mean() + unsupervised,
            None => unsupervised,
        }
    }

    #[track_caller]
    fn g<'g>(&self, fake: &Judged<'g>) -> Var<'g> {
        let codes = fake.real_code.zip(fake.code);
        let (real, fake) = codes.expect("the game gives what the layer `code` makes of both");
        feature_matching(real, fake)
    }

    fn shown<'g>(&self, d: Var<'g>) -> Var<'g> {
        d.sigmoid()
    }

    /// The cross-entropy of labelled examples, and the share of them that D classifies wrongly.
    fn monitors(&self) -> &'static [&'static str] {
        &["supervised", "error"]
    }

    #[track_caller]
    fn watch<'g>(&self, name: &str, real: &Judged<'g>, _fake: &Judged<'g>) -> Var<'g> {
        match (name, real.labelled) {
            ("error", Some((output, labels))) => error_rate(output, labels),
            (_, Some((output, labels))) => cross_entropy(output, labels).mean(),
            (_, None) => real.d.graph().constant(0.0, []),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::tests::{Pairs, assert_near};
    use ganforge_tensor::Graph;

    /// Two examples of each kind with these outputs of D for ten classes; the real ones are labelled, too.
    fn find(output: [f64; 10], what: &str) -> f64 {
        let pairs = Pairs {
            real: [output, output].concat(),
            fake: [output, output].concat(),
            labels: vec![2.0, 7.0],
            ..Pairs::of(&[0.0; 2], &[0.0; 2])
        };
        let loss = SemiSupervised::default();
        pairs.find(&loss, what).expect("a loss")[0]
    }

    #[test]
    fn an_undecided_discriminator_has_the_listed_losses() {
        let log_10 = 10f64.ln();
        let [real, fake] = [0.047_655_1, 1.198_947_6];
        assert_near(&[find([0.0; 10], "supervised")], &[log_10], "supervised");
        let unsupervised = find([0.0; 10], "d") - log_10;
        assert!((unsupervised - real - fake).abs() < 1e-7, "{unsupervised}");
        let graph = Graph::new();
        let d = SemiSupervised::default().head(
            graph.constant(0.0, [3, 10]),
            graph.constant(0.0, [3, 1]),
            None,
        );
        assert_near(&d.evaluate(&[]).expect("values"), &[log_10; 3], "Z");
        let shown = SemiSupervised::default().shown(d).evaluate(&[]);
        assert_near(&shown.expect("values"), &[10.0 / 11.0; 3], "D");
    }

    #[test]
    fn a_constant_on_all_outputs_changes_what_examples_without_labels_say_alone() {
        let some = [0.5, -1.0, 2.0, 0.0, 0.25, 1.0, -0.3, 0.0, 0.7, -2.0];
        let shifted = some.map(|v| v + 3.0);
        assert_near(
            &[find(shifted, "supervised")],
            &[find(some, "supervised")],
            "labelled",
        );
        assert!((find(shifted, "d") - find(some, "d")).abs() > 0.5);
    }

    #[test]
    fn a_minibatch_matches_itself_in_any_order() {
        let graph = Graph::new();
        let (a, b) = (graph.input("a", [3, 2]), graph.input("b", [3, 2]));
        let f = feature_matching(a, b);
        let rows = [[0.5, 2.0], [-1.0, 0.25], [3.0, 0.0]];
        let of = |b: [[f64; 2]; 3]| {
            f.evaluate(&[("a", rows.concat()), ("b", b.concat())])
                .expect("a loss")[0]
        };
        assert_eq!(of(rows), 0.0);
        assert_eq!(of([rows[2], rows[0], rows[1]]), 0.0);
        // One mean is off by 1, the other by 0.
        assert_near(&[of(rows.map(|[x, y]| [x + 1.0, y]))], &[0.5], "off by 1");
    }
}
