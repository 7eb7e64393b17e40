//! A step as it is recorded: one pass after the other, their losses, gradients and updates, then what all shards make of them.

use std::cell::RefCell;

use ganforge_tensor::Var;
use ganforge_tensor::plan::Shards;

use super::passes::{Data, Outputs, classified, forward, inferred, loss, mismatch, restored};
use super::{Gradient, LABELS, MAX_MONITORS, Phase, Step, classes, monitors, noise, variance};
use crate::config::{ClassSource, Config, Network};
use crate::error::{Error, Result};
use crate::losses::{Judged, error_rate};
use crate::nn::{Build, Masks, Named, Pass, Preactivation, REAL, flat, shaped};
use crate::optim;
use crate::penalties::{At, PenaltyKind};
use crate::restore::{Given, Restore};
use crate::tensors::Role;

pub(super) struct Recorder<'c, 'g> {
    pub(super) config: &'c Config,
    /// The examples of a minibatch that a shard has.
    pub(super) batch: usize,
    /// The minibatches of labelled examples at the end of `x`.
    pub(super) labelled: usize,
    /// The networks whose moving averages are still to be recorded.
    pub(super) averages: Vec<&'static str>,
    pub(super) build: Build<'g>,
    pub(super) x: Var<'g>,
    /// The shape of an example as it comes to D.
    pub(super) example: Vec<usize>,
    pub(super) z: Vec<Named<'g>>,
    pub(super) classes: Vec<Named<'g>>,
    pub(super) masks: Masks<'g>,
    pub(super) preactivations: Vec<Preactivation<'g>>,
    pub(super) monitors: Vec<Named<'g>>,
    pub(super) watched: Vec<Named<'g>>,
    pub(super) grads: Vec<Gradient<'g>>,
    /// The noise and the classes that G had last.
    pub(super) last_inputs_of_g: Option<(Var<'g>, Option<Var<'g>>)>,
    /// The incomplete examples that G had last.
    pub(super) last_given: Option<Given<'g>>,
}

impl<'g> Recorder<'_, 'g> {
    /// The `j`-th time of phases that read the same parameters: passes, losses, gradients, then the updates.
    pub(super) fn pass(&mut self, group: &[Phase], j: usize) -> Result<()> {
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
        // G sees the examples of D's last update, or those after them.
        let (minibatch, real) = match has_d {
            true => (j, format!("{REAL}{suffix}")),
            false if config.g_sees_other_examples() => (config.train.k, format!("{REAL}{of}")),
            false => (config.train.k - 1, format!("{REAL}{of}")),
        };
        let is_semi_supervised = config.is_semi_supervised();
        let labels = match is_semi_supervised {
            true => None,
            false => self.labels(minibatch),
        };
        let labelled = (is_semi_supervised && has_d).then(|| {
            // They follow those without labels.
            let first = self.x.shape().dims()[0] / self.batch - self.labelled;
            let (x, labels) = (self.minibatch(self.x, first + j), self.labels(first + j));
            Pass::new(format!("labelled{suffix}"), x).with_labels(labels)
        });
        let again = !has_d && config.train.reuse_noise;
        let (z, of_fake) = self.inputs_of_g(&name, labels, again);
        let has_real = has_d || config.loss.kind.g_sees_real();
        let asks = has_real || config.restore.is_some();
        let x = asks.then(|| self.minibatch(self.x, minibatch));
        let given = x.and_then(|x| self.given(&name, x, z, again));
        let x = x.filter(|_| has_real);
        let real = x.map(|x| Pass::new(real, x).with_labels(labels));
        let input = given.map_or(z, |given| given.input);
        let fake = Pass::new(format!("fake{name}"), input).with_labels(of_fake);
        let mismatched = real.as_ref().filter(|_| has_d);
        let mismatched = mismatched.and_then(|real| mismatch(config, real));
        let wrong = mismatched
            .iter()
            .filter_map(|pass| Some((pass.name.clone(), pass.labels?)));
        self.classes.extend(wrong);
        let data = real.map(|real| Data {
            real,
            mismatched,
            labelled,
        });
        let outputs = forward(&mut self.build, config, &self.example, fake, data, given);
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
        for net in std::mem::take(&mut self.averages) {
            optim::average(&mut self.build, net);
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
    pub(super) fn classify(&mut self, classifier: &Network, phases: &[Phase]) -> Result<()> {
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
        self.go_down(loss, phases)
    }

    /// Noise through G, which stands still, and through an encoder; its loss, its gradients and their update.
    pub(super) fn infer(&mut self, encoder: &Network, phases: &[Phase]) -> Result<()> {
        let (config, x, example) = (self.config, self.x, self.example.clone());
        let (z, _) = self.inputs_of_g("", None, false);
        let found = inferred(&mut self.build, config, encoder, &example, z, x);
        self.watch("loss", "", found.loss);
        let r2 = {
            let _scope = self.build.graph().scope("monitor");
            1.0 - found.error * (1.0 / variance(config))
        };
        self.watch("r2", "", r2);
        if let Some(reconstruction) = found.reconstruction {
            self.watch("reconstruction", "", reconstruction);
        }
        self.go_down(found.loss, phases)
    }

    /// Incomplete examples through G, which goes down their distance alone; its gradients and their update.
    pub(super) fn restore(&mut self, restore: &Restore, phases: &[Phase]) -> Result<()> {
        let (z, _) = self.inputs_of_g("", None, false);
        let Some(given) = self.given("", self.x, z, false) else {
            let message = "images are restored whose size is not known";
            return Err(Error::Mismatch(message.to_string()));
        };
        let loss = restored(&mut self.build, self.config, restore, given);
        self.watch("content", "", loss);
        self.go_down(loss, phases)
    }

    /// The end of a step whose one loss all phases go down: its gradients and their updates.
    fn go_down(&mut self, loss: Var<'g>, phases: &[Phase]) -> Result<()> {
        self.masks.extend(self.build.take_masks());
        let preactivations = self.build.take_preactivations();
        self.preactivations.extend(preactivations);
        for phase in phases {
            let grads = self.grads(phase.net, loss, "")?;
            optim::update(&mut self.build, phase.optimizer, phase.net, 0, &grads);
        }
        Ok(())
    }

    /// Incomplete examples for G, where it restores them: what is missing is drawn anew, or they are those that it had last.
    fn given(&mut self, name: &str, x: Var<'g>, z: Var<'g>, again: bool) -> Option<Given<'g>> {
        if let Some(last) = self.last_given.filter(|_| again) {
            return Some(last);
        }
        let restore = self.config.restore.as_ref()?;
        let image = self.config.restored_image()?;
        let graph = self.build.graph();
        let _scope = graph.scope("given");
        let known = restore.kind.draw(graph, name, self.batch, image);
        self.masks
            .extend(known.map(|known| (format!("known{name}"), known)));
        self.last_given = Some(restore.given(image, x, known, z));
        self.last_given
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
        if self.config.is_semi_supervised() {
            return None;
        }
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
            if let Some(content) = outputs.content {
                self.watch("content", suffix, content);
            }
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

    pub(super) fn step(mut self, phases: &[Phase]) -> Result<Step<'g>> {
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
        let parts = parts.chain(["G", "D"].map(|net| (net, Role::Average)));
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
