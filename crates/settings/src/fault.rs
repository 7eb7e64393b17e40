//! Errors in a configuration, and their locations.

use std::{fmt, io};

/// One thing that is wrong: where it is, which key, and what was expected.
///
/// Shown as `run.toml:14: unknown key optimizer.momentun, did you mean optimizer.momentum?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, the preset or the `--set` option that holds it.
    pub origin: String,
    /// The line in `origin`, from 1; none where there is none (a `--set` option, a file that cannot be read).
    pub line: Option<usize>,
    /// The full path of the key, such as `generator.layer.h0.units`; none for a syntax error.
    pub key: Option<String>,
    /// What was expected and what came.
    pub message: String,
}

impl Fault {
    /// A fault of a whole file or option.
    pub fn whole(origin: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault {
            origin: origin.into(),
            line: None,
            key: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{}: {}", self.origin, line, self.message),
            None => write!(f, "{}: {}", self.origin, self.message),
        }
    }
}

/// All that is wrong with a configuration.
///
/// One fault is shown alone; several with their number before them, each on a line of its own, and of more than twenty
/// the first twenty.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one, those of a file by line.
    pub faults: Vec<Fault>,
    /// What the operating system answered, of a file that cannot be read.
    pub refused: Option<io::ErrorKind>,
}

impl ConfigError {
    /// All of these, those of files by line before those of options.
    pub fn new(mut faults: Vec<Fault>) -> ConfigError {
        faults.sort_by_key(|f| f.line.unwrap_or(usize::MAX));
        faults.dedup();
        ConfigError {
            faults,
            refused: None,
        }
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> ConfigError {
        ConfigError::new(vec![fault])
    }
}

/// Faults that are shown of one configuration: an array may have hundreds.
const MOST_SHOWN: usize = 20;

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_slice() {
            [fault] => fault.fmt(f),
            faults => {
                write!(f, "{} errors in the configuration:", faults.len())?;
                let shown = faults.iter().take(MOST_SHOWN);
                shown
                    .clone()
                    .try_for_each(|fault| write!(f, "\n  {fault}"))?;
                match faults.len() - shown.len() {
                    0 => Ok(()),
                    more => write!(f, "\n  and {more} more"),
                }
            }
        }
    }
}

/// As [`fmt::Display`]: what `fn main() -> Result` prints.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

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
