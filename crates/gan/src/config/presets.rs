//! The bundled configurations.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{Config, ConfigError, Fault, nearest};
use crate::error::Kind;

/// A bundled configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// A one-line summary.
    pub summary: &'static str,
    /// The file, comments and all.
    pub text: &'static str,
}

/// The files in `presets`, see build.rs.
const PRESETS: &[Preset] = include!(concat!(env!("OUT_DIR"), "/presets.rs"));

/// Largest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// All presets.
pub fn presets() -> &'static [Preset] {
    PRESETS
}

impl Preset {
    /// The preset of this name; an error suggests the nearest.
    pub fn find(name: &str) -> Result<&'static Preset, ConfigError> {
        PRESETS
            .iter()
            .find(|p| p.name == name)
            .ok_or_else(|| unknown(name, "no such preset"))
    }
}

/// Presets that had another name once: the old one, the new one.
const RENAMED: &[(&str, &str)] = &[("mnist-best", "mnist")];

fn unknown(name: &str, what: &str) -> ConfigError {
    let names: Vec<&str> = PRESETS.iter().map(|p| p.name).collect();
    let renamed = RENAMED.iter().find(|(old, _)| *old == name);
    let last = Path::new(name).file_name().and_then(|f| f.to_str());
    let hint = match (renamed, nearest(last.unwrap_or(name), &names)) {
        (Some((_, new)), _) => format!(": it has been renamed to {new}"),
        (_, Some(n)) => format!(", did you mean {n}?"),
        _ => format!(" (presets: {})", names.join(", ")),
    };
    Fault::whole(name, format!("{what}{hint}")).into()
}

impl Config {
    /// The preset of this name; an error suggests the nearest.
    pub fn preset(name: &str) -> Result<Config, ConfigError> {
        Config::from_toml(Preset::find(name)?.text, name)
    }

    /// A preset by its name, else a file by its path.
    pub fn load(name_or_path: &str) -> Result<Config, ConfigError> {
        Config::load_with::<&str>(name_or_path, &[])
    }

    /// Loads a preset or a file and changes it by options, as in [`Config::with`]; the file may lack what they supply.
    pub fn load_with<S: AsRef<str>>(
        name_or_path: &str,
        options: &[S],
    ) -> Result<Config, ConfigError> {
        match Preset::find(name_or_path) {
            Ok(preset) => Config::from_toml_with(preset.text, preset.name, options),
            Err(_) => Config::from_toml_with(&read_file(name_or_path)?, name_or_path, options),
        }
    }
}

/// What a file is that is given in place of a configuration, by its first bytes: arrays, a generator, a model of PyTorch.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'P', b'K', 3 | 5, ..] => Some("an archive of arrays or a generator (.npz, .pt)"),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some("an array (.npy)"),
        [_, _, _, _, 0, 0, 0, 0, b'{', ..] => {
            Some("a file of tensors or a generator (.safetensors)")
        }
        _ => None,
    }
}

pub(super) fn read_file(path: &str) -> Result<String, ConfigError> {
    let fault = |message: String| ConfigError::from(Fault::whole(path, message));
    let refused = |e: io::Error| ConfigError {
        refused: Some(e.kind()),
        ..fault(format!("cannot be read: {e}"))
    };
    match fs::metadata(path) {
        Ok(_) => {}
        Err(e) if Kind::of_io(e.kind()) == Kind::System => return Err(refused(e)),
        Err(_) => return Err(unknown(path, "neither a preset nor a file")),
    }
    if Path::new(path).is_dir() {
        let own = Path::new(path).join("config.toml");
        let hint = match own.is_file() {
            true => format!("; its configuration is {}", own.display()),
            false => String::new(),
        };
        return Err(fault(format!("a folder, expected a file{hint}")));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|f| f.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(refused)?;
    if let Some(what) = other_format(&bytes) {
        return Err(fault(format!(
            "is {what}, expected a configuration: a preset, a TOML file or the folder of a run"
        )));
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(fault(format!(
            "larger than {MAX_FILE_BYTES} bytes, not a configuration"
        )));
    }
    String::from_utf8(bytes).map_err(|_| fault("not UTF-8 text, which TOML requires".to_owned()))
}
