//! 3. A generative adversarial net in one dimension: the setting of the paper's Figure 1.
//!
//! The data are N(4, 0.5). G maps z ~ U(0, 1) to a number, D outputs the probability that a number is data. Neither is told
//! the mean or the width: G learns both from the gradient of D alone. What is new: two networks, and `detach`.
//!
//! `cargo run --release --example 03-gan-1d -- [ITERATIONS]`

use ganforge::tensor::{Cpu, Executor, Graph, Plan, Result, Store, Var};

const BATCH: usize = 256;
const MANY: usize = 20_000; // samples for the histogram
/// Learning rates. D learns faster, so that it stays near the optimal D for the current G; with 0.001 for both, G collapses to
/// one point that moves ahead of D (the paper's "Helvetica scenario").
const LR: [f64; 2] = [0.002, 0.0002]; // of D, of G

/// A network's parameters, 1 - 32 - 32 - 1, with the bounds of their uniform initial values. Those of the first layer are
/// wide: a unit's transition is at x = -b/w, and some must be near the data.
const NAMES: [&str; 6] = ["h0.w", "h0.b", "h1.w", "h1.b", "out.w", "out.b"];
const SHAPES: [&[usize]; 6] = [&[1, 32], &[32], &[32, 32], &[32], &[32, 1], &[1]];
const BOUNDS: [f64; 6] = [2.0, 4.0, 0.18, 0.0, 0.18, 0.0];

fn declare<'g>(g: &'g Graph, player: &str) -> Vec<Var<'g>> {
    let param = |(name, shape): (&str, _)| g.param(&format!("{player}.{name}"), shape);
    NAMES.into_iter().zip(SHAPES).map(param).collect()
}

fn forward<'g>(p: &[Var<'g>], x: Var<'g>) -> Var<'g> {
    let h0 = (x.matmul(p[0]) + p[1]).tanh();
    let h1 = (h0.matmul(p[2]) + p[3]).tanh();
    h1.matmul(p[4]) + p[5]
}

/// Adam (Kingma and Ba 2015): each parameter and its two slots, with their new values.
fn adam<'g>(params: &[Var<'g>], grads: Vec<Var<'g>>, lr: f64) -> Vec<[(Var<'g>, Var<'g>); 3]> {
    let step = |(p, dp): (&Var<'g>, Var<'g>)| {
        let g = p.graph();
        let slot = |suffix| g.param(&format!("{}.{suffix}", p.label()), p.shape());
        let (m, s) = (slot("mean"), slot("square"));
        let (m_new, s_new) = (m * 0.5 + dp * 0.5, s * 0.999 + dp.square() * 0.001);
        let root = (s_new * g.scalar("square_correction")).sqrt() + 1e-8;
        let p_new = *p - m_new * g.scalar("mean_correction") / root * lr;
        [(*p, p_new), (m, m_new), (s, s_new)]
    };
    params.iter().zip(grads).map(step).collect()
}

/// Trains, prints, and returns mean and standard deviation of many samples at the end.
pub fn run(iterations: usize) -> Result<[f32; 2]> {
    let (g, mut store) = (Graph::new(), Store::new(1));
    let gen_params = declare(&g, "G");
    let dis_params = declare(&g, "D");

    // D's step: maximise log D(x) + log(1 - D(G(z))). Only D's gradients are requested, so G is not changed.
    let x = g.normal("x", [BATCH, 1], 4.0, 0.5);
    let fake = forward(&gen_params, g.uniform("z_d", [BATCH, 1], 0.0, 1.0));
    let (real, fake) = (forward(&dis_params, x), forward(&dis_params, fake)); // logits
    let loss_d = (-real).softplus().mean() + fake.softplus().mean();
    let new_d = adam(&dis_params, g.grad(loss_d, &dis_params)?, LR[0]);

    // G's step, on fresh noise against the *updated* D, which is a node of the same graph and depends on samples of G:
    // its backward pass would lead into G a second time, through D's update. Algorithm 1 holds D fixed here, which
    // `detach` expresses: the same value, without a gradient.
    let fixed: Vec<Var> = new_d.iter().map(|u| u[0].1.detach()).collect();
    let sample = forward(&gen_params, g.uniform("z_g", [BATCH, 1], 0.0, 1.0));
    let loss_g = (-forward(&fixed, sample)).softplus().mean(); // -log D(G(z))
    let new_g = adam(&gen_params, g.grad(loss_g, &gen_params)?, LR[1]);
    let mut step = Plan::of(&g).fetch("D", loss_d).fetch("G", loss_g);
    for (old, new) in new_d.into_iter().chain(new_g).flatten() {
        step = step.update(old, new); // applied once all readers of the old value have run
    }
    let mut init = Plan::of(&g);
    let params = gen_params.iter().chain(&dis_params);
    for (p, bound) in params.zip(BOUNDS.into_iter().cycle()) {
        let drawn = g.uniform(&format!("init/{}", p.label()), p.shape(), -bound, bound);
        init = init.update(*p, drawn);
    }
    // A third plan evaluates G: its samples, and their mean and standard deviation, also computed in the graph.
    let samples = forward(&gen_params, g.uniform("z", [MANY, 1], 0.0, 1.0));
    let look = Plan::of(&g)
        .fetch("samples", samples)
        .fetch("data", g.normal("data", [MANY, 1], 4.0, 0.5))
        .fetch("mean", samples.mean())
        .fetch("sd", (samples - samples.mean()).square().mean().sqrt());
    let (step, init, look) = (step.compile()?, init.compile()?, look.compile()?);
    // The plan knows what it needs: the parameters, and two slots of Adam for each.
    for state in &step.states {
        store.insert(&state.name, state.shape, vec![0.0; state.shape.elements()])?;
    }
    Cpu::new(&init).run(&init, &mut store, &[])?;
    let (mut train, mut eye) = (Cpu::new(&step), Cpu::new(&look));
    println!("iteration   loss D   loss G   samples: mean ± sd (the data: 4 ± 0.5)");
    for i in 1..=iterations {
        for (name, beta) in [("mean_correction", 0.5f32), ("square_correction", 0.999)] {
            store.control.set(name, 1.0 / (1.0 - beta.powi(i as i32)));
        }
        train.run(&step, &mut store, &[])?;
        store.control.step += 1; // the counter of the random streams: fresh data and noise next time
        if i == 1 || i == iterations || i % (iterations / 10).max(1) == 0 {
            eye.run(&look, &mut store, &[])?;
            let [d, g] = ["D", "G"].map(|n| train.fetch(&step, &store, n).expect("fetched")[0]);
            let [m, s] = ["mean", "sd"].map(|n| eye.fetch(&look, &store, n).expect("fetched")[0]);
            println!("{i:>9}   {d:.4}   {g:.4}   {m:.3} ± {s:.3}");
        }
    }
    let seen = |name| eye.fetch(&look, &store, name).expect("fetched");
    println!("\n        {:<32} samples", "data");
    for bin in 0..16 {
        let low = 2.0 + 0.25 * bin as f32;
        let is_inside = |v: &&f32| (low..low + 0.25).contains(*v);
        let bar = |name| "#".repeat(seen(name).iter().filter(is_inside).count() * 140 / MANY);
        println!("{low:>5.2}   {:<32} {}", bar("data"), bar("samples"));
    }
    Ok(["mean", "sd"].map(|name| seen(name)[0]))
}

fn main() -> Result<()> {
    let iterations = std::env::args().nth(1);
    run(iterations.map_or(5000, |n| n.parse().expect("a number"))).map(drop)
}
