//! Parameters from another run: the second stage of two-stage training, as in the paper's face experiment.

use std::path::{Path, PathBuf};

use ganforge_settings::{Setting as _, Writer};
use ganforge_tensor::Store;

use crate::config::{Config, Data, Layer, LayerKind, Network, Noise};
use crate::data::{ImageSize, hash};
use crate::error::{Error, Result};
use crate::files::listed;
use crate::game::FROZEN;
use crate::generator::{self, Generator};
use crate::metrics::MetricKind;
use crate::run::Run;
use crate::state;
use crate::tensors::{Role, TensorSpec, Tensors};

/// Where parameters came from.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Source {
    /// The key that names it: `init_from`, `margin` or `encoder`.
    #[serde(skip)]
    pub key: &'static str,
    /// The run's folder, or the checkpoint itself.
    pub run: PathBuf,
    /// Its last checkpoint.
    pub checkpoint: PathBuf,
    /// SHA-256 of that file.
    pub sha256: String,
    /// The run's steps up to it.
    pub step: u64,
}

/// Reads the layers of the network that [`Config::margin`] names, if that was not done yet: what a configuration that was read from
/// a file needs before anything is recorded. Their values come with [`load_margin`].
///
/// # Errors
/// No such run or checkpoint; a network that has no such layer or does not take this run's examples; data of another
/// contrast.
pub fn read_margin(config: &mut Config) -> Result<()> {
    let unread = config.margin.clone().filter(|m| m.is_unread());
    let Some((mut margin, place)) = unread.and_then(|m| Some((m.clone(), m.network?))) else {
        return Ok(());
    };
    let refuse = |reason: String| Error::Mismatch(format!("margin.network = {place:?}: {reason}"));
    let theirs = config_at(Path::new(&place)).map_err(|e| refuse(e.to_string()))?;
    if theirs.encoder.is_some() {
        let reason = "is an encoder, and has neither a classifier nor a discriminator";
        return Err(refuse(reason.to_owned()));
    }
    if theirs.restore.is_some() {
        let reason = "restores images: a discriminator of it judges more than an image";
        return Err(refuse(reason.to_owned()));
    }
    let (_, network) = judge(&theirs);
    margin.layers.clone_from(&network.layers);
    if let Some(output) = &margin.output {
        let Some(at) = margin.layers.iter().position(|l| l.name == *output) else {
            let names = listed(margin.layers.iter().map(|l| l.name.as_str()));
            let reason = format!("its network has no layer {output} (margin.output), only {names}");
            return Err(refuse(reason));
        };
        margin.layers.truncate(at + 1);
    }
    let (theirs, own) = (theirs.data.contrast.name(), config.data.contrast.name());
    if theirs != own {
        return Err(refuse(format!(
            "its data have data.contrast = {theirs:?}, those of this run {own:?}"
        )));
    }
    let mut read = config.clone();
    read.margin = Some(margin);
    *config = read.with::<&str>(&[]).map_err(|e| {
        refuse(format!(
            "its network does not take the examples of this run: {e}"
        ))
    })?;
    Ok(())
}

/// A generator that an encoder inverts, and where it came from.
fn inverted(place: &str) -> Result<(Generator, Source)> {
    let source = |checkpoint: &Path, sha256, step| Source {
        key: "encoder",
        run: PathBuf::from(place),
        checkpoint: checkpoint.to_path_buf(),
        sha256,
        step,
    };
    let path = Path::new(place);
    if let Some(bytes) = generator::bundled(place) {
        let sha256 = hash::of_bytes(bytes);
        return Ok((Generator::pretrained(place)?, source(path, sha256, 0)));
    }
    if !path.is_dir() {
        let (generator, sums) = hash::of_unchanged(&[path], || Generator::read(path))?;
        return Ok((generator, source(path, sums.concat(), 0)));
    }
    let (run, config) = Run::open(path)?;
    config.check_generates()?;
    let checkpoint = run.newest_checkpoint()?;
    let d = config.output_dim();
    let store = run.load(&config, d)?;
    let row = ImageSize {
        height: 1,
        width: d,
        channels: 1,
    };
    let image = config.image().filter(|image| image.values() == Some(d));
    let generator = Generator::of_run(&config, &store, image.unwrap_or(row), "")?;
    let (sha256, step) = (hash::of_file(&checkpoint)?, store.control.step);
    Ok((generator, source(&checkpoint, sha256, step)))
}

/// The network and the noise of a generator that is inverted, as the configuration of its encoder has them.
fn as_inverted(theirs: &Config) -> (Network, Noise) {
    let theirs = theirs.without_other_run();
    let generator = Network {
        layers: theirs.generator.layers,
        ..Network::default()
    };
    let noise = Noise {
        classes: None,
        truncate: None,
        ..theirs.noise
    };
    (generator, noise)
}

fn of_encoder(place: &str, error: impl std::fmt::Display) -> Error {
    Error::Mismatch(format!("encoder.of = {place:?}: {error}"))
}

/// Reads `[generator]` and `[noise]` of the run that [`Config::encoder`] names, if that was not done yet: what a configuration that
/// was read from a file needs before anything is recorded. The values come with [`load_encoder`].
///
/// # Errors
/// No such run, generator or checkpoint; a generator that the encoder does not fit; data of another contrast.
pub fn read_encoder(config: &mut Config) -> Result<()> {
    let place = config.encoder.as_ref().and_then(|e| e.of.clone());
    let Some(place) = place.filter(|_| config.lacks_generator()) else {
        return Ok(());
    };
    let (theirs, _) = inverted(&place).map_err(|e| of_encoder(&place, e))?;
    let theirs = theirs.config();
    let (contrast, own) = (theirs.data.contrast.name(), config.data.contrast.name());
    if contrast != own {
        let reason = format!(
            "its data have data.contrast = {contrast:?}, those of this run {own:?}: --set data.contrast={contrast}"
        );
        return Err(of_encoder(&place, reason));
    }
    let mut read = config.clone();
    (read.generator, read.noise) = as_inverted(theirs);
    *config = read.with::<&str>(&[]).map_err(|e| of_encoder(&place, e))?;
    Ok(())
}

/// Preset `encoder` for the generator of a run, a file, or that comes with the program: its noise, its network, its data and its
/// contrast; `options` change it as in [`Config::with`].
///
/// # Errors
/// As [`read_encoder`]; all that is wrong.
pub fn encoder_of<S: AsRef<str>>(place: &str, options: &[S]) -> Result<Config> {
    let mut config = Config::preset("encoder")?;
    let (theirs, _) = inverted(place).map_err(|e| of_encoder(place, e))?;
    let theirs = theirs.config();
    (config.generator, config.noise) = as_inverted(theirs);
    config.data = Data {
        augment: Vec::new(),
        ..theirs.data.clone()
    };
    if let Some(encoder) = &mut config.encoder {
        encoder.of = Some(place.to_owned());
        if let Some(affine) = encoder.layers.last_mut().and_then(Layer::affine_mut) {
            affine.units = config.noise.dim;
        }
    }
    // mnistnet judges digits alone.
    if config.data.set != Config::preset("encoder")?.data.set {
        let is_of_digits = |m: &MetricKind| matches!(m, MetricKind::Agreement(_));
        config.eval.metrics.retain(|m| !is_of_digits(m));
    }
    Ok(config.with(options)?)
}

/// Puts the parameters and buffers of the generator that an encoder inverts into `store`; nothing, where none is named.
///
/// # Errors
/// As [`read_encoder`]; a generator other than that of `config`.
pub fn load_encoder(config: &Config, data_dim: usize, store: &mut Store) -> Result<Option<Source>> {
    let place = config.encoder.as_ref().and_then(|e| e.of.as_ref());
    let Some(place) = place else { return Ok(None) };
    let (theirs, source) = inverted(place).map_err(|e| of_encoder(place, e))?;
    let (generator, noise) = as_inverted(theirs.config());
    if generator.layers != config.generator.layers || noise != config.noise {
        let reason = "its generator and noise are others than [generator] and [noise], which may be left out";
        return Err(of_encoder(place, reason));
    }
    let tensors = Tensors::of(config, data_dim);
    let kept = [Role::Param, Role::Buffer].into_iter();
    for spec in kept.flat_map(|role| tensors.of_net("G", role)) {
        let entry = theirs.store().get(&spec.name);
        let entry = entry.filter(|entry| entry.shape == spec.shape);
        let lacks = || of_encoder(place, format!("lacks {} {}", spec.name, spec.shape));
        store.insert(
            &spec.name,
            spec.shape,
            entry.ok_or_else(lacks)?.data.clone(),
        )?;
    }
    Ok(Some(source))
}

/// Puts the parameters and buffers that `config` takes from another run into `store`, which has them at step 0, and the
/// moving averages with them; nothing, where it takes none.
///
/// # Errors
/// No run named; a folder that is no run or has no checkpoint; a layer that is not there, is of another kind or of
/// another size; a damaged checkpoint.
pub fn load(config: &Config, data_dim: usize, store: &mut Store) -> Result<Option<Source>> {
    let mut layers = config.layers_from_run().peekable();
    if layers.peek().is_none() {
        return Ok(None);
    }
    let Some(folder) = config.init_from.as_ref().map(Path::new) else {
        let names: Vec<String> = layers
            .map(|(net, l, _)| format!("{net}.{}", l.name))
            .collect();
        return Err(Error::Mismatch(format!(
            "the layers {} start from the parameters of another run: name it with --init-from RUN (key init_from)",
            listed(names.iter().map(String::as_str))
        )));
    };
    let refuse = |reason: String| Error::Run {
        folder: folder.to_path_buf(),
        reason,
    };
    let (run, theirs) = Run::open(folder)?;
    let path = run.newest_checkpoint()?;
    let tensors = Tensors::of(config, data_dim);
    let mut wanted: Vec<(String, &TensorSpec)> = Vec::new();
    for (net, layer, name) in layers {
        let layers = theirs.net(net).map_or(&[][..], |n| &n.layers);
        let found = layers.iter().find(|l| l.name == name).ok_or_else(|| {
            let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
            refuse(format!(
                "has no layer {name} in {net}, only {}",
                listed(names)
            ))
        })?;
        let (found, expected) = (describe(&found.kind), describe(&layer.kind));
        if found != expected {
            return Err(refuse(format!(
                "its layer {net}.{name} has {found}, expected {expected}"
            )));
        }
        let kept = [Role::Param, Role::Buffer].into_iter();
        let ours = kept.flat_map(|role| tensors.of_net(net, role));
        let ours = ours.filter(|s| s.layer == layer.name);
        wanted.extend(ours.map(|s| (format!("{net}.{name}.{}", s.part()), s)));
    }
    let shapes = wanted
        .iter()
        .map(|(theirs, spec)| (theirs.as_str(), spec.shape));
    let (step, values) = state::parameters(&path, &shapes.collect::<Vec<_>>())?;
    for ((_, spec), values) in wanted.iter().zip(values) {
        if let Some(average) = tensors.average_of(&spec.name) {
            store.insert(&average.name, spec.shape, values.clone())?;
        }
        store.insert(&spec.name, spec.shape, values)?;
    }
    Ok(Some(Source {
        key: "init_from",
        run: folder.to_path_buf(),
        sha256: hash::of_file(&path)?,
        checkpoint: path,
        step,
    }))
}

/// The configuration of a run, or of a checkpoint.
fn config_at(place: &Path) -> Result<Config> {
    match place.is_dir() {
        true => Run::open(place).map(|(_, config)| config),
        false => state::config_of(place),
    }
}

/// The network of a run that judges examples, and what it is called there: a classifier, or D.
fn judge(config: &Config) -> (&'static str, &Network) {
    match &config.classifier {
        Some(classifier) => ("C", classifier),
        None => ("D", &config.discriminator),
    }
}

/// Puts the parameters and buffers of the network of [`Config::margin`] into `store`: those of the classifier or the D of the run
/// or the checkpoint that it names; nothing, where it names none.
///
/// # Errors
/// A folder that is no run or has no checkpoint; a damaged checkpoint, or one whose network has not the layers that were read.
pub fn load_margin(config: &Config, data_dim: usize, store: &mut Store) -> Result<Option<Source>> {
    let place = config.margin.as_ref().and_then(|m| m.network.as_ref());
    let Some(place) = place.map(Path::new) else {
        return Ok(None);
    };
    let path = match place.is_dir() {
        true => Run::open(place)?.0.newest_checkpoint()?,
        false => place.to_path_buf(),
    };
    let theirs = config_at(place)?;
    let (net, _) = judge(&theirs);
    let tensors = Tensors::of(config, data_dim);
    let kept = [Role::Param, Role::Buffer].into_iter();
    let ours = kept.flat_map(|role| tensors.of_net(FROZEN, role));
    let ours: Vec<(String, &TensorSpec)> = ours
        .map(|s| (format!("{net}.{}.{}", s.layer, s.part()), s))
        .collect();
    let shapes = ours
        .iter()
        .map(|(theirs, spec)| (theirs.as_str(), spec.shape));
    let (step, values) = state::parameters(&path, &shapes.collect::<Vec<_>>())?;
    for ((_, spec), values) in ours.iter().zip(values) {
        store.insert(&spec.name, spec.shape, values)?;
    }
    Ok(Some(Source {
        key: "margin",
        run: place.to_path_buf(),
        sha256: hash::of_file(&path)?,
        checkpoint: path,
        step,
    }))
}

/// `kind = "maxout", pieces = 5`: what a layer computes from its parameters, without their number and how they began.
fn describe(kind: &LayerKind) -> String {
    let mut to = Writer::default();
    kind.write("kind", &mut to);
    let text = to.finish();
    let affine = ["units", "channels", "init", "bias", "max_col_norm"];
    let is_own = |line: &&str| !affine.contains(&line.split(" = ").next().unwrap_or(""));
    text.lines().filter(is_own).collect::<Vec<_>>().join(", ")
}
