//! One training step as a graph: who plays what, in which order.
//!
//! Simultaneous and alternating updates are the same machinery. An update is a node like any
//! other; in Algorithm 1 the generator's step simply reads the discriminator's new parameters,
//! in the released code's simultaneous step it reads the old ones.

use ganforge_tensor::{Graph, Keep, Plan, Var};

use crate::config::{Config, Distribution, Update};
use crate::error::Result;
use crate::model::{Masks, Named, Net, ParamSpec, Pass, parameters};
use crate::{losses, optim};

/// A training step recorded in a graph. With k > 1 discriminator steps, the names of the second
/// and later ones' noise, masks and gradients end in `.1`, `.2`, ...
pub struct Step<'g> {
    /// The input `x`: data, [k · batch, data], one minibatch per discriminator step.
    pub x: Var<'g>,
    /// Noise, [batch, dim]: `z`, or in alternating mode `z_d` and `z_g`.
    pub z: Vec<Named<'g>>,
    /// Dropout masks, 0 or the scale: `real/D.h0`, ...
    pub masks: Masks<'g>,
    /// D's loss, the last one of k, in nats.
    pub loss_d: Var<'g>,
    /// G's loss in nats.
    pub loss_g: Var<'g>,
    /// Mean D(x) of the last discriminator step.
    pub d_real: Var<'g>,
    /// Mean D(G(z)) of the last discriminator step.
    pub d_fake: Var<'g>,
    /// Gradients by parameter, of D first.
    pub grads: Vec<Named<'g>>,
    /// What each stored tensor becomes: its node, its name and its new value.
    pub updates: Vec<(Var<'g>, Named<'g>)>,
}

impl<'g> Step<'g> {
    /// The plan of the step: losses and mean D are handed out, all tensors updated.
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
        let mut builder = Plan::of(self.loss_d.graph())
            .fetch("loss/d", self.loss_d)
            .fetch("loss/g", self.loss_g)
            .fetch("mean/d_real", self.d_real)
            .fetch("mean/d_fake", self.d_fake)
            .keep(keep);
        let learns = |name: &String| name.starts_with(names);
        for (old, (_, new)) in self.updates.iter().filter(|u| learns(&u.1.0)) {
            builder = builder.update(*old, *new);
        }
        Ok(builder.compile()?)
    }
}

/// Records one training step of `config` for data of width `data_dim`.
///
/// source: Goodfellow et al. 2014, algorithm 1 (alternating); released code (simultaneous)
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
/// A loss that does not reach a parameter, or the graph's first fault.
pub fn record<'g>(graph: &'g Graph, config: &Config, data_dim: usize) -> Result<Step<'g>> {
    let game = Game {
        config,
        graph,
        data_dim,
        g_specs: parameters("G", &config.generator, config.noise.dim),
        d_specs: parameters("D", &config.discriminator, data_dim),
    };
    match config.train.update {
        Update::Simultaneous => game.simultaneous(),
        Update::Alternating => game.alternating(config.train.k),
    }
}

struct Game<'c, 'g> {
    config: &'c Config,
    graph: &'g Graph,
    data_dim: usize,
    g_specs: Vec<ParamSpec>,
    d_specs: Vec<ParamSpec>,
}

/// A network's parameters and their optimiser slots at one moment of a step.
struct Player<'g> {
    params: Vec<Named<'g>>,
    slots: Vec<Named<'g>>,
}

impl<'c, 'g> Game<'c, 'g> {
    fn nets(&self) -> (Net<'c, 'g>, Net<'c, 'g>) {
        let (graph, c) = (self.graph, self.config);
        (
            Net::declare(graph, "G", &c.generator, c.noise.dim),
            Net::declare(graph, "D", &c.discriminator, self.data_dim),
        )
    }

    fn player(&self, net: &Net<'c, 'g>) -> Player<'g> {
        let rule = &self.config.optimizer.rule;
        Player {
            params: net.params().to_vec(),
            slots: optim::declare_slots(self.graph, rule, net.params()),
        }
    }

    fn noise(&self, name: &str) -> Named<'g> {
        let z = noise(self.graph, self.config, name, self.config.train.batch);
        (name.to_string(), z)
    }

    fn data(&self, minibatches: usize) -> Var<'g> {
        let rows = minibatches * self.config.train.batch;
        self.graph.input("x", [rows, self.data_dim])
    }

    /// Both gradients at the old parameters, from the same data, noise and masks.
    fn simultaneous(&self) -> Result<Step<'g>> {
        let (g, d) = self.nets();
        let averages = self.average(&g);
        let (x, z) = (self.data(1), self.noise("z"));
        let pass = |name, x| [Pass { name, x }];
        let (fake, mut masks) = g.forward_with_dropout(&pass("fake", z.1));
        let (real_logit, m) = d.forward_with_dropout(&pass("real", x));
        masks.extend(m);
        let (fake_logit, m) = d.forward_with_dropout(&pass("fake", fake));
        masks.extend(m);
        let loss_d = self.loss_d(real_logit, fake_logit);
        let loss_g = self.loss_g(fake_logit);
        let means = (mean_d(real_logit), mean_d(fake_logit));
        let mut step = Step {
            x,
            z: vec![z],
            masks,
            loss_d,
            loss_g,
            d_real: means.0,
            d_fake: means.1,
            grads: Vec::new(),
            updates: Vec::new(),
        };
        let (d_player, g_player) = (self.player(&d), self.player(&g));
        let d_grads = self.grads(loss_d, &d_player, "")?;
        let g_grads = self.grads(loss_g, &g_player, "")?;
        let d_next = self.descend(&d_player, &d_grads, false);
        let g_next = self.descend(&g_player, &g_grads, true);
        step.grads = d_grads.into_iter().chain(g_grads).collect();
        step.updates = updates(&d_player, d_next);
        step.updates.extend(updates(&g_player, g_next));
        step.updates.extend(averages);
        Ok(step)
    }

    /// Algorithm 1: k steps of D, each on fresh data and noise, then one of G on fresh noise
    /// against the updated D.
    fn alternating(&self, k: usize) -> Result<Step<'g>> {
        let (g, d) = self.nets();
        let averages = self.average(&g);
        let (d_stored, g_stored) = (self.player(&d), self.player(&g));
        let mut d_now = self.player(&d);
        let (mut zs, mut masks, mut grads) = (vec![], vec![], vec![]);
        let (x, b) = (self.data(k), self.config.train.batch);
        let mut last = None;
        for j in 0..k {
            let suffix = if j == 0 {
                String::new()
            } else {
                format!(".{j}")
            };
            let z = self.noise(&format!("z_d{suffix}"));
            let (real_name, fake_name) = (format!("real{suffix}"), format!("fake_d{suffix}"));
            let from_z = Pass {
                name: &fake_name,
                x: z.1,
            };
            let (fake, m) = g.forward_with_dropout(&[from_z]);
            masks.extend(m);
            let real = Pass {
                name: &real_name,
                x: if k == 1 {
                    x
                } else {
                    x.rows(j * b, (j + 1) * b)
                },
            };
            let fake = Pass {
                name: &fake_name,
                x: fake,
            };
            let net = d.with_params(d_now.params.clone());
            let (logits, m) = net.forward_with_dropout(&[real, fake]);
            masks.extend(m);
            let (real, fake) = (logits.rows(0, b), logits.rows(b, 2 * b));
            let loss = self.loss_d(real, fake);
            let found = self.grads(loss, &d_now, &suffix)?;
            d_now = self.descend(&d_now, &found, false);
            grads.extend(found);
            last = Some((loss, mean_d(real), mean_d(fake)));
            zs.push(z);
        }
        let (loss_d, d_real, d_fake) = last.expect("a checked configuration has k of at least 1");
        let z = self.noise("z_g");
        let pass = |x| Pass { name: "fake_g", x };
        let (fake, m) = g.forward_with_dropout(&[pass(z.1)]);
        masks.extend(m);
        zs.push(z);
        // The new D depends on G through the samples it was trained on; algorithm 1 holds it fixed.
        let fixed = d_now.params.iter().map(|(n, p)| (n.clone(), p.detach()));
        let net = d.with_params(fixed.collect());
        let (logit, m) = net.forward_with_dropout(&[pass(fake)]);
        masks.extend(m);
        let loss_g = self.loss_g(logit);
        let found = self.grads(loss_g, &g_stored, "")?;
        let g_next = self.descend(&g_stored, &found, true);
        grads.extend(found);
        let mut all = updates(&d_stored, d_now);
        all.extend(updates(&g_stored, g_next));
        all.extend(averages);
        Ok(Step {
            x,
            z: zs,
            masks,
            loss_d,
            loss_g,
            d_real,
            d_fake,
            grads,
            updates: all,
        })
    }

    /// The new moving averages of the generator's parameters, if they are kept. Recorded before the updates, whose
    /// fused kernels then need no copy of the old parameters.
    fn average(&self, g: &Net<'c, 'g>) -> Vec<(Var<'g>, Named<'g>)> {
        if self.config.train.average.is_none() {
            return Vec::new();
        }
        let averaged = g.averaged(self.graph);
        let next = optim::average(g.params(), averaged.params());
        let old = averaged.params().iter().map(|a| a.1);
        old.zip(next).collect()
    }

    fn loss_d(&self, real: Var<'g>, fake: Var<'g>) -> Var<'g> {
        let _scope = self.graph.scope("loss/d");
        losses::discriminator(self.config.loss.discriminator, real, fake)
    }

    fn loss_g(&self, fake: Var<'g>) -> Var<'g> {
        let _scope = self.graph.scope("loss/g");
        losses::generator(self.config.loss.generator, fake)
    }

    fn grads(&self, loss: Var<'g>, player: &Player<'g>, suffix: &str) -> Result<Vec<Named<'g>>> {
        let wrt: Vec<Var> = player.params.iter().map(|p| p.1).collect();
        let grads = self.graph.grad(loss, &wrt)?;
        let names = player.params.iter().map(|p| format!("{}{suffix}", p.0));
        Ok(names.zip(grads).collect())
    }

    fn descend(&self, player: &Player<'g>, grads: &[Named<'g>], is_g: bool) -> Player<'g> {
        let c = self.config;
        let (network, specs) = match is_g {
            true => (&c.generator, &self.g_specs),
            false => (&c.discriminator, &self.d_specs),
        };
        let grads: Vec<Var> = grads.iter().map(|g| g.1).collect();
        let (rule, params, slots) = (&c.optimizer.rule, &player.params, &player.slots);
        let (params, slots) = optim::update(rule, network, specs, params, slots, &grads);
        Player { params, slots }
    }
}

/// z [rows, dim] from the configured distribution; each name draws its own numbers.
///
/// uniform: each component on [-√3, √3]; unit-uniform: on [0, 1]; spherical: a normal vector over its L2 norm
/// source: released configurations
#[track_caller]
pub fn noise<'g>(graph: &'g Graph, config: &Config, name: &str, rows: usize) -> Var<'g> {
    let shape = [rows, config.noise.dim];
    let bound = 3f64.sqrt();
    match config.noise.distribution {
        Distribution::Uniform => graph.uniform(name, shape, -bound, bound),
        Distribution::UnitUniform => graph.uniform(name, shape, 0.0, 1.0),
        Distribution::Normal => graph.normal(name, shape, 0.0, 1.0),
        Distribution::Spherical => {
            let n = graph.normal(name, shape, 0.0, 1.0);
            n / n.square().sum_axes(&[1]).sqrt()
        }
    }
}

fn mean_d(logits: Var<'_>) -> Var<'_> {
    let _scope = logits.graph().scope("monitor");
    logits.sigmoid().mean()
}

fn updates<'g>(old: &Player<'g>, new: Player<'g>) -> Vec<(Var<'g>, Named<'g>)> {
    let olds = old.params.iter().chain(&old.slots);
    let news = new.params.into_iter().chain(new.slots);
    olds.zip(news).map(|(o, n)| (o.1, n)).collect()
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
