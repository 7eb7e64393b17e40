//! A trained generator by itself: all that sampling needs of a run, small enough to ship.
//!
//! Its file is an npz: `format`, `config` (TOML), `image` (height, width, channels), `about` (what run.json says, JSON), then the generator's parameters under
//! their names (`G.h0.w`, ...): the moving averages where the run keeps them. float16 halves the file.
//!
//! ```
//! use ganforge_gan::generator::Generator;
//! let mut mnist = Generator::pretrained("mnist")?;
//! let digits = mnist.samples(1, 25)?; // seed, number: [25, 784] in [0, 1]
//! assert_eq!(digits.len(), 25 * 784);
//! # Ok::<(), ganforge_gan::Error>(())
//! ```

use std::path::Path;

use ganforge_tensor::Store;
use half::f16;

use crate::checkpoint::StateFile;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::figures::grid::ImageSize;
use crate::files::{ArrayRef, NpzReader, NpzWriter};
use crate::model::{average_name, parameters};
use crate::sampler::{Decoder, Sampler};

/// The version of a generator's file; another one is refused.
pub const FORMAT: u64 = 1;

/// The generators that come with the program: their names and files.
const PRETRAINED: &[(&str, &[u8])] = &[("mnist", include_bytes!("../assets/mnist-generator.npz"))];

/// How the parameters of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// float32: the same samples to the bit.
    Single,
    /// float16: half the size; samples differ by about a thousandth.
    Half,
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
    /// A store without the generator's parameters, or without their averages where the configuration keeps them; images
    /// of another size than its output.
    pub fn of_run(
        config: &Config,
        store: &Store,
        image: ImageSize,
        about: &str,
    ) -> Result<Generator> {
        let mut own = Store::new(config.seed);
        for spec in parameters("G", &config.generator, config.noise.dim) {
            let shown = match config.train.average {
                Some(_) => average_name(&spec.name),
                None => spec.name.clone(),
            };
            let entry = store.get(&shown).ok_or_else(|| {
                Error::Mismatch(format!(
                    "the state has no {shown}, a parameter of the generator"
                ))
            })?;
            own.insert(&spec.name, spec.shape, entry.data.clone())?;
        }
        Generator::new(config.clone(), image, about.to_string(), own)
    }

    /// `config` is that of the run; the averages that it may keep are the parameters here.
    fn new(config: Config, image: ImageSize, about: String, store: Store) -> Result<Generator> {
        if image.values() != Some(config.output_dim()) {
            let d = config.output_dim();
            let message = format!("images of {image} from a generator of {d} values");
            return Err(Error::Mismatch(message));
        }
        let mut sampled = config.clone();
        sampled.train.average = None;
        Ok(Generator {
            sampler: Sampler::new(&sampled)?,
            decoder: Decoder::new(&sampled)?,
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
            let message = format!(
                "{name}: no such pretrained generator, there is: {}",
                names.join(", ")
            );
            return Err(Error::Mismatch(message));
        };
        let place = format!("pretrained {name}");
        let npz = NpzReader::from_bytes(bytes, &place)?;
        Generator::load(npz, Path::new(&place))
    }

    /// Reads a file of [`Generator::write`].
    ///
    /// # Errors
    /// A damaged file, another version, a missing, unknown or misshapen entry, a value that is not finite.
    pub fn read(path: &Path) -> Result<Generator> {
        Generator::load(NpzReader::open(path)?, path)
    }

    fn load(npz: NpzReader, path: &Path) -> Result<Generator> {
        let mut file = StateFile::open(npz, path, FORMAT)?;
        let text = file.text("config")?;
        let config = Config::from_toml(&text, &format!("{}, entry config", path.display()))?;
        let about = file.text("about")?;
        let image = match file.numbers("image")?[..] {
            [height, width, channels] => ImageSize {
                height,
                width,
                channels,
            },
            _ => return Err(file.refuse("image: expected height, width and channels")),
        };
        let specs = parameters("G", &config.generator, config.noise.dim);
        let names = specs.iter().map(|s| s.name.as_str());
        let header = ["format", "config", "image", "about"];
        file.check_names(&header.into_iter().chain(names).collect::<Vec<_>>())?;
        let mut store = Store::new(config.seed);
        for spec in &specs {
            let data = file.tensor(&spec.name, spec.shape)?;
            store.insert(&spec.name, spec.shape, data)?;
        }
        Generator::new(config, image, about, store)
    }

    /// Writes it to `path`, atomically.
    ///
    /// # Errors
    /// A parameter too large for float16; what the system refuses.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<()> {
        let mut npz = NpzWriter::create(path)?;
        npz.add("format", ArrayRef::u64(&[], &[FORMAT]))?;
        npz.add_text("config", &self.config.to_toml())?;
        let ImageSize {
            height,
            width,
            channels,
        } = self.image;
        let image = [height, width, channels].map(|n| n as u64);
        npz.add("image", ArrayRef::u64(&[3], &image))?;
        npz.add_text("about", &self.about)?;
        for entry in self.store.iter() {
            let shape = entry.shape.dims();
            match precision {
                Precision::Single => npz.add(&entry.name, ArrayRef::f32(shape, &entry.data))?,
                Precision::Half => {
                    let halves: Vec<f16> = entry.data.iter().map(|&x| f16::from_f32(x)).collect();
                    if let Some(i) = halves.iter().position(|x| !x.is_finite()) {
                        let (name, x) = (&entry.name, entry.data[i]);
                        let message = format!("{name}: element {i} is {x}, beyond float16");
                        return Err(Error::Mismatch(message));
                    }
                    npz.add(&entry.name, ArrayRef::f16(shape, &halves))?;
                }
            }
        }
        Ok(npz.finish()?)
    }

    /// The configuration of the run that trained it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The size of its images.
    pub fn image(&self) -> ImageSize {
        self.image
    }

    /// What run.json said of the run: JSON.
    pub fn about(&self) -> &str {
        &self.about
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init;

    const SIZE: ImageSize = ImageSize {
        height: 28,
        width: 28,
        channels: 1,
    };

    fn untrained(options: &[&str]) -> (Config, Store) {
        let config = Config::preset("tiny").and_then(|c| c.with(options));
        let config = config.expect("valid");
        let store = init::store(&config, 784, &[0.2; 784]).expect("consistent");
        (config, store)
    }

    #[test]
    fn a_file_gives_the_samples_of_the_run() {
        for option in ["train.average=0", "train.average=0.99"] {
            let (config, mut store) = untrained(&[option]);
            let mut sampler = Sampler::new(&config).expect("recorded");
            let expected = sampler.draw(&mut store, 3, 5).expect("drawn");
            let generator = Generator::of_run(&config, &store, SIZE, "{}").expect("complete");
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("g.npz");
            generator.write(&path, Precision::Single).expect("written");
            let mut read = Generator::read(&path).expect("read");
            assert_eq!(read.samples(3, 5).expect("drawn"), expected);
            assert_eq!((read.config(), read.about()), (&config, "{}"));
            generator.write(&path, Precision::Half).expect("written");
            let halves = Generator::read(&path).expect("read").samples(3, 5);
            let pairs = expected.iter().zip(halves.expect("drawn"));
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst > 0.0 && worst < 2e-3, "{worst}");
        }
    }

    #[test]
    fn what_float16_cannot_hold_is_refused() {
        let (config, mut store) = untrained(&[]);
        let shape = store.get("G.out.b").expect("there").shape;
        store
            .insert("G.out.b", shape, vec![1e6; 784])
            .expect("the same shape");
        let generator = Generator::of_run(&config, &store, SIZE, "{}").expect("complete");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("g.npz");
        let error = generator
            .write(&path, Precision::Half)
            .expect_err("too large");
        assert_eq!(
            error.to_string(),
            "G.out.b: element 0 is 1000000, beyond float16"
        );
        assert!(!path.exists());
    }

    #[test]
    fn images_of_another_size_are_refused() {
        let (config, store) = untrained(&[]);
        let size = ImageSize { width: 27, ..SIZE };
        let error = Generator::of_run(&config, &store, size, "{}").err();
        let text = "images of 28x27x1 from a generator of 784 values";
        assert_eq!(error.expect("refused").to_string(), text);
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        let error = Generator::pretrained("minst").err().expect("unknown");
        let text = "minst: no such pretrained generator, there is: mnist";
        assert_eq!(error.to_string(), text);
    }
}
