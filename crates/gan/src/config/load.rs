//! Reading a configuration: a base, the file, the options.

use std::path::Path;

use ganforge_settings::{
    self as settings, At, Change, Item, Settings, Table, Value, change_elements, parse, write,
};

use super::presets::{Preset, read_file};
use super::*;

/// Most files on which a file is based, one on the next.
const MOST_BASES: usize = 8;

impl Config {
    /// Reads a configuration; `origin` names it in messages, as a file name would, and a base that is a file is sought
    /// from its folder.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn from_toml(text: &str, origin: &str) -> Result<Config, ConfigError> {
        Config::from_toml_with::<&str>(text, origin, &[])
    }

    /// Reads a configuration and changes it by `key=value` options.
    ///
    /// The rules for options are those of [`Config::with`].
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn from_toml_with<S: AsRef<str>>(
        text: &str,
        origin: &str,
        options: &[S],
    ) -> Result<Config, ConfigError> {
        Config::read(text, origin, options, None)
    }

    /// Reads a configuration that names what only this program has, and `self` brings along.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn read_like(&self, text: &str, origin: &str) -> Result<Config, ConfigError> {
        let own = self.brings_own().then_some(self);
        Config::read::<&str>(text, origin, &[], own)
    }

    /// Whether it names something that only this program has.
    fn brings_own(&self) -> bool {
        let is_own = |layer: &Layer| matches!(layer.kind, LayerKind::Own(_));
        matches!(self.loss.kind, LossKind::Own(_)) || self.layers().any(is_own)
    }

    fn read<S: AsRef<str>>(
        text: &str,
        origin: &str,
        options: &[S],
        own: Option<&Config>,
    ) -> Result<Config, ConfigError> {
        let (mut root, mut faults) = (Table::new(), Vec::new());
        add_file(&mut root, text, origin, 0, &mut faults)?;
        let keys = Config::keys();
        let mut changes = Vec::new();
        for option in options {
            match Change::parse(option.as_ref()) {
                Ok(change) => changes.push(change),
                Err(fault) => faults.push(fault),
            }
        }
        // Which layers there are without a list depends on the data set, so options that change it come first.
        let (of_lists, others): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|c| c.is_of_list(&keys));
        for change in others {
            change.apply(&mut root, &keys, &mut faults);
        }
        write_out_layers(&mut root, origin, !of_lists.is_empty(), &mut faults);
        for change in of_lists {
            change.apply(&mut root, &keys, &mut faults);
        }
        complete_optimizers(&mut root, &mut faults);
        let read = match own {
            Some(own) => settings::read_over(&root, origin, own),
            None => settings::read(&root, origin),
        };
        match read {
            Ok(config) if faults.is_empty() => Ok(config),
            Ok(_) => Err(ConfigError::new(faults)),
            Err(error) => Err(ConfigError::new([faults, error.faults].concat())),
        }
    }

    /// This configuration changed by `key=value` options, all applied before anything is checked.
    ///
    /// A key is a full path; a layer is found by its name: `generator.layer.h0.units=800`. A value is TOML; a bare
    /// word stands for a string. `generator.layer+={name="h2", units=64}` adds a layer before the last one, or where
    /// `after="h0"` or `before="h1"` in the table says; `generator.layer-=h1` removes one. Where an option changes
    /// `kind`, `update`, `activation` or `keep_prob`, the keys of the old choice (`momentum` of sgd, `k`, `pieces`,
    /// `slope`, `scale`, ...) leave unless another option sets them.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn with<S: AsRef<str>>(&self, options: &[S]) -> Result<Config, ConfigError> {
        let own = self.brings_own().then_some(self);
        Config::read(&self.to_toml(), &self.name, options, own)
    }

    /// This configuration scored in another way, by options that change keys of `[eval]`.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn with_eval<S: AsRef<str>>(&self, options: &[S]) -> Result<Config, ConfigError> {
        match options.is_empty() {
            true => Ok(self.clone()),
            false => {
                // Which checkpoint was best is a matter of training.
                let mut config = self.clone();
                (config.eval.best, config.eval.best_on) = (None, BestOn::Valid);
                let eval = config.with(options)?.eval;
                Ok(Config { eval, ..config })
            }
        }
    }

    /// Applies one `key=value` option in place, by the rules of [`Config::with`]; on an error nothing changes.
    ///
    /// # Errors
    ///
    /// All that is wrong.
    pub fn set(&mut self, option: &str) -> Result<(), ConfigError> {
        *self = self.with(&[option])?;
        Ok(())
    }

    /// The configuration as a TOML file with every default written out; read again it gives an equal `Config`.
    pub fn to_toml(&self) -> String {
        write(self)
    }
}

/// Lays a file onto `root`, after what it is based on.
fn add_file(
    root: &mut Table,
    text: &str,
    origin: &str,
    depth: usize,
    faults: &mut Vec<Fault>,
) -> Result<(), ConfigError> {
    let mut table = parse(text, origin)?;
    if let Some(base) = table.remove("base") {
        let fault = |message: String| Fault {
            line: base.at.line,
            key: Some("base".to_owned()),
            ..Fault::whole(origin, format!("base {message}"))
        };
        let Some(name) = base.value.text() else {
            let got = base.value.show();
            return Err(fault(format!("must be a preset or the path of a file, got {got}")).into());
        };
        if depth == MOST_BASES {
            return Err(fault(format!("is a chain of more than {MOST_BASES} files")).into());
        }
        match Preset::find(name) {
            Ok(preset) => add_file(root, preset.text, preset.name, depth + 1, faults)?,
            Err(_) => {
                let folder = Path::new(origin).parent().unwrap_or(Path::new(""));
                let path = folder.join(name);
                let path = path.to_string_lossy();
                let text = read_file(&path).map_err(|error| ConfigError {
                    refused: error.refused,
                    ..fault(format!("= {name:?}: {}", error.faults[0].message)).into()
                })?;
                add_file(root, &text, &path, depth + 1, faults)?;
            }
        }
    }
    settings::merge(root, table, &Config::keys(), faults);
    Ok(())
}

/// Writes out the layers of a network that says none, if something changes them: a table of layers by name, or options.
fn write_out_layers(root: &mut Table, origin: &str, always: bool, faults: &mut Vec<Fault>) {
    let at = At::whole(origin);
    let new = |value| Item {
        value,
        at: at.clone(),
    };
    for name in ["generator", "discriminator"] {
        if root.contains_key("classifier") || root.contains_key("encoder") {
            return;
        }
        if name == "discriminator" && has_no_d(root) {
            return;
        }
        let layer = match root.get(name).map(|i| &i.value) {
            Some(Value::Table(network)) => network.get("layer").map(|i| &i.value),
            Some(_) => continue,
            None => None,
        };
        let changes = match layer {
            Some(Value::Table(changes)) => changes.clone(),
            None if always => Table::new(),
            _ => continue,
        };
        let network = match name {
            "generator" => Network::generator(&data_of(root), false),
            _ => Network::discriminator(),
        };
        let Ok(Some(list)) = parse(&write(&network), origin).map(|mut t| t.remove("layer")) else {
            continue; // a network writes itself as TOML
        };
        let mut list = list.moved(&at);
        if let Value::Array(items) = &mut list.value {
            let last = items.last_mut().map(|i| &mut i.value);
            let units = network.layers.last().and_then(|l| Some(l.affine()?.units));
            if let (Some(Value::Table(last)), Some(0)) = (last, units) {
                last.remove("units"); // nobody knows
            }
            change_elements(
                items,
                changes,
                &Layer::keys(),
                &format!("{name}.layer"),
                faults,
            );
        }
        let network = root
            .entry(name.to_owned())
            .or_insert_with(|| new(Value::Table(Table::new())));
        if let Value::Table(network) = &mut network.value {
            network.insert("layer".to_owned(), list);
        }
    }
}

/// Whether a generator restores images without a discriminator.
fn has_no_d(root: &Table) -> bool {
    let restore = match root.get("restore").map(|i| &i.value) {
        Some(Value::Table(restore)) => restore.get("adversarial").map(|i| &i.value),
        _ => None,
    };
    matches!(restore, Some(Value::Int(0))) || matches!(restore, Some(Value::Float(x)) if *x == 0.0)
}

/// Gives a network's own optimiser what it leaves out: as `[optimizer]` has it.
fn complete_optimizers(root: &mut Table, faults: &mut Vec<Fault>) {
    let of_both = match root.get("optimizer").map(|i| &i.value) {
        Some(Value::Table(table)) => table.clone(),
        _ => Table::new(),
    };
    for name in ["generator", "discriminator", "classifier", "encoder"] {
        if let Some(Value::Table(network)) = root.get_mut(name).map(|i| &mut i.value)
            && let Some(Value::Table(own)) = network.get_mut("optimizer").map(|i| &mut i.value)
        {
            let changes = std::mem::replace(own, of_both.clone());
            settings::merge(own, changes, &Optimizer::keys(), faults);
        }
    }
}

/// The data section, as far as it is right.
fn data_of(root: &Table) -> Data {
    match root.get("data").map(|i| &i.value) {
        Some(Value::Table(data)) => settings::read(data, "").unwrap_or_default(),
        _ => Data::default(),
    }
}
