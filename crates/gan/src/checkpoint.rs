//! All state of a run in one npz: what NumPy opens and a resumed run starts from.
//!
//! Entries: `format`, `config` (TOML as bytes), `data` (SHA-256 of the data set), `control/key`, `control/step`, then every
//! parameter and optimiser slot under its own name. Where the steps since the last row of
//! metrics.csv have none yet, at a stop, their `metrics/sums` and `metrics/steps`. Learning rate, momentum and the order of
//! the examples follow from the step and the configuration. Equal state gives equal bytes.

use std::path::Path;

use ganforge_tensor::{Shape, Store};

use crate::config::Config;
use crate::error::Result;
use crate::files::{ArrayRef, NpzWriter};
use crate::state_file::StateFile;
use crate::trainer::Window;

/// The version of the entries; another one is refused.
pub const FORMAT: u64 = 1;

const HEADER: [&str; 5] = ["format", "config", "data", "control/key", "control/step"];
/// Sums over steps that have no row in metrics.csv yet, [4], and how many steps. Only where there are such steps.
const WINDOW: [&str; 2] = ["metrics/sums", "metrics/steps"];

/// Writes the state to `path`, atomically; `data` is the SHA-256 of the data set it has learnt from.
///
/// # Errors
/// What the system refuses; a file of that name is left as it was.
pub(crate) fn save(
    path: &Path,
    config: &Config,
    data: &str,
    store: &Store,
    window: &Window,
) -> Result<()> {
    let mut npz = NpzWriter::create(path)?;
    npz.add("format", ArrayRef::u64(&[], &[FORMAT]))?;
    npz.add_text("config", &config.to_toml())?;
    npz.add_text("data", data)?;
    npz.add("control/key", ArrayRef::u64(&[], &[store.control.key]))?;
    npz.add("control/step", ArrayRef::u64(&[], &[store.control.step]))?;
    if window.steps > 0 {
        npz.add(WINDOW[0], ArrayRef::f64(&[4], &window.sums))?;
        npz.add(WINDOW[1], ArrayRef::u64(&[], &[window.steps]))?;
    }
    for entry in store.iter() {
        npz.add(&entry.name, ArrayRef::f32(entry.shape.dims(), &entry.data))?;
    }
    npz.finish()?;
    Ok(())
}

/// Reads the state at `path` into `store`, which has the tensors of `config` at step 0; returns the
/// SHA-256 of the data set it has learnt from, and the steps without a row.
///
/// # Errors
/// A damaged file, another format version, a missing, unknown or misshapen entry, a value that
/// is not finite, a configuration that trains something else. `store` is unchanged then.
pub(crate) fn load(path: &Path, config: &Config, store: &mut Store) -> Result<(String, Window)> {
    let mut file = StateFile::npz(path)?;
    file.check_format(FORMAT)?;
    let has_window = WINDOW.iter().any(|name| file.has(name));
    let window = WINDOW.into_iter().filter(|_| has_window);
    let tensors = store.iter().map(|e| e.name.as_str());
    let names = HEADER.into_iter().chain(window).chain(tensors);
    file.check_names(&names.collect::<Vec<_>>())?;
    let text = file.text("config")?;
    let written = Config::from_toml(&text, &file.place("config"))?;
    if !trains_the_same(&written, config) {
        let reason = "written under another configuration than this run's config.toml";
        return Err(file.refuse(reason));
    }
    let data = file.text("data")?;
    let (key, step) = (file.number("control/key")?, file.number("control/step")?);
    let window = match has_window {
        true => self::window(&mut file, step)?,
        false => Window::default(),
    };
    let mut loaded = store.clone();
    (loaded.control.key, loaded.control.step) = (key, step);
    for entry in store.iter() {
        let data = file.tensor(&entry.name, entry.shape)?;
        loaded.insert(&entry.name, entry.shape, data)?;
    }
    *store = loaded;
    Ok((data, window))
}

/// The SHA-256 of the data set that the state at `path` has learnt from.
///
/// # Errors
/// A damaged file, another format version.
pub(crate) fn learnt_from(path: &Path) -> Result<String> {
    let mut file = StateFile::npz(path)?;
    file.check_format(FORMAT)?;
    file.text("data")
}

/// The steps without a row of a state after `step`.
fn window(file: &mut StateFile, step: u64) -> Result<Window> {
    let [name, count] = WINDOW;
    let steps = file.number(count)?;
    if !(1..=step).contains(&steps) {
        return Err(file.refuse(format!("{count}: {steps} steps of {step}")));
    }
    let sums = file.doubles(name)?;
    match <[f64; 4]>::try_from(sums) {
        Ok(sums) if sums.iter().all(|x| x.is_finite()) => Ok(Window { sums, steps }),
        _ => Err(file.refuse(format!("{name}: expected 4 finite numbers"))),
    }
}

/// Reads the `wanted` parameters, by name and shape, of the state at `path`, whatever its configuration; returns its step
/// and their values.
///
/// # Errors
/// A damaged file, another format version, a missing or misshapen parameter, a value that is not finite.
pub(crate) fn parameters(path: &Path, wanted: &[(&str, Shape)]) -> Result<(u64, Vec<Vec<f32>>)> {
    let mut file = StateFile::npz(path)?;
    file.check_format(FORMAT)?;
    let step = file.number("control/step")?;
    let tensors = wanted.iter().map(|(name, shape)| file.tensor(name, *shape));
    let values = tensors.collect::<Result<_>>()?;
    Ok((step, values))
}

/// Whether two configurations differ at most in how long a run is and what it writes.
fn trains_the_same(a: &Config, b: &Config) -> bool {
    let mut a = a.clone();
    a.name.clone_from(&b.name);
    (a.train.epochs, a.eval, a.output) = (b.train.epochs, b.eval, b.output);
    a == *b
}
