//! A configuration named on the command line: a preset, a file, or that of a run.

use std::path::Path;
use std::str::FromStr;

use ganforge::gan::config::{Config, presets};
use ganforge::gan::data::Dataset;
use ganforge::gan::pretrained;

use super::failure::Failure;
use super::options::{Typed, as_typed};
use super::run_folder::{self, OpenRun};

/// What an argument of this kind is called in help.
pub(super) const KINDS: &str = "PRESET|FILE.toml|RUN";

/// `PRESET`, `FILE.toml` or `RUN`.
#[derive(Clone, Debug)]
pub(super) struct ConfigName(String);

impl FromStr for ConfigName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<ConfigName, Self::Err> {
        Ok(ConfigName::new(text))
    }
}

impl ConfigName {
    /// Opens nothing yet.
    pub(super) fn new(name: &str) -> ConfigName {
        ConfigName(name.to_string())
    }

    /// The folder, if it is that of a run; the name of a preset takes precedence.
    pub(super) fn run(&self) -> Option<&Path> {
        let is_preset = presets().iter().any(|p| p.name == self.0);
        (!is_preset && Path::new(&self.0).is_dir()).then_some(Path::new(&self.0))
    }

    /// The configuration, with the overrides of `settings` and of the options in `typed`.
    pub(super) fn config(&self, settings: &[String], typed: &[Typed]) -> Result<Config, Failure> {
        let all = settings.iter().chain(typed.iter().map(|t| &t.0));
        let all: Vec<&String> = all.collect();
        let config = match self.run() {
            Some(folder) => OpenRun::open(folder)?.config.with(&all),
            None => Config::load_with(&self.0, &all),
        };
        let mut config = config.map_err(|e| as_typed(e, typed))?;
        pretrained::read_margin(&mut config)?;
        pretrained::read_encoder(&mut config)?;
        Ok(config)
    }

    /// The data of the configuration; a run's must be unchanged since it was trained, unless `config` names others.
    pub(super) fn data(&self, config: &Config) -> Result<Dataset, Failure> {
        match self.run().map(OpenRun::open).transpose()? {
            Some(open) if is_same_data(&open.config, config) => open.data(false),
            _ => run_folder::load(config, false),
        }
    }
}

/// Whether two configurations name the same data; those of toy sets, and which make up a subset, are drawn from the seed.
fn is_same_data(a: &Config, b: &Config) -> bool {
    a.data == b.data && (a.seed == b.seed || !a.data.is_drawn())
}
