//! 1. A graph and its derivatives.
//!
//! The smallest possible discriminator: one weight w, one bias b, and D(x) = sigmoid(w·x + b). Its loss on one real
//! example is -log D(x). We record that loss, take its gradients and a second derivative, and check them all by finite
//! differences.
//!
//! `cargo run --release --example 01-graph`

use ganforge::tensor::ops::Env;
use ganforge::tensor::{Graph, Plan, Reference, Result};

/// A derivative, by the chain rule and by finite differences.
pub struct Check {
    /// Which one.
    pub name: &'static str,
    /// Its value, from the node that `grad` appended.
    pub chain_rule: f64,
    /// Its value by central differences.
    pub differences: f64,
}

/// The point of evaluation: x, w, b.
const AT: [(&str, f64); 3] = [("x", 1.5), ("w", -2.0), ("b", 0.25)];

/// Prints the graph and its derivatives, and returns the comparison.
pub fn run() -> Result<Vec<Check>> {
    // Recording computes nothing. Each line appends nodes to one flat list; a `Var` is an index into that list.
    let g = Graph::new();
    let x = g.input("x", []); // fed at each run; the shape [] is that of a scalar
    let w = g.param("w", []); // persists from run to run
    let b = g.param("b", []);
    let logit = w * x + b;
    let loss = (-logit).softplus(); // softplus(-a) = -log sigmoid(a), and never overflows

    println!("The loss, node by node:\n{g}");

    // `grad` traverses the list backwards and appends the backward pass to it. The appended nodes are not special: a
    // gradient consists of the same kinds of nodes as the loss ...
    let before = g.len();
    let first = g.grad(loss, &[w, b])?;
    let listing = g.to_string();
    let appended: Vec<&str> = listing.lines().skip(before).collect();
    println!("What grad appended:\n{}\n", appended.join("\n"));

    // ... and so it can be differentiated again: d²L/dw² is a gradient of a gradient.
    let second = g.grad(first[0], &[w])?[0];

    // A plan states which values of the graph to compute; an executor runs it. `Reference` computes in f64 with plain
    // loops, slow and easy to verify: the fast executor is tested against it.
    let plan = Plan::of(&g)
        .fetch("L", loss)
        .fetch("dL/dw", first[0])
        .fetch("dL/db", first[1])
        .fetch("d²L/dw²", second)
        .compile()?;
    let value = |fetch: &str, moved: &str, by: f64| -> Result<f64> {
        let mut reference = Reference::new();
        reference.evaluate(&plan, Env::default(), |leaf| {
            let (_, at) = AT.into_iter().find(|a| a.0 == leaf).expect("x, w or b");
            vec![if leaf == moved { at + by } else { at }]
        })?;
        Ok(reference.fetch(&plan, fetch).expect("fetched above")[0])
    };

    // Central differences: f'(t) ≈ (f(t + h) - f(t - h)) / 2h, with an error of about h².
    let h = 1e-5;
    let mut checks = Vec::new();
    for (name, of, by) in [
        ("dL/dw", "L", "w"),
        ("dL/db", "L", "b"),
        ("d²L/dw²", "dL/dw", "w"),
    ] {
        checks.push(Check {
            name,
            chain_rule: value(name, "", 0.0)?,
            differences: (value(of, by, h)? - value(of, by, -h)?) / (2.0 * h),
        });
    }

    println!(
        "At x = 1.5, w = -2, b = 0.25: L = {:.9}",
        value("L", "", 0.0)?
    );
    println!("{:<8} {:>15} {:>15}", "", "chain rule", "differences");
    for c in &checks {
        println!(
            "{:<8} {:>15.9} {:>15.9}",
            c.name, c.chain_rule, c.differences
        );
    }
    // By hand, with s = sigmoid(w·x + b): dL/dw = (s - 1)·x, dL/db = s - 1, d²L/dw² = s·(1 - s)·x².
    Ok(checks)
}

fn main() -> Result<()> {
    run().map(drop)
}
