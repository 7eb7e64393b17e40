//! The complete state of a run in one npz, which NumPy opens and a resumed run starts from.
//!
//! Entries: `format`, `config` (TOML as bytes), `data` (SHA-256 of the data set), `control/key`, `control/step`, then every
//! stored tensor under its own name: parameters, optimiser slots, averages. If a run is stopped between rows of
//! metrics.csv, also the number of steps since the last row, `metrics/steps`, and the sum of each monitor over them,
//! `metrics/loss_d` and so on. Learning rates, the optimisers' other scalars and the order of the examples follow from the
//! step and the configuration. Equal state gives equal bytes.
//!
//! Format 1, which is read as well, had the sums of its four monitors in one array `metrics/sums`.

use std::path::Path;

use ganforge_tensor::{Shape, Store, words};

use crate::config::Config;
use crate::error::Result;
use crate::files::{ArrayRef, NpzWriter};
use crate::game;
use crate::monitors::Window;
use crate::state_file::StateFile;

/// The version of the entries that is written.
pub const FORMAT: u64 = 2;
/// The oldest version that is read.
const OLDEST: u64 = 1;

const HEADER: [&str; 5] = ["format", "config", "data", "control/key", "control/step"];
/// How many steps have no row in metrics.csv yet. Only where there are such steps.
const STEPS: &str = "metrics/steps";
/// In format 1, the sums over them.
const SUMS: &str = "metrics/sums";
/// In format 1, what they are sums of.
const SUMMED: [&str; 4] = ["loss_d", "loss_g", "d_real", "d_fake"];

/// What a run goes on from: its tensors, its step and what has no row in metrics.csv yet.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Tensors, step and key of the random numbers.
    pub store: Store,
    /// The steps since the last row of metrics.csv.
    pub window: Window,
}

impl State {
    /// A state without steps that wait for their row.
    pub fn of(store: Store) -> State {
        let window = Window::default();
        State { store, window }
    }

    /// Writes the state to `path`, atomically; `data` is the SHA-256 of the data set it has learnt from.
    ///
    /// # Errors
    /// What the system refuses; a file of that name is left as it was.
    pub fn save(&self, path: &Path, config: &Config, data: &str) -> Result<()> {
        let (store, window) = (&self.store, &self.window);
        let mut npz = NpzWriter::create(path)?;
        npz.add("format", ArrayRef::u64(&[], &[FORMAT]))?;
        npz.add_text("config", &config.to_toml())?;
        npz.add_text("data", data)?;
        npz.add("control/key", ArrayRef::u64(&[], &[store.control.key]))?;
        npz.add("control/step", ArrayRef::u64(&[], &[store.control.step]))?;
        if window.steps > 0 {
            npz.add(STEPS, ArrayRef::u64(&[], &[window.steps]))?;
            for (name, sum) in summed(config).iter().zip(&window.sums) {
                npz.add(name, ArrayRef::f64(&[], &[*sum]))?;
            }
        }
        for entry in store.iter() {
            npz.add(&entry.name, ArrayRef::f32(entry.shape.dims(), &entry.data))?;
        }
        npz.finish()?;
        Ok(())
    }

    /// Reads the state at `path`, which has the tensors of `fresh`, a store of `config` at step 0; returns with it the
    /// SHA-256 of the data set that it has learnt from.
    ///
    /// # Errors
    /// A damaged file, another format version, a missing, unknown or misshapen entry, a value that
    /// is not finite, a configuration that trains something else.
    pub fn load(path: &Path, config: &Config, fresh: &Store) -> Result<(State, String)> {
        let mut file = StateFile::npz(path)?;
        let format = file.check_format(OLDEST..=FORMAT)?;
        let sums = match format {
            1 => vec![SUMS.to_string()],
            _ => summed(config),
        };
        let has_window = file.has(STEPS) || sums.iter().any(|name| file.has(name));
        let window = [STEPS].into_iter().chain(sums.iter().map(String::as_str));
        let window = window.filter(|_| has_window);
        let tensors = fresh.iter().map(|e| e.name.as_str());
        let names = HEADER.into_iter().chain(window).chain(tensors);
        file.check_names(&names.collect::<Vec<_>>())?;
        let text = file.text("config")?;
        let written = config.read_like(&text, &file.place("config"))?;
        if !trains_the_same(&written, config) {
            let reason = "written with another configuration than this run's config.toml";
            return Err(file.refuse(reason));
        }
        let data = file.text("data")?;
        let (key, step) = (file.number("control/key")?, file.number("control/step")?);
        let window = match has_window {
            true => self::window(&mut file, step, &sums, config)?,
            false => Window::default(),
        };
        let mut store = fresh.clone();
        (store.control.key, store.control.step) = (key, step);
        for entry in fresh.iter() {
            let data = file.tensor(&entry.name, entry.shape)?;
            store.insert(&entry.name, entry.shape, data)?;
        }
        Ok((State { store, window }, data))
    }
}

/// The entries of the monitors' sums.
fn summed(config: &Config) -> Vec<String> {
    let names = game::monitors(config).into_iter();
    names.map(|name| format!("metrics/{name}")).collect()
}

/// The SHA-256 of the data set that the state at `path` has learnt from.
///
/// # Errors
/// A damaged file, another format version.
pub(crate) fn learnt_from(path: &Path) -> Result<String> {
    let mut file = StateFile::npz(path)?;
    file.check_format(OLDEST..=FORMAT)?;
    file.text("data")
}

/// The completed steps of the state at `path`.
///
/// # Errors
/// As [`learnt_from`].
pub(crate) fn step(path: &Path) -> Result<u64> {
    let mut file = StateFile::npz(path)?;
    file.check_format(OLDEST..=FORMAT)?;
    file.number("control/step")
}

/// The steps without a row of a state after `step`.
fn window(file: &mut StateFile, step: u64, entries: &[String], config: &Config) -> Result<Window> {
    let steps = file.number(STEPS)?;
    if !(1..=step).contains(&steps) {
        return Err(file.refuse(format!("{STEPS}: {steps} steps of {step}")));
    }
    let mut sums = Vec::new();
    for entry in entries {
        let expected = if entry == SUMS { SUMMED.len() } else { 1 };
        let found = file.doubles(entry)?;
        if found.len() != expected || found.iter().any(|x| !x.is_finite()) {
            let reason = format!(
                "{entry}: expected {}",
                words::counted(expected, "finite number")
            );
            return Err(file.refuse(reason));
        }
        sums.extend(found);
    }
    if entries == [SUMS] {
        let of = |name: &String| {
            SUMMED
                .iter()
                .position(|n| n == name)
                .map_or(0.0, |at| sums[at])
        };
        sums = game::monitors(config).iter().map(of).collect();
    }
    Ok(Window {
        counts: game::counts(config, step - steps..step),
        sums,
        steps,
    })
}

/// The configuration of the state at `path`.
///
/// # Errors
/// A damaged file, another format version, a configuration that this program cannot read.
pub(crate) fn config_of(path: &Path) -> Result<Config> {
    let mut file = StateFile::npz(path)?;
    file.check_format(OLDEST..=FORMAT)?;
    let text = file.text("config")?;
    Ok(Config::from_toml(&text, &file.place("config"))?)
}

/// Reads the `wanted` parameters, by name and shape, of the state at `path`, whatever its configuration; returns its step
/// and their values.
///
/// # Errors
/// A damaged file, another format version, a missing or misshapen parameter, a value that is not finite.
pub(crate) fn parameters(path: &Path, wanted: &[(&str, Shape)]) -> Result<(u64, Vec<Vec<f32>>)> {
    let mut file = StateFile::npz(path)?;
    file.check_format(OLDEST..=FORMAT)?;
    let step = file.number("control/step")?;
    let tensors = wanted.iter().map(|(name, shape)| file.tensor(name, *shape));
    let values = tensors.collect::<Result<_>>()?;
    Ok((step, values))
}

/// Whether two configurations differ at most in how long a run is and what it writes.
fn trains_the_same(a: &Config, b: &Config) -> bool {
    let mut a = a.clone();
    a.name.clone_from(&b.name);
    a.eval.clone_from(&b.eval);
    (a.train.epochs, a.output) = (b.train.epochs, b.output);
    a == *b
}
