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

/// The entry of `known` that is nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A word far longer than any key is no typing slip; do not measure it.
    if word.len() > 64 {
        return None;
    }
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), *k))
        .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_a_slip_and_ignores_a_stranger() {
        let known = ["kind", "lr", "lr_decay", "momentum"];
        assert_eq!(nearest("momentun", &known), Some("momentum"));
        assert_eq!(nearest("knid", &known), Some("kind"));
        assert_eq!(nearest("lrdecay", &known), Some("lr_decay"));
        assert_eq!(nearest("weight", &known), None);
        assert_eq!(nearest(&"k".repeat(100), &known), None);
    }
}
