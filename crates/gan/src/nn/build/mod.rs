//! How networks are recorded: forward passes, the tensors that they declare, what is noted of them.

mod classes;
mod declare;

use std::collections::HashMap;

use ganforge_tensor::{Graph, NodeId, Shape, Var};

use crate::config::{Dropout, Network};
use crate::tensors::Tensors;

/// A name and its value in a graph.
pub type Named<'g> = (String, Var<'g>);

/// Masks that a forward pass drew: `<pass>/<layer>` and its node.
pub type Masks<'g> = Vec<Named<'g>>;

/// What the activation of a layer is taken of, in a forward pass of training.
#[derive(Clone, Debug)]
pub struct Preactivation<'g> {
    /// The minibatches, of equal size, that are joined in it.
    pub passes: Vec<String>,
    /// Network and layer: `D.h0`.
    pub layer: String,
    /// Their node, [b, ...].
    pub var: Var<'g>,
}

/// What passes of real examples are called; of the second discriminator step of a training step `real.1`, and so on.
pub(crate) const REAL: &str = "real";

/// One minibatch on its way through a network in training, with a name for its dropout masks.
#[derive(Clone, Debug)]
pub struct Pass<'g> {
    /// `real`, `fake`, `fake_d`, `fake_g`: the masks' streams are `mask/<name>/<layer>`.
    pub name: String,
    /// The minibatch, [b, ...].
    pub x: Var<'g>,
    /// The classes of its examples, `[b]`, for networks that ask for them.
    pub labels: Option<Var<'g>>,
}

impl<'g> Pass<'g> {
    /// A minibatch and its name.
    pub fn new(name: impl Into<String>, x: Var<'g>) -> Pass<'g> {
        let (name, labels) = (name.into(), None);
        Pass { name, x, labels }
    }

    /// The same with the classes of its examples, `[b]`.
    pub fn with_labels(self, labels: Option<Var<'g>>) -> Pass<'g> {
        Pass { labels, ..self }
    }
}

/// How a network is recorded.
#[derive(Clone, Debug, PartialEq)]
enum Mode {
    /// With dropout, for minibatches of these names joined to one.
    Train(Vec<String>),
    /// As it is sampled and scored.
    Eval,
    /// The same with the moving averages in the parameters' place.
    Averaged,
}

/// Records networks in a graph: hands out their parameters where they are used and notes what was declared.
pub struct Build<'g> {
    graph: &'g Graph,
    tensors: Tensors,
    net: String,
    layer: String,
    /// What the names of a layer's tensors begin with, where it is made of several: `conv1.`.
    prefix: String,
    mode: Mode,
    /// The labels of the examples, [b].
    labels: Option<Var<'g>>,
    /// Other classes that they are on the way to.
    blend: Option<classes::Blend<'g>>,
    /// What [`Build::once`] has made, by the tensor's name and the node that it was made of.
    made: HashMap<(String, NodeId), [Var<'g>; 2]>,
    /// Tensors that an update of this step has given new values.
    now: HashMap<String, Var<'g>>,
    /// What buffers were when the step began, once they are asked for.
    at_start: HashMap<String, Var<'g>>,
    /// The network that learns: the new values of others are constants to it.
    learner: Option<&'static str>,
    masks: Masks<'g>,
    as_written: bool,
    shards: usize,
    preactivations: Vec<Preactivation<'g>>,
    /// Whether minibatches are normalised by their own statistics out of training, too.
    has_batch_statistics: bool,
    /// The layer whose outputs are kept, and those of the last forward pass.
    kept: (Option<String>, Option<Var<'g>>),
}

impl<'g> Build<'g> {
    /// Nothing recorded yet.
    pub fn new(graph: &'g Graph) -> Build<'g> {
        Build {
            graph,
            tensors: Tensors::default(),
            net: String::new(),
            layer: String::new(),
            prefix: String::new(),
            mode: Mode::Eval,
            labels: None,
            blend: None,
            made: HashMap::new(),
            now: HashMap::new(),
            at_start: HashMap::new(),
            learner: None,
            masks: Masks::new(),
            as_written: false,
            shards: 1,
            preactivations: Vec::new(),
            has_batch_statistics: false,
            kept: (None, None),
        }
    }

    /// The same, in which minibatches are normalised by their own statistics out of training, too.
    pub fn with_batch_statistics(self, has_batch_statistics: bool) -> Build<'g> {
        Build {
            has_batch_statistics,
            ..self
        }
    }

    /// The graph.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// What was declared.
    pub fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// What was declared.
    pub fn into_tensors(self) -> Tensors {
        self.tensors
    }

    /// Takes the masks that were drawn since the last call.
    pub fn take_masks(&mut self) -> Masks<'g> {
        std::mem::take(&mut self.masks)
    }

    /// Takes the pre-activations that were noted since the last call.
    pub fn take_preactivations(&mut self) -> Vec<Preactivation<'g>> {
        std::mem::take(&mut self.preactivations)
    }

    /// Notes what the activation of this layer is taken of, in training: what [`Step`](crate::game::Step) hands out.
    pub fn note_preactivation(&mut self, var: Var<'g>) {
        if let Mode::Train(passes) = &self.mode {
            self.preactivations.push(Preactivation {
                passes: passes.clone(),
                layer: self.name("").trim_end_matches('.').to_string(),
                var,
            });
        }
    }

    /// From here on the outputs of the layer of this name are kept: [`Build::kept`].
    pub fn keep(&mut self, layer: Option<&str>) {
        self.kept = (layer.map(str::to_owned), None);
    }

    /// What the layer of [`Build::keep`] gave in the last forward pass that had it, `[b, ...]`.
    pub fn kept(&self) -> Option<Var<'g>> {
        self.kept.1
    }

    /// From here on `net` learns: what an update gave other networks is constant to its gradients.
    pub fn set_learner(&mut self, net: &'static str) {
        self.learner = Some(net);
    }

    /// Whether layers are recorded as they are written, even where an equal formula takes less work: to compare the two.
    pub fn set_as_written(&mut self, as_written: bool) {
        self.as_written = as_written;
    }

    /// From here on a forward pass of training is that of one of so many shards of a minibatch.
    pub fn set_shards(&mut self, shards: usize) {
        self.shards = shards;
    }

    /// How many shards a minibatch has, of which a forward pass of training sees one.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// See [`Build::set_as_written`].
    pub fn as_written(&self) -> bool {
        self.as_written
    }

    /// Whether this is a forward pass of training.
    pub fn is_training(&self) -> bool {
        matches!(self.mode, Mode::Train(_))
    }

    /// Whether this is a forward pass of training that has real examples in it.
    pub fn is_of_real_examples(&self) -> bool {
        let is_real = |name: &String| name.split(['.', '_']).next() == Some(REAL);
        matches!(&self.mode, Mode::Train(passes) if passes.iter().any(is_real))
    }

    /// Whether it is this network that learns, or both do at once.
    pub(crate) fn learns(&self) -> bool {
        self.learner.is_none_or(|net| net == self.net)
    }

    /// Whether a minibatch is normalised by its own mean and variance, not by running ones.
    pub fn uses_batch_statistics(&self) -> bool {
        self.is_training() || self.has_batch_statistics
    }

    /// The output of a network called `net` for x [b, ...] without dropout: [b, ...].
    #[track_caller]
    pub fn eval(&mut self, net: &str, network: &Network, x: Var<'g>) -> Var<'g> {
        self.mode = Mode::Eval;
        self.network(net, network, vec![x])
    }

    /// The same with the moving averages of its parameters.
    #[track_caller]
    pub fn eval_averaged(&mut self, net: &str, network: &Network, x: Var<'g>) -> Var<'g> {
        self.mode = Mode::Averaged;
        self.network(net, network, vec![x])
    }

    /// The output of a network as it is scored: with the moving averages of its parameters where [`Network::average`] keeps them.
    #[track_caller]
    pub fn eval_scored(&mut self, net: &str, network: &Network, x: Var<'g>) -> Var<'g> {
        match network.average {
            Some(_) => self.eval_averaged(net, network, x),
            None => self.eval(net, network, x),
        }
    }

    /// The output for minibatches in training, joined to one [b, ...] after the first layer's masks, so that every
    /// product runs once for all of them.
    ///
    /// h <- h · Bernoulli(keep_prob) · scale on the input of each layer, one mask per example, unit and pass (paper: dropout
    /// in D; values: released configurations).
    #[track_caller]
    pub fn train(&mut self, net: &str, network: &Network, passes: &[Pass<'g>]) -> Var<'g> {
        self.mode = Mode::Train(passes.iter().map(|p| p.name.clone()).collect());
        if let Some(labels) = passes.iter().map(|p| p.labels).collect::<Option<Vec<_>>>() {
            self.labels = Some(join(labels));
        }
        self.network(net, network, passes.iter().map(|p| p.x).collect())
    }

    /// What is declared next belongs to this layer of this network.
    pub fn at(&mut self, net: &str, layer: &str) {
        (self.net, self.layer) = (net.to_string(), layer.to_string());
        self.prefix.clear();
    }

    /// Records a part of a layer that is made of several: what it declares has names that begin with `part`, such as
    /// `D.h0.conv1.w`, and its nodes are in a scope of that name.
    #[track_caller]
    pub fn within<T>(&mut self, part: &str, record: impl FnOnce(&mut Build<'g>) -> T) -> T {
        let _scope = self.graph.scope(part);
        let outer = self.prefix.len();
        self.prefix += &format!("{part}.");
        let made = record(self);
        self.prefix.truncate(outer);
        made
    }

    /// Two values that `make` makes of a node for the tensor `part` of this layer: asked for again with the same node, they
    /// are the same two.
    pub(crate) fn once(
        &mut self,
        part: &str,
        of: Var<'g>,
        make: impl FnOnce(&mut Build<'g>) -> [Var<'g>; 2],
    ) -> [Var<'g>; 2] {
        let key = (self.name(part), of.id());
        if let Some(made) = self.made.get(&key) {
            return *made;
        }
        let made = make(self);
        self.made.insert(key, made);
        made
    }

    /// Normal numbers of mean 0 and this standard deviation in the shape of x, which has come to the layer that is recorded: each
    /// minibatch of a forward pass of training draws its own. Out of training there are none.
    #[track_caller]
    pub fn noise(&self, x: Var<'g>, sd: f64) -> Option<Var<'g>> {
        let Mode::Train(passes) = &self.mode else {
            return None;
        };
        let mut shape = x.shape().dims().to_vec();
        shape[0] /= passes.len();
        let layer = self.name("");
        let layer = layer.trim_end_matches('.');
        let drawn = passes.iter().map(|pass| {
            let stream = format!("gaussian/{pass}/{layer}");
            self.graph.normal(&stream, Shape::new(&shape), 0.0, sd)
        });
        Some(join(drawn))
    }

    #[track_caller]
    fn network(&mut self, net: &str, network: &Network, mut parts: Vec<Var<'g>>) -> Var<'g> {
        for layer in &network.layers {
            self.at(net, &layer.name);
            let _scope = self.graph.scope(&format!("{net}/{}", layer.name));
            if let Some(dropout) = layer.dropout() {
                parts = self.dropout(parts, dropout);
            }
            let made = layer.kind.forward(self, join(parts));
            if self.kept.0.as_ref() == Some(&layer.name) {
                self.kept.1 = Some(made);
            }
            parts = vec![made];
        }
        join(parts)
    }

    /// Dropout in training, on minibatches that are joined or that are not yet.
    #[track_caller]
    fn dropout(&mut self, parts: Vec<Var<'g>>, dropout: Dropout) -> Vec<Var<'g>> {
        let Mode::Train(passes) = self.mode.clone() else {
            return parts;
        };
        let rows: usize = parts.iter().map(|p| p.shape().dims()[0]).sum();
        let name = format!("{}.{}", self.net, self.layer);
        let masks = passes.iter().enumerate().map(|(i, pass)| {
            let mut shape = parts.get(i).unwrap_or(&parts[0]).shape().dims().to_vec();
            if parts.len() == 1 {
                shape[0] = rows / passes.len();
            }
            let stream = format!("mask/{pass}/{name}");
            let shape = Shape::new(&shape);
            let mask = self
                .graph
                .bernoulli(&stream, shape, dropout.keep_prob, dropout.scale);
            (format!("{pass}/{name}"), mask)
        });
        let masks: Masks = masks.collect();
        self.masks.extend(masks.iter().cloned());
        let masks = masks.into_iter().map(|m| m.1);
        match parts.len() == passes.len() {
            true => parts
                .into_iter()
                .zip(masks)
                .map(|(p, mask)| p * mask)
                .collect(),
            false => vec![join(parts) * join(masks)],
        }
    }
}

/// All of them, one below the other.
#[track_caller]
fn join<'g>(parts: impl IntoIterator<Item = Var<'g>>) -> Var<'g> {
    let joined = parts.into_iter().reduce(|a, b| a.concat(b, 0));
    joined.expect("a forward pass has at least one minibatch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::tensors::{Initial, Role};

    fn config(preset: &str, options: &[&str]) -> Config {
        let preset = Config::preset(preset).and_then(|c| c.with(options));
        preset.expect("valid")
    }

    #[test]
    fn mnist_has_the_papers_parameter_counts() {
        let tensors = Tensors::of(&config("mnist-2014", &[]), 784);
        let count = |net| -> usize { tensors.params(net).map(|s| s.shape.elements()).sum() };
        assert_eq!((count("G"), count("D")), (2_503_984, 1_231_441));
    }

    #[test]
    fn averages_and_slots_are_known_by_their_role_not_by_their_name() {
        let tensors = Tensors::of(&config("tiny", &["train.average=0.9"]), 784);
        for param in tensors.params("G") {
            let average = tensors.average_of(&param.name).expect("kept");
            assert_eq!(average.name, format!("{}.average", param.name));
            assert_eq!((average.role, average.shape), (Role::Average, param.shape));
        }
        assert!(tensors.average_of("D.h0.w").is_none());
        let graph = Graph::new();
        let mut build = Build::new(&graph);
        build.at("D", "norm");
        build.buffer("mean", [3], Initial::Constant(0.0));
        let roles: Vec<Role> = build.tensors().iter().map(|s| s.role).collect();
        assert_eq!(roles, [Role::Buffer]);
    }

    #[test]
    fn every_op_of_a_layer_is_in_its_scope() {
        let config = config("mnist", &[]);
        let g = Graph::new();
        let mut build = Build::new(&g);
        let x = g.input("x", [3, 784]);
        let first = g.len();
        build.train("D", &config.discriminator, &[Pass::new("real", x)]);
        build.eval("D", &config.discriminator, x);
        for var in g.vars().skip(first) {
            assert!(var.scope().starts_with("D/"), "{}", g.line(var.id()));
        }
    }

    #[test]
    fn a_mask_is_the_scale_where_it_keeps_and_each_pass_has_its_own() {
        let options = [
            "discriminator.layer.h0.keep_prob=0.7",
            "discriminator.layer.h0.scale=1.5",
        ];
        let config = config("tiny", &options);
        let g = Graph::new();
        let mut build = Build::new(&g);
        let passes = ["real", "fake"].map(|name| Pass::new(name, g.input(name, [10, 784])));
        build.train("D", &config.discriminator, &passes);
        let masks = build.take_masks().into_iter();
        let values: Vec<Vec<f64>> = masks.map(|m| m.1.evaluate(&[]).expect("drawn")).collect();
        let [real, fake] = [&values[0], &values[1]];
        for mask in [real, fake] {
            assert!(mask.iter().all(|&m| m == 0.0 || m == 1.5));
            let kept = mask.iter().filter(|m| **m > 0.0).count() as f64 / 7840.0;
            let bound = 4.0 * (0.21f64 / 7840.0).sqrt();
            assert!((kept - 0.7).abs() < bound, "{kept}");
        }
        // Two independent masks agree where both keep or both drop: 0.7² + 0.3².
        let agree = real.iter().zip(fake).filter(|(a, b)| a == b).count() as f64 / 7840.0;
        let bound = 4.0 * (0.2436f64 / 7840.0).sqrt();
        assert!((agree - 0.58).abs() < bound, "{agree}");
    }

    #[test]
    fn masks_of_two_passes_differ_and_have_the_layers_names() {
        let config = config("mnist-2014", &[]);
        let g = Graph::new();
        let mut build = Build::new(&g);
        let passes = ["real", "fake"].map(|name| Pass::new(name, g.input(name, [3, 784])));
        let logit = build.train("D", &config.discriminator, &passes);
        assert_eq!(logit.shape().dims(), [6, 1]);
        let names: Vec<String> = build.take_masks().into_iter().map(|m| m.0).collect();
        let expected = [
            "real/D.h0",
            "fake/D.h0",
            "real/D.h1",
            "fake/D.h1",
            "real/D.out",
            "fake/D.out",
        ];
        assert_eq!(names, expected);
        assert!(g.fault().is_none());
    }
}
