//! Generators and classifiers in files: npz, which NumPy opens, and safetensors, which most other libraries do.
//!
//! Both hold the same. The parameters under their names, float32 or float16, the moving averages where the run keeps them:
//!
//! | name | shape | |
//! |---|---|---|
//! | `G.<layer>.w` | `[inputs, units]` | weights: the response is x·w + b, so PyTorch's `Linear.weight` is the transpose |
//! | `G.<layer>.b` | `[units]` | biases |
//!
//! `<layer>` is the layer's name in the configuration (`h0`, `h1`, `out` in the presets); of a maxout layer `units` is units
//! times pieces, the pieces of a unit side by side. Names of a classifier begin with `C`. And four entries that say what they are: arrays of their own in an npz, one
//! JSON object under the metadata key `ganforge` in a safetensors file.
//!
//! | entry | npz | JSON | |
//! |---|---|---|---|
//! | `format` | uint64 | number | [`FORMAT`]; another version is refused |
//! | `config` | uint8, UTF-8 | text | the configuration of the run, TOML |
//! | `image` | uint64 `[3]` | array | height, width, channels |
//! | `about` | uint8, UTF-8 | text | run.json, where `data.sha256` is the sum of the data; or `{}`, or nothing |
//!
//! A file without these four holds parameters only, as other programs write them: see [`Generator::import`].

use std::path::Path;

use ganforge_tensor::{Entry, Store};
use half::f16;
use serde_json::{Value, json};

use super::{Generator, kept};
use crate::config::Config;
use crate::data::ImageSize;
use crate::error::{Error, Result};
use crate::files::{ArrayRef, NpzWriter, listed, write_safetensors};
use crate::state_file::StateFile;
use crate::tensors::{TensorSpec, Tensors};

/// The version of a generator's file; another one is refused.
pub const FORMAT: u64 = 1;

/// What is said of the parameters.
const HEADER: [&str; 4] = ["format", "config", "image", "about"];

/// How the parameters of a file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// float32: the same samples to the bit.
    Single,
    /// float16: half the size; samples differ by about a thousandth.
    Half,
}

/// The format of a file, which is the ending of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A zip archive of NumPy arrays.
    Npz,
    /// A JSON header and the tensors' bytes.
    Safetensors,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 2] = [Format::Npz, Format::Safetensors];

    /// The ending of its files' names, without the dot.
    pub fn name(self) -> &'static str {
        match self {
            Format::Npz => "npz",
            Format::Safetensors => "safetensors",
        }
    }

    /// The format of a file's name.
    ///
    /// # Errors
    /// Another ending.
    pub fn of(path: &Path) -> Result<Format> {
        let ending = path.extension().and_then(|e| e.to_str());
        let format = Format::ALL.into_iter().find(|f| Some(f.name()) == ending);
        format.ok_or_else(|| {
            let reason = "expected a name that ends in .npz or .safetensors";
            Error::Mismatch(format!("{}: {reason}", path.display()))
        })
    }
}

impl Generator {
    /// Reads a file of [`Generator::write`].
    ///
    /// # Errors
    /// A name of another ending; a damaged file, another version, a missing, unknown or misshapen entry, a type other than
    /// float32 and float16, a value that is not finite.
    pub fn read(path: &Path) -> Result<Generator> {
        Generator::load(open(path)?)
    }

    /// Reads a file of parameters only, made by another program for the generator of `config`.
    ///
    /// # Errors
    /// As [`Generator::read`]; a file with a configuration of its own. float64 and bfloat16 are read as well.
    pub fn import(path: &Path, config: &Config) -> Result<Generator> {
        let mut file = open(path)?;
        if file.has_format() {
            return Err(file.refuse("contains its own configuration: omit --config"));
        }
        let tensors = Tensors::of(config, config.output_dim());
        let specs: Vec<&TensorSpec> = kept(&tensors, config).collect();
        let names: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
        if let Err(error) = file.check_names(&names) {
            let expected = specs.iter().map(|s| format!("{} {}", s.name, s.shape));
            let expected: Vec<String> = expected.collect();
            let expected = listed(expected.iter().map(String::as_str));
            let found = file.tensors()?;
            let is_pytorch = found.iter().any(|(name, _)| name.ends_with("weight"));
            let hint = match is_pytorch {
                true => "; --from pytorch reads the state_dict of a PyTorch module",
                false => "",
            };
            let reason = format!("expected {expected}; the file has {}{hint}", file.listed()?);
            return Err(Error::Mismatch(format!("{error}; {reason}")));
        }
        let store = read(&mut file, config, &[])?;
        Generator::of_parameters(config, store)
    }

    /// The generator of `config` with the parameters in `store`, of which nothing else is known.
    pub(super) fn of_parameters(config: &Config, store: Store) -> Result<Generator> {
        let image = config.data.image().unwrap_or(ImageSize {
            height: 1,
            width: config.output_dim(),
            channels: 1,
        });
        Generator::new(config.clone(), image, String::new(), store)
    }

    pub(super) fn load(file: StateFile) -> Result<Generator> {
        let contents = Contents::load(file)?;
        Generator::new(
            contents.config,
            contents.image,
            contents.about,
            contents.store,
        )
    }

    /// Writes it to `path`, atomically, in the format of its name.
    ///
    /// # Errors
    /// A name of another ending; a parameter too large for float16; what the system refuses.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<()> {
        let contents = Contents {
            config: self.config.clone(),
            image: self.image,
            about: self.about.clone(),
            store: self.store.clone(),
        };
        contents.write(path, precision)
    }
}

/// What a file holds.
pub(crate) struct Contents {
    /// The configuration of the run.
    pub(crate) config: Config,
    /// The size of an image.
    pub(crate) image: ImageSize,
    /// run.json, or nothing.
    pub(crate) about: String,
    /// The parameters and buffers of the network: of a GAN's generator, or a classifier's.
    pub(crate) store: Store,
}

impl Contents {
    /// The network of a run of `config` in the state `store`, with the averages of its parameters where they are kept.
    pub(crate) fn of_run(
        config: &Config,
        store: &Store,
        image: ImageSize,
        about: &str,
    ) -> Result<Contents> {
        let mut own = Store::new(config.seed);
        let tensors = Tensors::of(config, config.output_dim());
        for spec in kept(&tensors, config) {
            let shown = &tensors.average_of(&spec.name).unwrap_or(spec).name;
            let entry = store.get(shown).ok_or_else(|| {
                Error::Mismatch(format!(
                    "the state lacks {shown}, a parameter of the network"
                ))
            })?;
            own.insert(&spec.name, spec.shape, entry.data.clone())?;
        }
        Ok(Contents {
            config: config.clone(),
            image,
            about: about.to_string(),
            store: own,
        })
    }

    /// Reads what [`Contents::write`] has written.
    pub(crate) fn load(mut file: StateFile) -> Result<Contents> {
        if !file.has_format() {
            let reason =
                "has no entry format: if another program wrote it, use `ganforge import --config`";
            return Err(file.refuse(reason));
        }
        if file.has("control/step") {
            return Err(file.refuse("is a checkpoint of a run: name the run's folder"));
        }
        file.check_format(FORMAT..=FORMAT)?;
        let text = file.text("config")?;
        let config = Config::from_toml(&text, &file.place("config"))?;
        let about = file.text("about")?;
        check_about(&about).map_err(|reason| {
            Error::Mismatch(format!("{}: damaged: {reason}", file.place("about")))
        })?;
        let image = match file.numbers("image")?[..] {
            [height, width, channels] => ImageSize {
                height: height as usize,
                width: width as usize,
                channels: channels as usize,
            },
            _ => return Err(file.refuse("image: expected height, width and channels")),
        };
        let store = read(&mut file, &config, &HEADER)?;
        Ok(Contents {
            config,
            image,
            about,
            store,
        })
    }

    /// Writes it to `path`, atomically, in the format of its name.
    pub(crate) fn write(&self, path: &Path, precision: Precision) -> Result<()> {
        let format = Format::of(path)?;
        let halves = match precision {
            Precision::Single => Vec::new(),
            Precision::Half => self.store.iter().map(halved).collect::<Result<_>>()?,
        };
        let tensors = self.store.iter().enumerate().map(|(i, entry)| {
            let shape = entry.shape.dims();
            let array = match precision {
                Precision::Single => ArrayRef::f32(shape, &entry.data),
                Precision::Half => ArrayRef::f16(shape, &halves[i]),
            };
            (entry.name.as_str(), array)
        });
        match format {
            Format::Npz => self.write_npz(path, tensors),
            Format::Safetensors => self.write_safetensors(path, tensors),
        }
    }

    fn write_npz<'a>(
        &self,
        path: &Path,
        tensors: impl Iterator<Item = (&'a str, ArrayRef<'a>)>,
    ) -> Result<()> {
        let mut npz = NpzWriter::create(path)?;
        npz.add("format", ArrayRef::u64(&[], &[FORMAT]))?;
        npz.add_text("config", &self.config.to_toml())?;
        npz.add("image", ArrayRef::u64(&[3], &self.sides()))?;
        npz.add_text("about", &self.about)?;
        for (name, array) in tensors {
            npz.add(name, array)?;
        }
        Ok(npz.finish()?)
    }

    fn write_safetensors<'a>(
        &self,
        path: &Path,
        tensors: impl Iterator<Item = (&'a str, ArrayRef<'a>)>,
    ) -> Result<()> {
        let about = [
            ("format", json!(FORMAT)),
            ("config", json!(self.config.to_toml())),
            ("image", json!(self.sides())),
            ("about", json!(self.about)),
        ];
        let about = about.map(|(key, value)| (key.to_string(), value));
        Ok(write_safetensors(
            path,
            about.into_iter().collect(),
            tensors,
        )?)
    }

    fn sides(&self) -> [u64; 3] {
        let image = self.image;
        [image.height, image.width, image.channels].map(|n| n as u64)
    }
}

pub(crate) fn open(path: &Path) -> Result<StateFile> {
    if is_torch(path) {
        let reason = "was written by torch.save: `ganforge import --from pytorch` reads it";
        return Err(Error::Mismatch(format!("{}: {reason}", path.display())));
    }
    match Format::of(path)? {
        Format::Npz => StateFile::npz(path),
        Format::Safetensors => StateFile::safetensors(path),
    }
}

/// Whether a file's name is one of those that `torch.save` is given.
pub(crate) fn is_torch(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str());
    matches!(ending, Some("pt" | "pth"))
}

/// The parameters of the generator, or of the classifier, of `config`, and nothing beside them and `header`.
fn read(file: &mut StateFile, config: &Config, header: &[&str]) -> Result<Store> {
    let tensors = Tensors::of(config, config.output_dim());
    let names = kept(&tensors, config).map(|s| s.name.as_str());
    file.check_names(&header.iter().copied().chain(names).collect::<Vec<_>>())?;
    let mut store = Store::new(config.seed);
    for spec in kept(&tensors, config) {
        let data = file.tensor(&spec.name, spec.shape)?;
        store.insert(&spec.name, spec.shape, data)?;
    }
    Ok(store)
}

/// Refuses what is no run.json: what it says of the data must not vanish with it. A generator without a run has none.
fn check_about(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Ok(());
    }
    let Ok(Value::Object(about)) = serde_json::from_str(text) else {
        return Err("expected a JSON object, or nothing");
    };
    let Some(data) = about.get("data") else {
        return Ok(());
    };
    match data.get("sha256") {
        Some(Value::String(_)) => Ok(()),
        _ => Err("expected the SHA-256 of the data as data.sha256, or no data"),
    }
}

fn halved(entry: &Entry) -> Result<Vec<f16>> {
    let halves: Vec<f16> = entry.data.iter().map(|&x| f16::from_f32(x)).collect();
    match halves.iter().position(|x| !x.is_finite()) {
        None => Ok(halves),
        Some(i) => {
            let (name, x) = (&entry.name, entry.data[i]);
            let message = format!("{name}: element {i} is {x}, out of range of float16");
            Err(Error::Mismatch(message))
        }
    }
}
