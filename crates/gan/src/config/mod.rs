//! The configuration of a run: one TOML file.
//!
//! Each section is a [`settings!`](ganforge_settings::settings) struct, which states type, default, range and meaning of
//! its keys once. All keys are optional; a key that is unknown, or not used with the chosen kinds, is an
//! error, and all errors are reported at once, each with the file, the line and the nearest known key.
//!
//! `base = "mnist"` at the start of a file loads a preset, or another file by its path relative to this one; the keys of
//! the file override it. `[[generator.layer]]` replaces all layers, `[generator.layer.h0]` overrides keys of the one
//! of that name. [`Config::to_toml`] writes every key that is used, and no base.
//!
//! ```
//! use ganforge_gan::config::Config;
//! let mnist = Config::preset("mnist").unwrap();
//! assert_eq!(mnist.parameter_counts(784), (2_503_984, 1_231_441));
//! let small = mnist.with(&["train.batch=64", "generator.layer.h0.units=800"]).unwrap();
//! assert_eq!(small.generator.layers[0].affine().unwrap().units, 800);
//! let short = Config::from_toml("base = 'mnist'\ntrain.epochs = 3", "short.toml").unwrap();
//! assert_eq!(short, mnist.with(&["train.epochs=3"]).unwrap());
//! ```

mod best;
mod check;
mod classes;
mod classifier;
mod encoder;
mod labelled;
mod layer;
mod load;
mod margin;
mod normalised;
mod presets;
mod restore;
mod sizes;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use best::{BestOn, Choice};
pub use ganforge_settings::{ConfigError, Fault, nearest, origin, text_option};
pub use layer::{Bias, Dropout, Init, Layer, Network};
pub(crate) use layer::{Biases, ImageShape, Inits};
pub use margin::Margin;
pub use normalised::Everywhere;
pub use presets::{Preset, presets};

use ganforge_settings::{
    Change, Maybe, OnOneLine, Reader, Settings, Sides, Table, Tables, UnlessZero, Whole, Words,
    ZeroIsNone, below, closed, list, page, settings, text, whole,
};

pub use crate::data::{Augment, AugmentTerm, Contrast, DataSet};
use crate::data::{Channels, Crop, Crops, Filter, HeldOut, ImageSize, MNIST, Preprocessing};
use crate::losses::Form;
pub use crate::losses::{Loss, LossKind};
use crate::metrics::{MetricKind, Scores, unasked};
pub use crate::nn::{
    Activation, Affine, BatchNorm, Conv2d, Deconv2d, Filters, Identity, LayerKind, LeakyRelu,
    Linear, Maxout, NormKind, Padding, Relu, Sigmoid, Softplus, Tanh, TransformKind, Weights,
};
pub use crate::optim::{Adam, Momentum, Optimizer, Rule, Sgd};
pub use crate::penalties::{PenaltyKind, PenaltyTerm};
pub use crate::restore::{Restore, RestoreKind};

/// Largest width, batch, epoch number and count that a key takes.
pub(crate) const MANY: usize = 1_000_000;

settings! {
    /// All of a run.
    pub struct Config {
        /// Name of the run, used for its folder: letters, digits, `-`, `_` and `.`.
        pub name: String = "run".to_owned(), text(NAME, is_name);
        /// Seed of all random numbers of the run: initial weights, noise, dropout, batch order, points of toy sets.
        pub seed: u64 = 1, Whole(0, i64::MAX as u64);
        /// Folder of the run whose last checkpoint initialises the layers with `init = { run = .. }`.
        pub init_from: Option<String> = None, Maybe(text("the folder of a run", |_| true));
        /// The data set.
        pub data: Data = Data::default();
        /// C: images to one logit for each class. A run that has it trains this network alone, to name the classes of the
        /// examples: it minimises the mean cross-entropy of the softmax, in nats.
        #[shown("none: a run trains G and D")]
        pub classifier: Option<Network> = None;
        /// E: examples to the noise that G makes them of. A run that has it trains this network alone, on pairs z and G(z) of a
        /// generator that stands still: it minimises mean (z - E(G(z)))².
        #[shown("none: a run trains G and D")]
        #[only(classifier, "a run without [classifier]", |c| c.classifier.is_none())]
        pub encoder: Option<Network> = None;
        /// What is missing of the real examples that G is given to restore.
        #[shown("none: G is given noise alone")]
        #[only(classifier, "a GAN, which has no [classifier] and no [encoder]", |c| c.is_gan())]
        pub restore: Option<Restore> = None;
        /// The generator's input.
        #[only(classifier, "a GAN, which has no [classifier]", |c| c.classifier.is_none())]
        pub noise: Noise = Noise::of(&data);
        /// G: noise to data. Of an encoder the one that is inverted, that of `encoder.of`.
        #[only(classifier, "a GAN, which has no [classifier]", |c| c.classifier.is_none())]
        pub generator: Network = Network::generator(&data, encoder.is_some());
        /// D: data to one logit.
        #[only(classifier, "a GAN, which has no [classifier], no [encoder] and no restore.adversarial = 0", |c| c.has_d())]
        pub discriminator: Network = Network::discriminator();
        /// What D and G minimise.
        #[only(classifier, "a GAN, which has no [classifier], no [encoder] and no restore.adversarial = 0", |c| c.has_d())]
        pub loss: Loss = Loss::default();
        /// What the margins of loss-sensitive GANs are measured with, where it is not the examples themselves.
        #[only(classifier, "a GAN, which has no [classifier] and no [encoder]", |c| c.is_gan())]
        pub margin: Option<Margin> = None;
        /// Epochs, batches and the order of the updates.
        pub train: Train = Train::of(classifier.is_some() || encoder.is_some() || restore.as_ref().is_some_and(Restore::is_alone));
        /// How a gradient becomes a step, in all networks.
        pub optimizer: Optimizer = Optimizer::default();
        /// The score.
        pub eval: Eval = Eval::of(&data, &classifier, encoder.is_some(), restore.is_some());
        /// What a run writes and how often.
        pub output: Output = Output::default();
    }
    check Config::check;
}

const NAME: &str = "1 to 64 letters, digits, '-', '_' and '.', not starting with '.'";

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(good)
}

settings! {
    /// The data set.
    pub struct Data {
        /// The data set: a name, or the path of a file with arrays or images, or of a folder or an archive with pictures.
        pub set: DataSet = DataSet::Published(&MNIST);
        /// So many of the training images, drawn at random from the run's seed, instead of all.
        #[shown("all")]
        #[only(set, "a data set of images", |d| !matches!(d.set, DataSet::Toy(_)))]
        pub subset: Option<usize> = None, Maybe(whole(1, 1_000_000_000));
        /// So many of the training examples keep their labels, as many of each class; D learns the classes of these and is shown
        /// the others without. With loss.kind = "semi-supervised".
        #[shown("all")]
        pub labelled: Option<usize> = None, Maybe(whole(1, 1_000_000_000));
        /// Seed by which those are drawn, apart from the run's.
        #[only(labelled, "data.labelled", |d| d.labelled.is_some())]
        pub labelled_seed: u64 = 1, Whole(0, i64::MAX as u64);
        /// Normalisation of each image.
        #[only(set, "a data set of images", |d| !matches!(d.set, DataSet::Toy(_)))]
        pub contrast: Contrast = Contrast::AsIs;
        /// The part of each picture that is taken, first of all. "center": the largest square about the centre; a number or
        /// [height, width]: so much about the centre, with black around what is smaller; [height, width, top, left]: with so
        /// many rows above it and columns to its left.
        #[shown("none, which takes all of it")]
        #[only(set, "a folder or an archive of pictures", |d| matches!(d.set, DataSet::File(_)))]
        pub crop: Option<Crop> = None, Maybe(Crops);
        /// 1 makes all pictures grey, 3 makes them RGB.
        #[shown("that of the pictures, which must be one")]
        #[only(set, "a folder or an archive of pictures", |d| matches!(d.set, DataSet::File(_)))]
        pub channels: Option<usize> = None, Maybe(Channels);
        /// Height and width to which each picture, or its part, is cropped and resized.
        #[shown("none, which requires pictures of equal size")]
        #[only(set, "a folder or an archive of pictures", |d| matches!(d.set, DataSet::File(_)))]
        pub resize: Option<[usize; 2]> = None, Maybe(Sides { most: 1000, what: "a whole number from 1 to 1000, or two, [height, width]" });
        /// How pictures are resized.
        #[only(resize, "data.resize", |d| d.resize.is_some())]
        pub filter: Filter = Filter::Lanczos;
        /// How many of the last examples before those of `test` validate, where neither folders nor files say which do.
        #[shown("a seventh of all")]
        #[only(set, "a file, a folder or an archive", |d| matches!(d.set, DataSet::File(_)))]
        pub valid: Option<usize> = None, Maybe(whole(1, 1_000_000_000));
        /// How many of the last examples test, where neither folders nor files say which do.
        #[shown("a seventh of all")]
        #[only(set, "a file, a folder or an archive", |d| matches!(d.set, DataSet::File(_)))]
        pub test: Option<usize> = None, Maybe(whole(1, 1_000_000_000));
        /// Random changes of the images of each training step, one after the other.
        #[only(set, "a data set of images", |d| !matches!(d.set, DataSet::Toy(_)))]
        pub augment: Vec<AugmentTerm> = Vec::new(), Tables;
    }
}

settings! {
    /// The data of a run, alone.
    struct DataAlone {
        /// The data set.
        pub data: Data = Data::default();
    }
}

impl Data {
    /// The data that options `data.key=value` describe.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn of<S: AsRef<str>>(options: &[S]) -> Result<Data, ConfigError> {
        let (mut root, mut faults) = (Table::new(), Vec::new());
        for option in options {
            match Change::parse(option.as_ref()) {
                Ok(change) => change.apply(&mut root, &DataAlone::keys(), &mut faults),
                Err(fault) => faults.push(fault),
            }
        }
        match ganforge_settings::read::<DataAlone>(&root, "data") {
            Ok(alone) if faults.is_empty() => Ok(alone.data),
            Ok(_) => Err(ConfigError::new(faults)),
            Err(error) => Err(ConfigError::new([faults, error.faults].concat())),
        }
    }

    /// Whether it depends on the run's seed which examples they are.
    pub fn is_drawn(&self) -> bool {
        matches!(self.set, DataSet::Toy(_)) || self.subset.is_some()
    }

    /// The size of one example, where it is known before the data are loaded: of pictures where the settings say all of it.
    pub fn image(&self) -> Option<ImageSize> {
        let part = match self.crop {
            Some(Crop::Sides(sides) | Crop::At([sides @ .., _, _])) => Some(sides),
            Some(Crop::Center) | None => None,
        };
        let pictures = || {
            let [height, width] = self.resize.or(part)?;
            Some(ImageSize {
                height,
                width,
                channels: self.channels?,
            })
        };
        self.set.image().or_else(pictures)
    }

    /// Values of one example, where they are known before the data are loaded.
    pub fn dim(&self) -> Option<usize> {
        self.image()?.values()
    }

    /// How pictures become images.
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing {
            crop: self.crop,
            channels: self.channels,
            resize: self.resize,
            filter: self.filter,
            held_out: HeldOut {
                valid: self.valid,
                test: self.test,
            },
        }
    }
}

settings! {
    /// The generator's input.
    pub struct Noise {
        /// Number of components.
        #[shown("100, or 2 for a toy set; with [restore] one for each value of an image")]
        pub dim: usize = 100, whole(1, MANY);
        /// Distribution of the components.
        pub distribution: Distribution = Distribution::Normal;
        /// Of samples that are shown and scored, not of those that are trained on: components beyond this are drawn again. Samples
        /// then differ less and look better. 0: none are.
        #[only(distribution, "distribution = \"normal\"", |n| n.distribution == Distribution::Normal)]
        pub truncate: Option<f64> = None, UnlessZero(closed(0.0, 10.0));
        /// Classes of the generated examples that are trained on.
        #[shown("\"uniform\", where a layer asks for classes; with loss.kind = \"cls-gan\" \"data\"")]
        pub classes: Option<ClassSource> = None, Maybe(Words(ClassSource::ALL));
    }
}

impl Noise {
    fn of(data: &Data) -> Noise {
        let dim = if matches!(data.set, DataSet::Toy(_)) {
            2
        } else {
            100
        };
        Noise {
            dim,
            ..Noise::default()
        }
    }
}

list! {
    /// Where the classes of generated examples come from in training.
    pub enum ClassSource {
        /// Drawn, each as likely as another.
        "uniform" => Uniform,
        /// Those of the real examples of the same update of D; of an update of G those of the last one of D before it.
        "data" => Data,
    }
}

list! {
    /// Distributions of z.
    pub enum Distribution {
        /// Each component uniform on [-sqrt 3, sqrt 3]: mean 0, variance 1.
        "uniform" => Uniform,
        /// Each component uniform on [0, 1].
        "unit-uniform" => UnitUniform,
        /// Each component uniform on [-1, 1].
        "signed-uniform" => SignedUniform,
        /// Each component standard normal.
        "normal" => Normal,
        /// A standard normal vector divided by its L2 norm.
        "spherical" => Spherical,
        /// Each component -1 or 1, each as likely as the other.
        "signs" => Signs,
    }
}

settings! {
    /// Epochs, batches and the order of the updates.
    #[derive(Copy)]
    pub struct Train {
        /// Passes over the training data.
        pub epochs: usize = 10, whole(1, MANY);
        /// Images per step.
        pub batch: usize = 100, whole(1, MANY);
        /// Equal slices of a minibatch with a gradient each, a power of two that divides train.batch: what several ranks share
        /// out; 0: the whole minibatch. Batch norm, DRAGAN, losses that compare examples and the distance of [restore] see one slice at a time.
        pub shards: Option<usize> = None, UnlessZero(whole(0, 65_536));
        /// The order of the updates.
        #[shown("\"alternating\"; of a classifier or an encoder and with restore.adversarial = 0 \"single\"")]
        pub update: Update = Update::Alternating;
        /// Updates of D per update of G.
        #[only(update, "update = \"alternating\"", |t| t.update == Update::Alternating)]
        pub k: usize = 1, whole(1, 1000);
        /// Whether G is updated on the noise of D's last update, through the updated D, instead of fresh noise.
        #[only(update, "update = \"alternating\"", |t| t.update == Update::Alternating)]
        pub reuse_noise: bool = false;
        /// Whether real and generated examples are concatenated to one minibatch when D is trained. This changes layers that
        /// depend on the whole minibatch, and spectral norm, which then makes one power iteration for both; otherwise only the
        /// speed.
        #[shown("true with alternating updates, false with simultaneous ones, where a layer of D sees the whole minibatch and with the penalties r1, r2 and gp-real", of update)]
        #[only(update, "a GAN's update", |t| t.update != Update::Single)]
        pub joined: bool = update == Update::Alternating;
        /// Decay of a moving average of G's parameters, used for samples and scores; 0: none. Running averages of batch norm and
        /// vectors of spectral norm go with it as they are in the net that trains.
        #[only(update, "a GAN's update", |t| t.update != Update::Single)]
        pub average: Option<f64> = None, ZeroIsNone(below(0.0, 1.0));
        /// Steps with more updates of D than the others: those at the beginning and one from time to time.
        #[only(update, "update = \"alternating\"", |t| t.update == Update::Alternating)]
        pub warmup: Option<Warmup> = None;
    }
    check Train::check;
}

settings! {
    /// Steps with more updates of D than the others.
    #[derive(Copy, Eq)]
    pub struct Warmup {
        /// So many steps at the beginning are such steps.
        pub steps: usize = 25, whole(0, MANY);
        /// Updates of D in such a step, more than train.k. Each has a minibatch of its own, drawn beside those of the epochs.
        pub k: usize = 100, whole(2, MANY);
        /// And so is each step that follows a multiple of so many steps; 0: none.
        pub every: Option<usize> = Some(500), ZeroIsNone(whole(0, MANY));
    }
}

impl Warmup {
    /// Whether the step that follows `steps` completed ones has more updates of D.
    pub fn holds(&self, steps: u64) -> bool {
        let is_multiple = |every: usize| steps.is_multiple_of(every as u64);
        steps < self.steps as u64 || self.every.is_some_and(is_multiple)
    }

    /// How many steps come before the next one that has more updates of D, after `steps` completed ones.
    fn until_next(&self, steps: u64) -> u64 {
        match self.holds(steps) {
            true => 0,
            false => self.every.map_or(u64::MAX, |every| {
                steps.next_multiple_of(every as u64) - steps
            }),
        }
    }

    /// How many of the first `steps` steps have more updates of D.
    fn count(&self, steps: u64) -> u64 {
        let first = steps.min(self.steps as u64);
        let later = self.every.map_or(0, |every| {
            steps.div_ceil(every as u64) - first.div_ceil(every as u64)
        });
        first + later
    }
}

impl Train {
    fn of(is_alone: bool) -> Train {
        match is_alone {
            false => Train::default(),
            true => Train {
                update: Update::Single,
                joined: false,
                ..Train::default()
            },
        }
    }

    fn check(&mut self, table: &Reader<'_>) {
        if let Some(warmup) = &self.warmup
            && warmup.k <= self.k
        {
            let (most, got) = (self.k, warmup.k);
            let message = format!("must be more than train.k, which is {most}, got {got}");
            table.fault("warmup.k", &message);
        }
        self.shards = self.shards.filter(|&shards| shards != 1);
        let (shards, batch) = (self.shards(), self.batch);
        if !shards.is_power_of_two() || !batch.is_multiple_of(shards) {
            let message = format!(
                "must be a power of two that divides train.batch, which is {batch}, got {shards}"
            );
            table.fault("shards", &message);
        }
    }

    /// How many steps come before the next one with more updates of D, after `steps` completed ones.
    pub(crate) fn quiet_steps(&self, steps: u64) -> u64 {
        self.warmup.map_or(u64::MAX, |w| w.until_next(steps))
    }

    /// The updates of D in the first `steps` steps that are not among the k of each: those of [`Train::warmup`].
    pub fn extra_updates(&self, steps: u64) -> u64 {
        self.warmup.map_or(0, |warmup| {
            let each = warmup.k.saturating_sub(self.k) as u64;
            warmup.count(steps).saturating_mul(each)
        })
    }

    /// How many shards a minibatch has.
    pub fn shards(&self) -> usize {
        self.shards.unwrap_or(1)
    }

    /// Examples of a minibatch that a shard has.
    pub fn examples_per_shard(&self) -> usize {
        self.batch / self.shards()
    }

    /// What a layer that normalises by statistics of at least two examples, or a loss that compares samples, says of fewer;
    /// `is_sync` where they are of all shards.
    fn too_few(&self, is_sync: bool) -> Option<&'static str> {
        match (
            self.batch,
            is_sync || self.shards.is_none(),
            self.examples_per_shard(),
        ) {
            (..=1, ..) => {
                Some("is of the whole minibatch and needs 2 or more examples, and train.batch is 1")
            }
            (_, false, ..=1) => Some(
                "is of a shard and needs 2 or more examples, and train.batch / train.shards is 1",
            ),
            _ => None,
        }
    }

    /// Updates of D in a step.
    pub(crate) fn updates_of_d(&self) -> usize {
        match self.update {
            Update::Simultaneous | Update::Single => 1,
            Update::Alternating => self.k,
        }
    }
}

list! {
    /// The order of the updates.
    pub enum Update {
        /// Both gradients from the same batch, noise, masks and old parameters, as in the released code.
        "simultaneous" => Simultaneous,
        /// Algorithm 1 of the paper: k updates of D, then one of G on fresh noise with the updated D.
        "alternating" => Alternating,
        /// Of a classifier, of an encoder, or of a generator without a discriminator: its one network.
        "single" => Single,
    }
}

settings! {
    /// The score.
    pub struct Eval {
        /// Samples drawn from G.
        pub samples: usize = 10_000, whole(1, MANY);
        /// The [metrics](metrics.md) that score them.
        #[shown("parzen, but for a toy set modes or, on the line, density; of a classifier test-accuracy, of an encoder inference, with [restore] restoration")]
        pub metrics: Vec<MetricKind> = unasked(&DataSet::Published(&MNIST)), OnOneLine;
        /// The `valid` of parzen, where it stood before metrics had keys of their own.
        valid: Option<usize> = None, Maybe(whole(1, MANY));
        /// Epochs between scores; 0: only at the end of the run.
        pub every: usize = 0, whole(0, MANY);
        /// The score whose best value a checkpoint is kept for beside the newest ones, checkpoints/best.npz: a metric, whose first
        /// number of which more or less is better it is, as "fid", or a column of scores.csv, as "recall_mnistnet". Needs `every`.
        #[shown("none: the newest checkpoints alone are kept")]
        pub best: Option<String> = None, Maybe(text("the name of a score", |t| !t.is_empty()));
        /// The images of that score.
        #[only("best", |e| e.best.is_some())]
        pub best_on: BestOn = BestOn::Valid;
    }
    check Eval::check;
}

impl Eval {
    fn check(&mut self, table: &Reader<'_>) {
        if self.metrics.is_empty() {
            table.fault("metrics", "must hold at least one metric");
        }
        if let Some(name) = Scores::named_twice(&self.metrics) {
            let message = format!("has two scores of the name {name:?}");
            table.fault("metrics", &message);
        }
        let parzen = self.metrics.iter_mut().find_map(|metric| match metric {
            MetricKind::Parzen(parzen) => Some(parzen),
            _ => None,
        });
        match (self.valid.take(), parzen) {
            (Some(valid), Some(parzen)) => parzen.valid = valid,
            (Some(_), None) => table.refuse("valid", "the metric parzen"),
            (None, _) => {}
        }
        self.check_best(table);
    }
}

settings! {
    /// What a run writes and how often.
    #[derive(Copy, Eq)]
    pub struct Output {
        /// Rows and columns of each epoch's picture of samples; for toy sets it shows rows x columns points.
        pub grid: [usize; 2] = [10, 10], Sides { most: 100, what: "two whole numbers from 1 to 100, rows and columns" };
        /// Epochs between checkpoints.
        pub checkpoint_every: usize = 1, whole(1, MANY);
        /// Number of newest checkpoints to keep.
        pub keep_checkpoints: usize = 2, whole(1, MANY);
        /// Steps between rows of metrics.csv.
        pub log_every: usize = 50, whole(1, MANY);
    }
}

/// What `ganforge presets keys` prints and docs/configuration.md holds: every key with its default and what it takes.
pub fn keys_page() -> String {
    format!("{INTRODUCTION}\n{}", page(&Config::keys()))
}

const INTRODUCTION: &str = "\
# Configuration

A configuration is a TOML file. All keys are optional; their defaults are listed below. Unknown keys, invalid values
and keys that are not used are errors, and all errors are reported at once.

`base = \"mnist\"` at the start of a file loads a preset (`ganforge presets list`), or another file by its path relative
to this one; the keys of the file override it. `[[generator.layer]]` replaces all layers of the base,
`[generator.layer.h0]` overrides keys of the layer named h0.

`--set KEY=VALUE` overrides a key, also in lists: `--set generator.layer.h0.units=600`; strings need no quotes.
`--set 'generator.layer+={name=\"h2\", units=64}'` inserts a layer before the last one, or at the position given by
`after=\"h0\"` or `before=\"h1\"` in the table; `--set generator.layer-=h1` removes one.

A run's folder contains the complete configuration, without a base. This page is the output of
`ganforge presets keys`.
";

impl Config {
    /// The networks that a run trains, by their names: `D` and `G`, or `G`, or `C`, or `E`.
    pub fn nets(&self) -> Vec<(&'static str, &Network)> {
        match (&self.classifier, &self.encoder) {
            (Some(classifier), _) => vec![("C", classifier)],
            (None, Some(encoder)) => vec![("E", encoder)],
            (None, None) if !self.has_d() => vec![("G", &self.generator)],
            (None, None) => vec![("D", &self.discriminator), ("G", &self.generator)],
        }
    }

    /// The network of this name, where the run has it.
    pub fn net(&self, name: &str) -> Option<&Network> {
        let found = self.nets().into_iter().find(|(net, _)| *net == name);
        found.map(|(_, network)| network)
    }

    /// How the network of this name learns: by its own optimiser, else by the one for all.
    pub fn optimizer_of(&self, net: &str) -> &Optimizer {
        let own = self.net(net).and_then(|n| n.optimizer.as_ref());
        own.unwrap_or(&self.optimizer)
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        let of_a_gan = self.classifier.is_none();
        let of_a_gan = of_a_gan.then_some([&self.generator, &self.discriminator]);
        let nets = of_a_gan
            .into_iter()
            .flatten()
            .chain(&self.classifier)
            .chain(&self.encoder);
        nets.flat_map(|net| &net.layers)
    }

    pub(crate) fn layers_mut(&mut self) -> impl Iterator<Item = &mut Layer> {
        let c = self.classifier.iter_mut().chain(&mut self.encoder);
        let nets = [&mut self.generator, &mut self.discriminator];
        nets.into_iter().chain(c).flat_map(|n| &mut n.layers)
    }
}
