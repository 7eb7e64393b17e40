//! A trained generator without its run: everything needed for sampling, small enough to ship.
//!
//! Its files are in [`mod@file`].
//!
//! ```
//! use ganforge_gan::generator::Generator;
//! let mut mnist = Generator::pretrained("mnist")?;
//! let digits = mnist.samples(1, 25)?; // seed, number: [25, 784] in [0, 1]
//! assert_eq!(digits.len(), 25 * 784);
//! # Ok::<(), ganforge_gan::Error>(())
//! ```

use std::path::Path;

use crate::class_blend::ClassBlend;
use crate::config::{Config, nearest};
use crate::data::Dataset;
use crate::data::ImageSize;
use crate::error::{Error, Result};
use crate::extractors::Loaded;
use crate::files::NpzReader;
use crate::metrics::{Scores, Task};
use crate::pytorch;
use crate::sampler::{Decoder, Sampler, room_for_rows};
use crate::state_file::StateFile;
use crate::tensors::{Role, TensorSpec, Tensors};
use crate::train;
use ganforge_tensor::{Device, Store};

pub mod file;

pub(crate) use file::Contents;
pub use file::{Format, Precision};

/// The generators that come with the program: their names and files.
const PRETRAINED: &[(&str, &[u8])] = &[("mnist", include_bytes!("../assets/mnist-generator.npz"))];

/// The file of the generator of this name that comes with the program.
pub(crate) fn bundled(name: &str) -> Option<&'static [u8]> {
    let found = PRETRAINED.iter().find(|(n, _)| *n == name);
    found.map(|(_, bytes)| *bytes)
}

/// Whether a generator of this name comes with the program.
pub fn is_bundled(name: &str) -> bool {
    bundled(name).is_some()
}

/// What draws and what decodes, for the parameters themselves: averages of a run are the parameters here.
fn tools(device: &Device, config: &Config) -> Result<(Sampler, Decoder)> {
    let mut sampled = config.clone();
    sampled.train.average = None;
    Ok((
        Sampler::at(device, &sampled)?,
        Decoder::at(device, &sampled)?,
    ))
}

/// What a file keeps of the tensors of a run: the parameters and buffers of its generator, or of its classifier.
fn kept<'t>(tensors: &'t Tensors, config: &Config) -> impl Iterator<Item = &'t TensorSpec> {
    let net = match config.classifier {
        None => "G",
        Some(_) => "C",
    };
    let kept = [Role::Param, Role::Buffer].into_iter();
    kept.flat_map(move |role| tensors.of_net(net, role))
}

/// Fails where a running variance is below 0 and so has no root.
pub(crate) fn check_variances(config: &Config, store: &Store) -> Result<()> {
    let tensors = Tensors::of(config, config.output_dim());
    let is_variance =
        |s: &&TensorSpec| s.role == Role::Buffer && s.part().rsplit('.').next() == Some("var");
    for spec in kept(&tensors, config).filter(is_variance) {
        let values = store.get(&spec.name).map_or(&[][..], |entry| &entry.data);
        if let Some(i) = values.iter().position(|v| *v < 0.0) {
            let message = format!(
                "{}: element {i} is {}, and a variance is at least 0",
                spec.name, values[i]
            );
            return Err(Error::Mismatch(message));
        }
    }
    Ok(())
}

/// A trained generator.
pub struct Generator {
    config: Config,
    image: ImageSize,
    about: String,
    store: Store,
    sampler: Sampler,
    decoder: Decoder,
}

impl Generator {
    /// The generator of a run: of its configuration, its state, the size of its images and what run.json says.
    ///
    /// # Errors
    /// The run of a classifier; a store without the generator's parameters, or without their averages where the configuration keeps them; images
    /// of another size than its output.
    pub fn of_run(
        config: &Config,
        store: &Store,
        image: ImageSize,
        about: &str,
    ) -> Result<Generator> {
        let run = Contents::of_run(config, store, image, about)?;
        Generator::new(run.config, run.image, run.about, run.store)
    }

    /// `config` is that of the run; the averages that it may keep are the parameters here.
    fn new(config: Config, image: ImageSize, about: String, store: Store) -> Result<Generator> {
        config.check_generates()?;
        if image.values() != Some(config.output_dim()) {
            let d = config.output_dim();
            let message = format!("images of {image} from a generator of {d} values");
            return Err(Error::Mismatch(message));
        }
        check_variances(&config, &store)?;
        let (sampler, decoder) = tools(&Device::CPU, &config)?;
        Ok(Generator {
            sampler,
            decoder,
            config,
            image,
            about,
            store,
        })
    }

    /// A generator that comes with the program: `mnist`.
    ///
    /// # Errors
    /// No generator of that name.
    pub fn pretrained(name: &str) -> Result<Generator> {
        let Some((_, bytes)) = PRETRAINED.iter().find(|(n, _)| *n == name) else {
            let names: Vec<&str> = PRETRAINED.iter().map(|p| p.0).collect();
            let hint = match nearest(name, &names) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there is: {}", names.join(", ")),
            };
            let message = format!("{name}: no such pretrained generator, {hint}");
            return Err(Error::Mismatch(message));
        };
        let place = format!("pretrained {name}");
        let npz = NpzReader::from_bytes(bytes, &place)?;
        Generator::load(StateFile::of_npz(npz, Path::new(&place)))
    }

    /// From here on all samples are of this class, or each in turn, see [`Sampler::set_class`].
    ///
    /// # Errors
    /// A generator without classes, or without this one.
    pub fn set_class(&mut self, class: Option<usize>) -> Result<()> {
        self.set_classes(class.as_slice())
    }

    /// From here on samples are of these classes in turn, or of each, see [`Sampler::set_classes`].
    ///
    /// # Errors
    /// A generator without classes, or without one of these.
    pub fn set_classes(&mut self, turns: &[usize]) -> Result<()> {
        self.sampler.set_classes(turns)?;
        self.decoder.set_classes(turns)
    }

    /// How many classes its samples can be of, where they are of one.
    pub fn classes(&self) -> Option<usize> {
        let config = &self.config;
        config.classes().filter(|_| config.has_classes_of_samples())
    }

    /// From here on it computes on `device`, all classes in turn.
    ///
    /// # Errors
    /// The device's.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        (self.sampler, self.decoder) = tools(device, &self.config)?;
        Ok(())
    }

    /// From here on it computes on `device`, all classes in turn, and batch norm goes by the statistics of the samples themselves: see
    /// [`Sampler::with_batch_statistics`].
    ///
    /// # Errors
    /// A generator without batch norm; the device's.
    pub fn use_batch_statistics(&mut self, device: &Device) -> Result<()> {
        let layers = &self.config.generator.layers;
        if !layers.iter().any(|l| l.kind.sees_batch()) {
            let message =
                "the generator has no batch norm, whose statistics could be those of the batch";
            return Err(Error::Mismatch(message.to_string()));
        }
        let mut sampled = self.config.clone();
        sampled.train.average = None;
        self.sampler = Sampler::with_batch_statistics(device, &sampled)?;
        self.decoder = Decoder::at(device, &sampled)?;
        Ok(())
    }

    /// Whether there is memory for `n` samples and their noise.
    ///
    /// # Errors
    /// There is not, which says how much it would take.
    pub fn check_room(&self, n: usize) -> Result<()> {
        room_for_rows(n, self.config.noise.dim + self.config.output_dim())
    }

    /// From here on samples are drawn of noise without components beyond `bound`, which are drawn again: they differ less and look
    /// better, as those of [`Noise::truncate`](crate::config::Noise::truncate).
    ///
    /// # Errors
    /// Noise that is not normal; a bound that is not above 0 and at most 10; the device's.
    pub fn truncate(&mut self, device: &Device, bound: f64) -> Result<()> {
        if !(bound > 0.0 && bound <= 10.0) {
            let message = format!("must be above 0 and at most 10, got {bound}");
            return Err(Error::Mismatch(message));
        }
        let option = format!("noise.truncate={bound:?}");
        self.config = self.config.with(&[option])?;
        self.sampler = Sampler::at(device, &self.config)?;
        Ok(())
    }

    /// Reads a generator of `config` from a state_dict of PyTorch, see [`pytorch::import`]; the second value says what became
    /// of each tensor.
    ///
    /// # Errors
    /// As there.
    pub fn import_from_pytorch(path: &Path, config: &Config) -> Result<(Generator, Vec<String>)> {
        let (store, said) = pytorch::import(path, config, "G")?;
        Ok((Generator::of_parameters(config, store)?, said))
    }

    /// Writes it as a state_dict of PyTorch, see [`pytorch::export`].
    ///
    /// # Errors
    /// As there.
    pub fn export_to_pytorch(&self, path: &Path) -> Result<Vec<String>> {
        pytorch::export(path, &self.config, &self.store, "G")
    }

    /// From here on it is scored as these options say, which change keys of `[eval]`: see [`Config::with_eval`].
    ///
    /// # Errors
    /// As there.
    pub fn set_eval<S: AsRef<str>>(&mut self, options: &[S]) -> Result<()> {
        self.config = self.config.with_eval(options)?;
        Ok(())
    }

    /// The configuration of the run that trained it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its parameters and buffers.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The size of its images.
    pub fn image(&self) -> ImageSize {
        self.image
    }

    /// What run.json said of the run: JSON.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The SHA-256 of the data that it has learnt from, where run.json says it: what [`Dataset::check_learnt`] asks for.
    pub fn learnt_from(&self) -> Option<String> {
        let about: serde_json::Value = serde_json::from_str(&self.about).ok()?;
        about.get("data")?.get("sha256")?.as_str().map(String::from)
    }

    /// The first `n` samples of the key `seed`: [n, data]. Sample i depends on the generator, the seed and i alone.
    ///
    /// # Errors
    /// More samples than there is memory for.
    pub fn samples(&mut self, seed: u64, n: usize) -> Result<Vec<f32>> {
        self.sampler.draw(&mut self.store, seed, n)
    }

    /// The noise [n, dim] that [`Generator::samples`] decodes.
    ///
    /// # Errors
    /// As [`Generator::samples`].
    pub fn noise(&mut self, seed: u64, n: usize) -> Result<Vec<f32>> {
        self.sampler.noise(&mut self.store, seed, n)
    }

    /// G(z) for noise z [n, dim]: [n, data].
    ///
    /// # Errors
    /// Noise that is not rows of dim values.
    pub fn decode(&mut self, z: &[f32]) -> Result<Vec<f32>> {
        self.decoder.decode(&mut self.store, z)
    }

    /// G(z) for noise z [n, dim] on the way from one class to another: [n, data]. Sample i is of the class whose vector is
    /// (1 - shares_i) times that of the first class and shares_i times that of the second.
    ///
    /// # Errors
    /// As [`ClassBlend`].
    pub fn decode_between(
        &mut self,
        z: &[f32],
        classes: [usize; 2],
        shares: &[f32],
    ) -> Result<Vec<f32>> {
        let mut sampled = self.config.clone();
        sampled.train.average = None;
        let mut blend = ClassBlend::at(self.sampler.device(), &sampled)?;
        blend.decode(&mut self.store, z, classes, shares)
    }

    /// The score of its samples against `data`, as that of the run that trained it, through the networks of `loaded`.
    ///
    /// # Errors
    /// A set whose score asks D as well; as [`train::score_store`].
    pub fn score(&mut self, data: &Dataset, loaded: &Loaded) -> Result<Scores> {
        let (set, eval) = (&self.config.data.set, &self.config.eval);
        let task = Task::new(&eval.metrics, set, eval.samples);
        if !task.points().is_empty() || task.asks_for_classes() {
            let set = set.as_str();
            let message = format!(
                "the score on {set} needs D, which a generator file does not contain: name its run"
            );
            return Err(Error::Mismatch(message));
        }
        let (sampler, store) = (&mut self.sampler, &mut self.store);
        train::score_store(sampler, &self.config, store, data, loaded)
    }
}
