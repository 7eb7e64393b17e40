//! All state of a run in one npz: what NumPy opens and a resumed run starts from.
//!
//! Entries: `format`, `config` (TOML as bytes), `data` (SHA-256 of the data set), `control/key`, `control/step`, then every
//! parameter and optimiser slot under its own name. Learning rate, momentum and the order of the
//! examples follow from the step and the configuration. Equal state gives equal bytes.

use std::path::Path;

use ganforge_tensor::Store;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::{Array, ArrayData, ArrayRef, NpzReader, NpzWriter};

/// The version of the entries; another one is refused.
pub const FORMAT: u64 = 1;

/// Writes the state to `path`, atomically; `data` is the SHA-256 of the data set it has learnt from.
///
/// # Errors
/// What the system refuses; a file of that name is left as it was.
pub fn save(path: &Path, config: &Config, data: &str, store: &Store) -> Result<()> {
    let mut npz = NpzWriter::create(path)?;
    npz.add("format", ArrayRef::u64(&[], &[FORMAT]))?;
    npz.add_text("config", &config.to_toml())?;
    npz.add_text("data", data)?;
    npz.add("control/key", ArrayRef::u64(&[], &[store.control.key]))?;
    npz.add("control/step", ArrayRef::u64(&[], &[store.control.step]))?;
    for entry in store.iter() {
        npz.add(&entry.name, ArrayRef::f32(entry.shape.dims(), &entry.data))?;
    }
    npz.finish()?;
    Ok(())
}

/// Reads the state at `path` into `store`, which has the tensors of `config` at step 0; returns the
/// SHA-256 of the data set it has learnt from.
///
/// # Errors
/// A damaged file, another format version, a missing, unknown or misshapen entry, a value that
/// is not finite, a configuration that trains something else. `store` is unchanged then.
pub fn load(path: &Path, config: &Config, store: &mut Store) -> Result<String> {
    let refuse = |reason: String| Error::Checkpoint {
        file: path.to_path_buf(),
        reason,
    };
    let mut npz = NpzReader::open(path)?;
    let names: Vec<String> = npz.names().map(String::from).collect();
    let header = ["format", "config", "data", "control/key", "control/step"];
    for needed in header
        .iter()
        .copied()
        .chain(store.iter().map(|e| e.name.as_str()))
    {
        if !names.iter().any(|n| n == needed) {
            return Err(refuse(format!("no entry {needed}")));
        }
    }
    let known = |n: &str| header.contains(&n) || store.get(n).is_some();
    if let Some(unknown) = names.iter().find(|n| !known(n)) {
        return Err(refuse(format!("unknown entry {unknown}")));
    }
    let format =
        number(&npz.read("format")?).ok_or_else(|| refuse("format is no number".into()))?;
    if format != FORMAT {
        return Err(refuse(format!(
            "format version {format}, expected {FORMAT}"
        )));
    }
    let text = npz.read("config")?;
    let text = text
        .as_text()
        .ok_or_else(|| refuse("config is no text".into()))?;
    let written = Config::from_toml(text, &format!("{}, entry config", path.display()))?;
    if !trains_the_same(&written, config) {
        let reason = "written under another configuration than this run's config.toml";
        return Err(refuse(reason.into()));
    }
    let data = npz.read("data")?;
    let data = data.as_text().map(String::from);
    let data = data.ok_or_else(|| refuse("data is no text".into()))?;
    let mut control = |name: &str| -> Result<u64> {
        number(&npz.read(name)?).ok_or_else(|| refuse(format!("{name} is no number")))
    };
    let (key, step) = (control("control/key")?, control("control/step")?);
    let mut loaded = store.clone();
    (loaded.control.key, loaded.control.step) = (key, step);
    for entry in store.iter() {
        let Array { shape, data } = npz.read(&entry.name)?;
        let ArrayData::F32(data) = data else {
            return Err(refuse(format!("{} is not float32", entry.name)));
        };
        if shape != entry.shape.dims() {
            let (name, expected) = (&entry.name, entry.shape);
            return Err(refuse(format!(
                "{name}: shape {shape:?}, expected {expected}"
            )));
        }
        if let Some(at) = data.iter().position(|x| !x.is_finite()) {
            let (name, value) = (&entry.name, data[at]);
            return Err(refuse(format!("{name}: element {at} is {value}")));
        }
        loaded.insert(&entry.name, entry.shape, data)?;
    }
    *store = loaded;
    Ok(data)
}

/// Whether two configurations differ at most in how long a run is and what it writes.
fn trains_the_same(a: &Config, b: &Config) -> bool {
    let mut a = a.clone();
    a.name.clone_from(&b.name);
    (a.train.epochs, a.eval, a.output) = (b.train.epochs, b.eval, b.output);
    a == *b
}

fn number(array: &Array) -> Option<u64> {
    match &array.data {
        ArrayData::U64(values) if values.len() == 1 => Some(values[0]),
        _ => None,
    }
}
