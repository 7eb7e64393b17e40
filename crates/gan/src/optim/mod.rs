//! Optimisers, each in its file: from a gradient to the new values of a parameter and its slots, as graph nodes.

mod adam;
mod rms_prop;
mod sgd;

pub use adam::Adam;
pub use rms_prop::RmsProp;
pub use sgd::{Momentum, Sgd};

use ganforge_settings::{Reader, UnlessZero, above, closed, list, settings, whole};
use ganforge_tensor::{Control, Var};

use crate::config::{Config, Train};
use crate::game;
use crate::losses::LossKind;
use crate::nn::Build;
use crate::schedule;
use crate::tensors::TensorSpec;

/// The decay of the moving averages of the parameters of G and of D.
const AVERAGES: [&str; 2] = ["average", "D.average"];
/// The most scalars of a rule.
const MAX_SCALARS: usize = 4;

settings! {
    /// The optimiser of a network.
    pub struct Optimizer {
        /// The update rule.
        pub rule: Rule = Rule::Adam(Adam::default());
        /// Learning rate of the first update.
        pub lr: f64 = 0.001, above(0.0, 1000.0);
        /// Divisor of the learning rate at each update of the network.
        pub lr_decay: f64 = 1.0, closed(1.0, 2.0);
        /// Updates of the network after each so many of which the learning rate is multiplied by `lr_gamma`; 0: none.
        pub lr_step: Option<usize> = None, UnlessZero(whole(0, 1_000_000_000));
        /// That factor.
        #[only(lr_step, "lr_step", |o| o.lr_step.is_some())]
        pub lr_gamma: f64 = 0.1, above(0.0, 1.0);
        /// Lower bound of the learning rate.
        pub lr_min: f64 = 0.0, closed(0.0, 1000.0);
        /// weight_decay · θ is added to the gradient in each parameter θ, biases included, before the rule; 0: none.
        pub weight_decay: Option<f64> = None, UnlessZero(closed(0.0, 1000.0));
    }
    check Optimizer::check;
}

impl Optimizer {
    fn check(&mut self, table: &Reader<'_>) {
        if self.lr_min > self.lr {
            let (most, got) = (closed(0.0, self.lr), self.lr_min);
            table.fault("lr_min", &format!("must be {most}, got {got:?}"));
        }
    }
}

list! {
    /// Update rules.
    pub enum Rule: dyn Optimize by "kind" {
        "sgd" => Sgd(Sgd),
        "adam" => Adam(Adam),
        "rms_prop" => RmsProp(RmsProp),
    }
}

/// A rule that moves parameters along gradients.
pub trait Optimize: std::fmt::Debug + Send + Sync {
    /// What it remembers of each parameter, 0 at first: `velocity`.
    fn slots(&self) -> &'static [&'static str];

    /// Numbers that it reads beside the learning rate, at most 4, which change from update to update.
    fn scalars(&self) -> &'static [&'static str];

    /// How many of those, from the first one on, are reported as the learning rate is.
    fn reported(&self) -> usize {
        0
    }

    /// The scalars of the update that follows `updates` completed ones of the network, in `epoch`, counted from 1.
    fn values(&self, updates: u64, epoch: usize, out: &mut [f64]);

    /// The new values of a parameter and of its slots after one step along `grad`. `scalar` gives `lr` and each of
    /// [`Optimize::scalars`].
    fn step<'g>(
        &self,
        param: Var<'g>,
        slots: &[Var<'g>],
        grad: Var<'g>,
        scalar: &dyn Fn(&str) -> Var<'g>,
    ) -> (Var<'g>, Vec<Var<'g>>);
}

/// What a scalar of the `j`-th update of `net` in a training step is called: `D.lr`, `D.lr.1`.
fn scalar_name(net: &str, name: &str, j: usize) -> String {
    match j {
        0 => format!("{net}.{name}"),
        _ => format!("{net}.{name}.{j}"),
    }
}

/// Records the `j`-th update of `net` in a training step along `grads`, of parameters in the order of their declaration.
///
/// After it, where the parameter has a norm constraint c, each column of θ is scaled by min(‖·‖, c)/‖·‖.
///
/// source: released configurations (max_col_norm); docs/book/src/optimisers.md
#[track_caller]
pub fn update<'g>(
    build: &mut Build<'g>,
    optimizer: &Optimizer,
    net: &str,
    j: usize,
    grads: &[Var<'g>],
) {
    let (graph, rule) = (build.graph(), &optimizer.rule);
    let params: Vec<TensorSpec> = build.tensors().params(net).cloned().collect();
    for (spec, grad) in params.iter().zip(grads) {
        let _scope = graph.scope(&format!("update/{}", spec.name));
        let scalar = |name: &str| graph.scalar(&scalar_name(net, name, j));
        let slots = rule.slots().iter().map(|slot| build.slot(spec, slot));
        let slots: Vec<Var> = slots.collect();
        let param = build.value(spec);
        let grad = match optimizer.weight_decay {
            None => *grad,
            Some(decay) => *grad + param * decay,
        };
        let (mut new, values) = rule.step(param, &slots, grad, &scalar);
        if let Some(c) = spec.max_col_norm {
            new = constrain_columns(new, spec.outputs, c);
        }
        build.set(&spec.name, new);
        for (slot, value) in rule.slots().iter().zip(values) {
            build.set(&format!("{}.{slot}", spec.name), value);
        }
    }
}

/// Clips all parameters of `net`, as they are now, to [-c, c].
///
/// source: Arjovsky, Chintala and Bottou 2017, Wasserstein GAN, algorithm 1 (c = 0.01)
#[track_caller]
pub fn clip(build: &mut Build<'_>, net: &str, c: f64) {
    let params: Vec<TensorSpec> = build.tensors().params(net).cloned().collect();
    for spec in &params {
        let _scope = build.graph().scope(&format!("update/{}", spec.name));
        let new = build.value(spec).clip(-c, c);
        build.set(&spec.name, new);
    }
}

/// Notes the slots of the parameters of `net`.
pub(crate) fn declare(build: &mut Build, optimizer: &Optimizer, net: &str) {
    let params: Vec<TensorSpec> = build.tensors().params(net).cloned().collect();
    for (spec, slot) in params
        .iter()
        .flat_map(|p| optimizer.rule.slots().iter().map(move |s| (p, s)))
    {
        build.slot(spec, slot);
    }
}

/// Scales the weights of each output, along the axis `outputs` of w, to an L2 norm of at most c; those inside keep their
/// bits.
///
/// w <- w · clip(‖w_j‖, 0, c) / max(‖w_j‖, 1e-7)
/// source: released configurations, max_col_norm
#[track_caller]
pub fn constrain_columns(w: Var<'_>, outputs: usize, c: f64) -> Var<'_> {
    let others: Vec<usize> = (0..w.shape().rank()).filter(|a| *a != outputs).collect();
    let norm = w.square().sum_axes(&others).sqrt();
    w * (norm.clip(0.0, c) / norm.clip(1e-7, f64::INFINITY))
}

/// Records the new values of the moving averages of the parameters of `net`, as they are at the start of the step.
///
/// a <- d_t·a + (1 - d_t)·θ,  d_t = min(d, (1 + t) / (10 + t)) after t updates, d the configured decay
///
/// The parameter is read before its update, so that the update stays fused with its gradient's product.
/// source: weight averaging of the generator, as in Karras et al. 2018, section 4; the ramp of d_t is common practice
#[track_caller]
pub fn average(build: &mut Build, net: &str) {
    let graph = build.graph();
    let params: Vec<TensorSpec> = build.tensors().params(net).cloned().collect();
    let decay = AVERAGES[usize::from(net == "D")];
    for spec in &params {
        let (p, a) = (build.value(spec), build.average(spec));
        let name = format!("{}.average", spec.name);
        let _scope = graph.scope(&format!("update/{name}"));
        build.set(&name, p + (a - p) * graph.scalar(decay));
    }
}

/// The scalars of a training step: learning rates and what else the optimisers read, one set per update of a network, and what
/// the loss reads.
pub struct Schedule {
    nets: Vec<Updates>,
    loss: LossKind,
    train: Train,
    /// The decays of the averages of G and of D.
    averages: [Option<f64>; 2],
    names: Vec<String>,
}

/// The updates of one network in a step.
struct Updates {
    net: &'static str,
    optimizer: Optimizer,
    /// By update: `lr`, then the rule's scalars.
    names: Vec<Vec<String>>,
}

impl Updates {
    /// Sets the scalars of the `j`-th update of a step, which follows `updates` completed ones of the network; returns them.
    fn set(
        &self,
        control: &mut Control,
        j: usize,
        updates: u64,
        epoch: usize,
    ) -> [f64; 1 + MAX_SCALARS] {
        let names = &self.names[j];
        let mut values = [0.0; 1 + MAX_SCALARS];
        values[0] = schedule::lr(&self.optimizer, updates);
        let scalars = &mut values[1..names.len()];
        self.optimizer.rule.values(updates, epoch, scalars);
        for (name, value) in names.iter().zip(values) {
            control.set(name, value as f32);
        }
        values
    }
}

/// The most numbers that a step reports of its optimisers.
pub(crate) const MAX_RATES: usize = 2 * (1 + MAX_SCALARS);

impl Schedule {
    /// The scalars of a step of `config`.
    pub fn of(config: &Config) -> Schedule {
        let phases = game::phases(config);
        let is_one = phases
            .iter()
            .all(|p| p.optimizer == phases[0].optimizer && p.repeat == 1);
        let mut names = Vec::new();
        let mut nets = Vec::new();
        for phase in &phases {
            let rule = &phase.optimizer.rule;
            let all: Vec<&str> = std::iter::once("lr")
                .chain(rule.scalars().iter().copied())
                .collect();
            let of = |j| {
                all.iter()
                    .map(|name| scalar_name(phase.net, name, j))
                    .collect()
            };
            if !is_one || names.is_empty() {
                let suffix = match is_one {
                    true => String::new(),
                    false => format!("_{}", phase.net.to_lowercase()),
                };
                let reported = all.iter().take(1 + rule.reported());
                names.extend(reported.map(|name| format!("{name}{suffix}")));
            }
            nets.push(Updates {
                net: phase.net,
                optimizer: phase.optimizer.clone(),
                names: (0..phase.repeat).map(of).collect(),
            });
        }
        Schedule {
            nets,
            loss: config.loss.kind.clone(),
            train: config.train,
            averages: [config.train.average, config.discriminator.average],
            names,
        }
    }

    /// What [`Schedule::set`] reports: `lr`, of SGD `momentum`; where the networks' differ `lr_d`, `lr_g`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Sets the scalars of the step that follows `steps` completed ones, in `epoch`, counted from 1. Each network's rate
    /// and rule go by its own updates, of which a step has several where it is repeated, and D others before it where
    /// [`train.warmup`](Train::warmup) says so. Returns the values of [`Schedule::names`], of the last update of each network.
    pub fn set(&self, control: &mut Control, steps: u64, epoch: usize) -> [f64; MAX_RATES] {
        for (name, decay) in AVERAGES.iter().zip(self.averages) {
            if let Some(decay) = decay {
                control.set(name, schedule::average(decay, steps) as f32);
            }
        }
        self.set_loss(control, epoch);
        let mut rates = [0.0; MAX_RATES];
        let mut filled = 0;
        for net in &self.nets {
            let mut values = [0.0; 1 + MAX_SCALARS];
            let extra = match net.net {
                "D" => self.train.extra_updates(steps.saturating_add(1)),
                _ => 0,
            };
            for j in 0..net.names.len() {
                let updates = steps
                    .saturating_mul(net.names.len() as u64)
                    .saturating_add(extra)
                    .saturating_add(j as u64);
                values = net.set(control, j, updates, epoch);
            }
            for value in values
                .iter()
                .take(1 + net.optimizer.rule.reported())
                .take(self.names.len() - filled)
            {
                rates[filled] = *value;
                filled += 1;
            }
        }
        rates
    }

    fn set_loss(&self, control: &mut Control, epoch: usize) {
        if let Some((name, value)) = self.loss.scalar(epoch) {
            control.set(name, value as f32);
        }
    }

    /// Sets the scalars of an update of D alone, which follows `steps` completed steps and, in the whole run, `extra` such
    /// updates: D's and the loss's, and no others.
    pub fn set_extra(&self, control: &mut Control, steps: u64, extra: u64, epoch: usize) {
        self.set_loss(control, epoch);
        for d in self.nets.iter().filter(|net| net.net == "D") {
            let updates = steps
                .saturating_mul(d.names.len() as u64)
                .saturating_add(extra);
            d.set(control, 0, updates, epoch);
        }
    }
}
