//! The stored tensors of a model, collected while its graph is recorded: one list for initialisation, checkpoints, exports,
//! averages and counts.

use ganforge_tensor::Shape;

use crate::config::{Bias, Config, Init};
use crate::nn::Build;

/// What a stored tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What an optimiser trains.
    Param,
    /// What an optimiser remembers of a parameter from update to update.
    Slot,
    /// What a forward pass keeps from step to step, such as running means.
    Buffer,
    /// The moving average of a parameter.
    Average,
}

/// The values that a tensor begins with.
#[derive(Clone, Debug, PartialEq)]
pub enum Initial {
    /// All equal.
    Constant(f64),
    /// Uniform on (-r, r).
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Normal with this mean and this standard deviation.
    NormalAround(f64, f64),
    /// Normal with mean 0 and this standard deviation, drawn again beyond two of them.
    TruncatedNormal(f64),
    /// Normal with mean 0 and standard deviation sqrt(2 / fan_in): He et al. 2015, equation 10.
    He,
    /// Uniform on (-r, r) with r = sqrt(6 / (fan_in + fan_out)): Glorot and Bengio 2010, equation 16.
    Glorot,
    /// In each column exactly this many distinct random rows are standard normal, the rest 0.
    Sparse(usize),
    /// log(p / (1 - p)) of each pixel's mean p over the training data, p clipped to [1e-7, 1 - 1e-7].
    Marginals,
    /// Those of the layer of this name of another run, see [`crate::pretrained`]; 0 until then.
    Run(String),
    /// Those of the tensor of this name, which is declared before.
    CopyOf(String),
}

impl From<&Init> for Initial {
    fn from(init: &Init) -> Initial {
        match init {
            Init::Uniform(r) => Initial::Uniform(*r),
            Init::Normal(sd) => Initial::Normal(*sd),
            Init::TruncatedNormal(sd) => Initial::TruncatedNormal(*sd),
            Init::He => Initial::He,
            Init::Sparse(count) => Initial::Sparse(*count),
            Init::Run(layer) => Initial::Run(layer.clone()),
            Init::Glorot => Initial::Glorot,
        }
    }
}

impl Initial {
    /// The initial biases of a layer whose weights begin with `weights`.
    pub fn of_bias(bias: Bias, weights: &Init) -> Initial {
        match bias {
            Bias::Constant(b) | Bias::Untied(b) => Initial::Constant(b),
            Bias::None => Initial::Constant(0.0),
            Bias::Marginals => Initial::Marginals,
            Bias::Run => Initial::from(weights),
        }
    }
}

/// A stored tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Network, layer and what it is in the layer: `G.h0.w`; of slots and averages followed by theirs, `G.h0.w.velocity`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// The network, `G` or `D`.
    pub net: String,
    /// The layer, `h0`.
    pub layer: String,
    /// What it is for.
    pub role: Role,
    /// What it begins with.
    pub init: Initial,
    /// Of weights: the numbers of inputs and outputs that each output and input is connected with.
    pub fans: Option<[usize; 2]>,
    /// Of weights: the axis of the outputs.
    pub outputs: usize,
    /// The largest L2 norm of the weights of an output after an update.
    pub max_col_norm: Option<f64>,
}

impl TensorSpec {
    /// Whether an optimiser trains it.
    pub fn is_param(&self) -> bool {
        self.role == Role::Param
    }

    /// Whether it holds weights, not biases or the like.
    pub fn is_weight(&self) -> bool {
        self.fans.is_some()
    }

    /// What it is in its layer: `w`, `b`.
    pub fn part(&self) -> &str {
        let prefix = self.net.len() + self.layer.len() + 2;
        self.name.get(prefix..).unwrap_or(&self.name)
    }
}

/// All tensors of a model, in the order of their declaration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    specs: Vec<TensorSpec>,
}

impl Tensors {
    /// What the model of `config` stores for data of `data_dim` values.
    pub fn of(config: &Config, data_dim: usize) -> Tensors {
        let graph = ganforge_tensor::Graph::new();
        let mut build = Build::new(&graph);
        crate::game::declare(&mut build, config, data_dim);
        build.into_tensors()
    }

    /// Notes a tensor; one of that name is there only once.
    pub(crate) fn declare(&mut self, spec: TensorSpec) {
        if self.get(&spec.name).is_none() {
            self.specs.push(spec);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &TensorSpec> {
        self.specs.iter()
    }

    /// Those of a network with a role.
    pub fn of_net<'a>(&'a self, net: &'a str, role: Role) -> impl Iterator<Item = &'a TensorSpec> {
        let is_one = move |s: &&TensorSpec| s.net == net && s.role == role;
        self.specs.iter().filter(is_one)
    }

    /// The parameters of a network.
    pub fn params<'a>(&'a self, net: &'a str) -> impl Iterator<Item = &'a TensorSpec> {
        self.of_net(net, Role::Param)
    }

    /// The tensor `name`.
    pub fn get(&self, name: &str) -> Option<&TensorSpec> {
        self.specs.iter().find(|s| s.name == name)
    }

    /// The moving average of the parameter `name`, where one is kept.
    pub fn average_of(&self, name: &str) -> Option<&TensorSpec> {
        let is_average = |s: &&TensorSpec| s.role == Role::Average;
        let mut averages = self.specs.iter().filter(is_average);
        averages.find(|s| s.init == Initial::CopyOf(name.to_string()))
    }

    /// Values of all of them together; saturates.
    pub fn elements(&self) -> u64 {
        let counts = self.specs.iter().map(|s| elements(s.shape));
        counts.fold(0, u64::saturating_add)
    }
}

/// Values of a tensor; saturates.
pub fn elements(shape: Shape) -> u64 {
    let dims = shape.dims().iter().map(|&n| n as u64);
    dims.fold(1, u64::saturating_mul)
}
