//! One training step as a graph: the phases in which each network is updated.
//!
//! Simultaneous and alternating updates are the same loop over phases. An update is a node like any other; in Algorithm 1
//! the generator's phase reads the discriminator's new parameters, in the released code's simultaneous step the stored
//! ones.

mod passes;
mod recorder;

use std::ops::Range;

use ganforge_tensor::plan::{Builder, Shards};
use ganforge_tensor::{Graph, Keep, Plan, Var};

pub use passes::FROZEN;
pub(crate) use passes::{Data, classified, features, forward, inferred, loss, mismatch, restored};
use recorder::Recorder;

use crate::config::{Config, Distribution, Optimizer, Update};
use crate::error::Result;
use crate::nn::{Build, Masks, Named, Preactivation, shaped};
use crate::optim;
use crate::ranks::Ranks;
use crate::tensors::Tensors;

/// The most monitors of a step: a report holds them without allocating.
pub const MAX_MONITORS: usize = 16;

/// Whose parameters a phase reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// Those that the phase before it reads: both take their gradients from one pass over the same data and noise.
    Stored,
    /// Those that the updates before it have left.
    Updated,
}

/// A network's part in a training step: it goes down its loss.
#[derive(Clone, Copy)]
pub struct Phase<'c> {
    /// `D` or `G`; of a classifier `C`, of an encoder `E`.
    pub net: &'static str,
    /// How.
    pub optimizer: &'c Optimizer,
    /// How many times, each on fresh data and noise.
    pub repeat: usize,
    /// Whose parameters it reads.
    pub sees: Sees,
}

/// The phases of a step of `config`.
///
/// source: Goodfellow et al. 2014, algorithm 1 (alternating); released code (simultaneous)
pub fn phases(config: &Config) -> Vec<Phase<'_>> {
    let (sees, k) = match config.train.update {
        Update::Simultaneous | Update::Single => (Sees::Stored, 1),
        Update::Alternating => (Sees::Updated, config.train.k),
    };
    let phase = |net, repeat| Phase {
        net,
        optimizer: config.optimizer_of(net),
        repeat,
        sees,
    };
    match (&config.classifier, &config.encoder) {
        (None, None) if !config.has_d() => vec![phase("G", 1)],
        (None, None) => vec![phase("D", k), phase("G", 1)],
        (Some(_), _) => vec![phase("C", 1)],
        (None, Some(_)) => vec![phase("E", 1)],
    }
}

/// The gradient in a parameter.
pub struct Gradient<'g> {
    /// The parameter.
    pub param: String,
    /// The parameter's name; that of a second or later phase of its network followed by `.1`, `.2`, ...
    pub name: String,
    /// Its node.
    pub var: Var<'g>,
}

/// A training step recorded in a graph, that of one shard of the minibatch (`train.shards`);
/// `batch` are its examples, and gradients, monitors and updates are those of all shards. With k > 1 discriminator steps, the names of the second
/// and later ones' noise, masks, gradients and watched numbers end in `.1`, `.2`, ...
pub struct Step<'g> {
    /// The graph.
    pub graph: &'g Graph,
    /// What the networks and the optimisers store.
    pub tensors: Tensors,
    /// The input `x`: data, [k · batch, data], one minibatch per discriminator step; then one for G where its loss is of
    /// other examples, and where D learns from labelled ones as many minibatches of those as of the others for D.
    pub x: Var<'g>,
    /// Noise, [batch, dim]: `z`, or in alternating mode `z_d` and `z_g`.
    pub z: Vec<Named<'g>>,
    /// Classes of generated examples that were drawn, `[batch]`: `classes`, or in alternating mode `classes_d` and `classes_g`; with
    /// [`Loss::mismatched`](crate::losses::Loss::mismatched) also `mismatched`, those that real examples are judged with.
    pub classes: Vec<Named<'g>>,
    /// Dropout masks, 0 or the scale: `real/D.h0`, ...
    pub masks: Masks<'g>,
    /// What the activation of each layer is taken of in each pass, in their order.
    pub preactivations: Vec<Preactivation<'g>>,
    /// Numbers to watch, as [`monitors`] has them: of several discriminator steps the last one's.
    pub monitors: Vec<Named<'g>>,
    /// The same of every discriminator step.
    pub watched: Vec<Named<'g>>,
    /// Gradients, of D first.
    pub grads: Vec<Gradient<'g>>,
    /// What each stored tensor becomes: its node, its name and its new value.
    pub updates: Vec<(Var<'g>, Named<'g>)>,
    /// The shards that its plans compute: all of them, unless [`Step::of_rank`] says otherwise.
    pub shards: Shards,
}

impl<'g> Step<'g> {
    /// The same, whose plans are those of the own one of `ranks`.
    ///
    /// # Errors
    /// Ranks that cannot share out the shards.
    pub fn of_rank(self, ranks: &Ranks) -> Result<Step<'g>> {
        let shards = Shards::of_rank(ranks.rank(), ranks.size(), self.shards.of)?;
        Ok(Step { shards, ..self })
    }

    /// Begins a plan of the step that computes nothing yet.
    pub fn begin(&self, keep: Keep) -> Builder<'g> {
        Plan::of(self.graph).keep(keep).shards(self.shards.clone())
    }

    /// The plan of the step: its monitors are handed out, all tensors updated.
    ///
    /// # Errors
    /// The graph's first fault.
    pub fn plan(&self, keep: Keep) -> Result<Plan> {
        self.plan_of(keep, "")
    }

    /// The same, but of the stored tensors only those whose names begin with `names` are updated: with "D." only D
    /// learns.
    ///
    /// # Errors
    /// The graph's first fault.
    pub fn plan_of(&self, keep: Keep, names: &str) -> Result<Plan> {
        let mut builder = self.begin(keep);
        for (name, monitor) in &self.monitors {
            builder = builder.fetch(name, *monitor);
        }
        let learns = |name: &String| name.starts_with(names);
        for (old, (_, new)) in self.updates.iter().filter(|u| learns(&u.1.0)) {
            builder = builder.update(*old, *new);
        }
        Ok(builder.compile()?)
    }
}

/// What is watched of each step: `loss_d`, `loss_g`, the mean outputs of D for real and generated examples as the loss
/// shows them, `d_real` and `d_fake`, what else the loss watches, and D's penalties, each as it is by itself, however often it
/// counts. Of a classifier `loss` and `accuracy`, the share of the minibatch to which it assigns its own class. Of an encoder `loss`,
/// `r2`, the share of the noise's variance that it explains, and where it counts `reconstruction`. Of a generator that is given images
/// also `content`, its distance from the real ones; without a discriminator nothing else.
pub fn monitors(config: &Config) -> Vec<String> {
    if config.classifier.is_some() {
        return ["loss", "accuracy"].map(String::from).to_vec();
    }
    if let Some(encoder) = &config.encoder {
        let weighed = encoder.reconstruction.map(|_| "reconstruction");
        let names = ["loss", "r2"].into_iter().chain(weighed);
        return names.map(String::from).collect();
    }
    let content = config.restore.as_ref().map(|_| "content");
    if !config.has_d() {
        return content.into_iter().map(String::from).collect();
    }
    let penalties = config.discriminator.penalties.iter();
    let penalties = penalties.map(|p| p.kind.name());
    let names = ["loss_d", "loss_g", "d_real", "d_fake"].into_iter();
    let of_loss = config.loss.kind.monitors().iter().copied();
    names
        .chain(of_loss)
        .chain(content)
        .chain(penalties)
        .map(String::from)
        .collect()
}

/// How many of `steps`, from 0, have each of [`monitors`].
pub(crate) fn counts(config: &Config, steps: Range<u64>) -> Vec<u64> {
    let penalties = &config.discriminator.penalties;
    let of_all = monitors(config).len() - penalties.len();
    let all = std::iter::repeat_n(steps.end - steps.start, of_all);
    all.chain(penalties.iter().map(|p| p.count(steps.clone())))
        .collect()
}

/// Notes all that a model of `config` stores, for data of `data_dim` values.
pub(crate) fn declare(build: &mut Build, config: &Config, data_dim: usize) {
    let graph = build.graph();
    if config.classifier.is_none() {
        let input = [&[1][..], &config.input_of_g()].concat();
        let z = graph.input("z", input.as_slice());
        build.eval("G", &config.generator, z);
    }
    let example = config.example_shape(data_dim);
    let x = graph.input("example", [1, example.iter().product()]);
    for (net, network) in config.nets() {
        if net != "G" {
            build.eval(net, network, shaped(x, &example));
        }
    }
    if config.train.average.is_some() {
        optim::average(build, "G");
    }
    if config.discriminator.average.is_some() {
        optim::average(build, "D");
    }
    features(build, config, graph.input("x", [1, data_dim]));
    for phase in phases(config) {
        optim::declare(build, phase.optimizer, phase.net);
    }
}

/// Records one training step of `config` for data of width `data_dim`, one with all penalties of D; of
/// [`Config::with_penalties`] one with some of them.
///
/// ```
/// use ganforge_gan::{Config, game};
/// use ganforge_tensor::{Graph, Keep};
/// let (graph, config) = (Graph::new(), Config::preset("tiny")?);
/// let step = game::record(&graph, &config, 784)?;
/// let plan = step.plan(Keep::Fetched)?;
/// assert!(plan.calls.len() < graph.len() / 2, "most nodes are fused, aliases or dead");
/// # Ok::<(), ganforge_gan::Error>(())
/// ```
///
/// # Errors
/// A loss that does not reach a parameter, more than [`MAX_MONITORS`] monitors, or the graph's first fault.
pub fn record<'g>(graph: &'g Graph, config: &Config, data_dim: usize) -> Result<Step<'g>> {
    record_phases(graph, config, data_dim, &phases(config))
}

/// Records one update of D alone, on one minibatch, as the first of a step that [`record`] records. Running averages of both
/// networks move, moving averages of parameters do not.
///
/// # Errors
/// As [`record`].
pub fn record_d<'g>(graph: &'g Graph, config: &Config, data_dim: usize) -> Result<Step<'g>> {
    let phases = phases(config).into_iter().filter(|p| p.net == "D");
    let once: Vec<Phase> = phases.map(|phase| Phase { repeat: 1, ..phase }).collect();
    record_phases(graph, config, data_dim, &once)
}
fn record_phases<'g>(
    graph: &'g Graph,
    config: &Config,
    data_dim: usize,
    phases: &[Phase],
) -> Result<Step<'g>> {
    config.check_margin_is_read()?;
    config.check_encoder_is_read()?;
    let has_g = phases.iter().any(|p| p.net == "G");
    let (batch, shards) = (config.train.examples_per_shard(), config.train.shards());
    let (drawn, labelled) = match has_g {
        true => (
            config.examples_per_step() / shards,
            config.labelled_minibatches(),
        ),
        false => (batch, config.labelled_minibatches().min(1)),
    };
    let rows = drawn + labelled * batch;
    let average_of = |net: &&str| match *net {
        "D" => config.discriminator.average.is_some(),
        _ => config.train.average.is_some(),
    };
    let mut build = Build::new(graph);
    build.set_shards(shards);
    let mut recorder = Recorder {
        config,
        batch,
        labelled,
        averages: ["G", "D"]
            .into_iter()
            .filter(|net| has_g && average_of(net))
            .collect(),
        build,
        x: graph.input("x", [rows, data_dim]),
        example: config.example_shape(data_dim),
        z: Vec::new(),
        classes: Vec::new(),
        masks: Masks::new(),
        preactivations: Vec::new(),
        monitors: Vec::new(),
        watched: Vec::new(),
        grads: Vec::new(),
        last_inputs_of_g: None,
        last_given: None,
    };
    if let Some(classifier) = &config.classifier {
        recorder.classify(classifier, phases)?;
        return recorder.step(phases);
    }
    if let Some(encoder) = &config.encoder {
        recorder.infer(encoder, phases)?;
        return recorder.step(phases);
    }
    if let Some(restore) = config.restore.as_ref().filter(|r| r.is_alone()) {
        recorder.restore(restore, phases)?;
        return recorder.step(phases);
    }
    for group in phases.chunk_by(|_, next| next.sees == Sees::Stored) {
        for j in 0..group[0].repeat {
            recorder.pass(group, j)?;
        }
    }
    recorder.step(phases)
}

/// The input of a step's labels.
pub const LABELS: &str = "labels";

/// Classes `[rows]`, each of `n` as likely as another; each name draws its own.
///
/// The place of the largest of n uniform numbers is uniform.
#[track_caller]
pub fn classes<'g>(graph: &'g Graph, name: &str, rows: usize, n: usize) -> Var<'g> {
    let drawn = graph.uniform(name, [rows, n], 0.0, 1.0);
    drawn.arg_max(n).reshape([rows])
}

/// z [rows, dim] from the configured distribution; each name draws its own numbers.
///
/// uniform: each component on [-√3, √3]; unit-uniform: on [0, 1]; signed-uniform: on [-1, 1]; spherical: a normal vector over its L2 norm;
/// signs: -1 or 1
/// source: released configurations
#[track_caller]
pub fn noise<'g>(graph: &'g Graph, config: &Config, name: &str, rows: usize) -> Var<'g> {
    let shape = [rows, config.noise.dim];
    let bound = 3f64.sqrt();
    match config.noise.distribution {
        Distribution::Uniform => graph.uniform(name, shape, -bound, bound),
        Distribution::UnitUniform => graph.uniform(name, shape, 0.0, 1.0),
        Distribution::SignedUniform => graph.uniform(name, shape, -1.0, 1.0),
        Distribution::Normal => graph.normal(name, shape, 0.0, 1.0),
        Distribution::Spherical => {
            let n = graph.normal(name, shape, 0.0, 1.0);
            n / n.square().sum_axes(&[1]).sqrt()
        }
        Distribution::Signs => graph.bernoulli(name, shape, 0.5, 2.0) - 1.0,
    }
}

/// The variance of each component of z.
pub(crate) fn variance(config: &Config) -> f64 {
    match config.noise.distribution {
        Distribution::Uniform | Distribution::Normal | Distribution::Signs => 1.0,
        Distribution::UnitUniform => 1.0 / 12.0,
        Distribution::SignedUniform => 1.0 / 3.0,
        Distribution::Spherical => 1.0 / config.noise.dim as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_tensor::plan::{Kernel, Stage};

    fn plan(options: &[&str]) -> Plan {
        let config = Config::preset("mnist")
            .and_then(|c| c.with(options))
            .expect("valid");
        let g = Graph::new();
        let step = record(&g, &config, 784).expect("recorded");
        step.plan(Keep::Fetched).expect("compiled")
    }

    fn products(plan: &Plan, stages: &[Stage]) -> usize {
        let calls = plan.calls.iter();
        let matching =
            |k: &Kernel| matches!(k, Kernel::Product(p) if p.epilogue.stages().ends_with(stages));
        calls.filter(|c| matching(&c.kernel)).count()
    }

    #[test]
    fn weight_gradients_end_in_the_momentum_update() {
        let averages = ["train.average=0", "train.average=0.999"];
        let modes = ["train.update=alternating", "train.update=simultaneous"];
        for (mode, average) in modes.iter().flat_map(|m| averages.map(|a| (*m, a))) {
            let plan = plan(&[mode, average]);
            assert_eq!(products(&plan, &[Stage::Momentum]), 6, "{mode}\n{plan}");
            assert_eq!(
                products(&plan, &[Stage::Bias, Stage::Relu]),
                if mode.contains("alt") { 4 } else { 2 }
            );
        }
    }

    #[test]
    fn the_step_costs_what_its_products_cost() {
        let gflop = |options: &[&str]| plan(options).cost().flops as f64 / 1e9;
        assert!((gflop(&["train.update=alternating"]) - 3.58).abs() < 0.05);
        assert!((gflop(&["train.update=simultaneous"]) - 2.84).abs() < 0.05);
    }
}
