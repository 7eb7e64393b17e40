//! The examples do what they say. Each is included as a module, so that what is tested is what is in the file.

#[path = "../examples/03-gan-1d.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod gan_1d;
#[path = "../examples/01-graph.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod graph;
#[path = "../examples/02-xor.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod xor;

#[test]
fn the_chain_rule_agrees_with_differences_and_with_the_formula() {
    let checks = graph::run().expect("runs");
    let s = 1.0 / (1.0 + 2.75f64.exp()); // w·x + b = -2 · 1.5 + 0.25
    let by_hand = [(s - 1.0) * 1.5, s - 1.0, s * (1.0 - s) * 2.25];
    assert_eq!(checks.len(), by_hand.len());
    for (c, by_hand) in checks.iter().zip(by_hand) {
        assert!((c.chain_rule - by_hand).abs() < 1e-14, "{}", c.name);
        assert!((c.chain_rule - c.differences).abs() < 1e-9, "{}", c.name);
    }
}

#[test]
fn the_perceptron_learns_exclusive_or() {
    let p = xor::run(500).expect("runs");
    let wrong = |(p, target): (&f32, f32)| (p - target).abs() > 0.1;
    assert!(!p.iter().zip([0.0, 1.0, 1.0, 0.0]).any(wrong), "{p:?}");
}

#[test]
fn the_generator_finds_the_data() {
    let [mean, sd] = gan_1d::run(5000).expect("runs");
    assert!((mean - 4.0).abs() < 0.5, "mean {mean}");
    assert!((0.3..0.8).contains(&sd), "sd {sd}");
}
