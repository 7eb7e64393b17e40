//! One training step as a graph: the phases in which each network is updated.
//!
//! Simultaneous and alternating updates are the same loop over phases. An update is a node like any other; in Algorithm 1
//! the generator's phase reads the discriminator's new parameters, in the released code's simultaneous step the stored
//! ones.

use std::cell::RefCell;
use std::ops::Range;

use ganforge_tensor::plan::{Builder, Shards};
use ganforge_tensor::{Graph, Keep, Plan, Var};

use crate::config::{ClassSource, Config, Distribution, Network, Optimizer, Update};
use crate::error::{Error, Result};
use crate::losses::{Judged, cross_entropy, error_rate};
use crate::nn::{Build, Masks, Named, Pass, Preactivation, REAL, flat, shaped};
use crate::optim;
use crate::penalties::{At, PenaltyKind};
use crate::ranks::Ranks;
use crate::tensors::{Role, Tensors};

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
    /// `D` or `G`; of a classifier `C`.
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
    match config.classifier {
        None => vec![phase("D", k), phase("G", 1)],
        Some(_) => vec![phase("C", 1)],
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
    /// The input `x`: data, [k · batch, data], one minibatch per discriminator step.
    pub x: Var<'g>,
    /// Noise, [batch, dim]: `z`, or in alternating mode `z_d` and `z_g`.
    pub z: Vec<Named<'g>>,
    /// Classes of generated examples that were drawn, `[batch]`: `classes`, or in alternating mode `classes_d` and `classes_g`.
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
/// counts. Of a classifier `loss` and `accuracy`, the share of the minibatch to which it assigns its own class.
pub fn monitors(config: &Config) -> Vec<String> {
    if config.classifier.is_some() {
        return ["loss", "accuracy"].map(String::from).to_vec();
    }
    let penalties = config.discriminator.penalties.iter();
    let penalties = penalties.map(|p| p.kind.name());
    let names = ["loss_d", "loss_g", "d_real", "d_fake"].into_iter();
    let of_loss = config.loss.kind.monitors().iter().copied();
    names
        .chain(of_loss)
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
        let z = graph.input("z", [1, config.noise.dim]);
        build.eval("G", &config.generator, z);
    }
    let x = graph.input("x", [1, data_dim]);
    let x = shaped(x, &config.example_shape(data_dim));
    match &config.classifier {
        None => build.eval("D", &config.discriminator, x),
        Some(classifier) => build.eval("C", classifier, x),
    };
    if config.train.average.is_some() {
        optim::average(build, "G");
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
    let has_g = phases.iter().any(|p| p.net == "G");
    let (batch, shards) = (config.train.examples_per_shard(), config.train.shards());
    let rows = match has_g {
        true => config.train.examples_per_step() / shards,
        false => batch,
    };
    let mut build = Build::new(graph);
    build.set_shards(shards);
    let mut recorder = Recorder {
        config,
        batch,
        averages: has_g && config.train.average.is_some(),
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
    };
    if let Some(classifier) = &config.classifier {
        recorder.classify(classifier, phases)?;
        return recorder.step(phases);
    }
    for group in phases.chunk_by(|_, next| next.sees == Sees::Stored) {
        for j in 0..group[0].repeat {
            recorder.pass(group, j)?;
        }
    }
    recorder.step(phases)
}

struct Recorder<'c, 'g> {
    config: &'c Config,
    /// The examples of a minibatch that a shard has.
    batch: usize,
    /// Whether the moving averages of G's parameters are still to be recorded.
    averages: bool,
    build: Build<'g>,
    x: Var<'g>,
    /// The shape of an example as it comes to D.
    example: Vec<usize>,
    z: Vec<Named<'g>>,
    classes: Vec<Named<'g>>,
    masks: Masks<'g>,
    preactivations: Vec<Preactivation<'g>>,
    monitors: Vec<Named<'g>>,
    watched: Vec<Named<'g>>,
    grads: Vec<Gradient<'g>>,
    /// The noise and the classes that G had last.
    last_inputs_of_g: Option<(Var<'g>, Option<Var<'g>>)>,
}

/// What D says in one pass of data and noise through both networks.
pub(crate) struct Outputs<'g> {
    /// Of a minibatch of data, where there is one.
    real: Option<Judged<'g>>,
    /// Of samples of G.
    fake: Judged<'g>,
}

impl<'g> Recorder<'_, 'g> {
    /// The `j`-th time of phases that read the same parameters: passes, losses, gradients, then the updates.
    fn pass(&mut self, group: &[Phase], j: usize) -> Result<()> {
        let of = match group {
            [phase] => format!("_{}", phase.net.to_lowercase()),
            _ => String::new(),
        };
        let suffix = match j {
            0 => String::new(),
            _ => format!(".{j}"),
        };
        if let [phase] = group {
            self.build.set_learner(phase.net);
        }
        let (config, name) = (self.config, format!("{of}{suffix}"));
        let has_d = group.iter().any(|p| p.net == "D");
        // G sees the examples of D's last update.
        let (minibatch, real) = match has_d {
            true => (j, format!("{REAL}{suffix}")),
            false => (config.train.k - 1, format!("{REAL}{of}")),
        };
        let labels = self.labels(minibatch);
        let (z, of_fake) = self.inputs_of_g(&name, labels, !has_d && config.train.reuse_noise);
        let has_real = has_d || config.loss.kind.g_sees_real();
        let real = has_real
            .then(|| Pass::new(real, self.minibatch(self.x, minibatch)).with_labels(labels));
        let fake = Pass::new(format!("fake{name}"), z).with_labels(of_fake);
        let outputs = forward(&mut self.build, config, &self.example, fake, real);
        let mut losses = Vec::new();
        for phase in group {
            losses.push(self.loss(phase.net, &outputs, &suffix)?);
        }
        if let Some(real) = outputs.real.filter(|_| has_d) {
            let _scope = self.build.graph().scope("monitor");
            let (loss, fake) = (&config.loss.kind, outputs.fake);
            for (name, judged) in [("d_real", real), ("d_fake", fake)] {
                self.watch(name, &suffix, loss.shown(judged.d).mean());
            }
            for name in loss.monitors() {
                self.watch(name, &suffix, loss.watch(name, &real, &fake));
            }
        }
        self.masks.extend(self.build.take_masks());
        let preactivations = self.build.take_preactivations();
        self.preactivations.extend(preactivations);
        let mut grads = Vec::new();
        for (phase, loss) in group.iter().zip(losses) {
            grads.push(self.grads(phase.net, loss, &suffix)?);
        }
        if std::mem::take(&mut self.averages) {
            optim::average(&mut self.build, "G");
        }
        for (phase, grads) in group.iter().zip(grads) {
            optim::update(&mut self.build, phase.optimizer, phase.net, j, &grads);
            if let Some(c) = config.discriminator.clip.filter(|_| phase.net == "D") {
                optim::clip(&mut self.build, "D", c);
            }
        }
        Ok(())
    }

    /// One pass of a minibatch through a classifier, its loss, its gradients and their update.
    fn classify(&mut self, classifier: &Network, phases: &[Phase]) -> Result<()> {
        let Some(labels) = self.labels(0) else {
            let message =
                "a classifier learns from the classes of the examples, and there are none";
            return Err(Error::Mismatch(message.to_string()));
        };
        let (x, example) = (self.x, self.example.clone());
        let pass = Pass::new(REAL, shaped(x, &example)).with_labels(Some(labels));
        let (output, loss) = classified(&mut self.build, classifier, pass, labels);
        self.watch("loss", "", loss);
        let accuracy = {
            let _scope = self.build.graph().scope("monitor");
            1.0 - error_rate(output, labels)
        };
        self.watch("accuracy", "", accuracy);
        self.masks.extend(self.build.take_masks());
        let preactivations = self.build.take_preactivations();
        self.preactivations.extend(preactivations);
        for phase in phases {
            let grads = self.grads(phase.net, loss, "")?;
            optim::update(&mut self.build, phase.optimizer, phase.net, 0, &grads);
        }
        Ok(())
    }

    /// The rows of the `j`-th minibatch of the step, of data or their labels.
    fn minibatch(&self, all: Var<'g>, j: usize) -> Var<'g> {
        let b = self.batch;
        match all.shape().dims()[0] == b {
            true => all,
            false => all.rows(j * b, (j + 1) * b),
        }
    }

    /// The labels [b] of the `j`-th minibatch, rows of the input `labels`, where the step asks for them.
    fn labels(&self, j: usize) -> Option<Var<'g>> {
        let rows = self.x.shape().dims()[0];
        let asks = self.config.asks_for_labels();
        asks.then(|| self.minibatch(self.build.graph().input(LABELS, [rows]), j))
    }

    /// Noise and classes for G: drawn anew, or those that it had last.
    fn inputs_of_g(
        &mut self,
        name: &str,
        labels: Option<Var<'g>>,
        again: bool,
    ) -> (Var<'g>, Option<Var<'g>>) {
        if let Some(last) = self.last_inputs_of_g.filter(|_| again) {
            return last;
        }
        let (graph, config) = (self.build.graph(), self.config);
        let z = noise(graph, config, &format!("z{name}"), self.batch);
        self.z.push((format!("z{name}"), z));
        let inputs = (z, self.classes(&format!("classes{name}"), labels));
        self.last_inputs_of_g = Some(inputs);
        inputs
    }

    /// The classes [b] of generated examples, where a network asks for them: `labels`, those of the minibatch, or drawn.
    fn classes(&mut self, name: &str, labels: Option<Var<'g>>) -> Option<Var<'g>> {
        let n = self.config.classes()?;
        if self.config.noise.classes == Some(ClassSource::Data) {
            return labels;
        }
        let drawn = classes(self.build.graph(), name, self.batch, n);
        self.classes.push((name.to_string(), drawn));
        Some(drawn)
    }

    fn loss(&mut self, net: &str, outputs: &Outputs<'g>, suffix: &str) -> Result<Var<'g>> {
        let loss = loss(&self.build, self.config, net, outputs);
        let Some(real) = outputs.real.filter(|_| net == "D") else {
            self.watch(&format!("loss_{}", net.to_lowercase()), suffix, loss);
            return Ok(loss);
        };
        let mut sum = loss;
        for penalty in &self.config.discriminator.penalties {
            let term = self.penalty(&penalty.kind, real, outputs.fake, suffix)?;
            self.watch(penalty.kind.name(), suffix, term);
            let _scope = self.build.graph().scope("loss/d");
            sum = sum + penalty.counted(term);
        }
        self.watch("loss_d", suffix, sum);
        Ok(sum)
    }

    fn penalty(
        &mut self,
        penalty: &PenaltyKind,
        real: Judged<'g>,
        fake: Judged<'g>,
        suffix: &str,
    ) -> Result<Var<'g>> {
        let (graph, config, example) = (self.build.graph(), self.config, &self.example);
        let _scope = graph.scope("loss/d");
        let name = format!("{}{suffix}", penalty.name());
        let weights = self.build.tensors().params("D").filter(|s| s.is_weight());
        let weights = weights.map(|s| self.build.value(s)).collect();
        let build = RefCell::new(&mut self.build);
        let critic = |x| {
            let pass = Pass::new(name.clone(), shaped(x, example)).with_labels(real.labels);
            let mut build = build.borrow_mut();
            let output = flat(build.train("D", &config.discriminator, &[pass]));
            config.loss.kind.head(output, x, real.labels)
        };
        let draw = |part: &str, shape| {
            let stream = match part {
                "" => name.clone(),
                _ => format!("{name}/{part}"),
            };
            graph.uniform(&stream, shape, 0.0, 1.0)
        };
        let term = penalty.term(&At {
            real,
            fake,
            critic: &critic,
            weights,
            example,
            range: config.data_range(),
            draw: &draw,
        });
        term.map_err(|e| match e {
            ganforge_tensor::Error::NotReached { .. } => {
                let name = penalty.name();
                Error::Mismatch(format!(
                    "discriminator.penalty.{name} takes a gradient of what D says in points that it does not depend on: {e}"
                ))
            }
            e => e.into(),
        })
    }

    /// Of several discriminator steps the last one's is the monitor.
    fn watch(&mut self, name: &str, suffix: &str, var: Var<'g>) {
        self.watched.push((format!("{name}{suffix}"), var));
        self.monitors.retain(|m| m.0 != name);
        self.monitors.push((name.to_string(), var));
    }

    fn grads(&mut self, net: &str, loss: Var<'g>, suffix: &str) -> Result<Vec<Var<'g>>> {
        let specs = self.build.tensors().params(net);
        let params: Vec<(String, Var)> = specs
            .map(|s| (s.name.clone(), self.build.value(s)))
            .collect();
        let wrt: Vec<Var> = params.iter().map(|p| p.1).collect();
        let grads = self.build.graph().grad(loss, &wrt)?;
        let names: Vec<String> = params.iter().map(|p| format!("update/{}", p.0)).collect();
        let grads = self.mean_of_shards(names.iter().map(String::as_str).zip(grads));
        for ((param, _), &var) in params.into_iter().zip(&grads) {
            let name = format!("{param}{suffix}");
            self.grads.push(Gradient { param, name, var });
        }
        Ok(grads)
    }

    /// Means over all shards, each in a scope; of one shard the values themselves.
    ///
    /// All sums come first, so that ranks exchange them at once.
    fn mean_of_shards<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a str, Var<'g>)>,
    ) -> Vec<Var<'g>> {
        let (graph, shards) = (self.build.graph(), self.config.train.shards());
        let values: Vec<(&str, Var)> = values.into_iter().collect();
        let each = |values: Vec<(&'a str, Var<'g>)>, f: &dyn Fn(Var<'g>) -> Var<'g>| {
            let of = |(scope, value)| {
                let _scope = graph.scope(scope);
                (scope, f(value))
            };
            values.into_iter().map(of).collect::<Vec<_>>()
        };
        let means = match shards {
            1 => values,
            _ => {
                let sums = each(values, &|value| value.all_reduce());
                each(sums, &|sum| sum * (1.0 / shards as f64))
            }
        };
        means.into_iter().map(|mean| mean.1).collect()
    }

    /// What is watched and what is stored, from what each shard has: means of all of them.
    fn of_all_shards(&mut self, updates: &mut [(Var<'g>, Named<'g>)]) {
        if self.config.train.shards() == 1 {
            return;
        }
        let varies = self.build.graph().varies();
        let names: Vec<String> = updates
            .iter()
            .map(|u| format!("update/{}", u.1.0))
            .collect();
        let moved = |at: &usize| varies[updates[*at].1.1.id().index()];
        let moved: Vec<usize> = (0..updates.len()).filter(moved).collect();
        let watched = self.watched.iter().map(|w| ("monitor", w.1));
        let stored = moved
            .iter()
            .map(|&at| (names[at].as_str(), updates[at].1.1));
        let means = self.mean_of_shards(watched.chain(stored));
        let (watched, stored) = means.split_at(self.watched.len());
        for monitor in &mut self.monitors {
            let at = self.watched.iter().position(|w| w.1.id() == monitor.1.id());
            monitor.1 = at.map_or(monitor.1, |at| watched[at]);
        }
        for (own, mean) in self.watched.iter_mut().zip(watched) {
            own.1 = *mean;
        }
        for (at, mean) in moved.into_iter().zip(stored) {
            updates[at].1.1 = *mean;
        }
    }

    fn step(mut self, phases: &[Phase]) -> Result<Step<'g>> {
        let names = monitors(self.config);
        if names.len() > MAX_MONITORS {
            let message = format!("{} monitors of a step, at most {MAX_MONITORS}", names.len());
            return Err(Error::Mismatch(message));
        }
        let place = |m: &Named| names.iter().position(|n| *n == m.0);
        self.monitors.sort_by_key(place);
        let roles = [Role::Param, Role::Slot, Role::Buffer];
        let nets = self.config.nets().into_iter().map(|(net, _)| net);
        let parts = nets.flat_map(|net| roles.map(|role| (net, role)));
        let learns = |net: &str| phases.iter().any(|p| p.net == net);
        let parts = parts.filter(|(net, role)| *role == Role::Buffer || learns(net));
        let parts = parts.chain([("G", Role::Average)]);
        let updates =
            parts.flat_map(|(net, role)| self.build.updates(|s| s.net == net && s.role == role));
        let mut updates: Vec<_> = updates.collect();
        self.of_all_shards(&mut updates);
        let shards = Shards::of_rank(0, 1, self.config.train.shards())?;
        Ok(Step {
            graph: self.build.graph(),
            x: self.x,
            z: self.z,
            classes: self.classes,
            masks: self.masks,
            preactivations: self.preactivations,
            monitors: self.monitors,
            watched: self.watched,
            grads: self.grads,
            updates,
            shards,
            tensors: self.build.tensors().clone(),
        })
    }
}

/// Both networks on the noise `fake` and, where the losses ask for real examples, the minibatch `real` [b, d]; `example` is
/// the shape of an example as it comes to D.
pub(crate) fn forward<'g>(
    build: &mut Build<'g>,
    config: &Config,
    example: &[usize],
    z: Pass<'g>,
    real: Option<Pass<'g>>,
) -> Outputs<'g> {
    let samples = flat(build.train("G", &config.generator, std::slice::from_ref(&z)));
    let fake = Pass { x: samples, ..z };
    let Some(real) = real else {
        let [fake] = judged(build, config, example, [fake]);
        return Outputs { real: None, fake };
    };
    let [mut real, mut fake] = match config.train.joined {
        true => judged(build, config, example, [real, fake]),
        false => {
            let [real] = judged(build, config, example, [real]);
            let [fake] = judged(build, config, example, [fake]);
            [real, fake]
        }
    };
    fake.real = Some(real.d);
    for judged in [&mut real, &mut fake] {
        judged.features = features(build, config, judged.x);
    }
    let real = Some(real);
    Outputs { real, fake }
}

/// What the network of [`Config::margin`] is called in the names of tensors and scopes. No phase updates its parameters.
pub const FROZEN: &str = "F";

/// What that network makes of x `[b, d]`: `[b, values]`, constants.
fn features<'g>(build: &mut Build<'g>, config: &Config, x: Var<'g>) -> Option<Var<'g>> {
    let margin = config.margin.as_ref()?;
    let shape = config.margin_shape(margin, x.shape().dims()[1]);
    let x = shaped(x.detach(), &shape);
    Some(flat(build.eval(FROZEN, &margin.compared(), x)).detach())
}

/// What D says of minibatches [b, d], joined to one.
fn judged<'g, const N: usize>(
    build: &mut Build<'g>,
    config: &Config,
    example: &[usize],
    minibatches: [Pass<'g>; N],
) -> [Judged<'g>; N] {
    let loss = &config.loss.kind;
    build.keep(loss.code());
    let passes = minibatches.clone().map(|pass| Pass {
        x: shaped(pass.x, example),
        ..pass
    });
    let output = flat(build.train("D", &config.discriminator, &passes));
    let code = build.kept().map(flat);
    let mut first = 0;
    minibatches.map(|pass| {
        let b = pass.x.shape().dims()[0];
        let rows = first..first + b;
        first += b;
        let own = |all: Var<'g>| match N {
            1 => all,
            _ => all.rows(rows.start, rows.end),
        };
        let output = own(output);
        Judged {
            d: loss.head(output, pass.x, pass.labels),
            x: pass.x,
            output,
            labels: pass.labels,
            code: code.map(own),
            features: None,
            real: None,
        }
    })
}

/// The logits [b, classes] of a classifier for a minibatch, and its loss: their mean cross-entropy against `labels` [b].
pub(crate) fn classified<'g>(
    build: &mut Build<'g>,
    classifier: &Network,
    pass: Pass<'g>,
    labels: Var<'g>,
) -> (Var<'g>, Var<'g>) {
    let output = flat(build.train("C", classifier, &[pass]));
    let _scope = build.graph().scope("loss/c");
    (output, cross_entropy(output, labels).mean())
}

/// The loss of a network, `D` or `G`, without penalties.
pub(crate) fn loss<'g>(
    build: &Build<'g>,
    config: &Config,
    net: &str,
    outputs: &Outputs<'g>,
) -> Var<'g> {
    let _scope = build.graph().scope(&format!("loss/{}", net.to_lowercase()));
    match (net, &outputs.real) {
        ("D", Some(real)) => config.loss.kind.d(real, &outputs.fake),
        _ => config.loss.kind.g(&outputs.fake),
    }
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
/// uniform: each component on [-√3, √3]; unit-uniform: on [0, 1]; signed-uniform: on [-1, 1]; spherical: a normal vector over its L2 norm
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
