//! 9. The theory of the paper in numbers.
//!
//! The optimal D, G's cost, why the minimax loss saturates, and a game that does not converge.
//!
//! ```sh
//! cargo run --release --example 09-theory
//! ```

use ganforge::gan::Result;
use ganforge::gan::metrics::density::{jsd, optimal_d};
use ganforge::see::theory::{best_d, dirac, tabular};
use ganforge::tensor::Graph;

/// The results of the sections below.
pub struct Findings {
    /// Largest |D - D*| on [-2, 4].
    pub d_error: f64,
    /// C(G) after each number of gradient descent steps.
    pub costs: [f64; 3],
    /// Gradients of G's two losses where D(G(z)) = sigmoid(-5).
    pub gradients: [f64; 2],
    /// Distance from the equilibrium after 100 steps from distance 1: simultaneous, alternating.
    pub radii: [f64; 2],
}

fn main() -> Result<()> {
    run(4000).map(|_| ())
}

/// Prints all of it; D is trained for `steps` steps.
pub fn run(steps: u64) -> Result<Findings> {
    println!(
        "Proposition 1: data N(0, 1), samples N(2, 1); D after {steps} steps, and D* = p_data / (p_data + p_g)"
    );
    let x: Vec<f64> = (-2..=4).map(f64::from).collect();
    let d = best_d::train(1, steps, &x)?;
    let mut d_error = 0.0f64;
    for (x, d) in x.iter().zip(&d) {
        let [p, g] = best_d::densities(*x);
        let best = optimal_d(p, g);
        d_error = d_error.max((d - best).abs());
        println!("  x = {x:>2}   D = {d:.3}   D* = {best:.3}");
    }

    println!(
        "\nTheorem 1: gradient descent on C(G) = -log 4 + 2 JSD in the four probabilities of p_g; data 0.1, 0.2, 0.3, 0.4"
    );
    let p = [0.1, 0.2, 0.3, 0.4];
    let mut costs = [0.0; 3];
    for (c, steps) in costs.iter_mut().zip([0, 20, 2000]) {
        let end = tabular::descend(&p, 2.0, steps)?;
        *c = end.cost;
        println!(
            "  {steps:>4} steps: p_g = {:.3?}, JSD {:.6}, C(G) = {:.6}",
            end.p_g,
            jsd(&p, &end.p_g),
            end.cost
        );
    }
    println!("  -log 4 = {:.6}", -(4f64.ln()));

    println!(
        "\nSection 3: gradients of G's losses in the logit a of D(G(z)) at a = -5, where D confidently rejects the sample"
    );
    let gradients = [gradient(true)?, gradient(false)?];
    println!(
        "  log(1 - D): {:.4}   -log D: {:.4}",
        gradients[0], gradients[1]
    );

    println!(
        "\nSection 4.2: data 0, samples theta, D(x) = psi x, from distance 1; 100 steps with learning rate 0.1"
    );
    let play = |order| {
        let game = dirac::Dirac {
            loss: dirac::Loss::Wasserstein,
            order,
            penalty: 0.0,
            lr: 0.1,
        };
        let path = game.play([1.0, 0.0], 100)?;
        Ok::<f64, ganforge::gan::Error>(dirac::radius(path[100]))
    };
    let radii = [
        play(dirac::Order::Simultaneous)?,
        play(dirac::Order::Alternating)?,
    ];
    println!(
        "  simultaneous: distance {:.3}   alternating: {:.3}",
        radii[0], radii[1]
    );
    Ok(Findings {
        d_error,
        costs,
        gradients,
        radii,
    })
}

/// dL/da of G's loss at a = -5, by the engine: minimax or non-saturating.
fn gradient(is_minimax: bool) -> Result<f64> {
    use ganforge::tensor::{Plan, Reference, Store};
    let g = Graph::new();
    let a = g.param("a", [1]);
    let loss = if is_minimax {
        -a.softplus()
    } else {
        (-a).softplus()
    }
    .sum();
    let plan = Plan::of(&g)
        .fetch("gradient", g.grad(loss, &[a])?[0])
        .compile()?;
    let (mut store, mut f64s) = (Store::new(0), Reference::new());
    store.insert("a", [1], vec![-5.0])?;
    f64s.run(&plan, &mut store, &[])?;
    Ok(f64s.fetch(&plan, "gradient").map_or(f64::NAN, |s| s[0]))
}
