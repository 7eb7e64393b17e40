//! Networks: layers, each in its file, recorded with a [`Build`] that collects the tensors they declare.

mod activate;
mod activations;
mod affine;
mod block;
mod conv2d;
mod deconv2d;
mod filters;
mod global_pool;
mod linear;
mod max_pool;
mod maxout;
mod maxout_conv2d;
mod mean_pool;
mod norms;
mod pixel_shuffle;
mod pooling;
mod reshape;
mod scale;
mod transforms;
mod upsample;
mod weights;

use std::collections::HashMap;
use std::ops::RangeInclusive;

pub use activate::Activated;
pub use activations::*;
pub use affine::Affine;
pub use block::{Block, Resize};
pub use conv2d::Conv2d;
pub use deconv2d::Deconv2d;
pub use filters::{Filters, Padding};
use ganforge_settings::list;
use ganforge_tensor::{Graph, NodeId, Shape, Var};
pub use global_pool::{GlobalMeanPool, GlobalSumPool};
pub use linear::Linear;
pub use max_pool::MaxPool;
pub use maxout::Maxout;
pub use maxout_conv2d::MaxoutConv2d;
pub use mean_pool::MeanPool;
pub use norms::*;
pub use pixel_shuffle::PixelShuffle;
pub use pooling::Pooling;
pub use reshape::{Flatten, Reshape};
pub use scale::Scale;
pub use transforms::*;
pub use upsample::{Between, Upsample};
pub use weights::Weights;

use crate::config::{Dropout, Network};
use crate::tensors::{Initial, Role, TensorSpec, Tensors};

list! {
    /// What a layer does with its input, after dropout.
    pub enum LayerKind: dyn LayerRule by "kind" {
        "linear" => Linear(Linear),
        "maxout" => Maxout(Maxout),
        "conv2d" => Conv2d(Conv2d),
        "deconv2d" => Deconv2d(Deconv2d),
        "maxout_conv2d" => MaxoutConv2d(MaxoutConv2d),
        "block" => Block(Block),
        "mean_pool" => MeanPool(MeanPool),
        "max_pool" => MaxPool(MaxPool),
        "global_mean_pool" => GlobalMeanPool(GlobalMeanPool),
        "global_sum_pool" => GlobalSumPool(GlobalSumPool),
        "upsample" => Upsample(Upsample),
        "pixel_shuffle" => PixelShuffle(PixelShuffle),
        "batch_norm" => BatchNorm(BatchNorm),
        "conditional_batch_norm" => ConditionalBatchNorm(ConditionalBatchNorm),
        "layer_norm" => LayerNorm(LayerNorm),
        "instance_norm" => InstanceNorm(InstanceNorm),
        "activation" => Activated(Activated),
        "scale" => Scale(Scale),
        "reshape" => Reshape(Reshape),
        "flatten" => Flatten(Flatten),
    }
}

/// What a layer does with its input, after dropout.
pub trait LayerRule: std::fmt::Debug + Send + Sync {
    /// The output [b, ...] for x [b, ...]: vectors [b, n] or images [b, h, w, c].
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g>;

    /// Whether it takes examples of the shape `input`, `[n]` or `[h, w, c]`: a network is asked when it is configured. What is
    /// not told here is the graph's fault, in the words of an op.
    ///
    /// # Errors
    /// The key that does not fit and why.
    fn fits(&self, _input: &[usize]) -> Result<(), Misfit> {
        Ok(())
    }

    /// Whether D's input comes as images [b, h, w, c] for it, where the data are images.
    fn wants_images(&self) -> bool {
        false
    }

    /// Its affine map, if it has one.
    fn affine(&self) -> Option<&Affine> {
        None
    }

    /// The same, to be changed.
    fn affine_mut(&mut self) -> Option<&mut Affine> {
        None
    }

    /// The weights of its map, if it has one.
    fn weights(&self) -> Option<&Weights> {
        None
    }

    /// The same, to be changed.
    fn weights_mut(&mut self) -> Option<&mut Weights> {
        None
    }

    /// The key that says how many outputs it has.
    fn outputs_key(&self) -> &'static str {
        "units"
    }

    /// What normalises its pre-activations.
    fn norm(&self) -> Option<&NormKind> {
        None
    }

    /// The same, to be changed, where it can have one.
    fn norm_mut(&mut self) -> Option<&mut Option<NormKind>> {
        None
    }

    /// The function that it ends with.
    fn activation(&self) -> Option<&Activation> {
        None
    }

    /// Whether an example's output depends on the other ones of its minibatch.
    fn sees_batch(&self) -> bool {
        self.norm().is_some_and(|norm| norm.sees_batch())
    }

    /// Whether it asks for the classes of the examples, [`Build::labels`].
    fn needs_labels(&self) -> bool {
        self.norm().is_some_and(|norm| norm.needs_labels())
    }

    /// The values that its outputs can come near to.
    fn range(&self) -> RangeInclusive<f32> {
        f32::NEG_INFINITY..=f32::INFINITY
    }

    /// Becomes smaller where gradients are checked, which takes every parameter many times: no more than `width` outputs,
    /// half as many channels, images of no more than `side` on a side.
    fn shrink(&mut self, _width: usize, _side: usize) {}
}

/// Why a layer does not take its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The key of the layer that does not fit.
    pub key: &'static str,
    /// What is wrong with it, after its name.
    pub message: String,
}

impl Misfit {
    /// A key and what is wrong with it.
    pub fn new(key: &'static str, message: impl Into<String>) -> Misfit {
        let message = message.into();
        Misfit { key, message }
    }
}

/// `input` as an image, which `what` needs.
fn needs_image(what: &str, input: &[usize]) -> Result<[usize; 3], Misfit> {
    match *input {
        [h, w, c] => Ok([h, w, c]),
        _ => {
            let n: usize = input.iter().product();
            let message = format!(
                "is {what}, which needs images [height, width, channels], and its input is {n} values: a layer reshape \
                 before it, or shape in the linear layer before it, makes images of them"
            );
            Err(Misfit::new("kind", message))
        }
    }
}

/// `input` as an image; a vector is one of a single place.
fn as_image(input: &[usize]) -> Result<[usize; 3], Misfit> {
    match *input {
        [n] => Ok([1, 1, n]),
        _ => needs_image("of images", input),
    }
}

/// Examples [b, ...] as images [b, h, w, c]; a vector is one of a single place.
#[track_caller]
fn image(x: Var<'_>) -> Var<'_> {
    match *x.shape().dims() {
        [b, n] => x.reshape([b, 1, 1, n]),
        _ => x,
    }
}

/// Height, width and channels of images; of vectors, which no convolution takes, what is there.
fn image_of(x: Var<'_>) -> [usize; 3] {
    match *x.shape().dims() {
        [_, h, w, c] => [h, w, c],
        ref dims => [1, 1, dims.last().copied().unwrap_or(1)],
    }
}

/// Examples [b, ...] as vectors [b, n]: images row by row, their channels side by side.
#[track_caller]
pub fn flat(x: Var<'_>) -> Var<'_> {
    let shape = x.shape();
    match *shape.dims() {
        [_] | [_, _] => x,
        [b, ref values @ ..] => x.reshape([b, values.iter().product()]),
        [] => x,
    }
}

/// Vectors [b, n] as examples of the shape `dims`, [n] or [h, w, c].
#[track_caller]
pub(crate) fn shaped<'g>(x: Var<'g>, dims: &[usize]) -> Var<'g> {
    match (x.shape().dims(), dims) {
        (&[b, _], &[h, w, c]) => x.reshape([b, h, w, c]),
        _ => x,
    }
}

/// The end of a layer: pre-activations normalised, noted, and their activation.
#[track_caller]
fn activated<'g>(
    build: &mut Build<'g>,
    x: Var<'g>,
    norm: Option<&NormKind>,
    activation: &Activation,
) -> Var<'g> {
    let x = match norm {
        Some(norm) => norm.forward(build, x),
        None => x,
    };
    build.note_preactivation(x);
    activation.of(build, x)
}

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

/// One minibatch on its way through a network in training, with a name for its dropout masks.
#[derive(Clone, Debug)]
pub struct Pass<'g> {
    /// `real`, `fake`, `fake_d`, `fake_g`: the masks' streams are `mask/<name>/<layer>`.
    pub name: String,
    /// The minibatch, [b, ...].
    pub x: Var<'g>,
}

impl<'g> Pass<'g> {
    /// A minibatch and its name.
    pub fn new(name: impl Into<String>, x: Var<'g>) -> Pass<'g> {
        let name = name.into();
        Pass { name, x }
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
    /// What [`Build::once`] has made, by the tensor's name and the node that it was made of.
    made: HashMap<(String, NodeId), [Var<'g>; 2]>,
    /// Tensors that an update of this step has given new values.
    now: HashMap<String, Var<'g>>,
    /// The network that learns: the new values of others are constants to it.
    learner: Option<&'static str>,
    masks: Masks<'g>,
    as_written: bool,
    preactivations: Vec<Preactivation<'g>>,
    /// Whether minibatches are normalised by their own statistics out of training, too.
    has_batch_statistics: bool,
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
            made: HashMap::new(),
            now: HashMap::new(),
            learner: None,
            masks: Masks::new(),
            as_written: false,
            preactivations: Vec::new(),
            has_batch_statistics: false,
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

    /// From here on `net` learns: what an update gave other networks is constant to its gradients.
    pub fn set_learner(&mut self, net: &'static str) {
        self.learner = Some(net);
    }

    /// Whether layers are recorded as they are written, even where an equal formula takes less work: to compare the two.
    pub fn set_as_written(&mut self, as_written: bool) {
        self.as_written = as_written;
    }

    /// See [`Build::set_as_written`].
    pub fn as_written(&self) -> bool {
        self.as_written
    }

    /// Whether this is a forward pass of training.
    pub fn is_training(&self) -> bool {
        matches!(self.mode, Mode::Train(_))
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

    /// The output for minibatches in training, joined to one [b, ...] after the first layer's masks, so that every
    /// product runs once for all of them.
    ///
    /// h <- h · Bernoulli(keep_prob) · scale on the input of each layer, one mask per example, unit and pass (paper: dropout
    /// in D; values: released configurations).
    #[track_caller]
    pub fn train(&mut self, net: &str, network: &Network, passes: &[Pass<'g>]) -> Var<'g> {
        self.mode = Mode::Train(passes.iter().map(|p| p.name.clone()).collect());
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

    /// The classes of the examples that pass through networks from here on: `[b]`, whole numbers.
    pub fn set_labels(&mut self, labels: Option<Var<'g>>) {
        self.labels = labels;
    }

    /// The classes of `rows` examples: what was set, or else the graph's input `labels`, `[rows]`.
    #[track_caller]
    pub fn labels(&self, rows: usize) -> Var<'g> {
        let input = || self.graph.input("labels", [rows]);
        self.labels.unwrap_or_else(input)
    }

    #[track_caller]
    fn network(&mut self, net: &str, network: &Network, mut parts: Vec<Var<'g>>) -> Var<'g> {
        for layer in &network.layers {
            self.at(net, &layer.name);
            let _scope = self.graph.scope(&format!("{net}/{}", layer.name));
            if let Some(dropout) = layer.dropout() {
                parts = self.dropout(parts, dropout);
            }
            parts = vec![layer.kind.forward(self, join(parts))];
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

    /// A parameter of the layer that is recorded, such as `b`: biases, gains, whatever has no fans.
    #[track_caller]
    pub fn param(&mut self, part: &str, shape: impl Into<Shape>, init: Initial) -> Var<'g> {
        let spec = self.spec(part, shape.into(), Role::Param, init);
        self.declare(spec)
    }

    /// Weights of the layer that is recorded. `fans` are the inputs of an output and the outputs of an input; after each
    /// update the weights of every output, which lie along the last axis, are scaled back to an L2 norm of at most
    /// `max_col_norm`.
    #[track_caller]
    pub fn weights(
        &mut self,
        part: &str,
        shape: impl Into<Shape>,
        fans: [usize; 2],
        init: Initial,
        max_col_norm: Option<f64>,
    ) -> Var<'g> {
        let shape = shape.into();
        let outputs = shape.rank().saturating_sub(1);
        self.weights_along(part, shape, fans, outputs, init, max_col_norm)
    }

    /// The same with the outputs along another axis than the last one.
    #[track_caller]
    pub(crate) fn weights_along(
        &mut self,
        part: &str,
        shape: Shape,
        fans: [usize; 2],
        outputs: usize,
        init: Initial,
        max_col_norm: Option<f64>,
    ) -> Var<'g> {
        let mut spec = self.spec(part, shape, Role::Param, init);
        (spec.fans, spec.max_col_norm) = (Some(fans), max_col_norm);
        spec.outputs = outputs;
        self.declare(spec)
    }

    /// The pre-activations x · w + b [b, outputs] of a linear map with weights `<part>.w`, Glorot's at first, and biases
    /// `<part>.b`, 0 at first: for layers that are made of several.
    #[track_caller]
    pub fn linear(&mut self, part: &str, x: Var<'g>, outputs: usize) -> Var<'g> {
        let inputs = x.shape().dims().last().copied().unwrap_or(1);
        let fans = [inputs, outputs];
        let w = self.weights(&format!("{part}.w"), fans, fans, Initial::Glorot, None);
        let zero = Initial::Constant(0.0);
        x.matmul(w) + self.param(&format!("{part}.b"), [outputs], zero)
    }

    /// A tensor that the layer keeps from step to step without learning it; [`Build::update`] gives it a new value.
    #[track_caller]
    pub fn buffer(&mut self, part: &str, shape: impl Into<Shape>, init: Initial) -> Var<'g> {
        let spec = self.spec(part, shape.into(), Role::Buffer, init);
        self.declare(spec)
    }

    /// The value of a buffer of this layer after this forward pass, of training only.
    pub fn update(&mut self, part: &str, value: Var<'g>) {
        if self.is_training() {
            let name = self.name(part);
            self.now.insert(name, value);
        }
    }

    fn name(&self, part: &str) -> String {
        format!("{}.{}.{}{part}", self.net, self.layer, self.prefix)
    }

    fn spec(&self, part: &str, shape: Shape, role: Role, init: Initial) -> TensorSpec {
        TensorSpec {
            name: self.name(part),
            shape,
            net: self.net.clone(),
            layer: self.layer.clone(),
            role,
            init,
            fans: None,
            outputs: 0,
            max_col_norm: None,
        }
    }

    /// What an optimiser remembers of `param`, 0 at first.
    #[track_caller]
    pub(crate) fn slot(&mut self, param: &TensorSpec, slot: &str) -> Var<'g> {
        self.declare(TensorSpec {
            name: format!("{}.{slot}", param.name),
            role: Role::Slot,
            init: Initial::Constant(0.0),
            ..plain(param)
        })
    }

    /// The moving average of `param`.
    #[track_caller]
    pub(crate) fn average(&mut self, param: &TensorSpec) -> Var<'g> {
        self.declare(TensorSpec {
            name: format!("{}.average", param.name),
            role: Role::Average,
            init: Initial::CopyOf(param.name.clone()),
            ..plain(param)
        })
    }

    /// The value of a tensor now, which is noted if it is new.
    #[track_caller]
    fn declare(&mut self, spec: TensorSpec) -> Var<'g> {
        let value = match (&self.mode, spec.role) {
            (Mode::Averaged, Role::Param) => self.average(&spec),
            _ => self.value(&spec),
        };
        self.tensors.declare(spec);
        value
    }

    /// The value of a tensor now: the stored one, or that which an update of this step has given it.
    #[track_caller]
    pub fn value(&self, spec: &TensorSpec) -> Var<'g> {
        match self.now.get(&spec.name) {
            Some(value) if self.learner.is_none_or(|net| net == spec.net) => *value,
            Some(value) => value.detach(),
            None => self.graph.param(&spec.name, spec.shape),
        }
    }

    /// From here on a tensor has this value.
    pub fn set(&mut self, name: &str, value: Var<'g>) {
        self.now.insert(name.to_string(), value);
    }

    /// What the tensors that `is_meant` become: their nodes, names and new values.
    pub fn updates(&self, is_meant: impl Fn(&TensorSpec) -> bool) -> Vec<(Var<'g>, Named<'g>)> {
        let specs = self.tensors.iter().filter(|s| is_meant(s));
        let update = |spec: &TensorSpec| {
            let new = *self.now.get(&spec.name)?;
            let old = self.graph.param(&spec.name, spec.shape);
            Some((old, (spec.name.clone(), new)))
        };
        specs.filter_map(update).collect()
    }
}

fn plain(param: &TensorSpec) -> TensorSpec {
    TensorSpec {
        fans: None,
        max_col_norm: None,
        ..param.clone()
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
