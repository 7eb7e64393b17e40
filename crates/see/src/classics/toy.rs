//! What the experiments share: nets as lines of a configuration, a look at gradients, curves.

use ganforge_gan::Config;
use ganforge_gan::error::Result;
use ganforge_gan::losses::Judged;
use ganforge_gan::nn::{Build, flat};
use ganforge_plots::{BLACK, BLUE, GREEN, GREY, RED, Rgb};
use ganforge_tensor::{Cpu, Executor, Feed, Graph, Plan, Store};

/// Colours of curves beside each other.
pub(super) const COLOURS: [Rgb; 9] = [
    RED,
    BLUE,
    GREEN,
    [214, 133, 0],
    [131, 64, 160],
    [0, 150, 160],
    [150, 85, 40],
    GREY,
    BLACK,
];

/// Fully connected layers `h0`, `h1`, ..., `out` as the value of `generator.layer` or `discriminator.layer`: weights normal
/// with sd 1.4 / √inputs before the activation and 1 / √inputs before the output, biases normal with sd `bias`.
pub(super) fn layers(
    activation: &str,
    inputs: usize,
    hidden: &[usize],
    outputs: usize,
    bias: f64,
) -> String {
    let mut fan = inputs as f64;
    let mut layers = Vec::new();
    for (i, units) in hidden.iter().enumerate() {
        let sd = 1.4 / fan.sqrt();
        layers.push(format!(
            "{{ name = \"h{i}\", activation = \"{activation}\", units = {units}, init = {{ normal = {sd} }}, bias = {bias:?} }}"
        ));
        fan = *units as f64;
    }
    let sd = 1.0 / fan.sqrt();
    layers.push(format!(
        "{{ name = \"out\", activation = \"linear\", units = {outputs}, init = {{ normal = {sd} }} }}"
    ));
    format!("[{}]", layers.join(", "))
}

/// A configuration of these lines, for an experiment called `name`.
pub(super) fn config(name: &str, seed: u64, lines: &[String]) -> Result<Config> {
    let text = format!("seed = {seed}\n{}\n", lines.join("\n"));
    Ok(Config::from_toml(&text, name)?)
}

/// The lines of a small GAN on the ring of eight Gaussians: G 2-64-64-2, D 2-64-64-1, Adam, batch 128.
pub(super) fn small_ring() -> Vec<String> {
    vec![
        "data.set = \"ring\"".into(),
        "train.batch = 128".into(),
        format!("generator.layer = {}", layers("relu", 2, &[64, 64], 2, 0.0)),
        format!(
            "discriminator.layer = {}",
            layers("leaky_relu", 2, &[64, 64], 1, 0.0)
        ),
        "optimizer = { lr = 0.001, beta1 = 0.5 }".into(),
    ]
}

/// Makes the last layer of [`small_ring`]'s G so small that its samples lie around the origin, away from the ring.
pub(super) const NEAR_THE_ORIGIN: [&str; 1] = ["generator.layer.out.init={normal=0.0125}"];

/// Looks at what D says of points, and how it and G's loss change with them.
pub(super) struct Look {
    plan: Plan,
    cpu: Cpu,
    shape: [usize; 2],
}

/// What D says of points.
pub(super) struct Seen {
    /// Its values, [n].
    pub d: Vec<f64>,
    /// The norms of its gradients, [n].
    pub slopes: Vec<f64>,
    /// The gradients of G's loss of each point, as if it were its only one, [n, data].
    pub pulls: Vec<f64>,
}

impl Look {
    /// At `rows` points at once.
    pub(super) fn new(config: &Config, rows: usize) -> Result<Look> {
        let (graph, width) = (Graph::new(), config.output_dim());
        let x = graph.input("x", [rows, width]);
        let loss = &config.loss.kind;
        let output = flat(Build::new(&graph).eval("D", &config.discriminator, x));
        let d = loss.head(output, x, None);
        let judged = Judged {
            x,
            output,
            ..Judged::of(d)
        };
        let slopes = graph.grad(d.sum(), &[x])?[0];
        let pulls = graph.grad(loss.g(&judged) * rows as f64, &[x])?[0];
        let plan = Plan::of(&graph).fetch("d", d).fetch("slopes", slopes);
        let plan = plan.fetch("pulls", pulls).compile()?;
        Ok(Look {
            cpu: Cpu::new(&plan),
            plan,
            shape: [rows, width],
        })
    }

    /// By the D in `store`, of points [rows, data].
    pub(super) fn at(&mut self, store: &Store, points: &[f32]) -> Result<Seen> {
        let mut store = store.clone();
        let feed = Feed::new("x", self.shape, points);
        self.cpu.run(&self.plan, &mut store, &[feed])?;
        let fetch = |name: &str| -> Vec<f64> {
            let values = self.cpu.fetch(&self.plan, &store, name);
            let values = values.unwrap_or_default().iter();
            values.map(|&v| v.into()).collect()
        };
        let slopes = fetch("slopes");
        Ok(Seen {
            d: fetch("d"),
            slopes: slopes.chunks(self.shape[1]).map(norm).collect(),
            pulls: fetch("pulls"),
        })
    }
}

/// √(Σ x²)
pub(super) fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The mean.
pub(super) fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}
