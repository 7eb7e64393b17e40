//! `[[generator.layer]]` and `[[discriminator.layer]]`.

use ganforge_settings::{
    Key, Maybe, Reader, Scalar, Settings, Shape, Tables, Takes, UnlessZero, Value, Words, Writer,
    ZeroIsNone, above, below, closed, is_name, quoted, scalar, settings, text, whole,
};

use super::{Contrast, Data, DataSet, Everywhere, MANY, Optimizer, PenaltyTerm};
use crate::nn::{Activation, Affine, Identity, LayerKind, Linear, Sigmoid, Tanh, Weights};

settings! {
    /// A stack of layers, first to last.
    pub struct Network {
        /// What normalises its layers, in the place of what they say themselves: norm = "batch", "layer" or "instance" of all
        /// but the last, and of a discriminator the first; of a block always. Layers that are normalisers stay what they are.
        #[shown("what each layer says")]
        pub norm: Option<Everywhere> = None, Maybe(Words(Everywhere::ALL));
        /// Of a classifier: height, width and channels of the images that it takes.
        #[shown("those of the data set, where they are known before the data are read")]
        pub image: Option<[usize; 3]> = None, Maybe(ImageShape);
        /// Of the discriminator: after each update all its parameters are clipped to [-clip, clip]; 0: none.
        pub clip: Option<f64> = None, UnlessZero(closed(0.0, 1000.0));
        /// Of the discriminator: decay of a moving average of its parameters, with which it classifies and is scored; 0: none.
        pub average: Option<f64> = None, UnlessZero(below(0.0, 1.0));
        /// Of an encoder: the run whose generator it inverts, or a generator's file, or one that comes with the program, by its
        /// name; read when training begins, and not needed after that.
        #[shown("none: the generator is that of [generator], with the values that it begins with")]
        pub of: Option<String> = None, Maybe(text("the folder of a run, or the name or file of a generator", |t| !t.is_empty()));
        /// Of an encoder: how much mean |G(E(x)) - x| over real examples x counts beside the loss of noise; 0: not at all, and
        /// real examples are seen by scores alone.
        pub reconstruction: Option<f64> = None, UnlessZero(closed(0.0, 1000.0));
        /// The layers, at least one.
        #[shown("two hidden layers and the last")]
        pub layers as "layer": Vec<Layer> = Vec::new(), Layers;
        /// Of the discriminator: what its loss has beside the loss itself.
        pub penalties as "penalty": Vec<PenaltyTerm> = Vec::new(), Tables;
        /// What differs for this network from `[optimizer]`, key by key.
        pub optimizer: Option<Optimizer> = None;
    }
}

impl Network {
    /// Two hidden layers, then one that gives what an example of the data is: 0 units where nobody knows before the
    /// data are read.
    ///
    /// Of an encoder none: they are those of another run.
    pub(super) fn generator(data: &Data, is_of_other_run: bool) -> Network {
        if is_of_other_run {
            return Network::default();
        }
        let activation = match (&data.set, data.contrast) {
            (DataSet::Toy(_), _) | (_, Contrast::Gcn) => Activation::Linear(Identity {}),
            (_, Contrast::AsIs) => Activation::Sigmoid(Sigmoid {}),
            (_, Contrast::Signed) => Activation::Tanh(Tanh {}),
        };
        Network::of(activation, data.dim().unwrap_or(0))
    }

    /// Two hidden layers, then one that gives a logit.
    pub(super) fn discriminator() -> Network {
        Network::of(Activation::Linear(Identity {}), 1)
    }

    fn of(activation: Activation, units: usize) -> Network {
        let affine = Affine {
            units,
            ..Affine::default()
        };
        let norm = None;
        let hidden = |i| Layer::called(i, &Layer::default());
        let last = Layer {
            name: "out".to_owned(),
            kind: LayerKind::Linear(Linear {
                activation,
                affine,
                norm,
            }),
            ..Layer::default()
        };
        Network {
            layers: vec![hidden(0), hidden(1), last],
            ..Network::default()
        }
    }
}

/// An array of tables of layers.
pub(super) struct Layers;

impl Layers {
    const WHAT: &str = "an array of tables, 1 to 64 layers";
}

impl Takes<Vec<Layer>> for Layers {
    fn keys(&self, name: &'static str, _default: &Vec<Layer>) -> Vec<Key> {
        let shape = Shape::List(Layer::keys);
        let key = Key::value(name, Layers::WHAT, "");
        vec![Key { shape, ..key }]
    }

    /// What a layer leaves out is as in the last layer of `default`, if it is the last, else as everywhere.
    fn read(&self, table: &Reader<'_>, key: &'static str, default: Vec<Layer>) -> Vec<Layer> {
        let Some(tables) = table.list(key, Layers::WHAT, &Layer::keys()) else {
            return default;
        };
        if tables.is_empty() || tables.len() > 64 {
            table.fault(
                key,
                &format!("must hold 1 to 64 layers, got {}", tables.len()),
            );
            return default;
        }
        let mut layers: Vec<Layer> = Vec::with_capacity(tables.len());
        for (i, table) in tables.iter().enumerate() {
            let inherited = match default.last().filter(|_| i + 1 == tables.len()) {
                Some(last) => last.clone(),
                None => Layer::called(i, &Layer::default()),
            };
            let layer: Layer = table.whole(Some(&inherited));
            if layers.iter().any(|l| l.name == layer.name) {
                table.fault("name", "is already the name of an earlier layer");
            }
            layers.push(layer);
        }
        layers
    }

    fn write(&self, layers: &Vec<Layer>, key: &str, to: &mut Writer) {
        for layer in layers {
            to.element(key, |to| layer.write(to));
        }
    }
}

settings! {
    /// One layer: dropout on its input, then what its kind does.
    pub struct Layer {
        /// Name in parameters (`G.h0.w`), scopes and `--set` paths; unique in the network.
        #[shown("h0, h1 and so on, and out for the last")]
        pub name: String = "h0".to_owned(), text("1 to 32 of a-z, 0-9 and _", is_name);
        /// Type of the layer.
        pub kind: LayerKind = LayerKind::Linear(Linear::default());
        /// Dropout on the layer's input, in training: h <- h * Bernoulli(keep_prob) * scale; 1: none.
        #[was("include")]
        pub keep_prob: f64 = 1.0, above(0.0, 1.0);
        /// Factor on the inputs that are kept.
        #[shown("1 / keep_prob", of keep_prob)]
        #[only(keep_prob, "keep_prob below 1", |l| l.keep_prob < 1.0)]
        pub scale: f64 = 1.0 / keep_prob, above(0.0, MAX_SCALE);
        /// The last epoch, counted from 1, with dropout; 0: all epochs.
        #[only(keep_prob, "keep_prob below 1", |l| l.keep_prob < 1.0)]
        pub dropout_epochs: Option<usize> = None, ZeroIsNone(whole(0, MANY));
    }
    check Layer::check;
}

/// Largest factor of a dropout.
const MAX_SCALE: f64 = 1e6;

/// h <- h * Bernoulli(keep_prob) * scale, in training only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability that an input stays, in (0, 1).
    pub keep_prob: f64,
    /// Factor on what stays.
    pub scale: f64,
}

impl Layer {
    /// The weights of its map, if it has one.
    pub fn weights(&self) -> Option<&Weights> {
        self.kind.weights()
    }

    /// The same, to be changed.
    pub fn weights_mut(&mut self) -> Option<&mut Weights> {
        self.kind.get_mut()?.weights_mut()
    }

    /// Its affine map, if it has one.
    pub fn affine(&self) -> Option<&Affine> {
        self.kind.affine()
    }

    /// The same, to be changed.
    pub fn affine_mut(&mut self) -> Option<&mut Affine> {
        self.kind.get_mut()?.affine_mut()
    }

    /// Dropout on the layer's input.
    pub fn dropout(&self) -> Option<Dropout> {
        (self.keep_prob < 1.0).then_some(Dropout {
            keep_prob: self.keep_prob,
            scale: self.scale,
        })
    }

    /// Whether an epoch, counted from 1, has dropout.
    pub fn has_dropout(&self, epoch: usize) -> bool {
        self.keep_prob < 1.0 && self.dropout_epochs.is_none_or(|last| epoch <= last)
    }

    fn called(index: usize, layer: &Layer) -> Layer {
        Layer {
            name: format!("h{index}"),
            ..layer.clone()
        }
    }

    fn check(&mut self, table: &Reader<'_>) {
        if self.scale > MAX_SCALE {
            table.fault("keep_prob", "is too small: its scale exceeds 1000000");
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
    /// Normal with mean 0 and this standard deviation, drawn again beyond two of them.
    TruncatedNormal(f64),
    /// In each column exactly this many distinct random rows are standard normal, the rest 0.
    Sparse(usize),
    /// Those of the layer of this name in the same network of the run that
    /// [`Config::init_from`](super::Config::init_from) names.
    Run(String),
    /// Uniform on (-r, r) with r = sqrt(6 / (fan_in + fan_out)): Glorot and Bengio 2010, equation 16.
    Glorot,
    /// Normal with mean 0 and standard deviation sqrt(2 / fan_in): He et al. 2015, equation 10.
    He,
}

/// `init`, a table with one key.
pub(crate) struct Inits;

impl Inits {
    const NAMES: [&str; 7] = [
        "uniform",
        "normal",
        "truncated_normal",
        "sparse",
        "glorot",
        "he",
        "run",
    ];
}

impl Takes<Init> for Inits {
    fn keys(&self, name: &'static str, default: &Init) -> Vec<Key> {
        let takes = "{ uniform = r }, uniform on (-r, r); { normal = sd }; { truncated_normal = sd }, normal, drawn again \
                     beyond 2 sd; { sparse = n }, n standard normal rows per column, the others 0; \
                     { glorot = \"uniform\" }, uniform with r = sqrt(6 / (fan_in + fan_out)); { he = \"normal\" }, normal \
                     with sd = sqrt(2 / fan_in); or { run = \"h0\" }, the weights of that layer of the run init_from";
        vec![Key::value(name, takes, shown(default))]
    }

    fn read(&self, table: &Reader<'_>, key: &'static str, default: Init) -> Init {
        let Some(table) = table.section(key) else {
            return default;
        };
        let known = Inits::NAMES.map(|name| Key::value(name, "", ""));
        let written = Inits::NAMES.into_iter().filter(|k| table.get(k).is_some());
        let written: Vec<&str> = written.collect();
        table.refuse_unused(&known);
        let scale = |key| above(0.0, 100.0).read(&table, key, 1.0);
        match written.as_slice() {
            ["uniform"] => Init::Uniform(scale("uniform")),
            ["normal"] => Init::Normal(scale("normal")),
            ["truncated_normal"] => Init::TruncatedNormal(scale("truncated_normal")),
            ["sparse"] => Init::Sparse(whole(1, MANY).read(&table, "sparse", 1)),
            ["run"] => {
                let layer = text("the name of a layer of another run", is_name);
                Init::Run(layer.read(&table, "run", String::new()))
            }
            ["glorot"] => {
                table.word("glorot", &["uniform"]);
                Init::Glorot
            }
            ["he"] => {
                table.word("he", &["normal"]);
                Init::He
            }
            several => {
                let (last, names) = Inits::NAMES.split_last().expect("there are some");
                let (names, got) = (format!("{} and {last}", names.join(", ")), several.len());
                table.fault("", &format!("must hold exactly one of {names}, got {got}"));
                default
            }
        }
    }

    fn write(&self, init: &Init, key: &str, to: &mut Writer) {
        to.value(key, &shown(init));
    }
}

fn shown(init: &Init) -> String {
    match init {
        Init::Uniform(r) => format!("{{ uniform = {r:?} }}"),
        Init::Normal(sd) => format!("{{ normal = {sd:?} }}"),
        Init::TruncatedNormal(sd) => format!("{{ truncated_normal = {sd:?} }}"),
        Init::Sparse(n) => format!("{{ sparse = {n} }}"),
        Init::Run(layer) => format!("{{ run = {} }}", quoted(layer)),
        Init::Glorot => "{ glorot = \"uniform\" }".to_owned(),
        Init::He => "{ he = \"normal\" }".to_owned(),
    }
}

/// Initial biases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bias {
    /// All equal.
    Constant(f64),
    /// There are none.
    None,
    /// All equal, one for each place of a convolution's output.
    Untied(f64),
    /// log(p / (1 - p)) of each pixel's mean p over the training data, p clipped to [1e-7, 1 - 1e-7].
    Marginals,
    /// Those of the layer that the weights come from, with [`Init::Run`].
    Run,
}

/// What `bias` takes.
pub(crate) struct Biases;

impl Scalar<Bias> for Biases {
    fn what(&self) -> String {
        let number = closed(-1000.0, 1000.0);
        format!("{number}, \"none\", \"marginals\", \"run\" or {{ untied = b }}")
    }

    fn parse(&self, value: &Value) -> Result<Bias, String> {
        match value.text() {
            Some("none") => Ok(Bias::None),
            Some("marginals") => Ok(Bias::Marginals),
            Some("run") => Ok(Bias::Run),
            _ => {
                let number = closed(-1000.0, 1000.0);
                match value {
                    Value::Table(table) => match table.get("untied") {
                        Some(b) if table.len() == 1 => Ok(Bias::Untied(number.parse(&b.value)?)),
                        _ => Err(String::new()),
                    },
                    value => Ok(Bias::Constant(number.parse(value)?)),
                }
            }
        }
    }

    fn show(&self, bias: &Bias) -> String {
        match bias {
            Bias::Constant(b) => format!("{b:?}"),
            Bias::None => "\"none\"".to_owned(),
            Bias::Untied(b) => format!("{{ untied = {b:?} }}"),
            Bias::Marginals => "\"marginals\"".to_owned(),
            Bias::Run => "\"run\"".to_owned(),
        }
    }
}

scalar! { impl [] Biases => Bias }

/// Height, width and channels of an image inside of a network.
#[derive(Clone, Copy)]
pub(crate) struct ImageShape;

impl Scalar<[usize; 3]> for ImageShape {
    fn what(&self) -> String {
        format!("three whole numbers from 1 to {MANY}, [height, width, channels]")
    }

    fn parse(&self, value: &Value) -> Result<[usize; 3], String> {
        let side = |value: &Value| whole(1, MANY).parse(value);
        match value {
            Value::Array(items) => match items.as_slice() {
                [h, w, c] => Ok([side(&h.value)?, side(&w.value)?, side(&c.value)?]),
                _ => Err(String::new()),
            },
            _ => Err(String::new()),
        }
    }

    fn show(&self, shape: &[usize; 3]) -> String {
        format!("{shape:?}")
    }
}

scalar! { impl [] ImageShape => [usize; 3] }
