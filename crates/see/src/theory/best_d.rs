//! D alone against a fixed G: it becomes D* = p / (p + q).

use ganforge_tensor::{Cpu, Executor, Graph, Plan};

use ganforge_gan::config::{Bce, Config, DiscriminatorLoss};
use ganforge_gan::data::Mixture;
use ganforge_gan::error::Result;
use ganforge_gan::logits::Logits;
use ganforge_gan::model::{Net, parameters};
use ganforge_gan::{init, losses, optim};

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
    let mut cpu = Cpu::new(&plan);
    for i in 0..steps {
        optim::prepare(&config, &mut store, i, 1);
        cpu.run(&plan, &mut store, &[])?;
        store.control.step = i + 1;
    }
    Logits::new(&config)?.probabilities(&mut store, x.iter().copied())
}

fn step(graph: &Graph, config: &Config) -> Result<Plan> {
    let net = Net::declare(graph, "D", &config.discriminator, 1);
    let slots = optim::declare_slots(graph, &config.optimizer.rule, net.params());
    let real = net.forward(graph.normal("real", [BATCH, 1], DATA.0, DATA.1));
    let fake = net.forward(graph.normal("fake", [BATCH, 1], SAMPLES.0, SAMPLES.1));
    let loss = losses::discriminator(DiscriminatorLoss::Bce(Bce { half: true }), real, fake);
    let params: Vec<_> = net.params().iter().map(|p| p.1).collect();
    let grads = graph.grad(loss, &params)?;
    let specs = parameters("D", &config.discriminator, 1);
    let rule = &config.optimizer.rule;
    let network = &config.discriminator;
    let (params, values) = optim::update(rule, network, &specs, net.params(), &slots, &grads);
    let olds = net.params().iter().chain(&slots);
    let mut plan = Plan::of(graph);
    for (old, new) in olds.zip(params.iter().chain(&values)) {
        plan = plan.update(old.1, new.1);
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
