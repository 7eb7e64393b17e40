//! A trained classifier: the classes of images, and the features that it tells them by.
//!
//! ```
//! use ganforge_gan::{Config, Trainer, classifier::Classifier, data};
//! let small = ["classifier.layer.h0.channels=4", "classifier.layer.h1.channels=4", "classifier.layer.h2.units=8"];
//! let config = Config::preset("mnistnet")?.with(&small)?;
//! let digits = data::bundled_sample()?;
//! let train = digits.train.clone().with_labels(vec![7; 4000]); // the sample has no classes
//! let mut trainer = Trainer::new(&config, &train)?;
//! assert!(trainer.step()?.get("loss") > Some(0.0));
//! let mut classifier = Classifier::of_run(&config, trainer.store(), digits.image(), "")?;
//! let images = digits.test.to_f32(0..3)?;
//! assert_eq!(classifier.classes(&images)?.len(), 3);
//! assert_eq!(classifier.features(&images)?.len(), 3 * 8); // what goes into the last layer
//! # Ok::<(), ganforge_gan::Error>(())
//! ```

use std::path::Path;

use ganforge_tensor::{Device, Executor, Feed, Graph, Plan, Store};

use crate::config::{Config, Network};
use crate::data::{ImageSize, Images};
use crate::error::{Error, Result, room_for};
use crate::files::NpzReader;
use crate::generator::{Contents, Precision, check_variances, file};
use crate::nn::{Build, flat, shaped};
use crate::pytorch;
use crate::run::Run;
use crate::state_file::StateFile;

/// Images looked at at once.
const ROWS: usize = 100;

/// The forward pass of a network that looks at images, without dropout and with the running averages of batch norm.
pub(crate) struct Forward {
    plan: Plan,
    executor: Box<dyn Executor>,
    /// [ROWS, data]
    x: Vec<f32>,
    /// Numbers for each image, by what is fetched.
    pub(crate) widths: [usize; 2],
}

/// What is fetched of a forward pass: what the last layer makes, a logit for each class, and what goes into it.
const FETCHED: [&str; 2] = ["logits", "features"];

impl Forward {
    /// That of the classifier of `config`.
    ///
    /// # Errors
    /// A configuration without a classifier; the graph's first fault; the device's.
    pub(crate) fn at(device: &Device, config: &Config) -> Result<Forward> {
        let Some(classifier) = &config.classifier else {
            let what = match config.is_gan() {
                true => "a GAN",
                false => "an encoder",
            };
            let message = format!("{}: is {what}, and has no classifier", config.name);
            return Err(Error::Mismatch(message));
        };
        Forward::of(device, config, "C", classifier)
    }

    /// That of the discriminator of `config`.
    ///
    /// # Errors
    /// As [`Forward::at`]; a discriminator that asks for classes, which images do not bring along.
    pub(crate) fn of_discriminator(device: &Device, config: &Config) -> Result<Forward> {
        config.check_generates()?;
        config.check_judges_points()?;
        Forward::of(device, config, "D", &config.discriminator)
    }

    fn of(device: &Device, config: &Config, net: &str, network: &Network) -> Result<Forward> {
        let (graph, d) = (Graph::new(), config.output_dim());
        room_for("a batch of images", (ROWS * d) as u64)?;
        let x = graph.input("x", [ROWS, d]);
        let mut build = Build::new(&graph);
        let before_last = network.layers.iter().rev().nth(1);
        build.keep(before_last.map(|layer| layer.name.as_str()));
        let example = shaped(x, &config.example_shape(d));
        let logits = flat(build.eval_scored(net, network, example));
        let features = build.kept().map_or(x, flat);
        let widths = [logits, features].map(|var| var.shape().dims()[1]);
        let plan = Plan::of(&graph)
            .fetch(FETCHED[0], logits)
            .fetch(FETCHED[1], features);
        Ok(Forward {
            plan: plan.compile()?,
            executor: device.executor()?,
            x: vec![0.0; ROWS * d],
            widths,
        })
    }

    /// Logits [n, classes] and features [n, features] of images [n, data] of this size, with pixels from 0 to 1: so many `values` in
    /// all, of which `read` writes those from a place on, batch by batch.
    ///
    /// # Errors
    /// Values that are no whole images; a pixel that is not from 0 to 1, with its place; more images than there is memory for.
    pub(crate) fn look(
        &mut self,
        config: &Config,
        image: ImageSize,
        store: &mut Store,
        values: usize,
        read: impl Fn(usize, &mut [f32]),
    ) -> Result<[Vec<f32>; 2]> {
        let d = image.values().unwrap_or(0).max(1);
        if !values.is_multiple_of(d) {
            let message = format!(
                "{}: images of {image} are rows of {d} values, got {values} values",
                config.name
            );
            return Err(Error::Mismatch(message));
        }
        self.run(store, values / d, |first, batch| {
            read(first * d, batch);
            if let Some(at) = batch.iter().position(|x| !(0.0..=1.0).contains(x)) {
                let message = format!(
                    "{}: expected pixels from 0 to 1, and image {} has {} at place {}",
                    config.name,
                    first + at / d,
                    batch[at],
                    at % d
                );
                return Err(Error::Mismatch(message));
            }
            let images = batch.chunks_exact_mut(d);
            images.for_each(|x| config.data.contrast.apply(x));
            Ok(())
        })
    }

    /// The same of `n` images as the network takes them, of which `read` writes those from a number on.
    fn run(
        &mut self,
        store: &mut Store,
        n: usize,
        read: impl Fn(usize, &mut [f32]) -> Result<()>,
    ) -> Result<[Vec<f32>; 2]> {
        let d = self.x.len() / ROWS;
        let floats = self.widths.iter().sum::<usize>().saturating_mul(n);
        room_for("the features of these images", floats as u64)?;
        let mut found = self.widths.map(|width| Vec::with_capacity(n * width));
        for first in (0..n).step_by(ROWS) {
            let rows = ROWS.min(n - first);
            read(first, &mut self.x[..rows * d])?;
            let x = Feed::new("x", [ROWS, d], &self.x);
            self.executor.run(&self.plan, store, &[x])?;
            for (i, name) in FETCHED.iter().enumerate() {
                let values = self.executor.fetch(&self.plan, store, name);
                let values = values.expect("the plan fetches it");
                found[i].extend_from_slice(&values[..rows * self.widths[i]]);
            }
        }
        Ok(found)
    }

    /// The likeliest class of each image, as they are stored.
    pub(crate) fn classes_of(&mut self, store: &mut Store, images: &Images) -> Result<Vec<usize>> {
        let d = images.d().max(1);
        let [logits, _] = self.run(store, images.n(), |first, batch| {
            let rows: Vec<usize> = (first..).take(batch.len() / d).collect();
            Ok(images.rows_f32_into(&rows, batch)?)
        })?;
        Ok(logits.chunks(self.widths[0]).map(likeliest).collect())
    }
}

/// The place of the largest number, the first one of several.
fn likeliest(logits: &[f32]) -> usize {
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).reduce(better).unwrap_or(0)
}

/// The size of the images that the networks of a configuration take.
pub(crate) fn size_of(config: &Config) -> Result<ImageSize> {
    let none = || Error::Mismatch(format!("{}: takes vectors, not images", config.name));
    config.image().ok_or_else(none)
}

/// A trained classifier without its run: everything needed to look at images, small enough to ship.
pub struct Classifier {
    contents: Contents,
    forward: Forward,
}

impl Classifier {
    /// The classifier of a run: of its configuration, its state, the size of its images and what run.json says.
    ///
    /// # Errors
    /// A GAN's run; a store without the classifier's parameters; images of another size than it takes.
    pub fn of_run(
        config: &Config,
        store: &Store,
        image: ImageSize,
        about: &str,
    ) -> Result<Classifier> {
        // A GAN's run is refused before its tensors are asked for.
        Forward::at(&Device::CPU, config)?;
        Classifier::new(Contents::of_run(config, store, image, about)?)
    }

    /// The classifier of a configuration with the weights of a file: of PyTorch, or of its tensors as .npz or .safetensors.
    ///
    /// # Errors
    /// A GAN's configuration; images whose size is not known; as [`pytorch::import`].
    pub fn import(config: &Config, weights: &Path) -> Result<Classifier> {
        Forward::at(&Device::CPU, config)?;
        let image = size_of(config)?;
        let (store, _) = pytorch::import(weights, config, "C")?;
        Classifier::new(Contents {
            config: config.clone(),
            image,
            about: String::new(),
            store,
        })
    }

    fn new(contents: Contents) -> Result<Classifier> {
        let (config, image) = (&contents.config, contents.image);
        let forward = Forward::at(&Device::CPU, config)?;
        config.check_image(image)?;
        config.check_data_dim(image.values().unwrap_or(0))?;
        check_variances(config, &contents.store)?;
        Ok(Classifier { contents, forward })
    }

    /// Whether the file of [`Classifier::write`] or of a generator at `path` holds a classifier.
    ///
    /// # Errors
    /// A file of neither.
    pub fn is_in(path: &Path) -> Result<bool> {
        Ok(Contents::load(file::open(path)?)?
            .config
            .classifier
            .is_some())
    }

    /// Reads a file of [`Classifier::write`].
    ///
    /// # Errors
    /// A name of another ending; a generator's file; a damaged file, another version, a missing, unknown or misshapen entry.
    pub fn read(path: &Path) -> Result<Classifier> {
        Classifier::new(Contents::load(file::open(path)?)?)
    }

    /// The classifier in the bytes of a file, called `name` in messages.
    pub(crate) fn from_bytes(bytes: &'static [u8], name: &str) -> Result<Classifier> {
        let npz = NpzReader::from_bytes(bytes, name)?;
        Classifier::new(Contents::load(StateFile::of_npz(npz, Path::new(name)))?)
    }

    /// The classifier of the run in a folder, as its newest checkpoint has it.
    ///
    /// # Errors
    /// A folder that is no run of a classifier, or has no checkpoint; a damaged one.
    pub fn of_folder(folder: &Path) -> Result<Classifier> {
        let (run, config) = Run::open(folder)?;
        Classifier::of_opened(&run, &config)
    }

    /// That of an open run of this configuration.
    ///
    /// # Errors
    /// As [`Classifier::of_folder`].
    pub fn of_opened(run: &Run, config: &Config) -> Result<Classifier> {
        Forward::at(&Device::CPU, config)?;
        let image = size_of(config)?;
        let store = run.load(config, config.output_dim())?;
        let about = std::fs::read_to_string(run.folder().join("run.json")).unwrap_or_default();
        Classifier::of_run(config, &store, image, &about)
    }

    /// Writes it to `path`, atomically, in the format of its name.
    ///
    /// # Errors
    /// A name of another ending; a parameter too large for float16; what the system refuses.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<()> {
        self.contents.write(path, precision)
    }

    /// From here on it computes on `device`.
    ///
    /// # Errors
    /// The device's.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        self.forward = Forward::at(device, &self.contents.config)?;
        Ok(())
    }

    /// The configuration of the run that trained it.
    pub fn config(&self) -> &Config {
        &self.contents.config
    }

    /// The size of the images that it takes.
    pub fn image(&self) -> ImageSize {
        self.contents.image
    }

    /// What run.json said of the run: JSON.
    pub fn about(&self) -> &str {
        &self.contents.about
    }

    /// How many classes it tells apart.
    pub fn n_classes(&self) -> usize {
        self.forward.widths[0]
    }

    /// How many features it has of each image.
    pub fn n_features(&self) -> usize {
        self.forward.widths[1]
    }

    /// Logits [n, classes] and features [n, features], what goes into the last layer, of images [n, data] with pixels from 0
    /// to 1, [height, width, channels] each.
    ///
    /// # Errors
    /// Values that are no whole images; a pixel that is not from 0 to 1, with its place; more images than there is memory for.
    pub fn look(&mut self, images: &[f32]) -> Result<[Vec<f32>; 2]> {
        self.look_at(images.len(), |first, batch| {
            batch.copy_from_slice(&images[first..first + batch.len()]);
        })
    }

    /// The same of so many `values`, of which `read` writes those from a place on.
    ///
    /// # Errors
    /// As [`Classifier::look`].
    pub(crate) fn look_at(
        &mut self,
        values: usize,
        read: impl Fn(usize, &mut [f32]),
    ) -> Result<[Vec<f32>; 2]> {
        let Contents {
            config,
            image,
            store,
            ..
        } = &mut self.contents;
        self.forward.look(config, *image, store, values, read)
    }

    /// The features alone, [n, features].
    ///
    /// # Errors
    /// As [`Classifier::look`].
    pub fn features(&mut self, images: &[f32]) -> Result<Vec<f32>> {
        let [_, features] = self.look(images)?;
        Ok(features)
    }

    /// The likeliest class of each image.
    ///
    /// # Errors
    /// As [`Classifier::look`].
    pub fn classes(&mut self, images: &[f32]) -> Result<Vec<usize>> {
        let [logits, _] = self.look(images)?;
        Ok(logits.chunks(self.n_classes()).map(likeliest).collect())
    }
}
