//! The cross-entropy of a softmax.

use ganforge_tensor::Var;

/// log Σ_c exp output_c of each row, `[b, 1]` of `[b, n]`; the largest output is taken out first, so that nothing overflows.
#[track_caller]
pub fn log_sum_exp(output: Var<'_>) -> Var<'_> {
    let n = output.shape().dims()[1];
    let largest = output.maxout(n).detach();
    (output - largest).exp().sum_axes(&[1]).log() + largest
}

/// The cross-entropy of the softmax of each row of `output` `[b, n]` against its class in `labels` `[b]`, in nats: `[b, 1]`.
///
/// L = log Σ_c exp output_c - output_label
#[track_caller]
pub fn cross_entropy<'g>(output: Var<'g>, labels: Var<'g>) -> Var<'g> {
    let [b, n] = [0, 1].map(|axis| output.shape().dims()[axis]);
    log_sum_exp(output) - output.take(labels.reshape([b, 1]), n)
}

/// The share of the rows of `output` `[b, n]` whose largest number is not that of their class in `labels` `[b]`.
#[track_caller]
pub fn error_rate<'g>(output: Var<'g>, labels: Var<'g>) -> Var<'g> {
    let (b, n) = (labels.shape().elements(), output.shape().dims()[1]);
    let found = output.arg_max(n).reshape([b]);
    (found - labels).abs().sign().mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::Graph;

    #[test]
    fn certain_and_undecided_rows_have_the_entropies_of_their_softmax() {
        let (graph, rows) = (
            Graph::new(),
            [[0.0, 0.0, 0.0], [0.0, 900.0, 0.0], [1.0, 2.0, 4.0]],
        );
        let (output, labels) = (graph.input("y", [3, 3]), graph.input("labels", [3]));
        let feeds = |labels: [f64; 3]| [("y", rows.concat()), ("labels", labels.to_vec())];
        let wrong = feeds([2.0, 0.0, 1.0]);
        let found = cross_entropy(output, labels)
            .evaluate(&wrong)
            .expect("values");
        let last = (1f64.exp() + 2f64.exp() + 4f64.exp()).ln() - 2.0;
        for (found, expected) in found.iter().zip([3f64.ln(), 900.0, last]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        // The first of equal outputs is the class that is found.
        let error = error_rate(output, labels)
            .evaluate(&wrong)
            .expect("a share");
        assert_eq!(error, [1.0]);
        let error = error_rate(output, labels)
            .evaluate(&feeds([0.0, 1.0, 1.0]))
            .expect("a share");
        assert!((error[0] - 1.0 / 3.0).abs() < 1e-15);
    }
}
