//! The configuration of a run: one TOML file says all of it.
//!
//! A preset is such a file embedded in the program. A key that is unknown, or that nothing reads for the kinds
//! chosen, is an error which names the file, the line and the nearest known key. These keys may be left out:
//!
//! | key | taken instead |
//! |---|---|
//! | `init_from` | none: no layer takes its parameters from another run |
//! | `data.contrast` | `"none"`, pixels as they are |
//! | `data.resize` | none: pictures must be of one size |
//! | `layer.bias` | 0 |
//! | `layer.include` | 1, no dropout |
//! | `layer.scale` | 1 / `include` |
//! | `layer.dropout_epochs` | 0, dropout to the end |
//! | `layer.max_col_norm` | 0, no constraint |
//! | `train.k` | 1 |
//! | `train.average` | 0, no average |
//! | `optimizer.lr_decay`, `lr_min` | 1 and 0, a constant rate |
//! | `optimizer.beta1`, `beta2`, `eps` | 0.9, 0.999, 1e-8 |
//!
//! [`Config::to_toml`] writes every key that is read, those among them.
//!
//! ```
//! use ganforge_gan::config::Config;
//! let mnist = Config::preset("mnist").unwrap();
//! assert_eq!(mnist.parameter_counts(784), (2_503_984, 1_231_441));
//! let small = mnist.with(&["train.batch=64", "generator.layer.h0.units=800"]).unwrap();
//! assert_eq!(small.generator.layers[0].units, 800);
//! ```

mod error;
mod overrides;
mod presets;
mod read;
mod reader;
mod schema;
mod sizes;
mod tree;
mod write;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use crate::data::nearest;
pub use error::ConfigError;
pub use overrides::origin;
pub use presets::{Preset, presets};
pub use write::text_option;

pub use crate::data::{Contrast, DataSet};

/// All of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name of the run: letters, digits, `-`, `_` and `.`; the run folder is called after it.
    pub name: String,
    /// Key of every random number of the run.
    pub seed: u64,
    /// Folder of the run whose last checkpoint gives the parameters of the layers with [`Init::Run`].
    pub init_from: Option<String>,
    /// The data set.
    pub data: Data,
    /// The generator's input.
    pub noise: Noise,
    /// G: noise to data.
    pub generator: Network,
    /// D: data to one logit.
    pub discriminator: Network,
    /// What D and G minimise.
    pub loss: Loss,
    /// Epochs, batches and the order of the updates.
    pub train: Train,
    /// How a gradient becomes a step.
    pub optimizer: Optimizer,
    /// The score.
    pub eval: Eval,
    /// What a run writes and how often.
    pub output: Output,
}

/// The data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// Which.
    pub set: DataSet,
    /// What is done to each image.
    pub contrast: Contrast,
    /// Of a folder of pictures: height and width that each is cropped and resized to.
    pub resize: Option<[usize; 2]>,
}

/// The generator's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Number of components.
    pub dim: usize,
    /// Their distribution.
    pub distribution: Distribution,
}

/// Distributions of z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Each component uniform on [-sqrt 3, sqrt 3]: mean 0, variance 1.
    Uniform,
    /// Each component uniform on [0, 1].
    UnitUniform,
    /// Each component standard normal.
    Normal,
    /// A standard normal vector divided by its L2 norm.
    Spherical,
}

/// A stack of layers, first to last.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// At least one.
    pub layers: Vec<Layer>,
}

/// One layer: dropout on its input, a linear map, then an activation or a maximum.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name in parameters (`G.h0.w`), scopes and `--set` paths: [a-z0-9_]+, unique in its network.
    pub name: String,
    /// What follows the linear map.
    pub kind: LayerKind,
    /// Number of outputs.
    pub units: usize,
    /// Initial weights.
    pub init: Init,
    /// Initial biases.
    pub bias: Bias,
    /// Dropout on the layer's input; none where `include` is 1.
    pub dropout: Option<Dropout>,
    /// After each update every column of the weights is scaled back to at most this L2 norm; none where written as 0.
    pub max_col_norm: Option<f64>,
}

/// What follows the linear map of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LayerKind {
    /// An element-wise function of `units` pre-activations.
    Linear {
        /// The function.
        activation: Activation,
    },
    /// The maximum over `pieces` consecutive of `units * pieces` pre-activations.
    Maxout {
        /// Pre-activations per unit.
        pieces: usize,
    },
}

/// Element-wise functions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x
    Linear,
    /// max(x, 0)
    Relu,
    /// x above 0, slope * x below
    LeakyRelu {
        /// Slope below 0, in [0, 1).
        slope: f64,
    },
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// tanh(x)
    Tanh,
    /// log(1 + exp(x))
    Softplus,
}

impl LayerKind {
    /// The values that its outputs can come near to.
    pub fn range(&self) -> std::ops::RangeInclusive<f32> {
        match self {
            LayerKind::Maxout { .. } => f32::NEG_INFINITY..=f32::INFINITY,
            LayerKind::Linear { activation } => match activation {
                Activation::Linear | Activation::LeakyRelu { .. } => {
                    f32::NEG_INFINITY..=f32::INFINITY
                }
                Activation::Relu | Activation::Softplus => 0.0..=f32::INFINITY,
                Activation::Sigmoid => 0.0..=1.0,
                Activation::Tanh => -1.0..=1.0,
            },
        }
    }
}

/// Initial weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Uniform on (-r, r).
    Uniform(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// In each column exactly this many distinct random rows are standard normal, the rest 0.
    Sparse(usize),
    /// Those of the layer of this name in the same network of the run that [`Config::init_from`] names.
    Run(String),
    /// Uniform on (-r, r) with r = sqrt(6 / (fan_in + fan_out)): Glorot and Bengio 2010, equation 16.
    Glorot,
}

/// Initial biases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bias {
    /// All equal.
    Constant(f64),
    /// log(p / (1 - p)) of each pixel's mean p over the training data, p clipped to [1e-7, 1 - 1e-7].
    Marginals,
    /// Those of the layer that the weights come from, with [`Init::Run`].
    Run,
}

/// h <- h * Bernoulli(include) * scale, in training only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability that an input stays, in (0, 1).
    pub include: f64,
    /// Factor on what stays.
    pub scale: f64,
    /// The last epoch, from 1, with dropout: later ones see every input. To the end where written as 0.
    pub epochs: Option<usize>,
}

impl Dropout {
    /// Whether an epoch, counted from 1, has it.
    pub fn is_on(&self, epoch: usize) -> bool {
        self.epochs.is_none_or(|last| epoch <= last)
    }
}

/// What D and G minimise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// D's loss.
    pub discriminator: DiscriminatorLoss,
    /// G's loss.
    pub generator: GeneratorLoss,
}

/// D's loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscriminatorLoss {
    /// BCE(1, D(x)) + BCE(0, D(G(z))), from logits, mean over the batch.
    Bce {
        /// Whether the sum carries the released code's factor 1/2.
        half: bool,
    },
}

/// G's loss, from logits, mean over the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratorLoss {
    /// -log D(G(z))
    NonSaturating,
    /// log(1 - D(G(z)))
    Minimax,
}

/// Epochs, batches and the order of the updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Train {
    /// Passes over the training data.
    pub epochs: usize,
    /// Images per step.
    pub batch: usize,
    /// The order of the updates.
    pub update: Update,
    /// Decay of the moving average of G's parameters, which samples and scores then use; none where written as 0.
    pub average: Option<f64>,
}

impl Train {
    /// Examples that one step takes: a minibatch, or in alternating mode one for each update of D.
    pub fn examples_per_step(&self) -> usize {
        match self.update {
            Update::Simultaneous => self.batch,
            Update::Alternating { k } => k * self.batch,
        }
    }
}

/// The order of the updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Both gradients from the same batch, noise, masks and old parameters, as in the released code.
    Simultaneous,
    /// Algorithm 1 of the paper: k updates of D, then one of G on fresh noise against the new D.
    Alternating {
        /// Updates of D per update of G.
        k: usize,
    },
}

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimizer {
    /// The rule.
    pub rule: Rule,
    /// Learning rate of the first update.
    pub lr: f64,
    /// The rate is divided by this at each update.
    pub lr_decay: f64,
    /// The rate never falls below this.
    pub lr_min: f64,
}

/// Update rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// v <- mu v - lr g; theta <- theta + v
    Sgd {
        /// mu by epoch.
        momentum: Momentum,
    },
    /// Kingma and Ba 2015, with bias correction.
    Adam {
        /// Decay of the mean of the gradient, in [0, 1).
        beta1: f64,
        /// Decay of the mean of its square, in [0, 1).
        beta2: f64,
        /// Added to the root of that mean.
        eps: f64,
    },
}

/// Momentum that runs linearly in epochs from `start` to `end` and stays there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// Its value up to epoch `first`, in [0, 1).
    pub start: f64,
    /// Its value from epoch `last` on, in [0, 1).
    pub end: f64,
    /// The last epoch, from 1, with the value `start`.
    pub first: usize,
    /// The first epoch with the value `end`; above `first`.
    pub last: usize,
}

/// The score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eval {
    /// Samples drawn from G.
    pub samples: usize,
    /// Images, the first of the validation part, that choose sigma; 0 for toy sets, whose scores need none.
    pub valid: usize,
    /// Epochs between scores; 0: only at the end of the run.
    pub every: usize,
}

/// What a run writes and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Rows and columns of the picture of samples that each epoch writes; of toy sets rows · columns points are drawn.
    pub grid: [usize; 2],
    /// Epochs between checkpoints.
    pub checkpoint_every: usize,
    /// How many checkpoints stay on disk; the newest are kept.
    pub keep_checkpoints: usize,
    /// Steps between rows of metrics.csv.
    pub log_every: usize,
}

impl Config {
    /// Reads a configuration; `origin` names it in messages, as a file name would.
    pub fn from_toml(text: &str, origin: &str) -> Result<Config, ConfigError> {
        read::config(&tree::parse(text, origin)?, origin)
    }

    /// Reads a configuration and changes it by `key=value` options, which may supply what the text lacks.
    ///
    /// The rules for options are those of [`Config::with`].
    pub fn from_toml_with<S: AsRef<str>>(
        text: &str,
        origin: &str,
        options: &[S],
    ) -> Result<Config, ConfigError> {
        let mut table = tree::parse(text, origin)?;
        overrides::apply(&mut table, options)?;
        read::config(&table, origin)
    }

    /// This configuration changed by `key=value` options, all applied before anything is checked.
    ///
    /// A key is a full path; a layer is found by its name: `generator.layer.h0.units=800`. A value is TOML; a bare
    /// word stands for a string. Changing `kind`, `update`, `activation` or `include` also removes the keys of the
    /// old choice (`momentum` of sgd, `k`, `pieces`, `slope`, `scale`, ...) unless another option sets them.
    pub fn with<S: AsRef<str>>(&self, options: &[S]) -> Result<Config, ConfigError> {
        Config::from_toml_with(&self.to_toml(), &self.name, options)
    }

    /// What an epoch, counted from 1, is trained with: without the dropout that has ended before it.
    pub fn at_epoch(&self, epoch: usize) -> Config {
        let mut config = self.clone();
        for layer in config.layers_mut() {
            layer.dropout = layer.dropout.filter(|d| d.is_on(epoch));
        }
        config
    }

    /// Whether two epochs are trained with the same dropout.
    pub(crate) fn has_same_dropout(&self, a: usize, b: usize) -> bool {
        let mut dropouts = self.layers().filter_map(|l| l.dropout);
        dropouts.all(|d| d.is_on(a) == d.is_on(b))
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.generator
            .layers
            .iter()
            .chain(&self.discriminator.layers)
    }

    pub(crate) fn layers_mut(&mut self) -> impl Iterator<Item = &mut Layer> {
        let d = &mut self.discriminator.layers;
        self.generator.layers.iter_mut().chain(d)
    }

    /// Applies one `key=value` option in place, by the rules of [`Config::with`]; on an error nothing changes.
    pub fn set(&mut self, option: &str) -> Result<(), ConfigError> {
        *self = self.with(&[option])?;
        Ok(())
    }
}
