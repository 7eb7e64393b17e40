//! Optimisers: from a gradient to the new values of a parameter and its slots, as graph nodes.

use ganforge_tensor::{Graph, Store, Var};

use crate::config::{Adam, Config, Network, Rule, Sgd};
use crate::model::{Named, ParamSpec};
use crate::schedule;

/// The control block's scalars that an optimiser reads, set anew for each step by [`prepare`].
const LR: &str = "lr";
const MOMENTUM: &str = "momentum";
const MEAN_CORRECTION: &str = "adam.mean_correction";
const SQUARE_CORRECTION: &str = "adam.square_correction";
const AVERAGE: &str = "average";

/// The slots of a parameter, all zero at first: SGD `<name>.velocity`, Adam `<name>.mean` and
/// `<name>.square`.
pub fn slots(rule: &Rule, param: &str) -> Vec<String> {
    match rule {
        Rule::Sgd(_) => vec![format!("{param}.velocity")],
        Rule::Adam(_) => vec![format!("{param}.mean"), format!("{param}.square")],
    }
}

/// Stored tensors with the nodes of their current values: parameters and slots.
pub type State<'g> = Vec<Named<'g>>;

/// New values of `params` and of their slots after one step along `grads`.
///
/// sgd:   v <- momentum·v - lr·g,  θ <- θ + v                        (classical momentum)
/// adam:  m <- β1·m + (1-β1)·g,  s <- β2·s + (1-β2)·g²,
///        θ <- θ - lr·(m·c1) / (√(s·c2) + eps),  c = 1/(1 - β^t)
/// then, where the layer has a norm constraint c, each column of θ times min(‖·‖, c)/‖·‖.
///
/// `slots` holds the current values of the slots, as many per parameter as the rule has.
///
/// source: released configurations (momentum, max_col_norm); Kingma and Ba 2015, algorithm 1; docs/book/src/optimisers.md
#[track_caller]
pub fn update<'g>(
    rule: &Rule,
    network: &Network,
    specs: &[ParamSpec],
    params: &[Named<'g>],
    slots: &[Named<'g>],
    grads: &[Var<'g>],
) -> (Vec<Named<'g>>, State<'g>) {
    let per_param = slots.len() / params.len().max(1);
    let (mut new_params, mut new_slots) = (Vec::new(), Vec::new());
    for (i, ((name, p), g)) in params.iter().zip(grads).enumerate() {
        let graph = p.graph();
        let _scope = graph.scope(&format!("update/{name}"));
        let mine = &slots[i * per_param..(i + 1) * per_param];
        let lr = graph.scalar(LR);
        let (mut theta, values) = match rule {
            Rule::Sgd(_) => {
                let v = mine[0].1 * graph.scalar(MOMENTUM) - *g * lr;
                (*p + v, vec![v])
            }
            Rule::Adam(Adam { beta1, beta2, eps }) => {
                let m = mine[0].1 * *beta1 + *g * (1.0 - beta1);
                let s = mine[1].1 * *beta2 + g.square() * (1.0 - beta2);
                let root = (s * graph.scalar(SQUARE_CORRECTION)).sqrt() + *eps;
                let step = m * graph.scalar(MEAN_CORRECTION) / root;
                (*p - step * lr, vec![m, s])
            }
        };
        if let (true, Some(c)) = (
            specs[i].is_weight,
            network.layers[specs[i].layer].max_col_norm,
        ) {
            theta = constrain_columns(theta, c);
        }
        new_params.push((name.clone(), theta));
        new_slots.extend(mine.iter().map(|(n, _)| n.clone()).zip(values));
    }
    (new_params, new_slots)
}

/// Scales each column of w [in, out] to an L2 norm of at most c; a column inside keeps its bits.
///
/// w <- w · clip(‖w_j‖, 0, c) / max(‖w_j‖, 1e-7)
/// source: released configurations, max_col_norm
#[track_caller]
pub fn constrain_columns(w: Var<'_>, c: f64) -> Var<'_> {
    let norm = w.square().sum_axes(&[0]).sqrt();
    w * (norm.clip(0.0, c) / norm.clip(1e-7, f64::INFINITY))
}

/// New values of the moving averages of `params`, the generator's parameters at the start of the step.
///
/// a <- d_t·a + (1 - d_t)·θ,  d_t = min(d, (1 + t) / (10 + t)) after t updates, d the configured decay
///
/// The parameter is read before its update, so that the update stays fused with its gradient's product.
/// source: weight averaging of the generator, as in Karras et al. 2018, section 4; the ramp of d_t is common practice
#[track_caller]
pub fn average<'g>(params: &[Named<'g>], averages: &[Named<'g>]) -> State<'g> {
    let pairs = params.iter().zip(averages);
    let next = pairs.map(|((_, p), (name, a))| {
        let graph = p.graph();
        let _scope = graph.scope(&format!("update/{name}"));
        let next = *p + (*a - *p) * graph.scalar(AVERAGE);
        (name.clone(), next)
    });
    next.collect()
}

/// Declares the slots of `params` in a graph.
#[track_caller]
pub fn declare_slots<'g>(graph: &'g Graph, rule: &Rule, params: &[Named<'g>]) -> State<'g> {
    let mut declared = Vec::new();
    for (name, p) in params {
        for slot in slots(rule, name) {
            let var = graph.param(&slot, p.shape());
            declared.push((slot, var));
        }
    }
    declared
}

/// Sets the control block's scalars for the step about to run: `updates` completed so far, in
/// the 1-based epoch `epoch`. Returns the learning rate and, for SGD, the momentum.
pub fn prepare(
    config: &Config,
    store: &mut Store,
    updates: u64,
    epoch: usize,
) -> (f64, Option<f64>) {
    let optimizer = &config.optimizer;
    if let Some(decay) = config.train.average {
        let decay = schedule::average(decay, updates);
        store.control.set(AVERAGE, decay as f32);
    }
    let lr = schedule::lr(optimizer, updates);
    store.control.set(LR, lr as f32);
    match &optimizer.rule {
        Rule::Sgd(Sgd { momentum }) => {
            let mu = schedule::momentum(momentum, epoch);
            store.control.set(MOMENTUM, mu as f32);
            (lr, Some(mu))
        }
        Rule::Adam(Adam { beta1, beta2, .. }) => {
            let t = (updates + 1) as f64;
            let correction = |beta: f64| (1.0 / (1.0 - beta.powf(t))) as f32;
            store.control.set(MEAN_CORRECTION, correction(*beta1));
            store.control.set(SQUARE_CORRECTION, correction(*beta2));
            (lr, None)
        }
    }
}

/// Sets the scalars to anything finite, so that a store can be bound before its first step.
pub fn declare_scalars(config: &Config, store: &mut Store) {
    prepare(config, store, 0, 1);
}
