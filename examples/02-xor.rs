//! 2. Training: XOR, with a small multi-layer perceptron.
//!
//! What is new: a training step is a graph, too. The update rule consists of nodes like the loss, a plan stores their
//! values back into the parameters, and training means running the plan a thousand times.
//!
//! `cargo run --release --example 02-xor -- [STEPS]`

use ganforge::tensor::{Cpu, Executor, Feed, Graph, Plan, Result, Store};

const X: [f32; 8] = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
const TARGET: [f32; 4] = [0.0, 1.0, 1.0, 0.0];

/// Trains for `steps` steps and returns the four predicted probabilities.
pub fn run(steps: usize) -> Result<Vec<f32>> {
    let g = Graph::new();
    let x = g.input("x", [4, 2]); // all four cases in one minibatch
    let target = g.input("target", [4, 1]);

    // 2 - 8 - 1 with tanh. Weights are [in, out], so a layer is x·W + b; the bias [8] is broadcast over the rows.
    let (w1, b1) = (g.param("h.w", [2, 8]), g.param("h.b", [8]));
    let (w2, b2) = (g.param("out.w", [8, 1]), g.param("out.b", [1]));
    let logit = (x.matmul(w1) + b1).tanh().matmul(w2) + b2;

    // Binary cross-entropy from the logit a: -t·log s(a) - (1 - t)·log(1 - s(a)) = softplus(a) - t·a.
    let loss = (logit.softplus() - target * logit).mean();

    // Classical momentum: v <- μ·v - lr·gradient, then parameter <- parameter + v. The learning rate and μ come from
    // the store's control block, so that a schedule can change them without a new plan.
    let params = [("h.w", w1), ("h.b", b1), ("out.w", w2), ("out.b", b2)];
    let gradients = g.grad(loss, &params.map(|p| p.1))?;
    let (lr, mu) = (g.scalar("lr"), g.scalar("mu"));
    let mut step = Plan::of(&g).fetch("loss", loss);
    let mut init = Plan::of(&g);
    let mut store = Store::new(7); // 7 is the seed of all random numbers
    for ((name, p), dp) in params.into_iter().zip(gradients) {
        let v = g.param(&format!("{name}.velocity"), p.shape());
        let v_new = v * mu - dp * lr;
        step = step.update(v, v_new).update(p, p + v_new);
        // Initialisation is another plan: it stores random numbers, which are nodes like any other.
        init = init.update(p, g.uniform(&format!("init/{name}"), p.shape(), -1.0, 1.0));
    }
    store.control.set("lr", 0.2);
    store.control.set("mu", 0.9);
    let (step, init) = (step.compile()?, init.compile()?);
    for state in &step.states {
        // A plan knows which tensors of the store it needs: here the parameters and their velocities.
        store.insert(&state.name, state.shape, vec![0.0; state.shape.elements()])?;
    }
    let predict = Plan::of(&g).fetch("D", logit.sigmoid()).compile()?;

    // The plan makes it fast: a matrix product adds its bias, and the weights and their velocity are updated tile by tile
    // inside the product that computes their gradient. The graph is not affected.
    println!("One training step:\n{step}");

    let feeds = [
        Feed::new("x", [4, 2], &X),
        Feed::new("target", [4, 1], &TARGET),
    ];
    Cpu::new(&init).run(&init, &mut store, &[])?;
    let mut cpu = Cpu::new(&step);
    for i in 0..=steps {
        cpu.run(&step, &mut store, &feeds)?;
        store.control.step += 1; // the counter of random numbers; this step uses none
        if i % (steps / 10).max(1) == 0 {
            let loss = cpu.fetch(&step, &store, "loss").expect("fetched")[0];
            let bar = "#".repeat((loss * 60.0) as usize);
            println!("step {i:>5}  loss {loss:.4} nats  {bar}");
        }
    }

    let mut cpu = Cpu::new(&predict);
    cpu.run(&predict, &mut store, &feeds[..1])?; // only inputs that the plan reads may be fed
    let predictions = cpu.fetch(&predict, &store, "D").expect("fetched").to_vec();
    for (case, p) in X.chunks(2).zip(&predictions) {
        println!("{} xor {}: {p:.3}", case[0], case[1]);
    }
    Ok(predictions)
}

fn main() -> Result<()> {
    let steps = std::env::args()
        .nth(1)
        .map_or(500, |s| s.parse().expect("STEPS is a number"));
    run(steps).map(drop)
}
