//! Parameters from another run: the second stage of two-stage training, as in the paper's face experiment.

use std::path::{Path, PathBuf};

use ganforge_settings::{Setting as _, Writer};
use ganforge_tensor::Store;

use crate::config::{Config, LayerKind, Network};
use crate::data::hash;
use crate::error::{Error, Result};
use crate::files::listed;
use crate::game::FROZEN;
use crate::run::Run;
use crate::state;
use crate::tensors::{Role, TensorSpec, Tensors};

/// Where parameters came from.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Source {
    /// The key that names it: `init_from` or `margin`.
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
