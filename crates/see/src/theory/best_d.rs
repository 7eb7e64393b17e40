//! D trained alone against a fixed G: it converges to D* = p / (p + q).

use ganforge_tensor::{Cpu, Executor, Graph, Plan};

use ganforge_gan::config::Config;
use ganforge_gan::critic::Critic;
use ganforge_gan::data::Mixture;
use ganforge_gan::error::Result;
use ganforge_gan::init;
use ganforge_gan::losses::{Judged, NonSaturating, Objective};
use ganforge_gan::nn::Build;
use ganforge_gan::optim::{self, Schedule};

/// Points of each kind per step.
const BATCH: usize = 512;
/// Mean and standard deviation.
const DATA: (f64, f64) = (0.0, 1.0);
const SAMPLES: (f64, f64) = (2.0, 1.0);

/// Trains a 1 - tanh 16 - tanh 16 - 1 discriminator on fresh points of N(0, 1) as data and N(2, 1) as samples, batch 512,
/// Adam with a falling rate, and returns D at each of `x`.
///
/// # Errors
/// The engine's.
pub fn train(seed: u64, steps: u64, x: &[f64]) -> Result<Vec<f64>> {
    let decay = 100_f64.powf(1.0 / steps.max(1) as f64); // 0.01 to 0.0001
    let config = Config::preset("fig1")?.with(&[
        format!("seed={seed}"),
        "train.k=1".into(),
        "discriminator.layer.h0.units=16".into(),
        "discriminator.layer.h1.units=16".into(),
        "discriminator.layer.h0.init={normal=1.0}".into(),
        "discriminator.layer.h1.init={normal=0.25}".into(),
        "optimizer.lr=0.01".into(),
        format!("optimizer.lr_decay={decay:?}"),
    ])?;
    let graph = Graph::new();
    let plan = step(&graph, &config)?;
    let mut store = init::store(&config, 1, &[])?;
    let (mut cpu, schedule) = (Cpu::new(&plan), Schedule::of(&config));
    for i in 0..steps {
        schedule.set(&mut store.control, i, 1);
        cpu.run(&plan, &mut store, &[])?;
        store.control.step = i + 1;
    }
    Critic::new(&config)?.probabilities(&mut store, x.iter().copied())
}

fn step(graph: &Graph, config: &Config) -> Result<Plan> {
    let mut build = Build::new(graph);
    let mut d = |name, (mean, sd)| {
        let x = graph.normal(name, [BATCH, 1], mean, sd);
        build.eval("D", &config.discriminator, x)
    };
    let (real, fake) = (d("real", DATA), d("fake", SAMPLES));
    let loss = NonSaturating {
        half: true,
        ..NonSaturating::default()
    };
    let params = build.tensors().params("D");
    let params: Vec<_> = params.map(|s| build.value(s)).collect();
    let grads = graph.grad(loss.d(&Judged::of(real), &Judged::of(fake)), &params)?;
    optim::update(&mut build, &config.optimizer, "D", 0, &grads);
    let mut plan = Plan::of(graph);
    for (old, (_, new)) in build.updates(|_| true) {
        plan = plan.update(old, new);
    }
    Ok(plan.compile()?)
}

/// The densities of data and samples.
pub fn densities(x: f64) -> [f64; 2] {
    [DATA, SAMPLES].map(|(mean, sd)| {
        let normal = Mixture {
            centres: vec![mean],
            d: 1,
            sd,
        };
        normal.density(&[x])
    })
}

/// V(D, G) = E log D(x) + E log(1 - D(G(z))) of a D known at even steps over [lo, hi], by the trapezoidal rule: what D
/// maximises, -2 times its halved loss.
pub fn value(x: &[f64], d: &[f64]) -> f64 {
    let term = |(&x, &d): (&f64, &f64)| {
        let [p, q] = densities(x);
        p * d.ln() + q * (1.0 - d).ln()
    };
    let terms: Vec<f64> = x.iter().zip(d).map(term).collect();
    let both = x.windows(2).zip(terms.windows(2));
    both.map(|(x, t)| (x[1] - x[0]) * (t[0] + t[1]) / 2.0).sum()
}
