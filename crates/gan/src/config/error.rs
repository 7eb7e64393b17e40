//! What is wrong with a configuration, and where.

use std::{fmt, io};

use crate::error::Kind;

/// A fault in a configuration: where it is, which key, and what was expected.
///
/// Shown as `run.toml:14: unknown key optimizer.momentun, did you mean optimizer.momentum?`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file, the preset or the `--set` option that holds the fault.
    pub origin: String,
    /// The line in `origin`, from 1; none where the fault has no line (a `--set` option, a file that cannot be read).
    pub line: Option<usize>,
    /// The full path of the key at fault, such as `generator.layer.h0.units`; none for a syntax error.
    pub key: Option<String>,
    /// What was expected and what came.
    pub message: String,
    /// What the operating system answered, of a file that cannot be read.
    pub refused: Option<io::ErrorKind>,
}

impl ConfigError {
    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        self.refused.map_or(Kind::Input, Kind::of_io)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{}: {}", self.origin, line, self.message),
            None => write!(f, "{}: {}", self.origin, self.message),
        }
    }
}
