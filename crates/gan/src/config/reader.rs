//! Reads the keys of one table with checks whose messages name the key, its range and its line.

use std::fmt;

use super::schema;
use super::tree::{At, Item, Table, Value};
use super::{ConfigError, nearest};

/// A table being read; `path` is its full name, empty for the whole file.
pub(super) struct Reader<'a> {
    origin: &'a str,
    table: &'a Table,
    path: String,
    at: At,
}

/// The numbers a key takes.
#[derive(Clone, Copy)]
pub(super) struct Interval {
    pub lo: f64,
    pub lo_open: bool,
    pub hi: f64,
    pub hi_open: bool,
}

impl Interval {
    /// [lo, hi]
    pub(super) const fn closed(lo: f64, hi: f64) -> Self {
        Interval {
            lo,
            lo_open: false,
            hi,
            hi_open: false,
        }
    }

    /// (lo, hi]
    pub(super) const fn above(lo: f64, hi: f64) -> Self {
        Interval {
            lo,
            lo_open: true,
            hi,
            hi_open: false,
        }
    }

    /// [lo, hi)
    pub(super) const fn below(lo: f64, hi: f64) -> Self {
        Interval {
            lo,
            lo_open: false,
            hi,
            hi_open: true,
        }
    }

    /// False for NaN.
    fn contains(self, x: f64) -> bool {
        let low = if self.lo_open {
            x > self.lo
        } else {
            x >= self.lo
        };
        let high = if self.hi_open {
            x < self.hi
        } else {
            x <= self.hi
        };
        low && high
    }

    /// What `x`, a number of the range, is in f32, in which all of a step is computed, if that is another thing: 0, or
    /// a bound that the range does not include.
    fn lost_in_f32(self, x: f64) -> Option<f32> {
        let rounded = x as f32;
        let vanishes = rounded == 0.0 && x != 0.0;
        let at_low = self.lo_open && f64::from(rounded) <= self.lo;
        let at_high = self.hi_open && f64::from(rounded) >= self.hi;
        (vanishes || at_low || at_high).then_some(rounded)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = if self.lo_open { "above" } else { "at least" };
        let high = if self.hi_open { "below" } else { "at most" };
        write!(f, "a number {low} {} and {high} {}", self.lo, self.hi)
    }
}

impl<'a> Reader<'a> {
    /// The whole file; fails at once on a key that is not in `known`.
    pub(super) fn root(
        origin: &'a str,
        table: &'a Table,
        known: &[&str],
    ) -> Result<Self, ConfigError> {
        let reader = Reader {
            origin,
            table,
            path: String::new(),
            at: At::Line(1),
        };
        reader.refuse_unknown(known)?;
        Ok(reader)
    }

    /// The table in `item`, called `path` in messages; fails on what is not a table and on unknown keys.
    pub(super) fn open(
        &self,
        item: &'a Item,
        path: String,
        known: &[&str],
    ) -> Result<Reader<'a>, ConfigError> {
        let Value::Table(table) = &item.value else {
            let message = format!("{path} must be a table, got {}", item.value.show());
            return Err(self.error(&item.at, &path, message));
        };
        let reader = Reader {
            origin: self.origin,
            table,
            path,
            at: item.at.clone(),
        };
        reader.refuse_unknown(known)?;
        Ok(reader)
    }

    /// The table under `key`.
    pub(super) fn section(&self, key: &str, known: &[&str]) -> Result<Reader<'a>, ConfigError> {
        self.open(self.require(key, "a table")?, self.full(key), known)
    }

    /// The full path of a key of this table.
    pub(super) fn full(&self, key: &str) -> String {
        // A name from the file goes into a message: keep it on one line and short.
        let key: String = key.chars().take(64).flat_map(char::escape_debug).collect();
        if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn error(&self, at: &At, key: &str, message: String) -> ConfigError {
        let (origin, line) = match at {
            At::Line(line) => (self.origin.to_owned(), Some(*line)),
            At::Set(option) => (option.to_string(), None),
        };
        ConfigError {
            origin,
            line,
            key: Some(key.to_owned()),
            message,
            refused: None,
        }
    }

    /// An error about `key`: its line if it is written, else that of its table.
    pub(super) fn fault(&self, key: &str, message: &str) -> ConfigError {
        let at = self.table.get(key).map_or(&self.at, |i| &i.at);
        let full = self.full(key);
        self.error(at, &full, format!("{full} {message}"))
    }

    /// An error about this table itself.
    pub(super) fn fault_here(&self, message: &str) -> ConfigError {
        self.error(&self.at, &self.path, format!("{} {message}", self.path))
    }

    fn refuse_unknown(&self, known: &[&str]) -> Result<(), ConfigError> {
        let Some((key, item)) = self
            .table
            .iter()
            .find(|(k, _)| !known.contains(&k.as_str()))
        else {
            return Ok(());
        };
        let full = self.full(key);
        let hint = match nearest(key, known) {
            Some(k) => format!(", did you mean {}?", self.full(k)),
            None => match schema::elsewhere(key) {
                Some(path) => format!(", did you mean {path}?"),
                None => format!(" (known here: {})", known.join(", ")),
            },
        };
        Err(self.error(&item.at, &full, format!("unknown key {full}{hint}")))
    }

    /// The item of an optional key.
    pub(super) fn get(&self, key: &str) -> Option<&'a Item> {
        self.table.get(key)
    }

    /// The item of a key that must be there; `what` says what it takes.
    pub(super) fn require(&self, key: &str, what: &str) -> Result<&'a Item, ConfigError> {
        self.get(key).ok_or_else(|| {
            let full = self.full(key);
            self.error(&self.at, &full, format!("missing key {full} ({what})"))
        })
    }

    /// Fails if `key` is written although nothing reads it; `when` says when it would be read.
    pub(super) fn refuse(&self, key: &str, when: &str) -> Result<(), ConfigError> {
        match self.get(key) {
            None => Ok(()),
            Some(_) => Err(self.fault(key, &format!("is not used here, only {when}"))),
        }
    }

    fn must_be(&self, key: &str, what: &str, item: &Item) -> ConfigError {
        self.fault(key, &format!("must be {what}, got {}", item.value.show()))
    }

    /// A whole number in lo..=hi.
    pub(super) fn int(&self, key: &str, lo: u64, hi: u64) -> Result<u64, ConfigError> {
        let what = format!("a whole number from {lo} to {hi}");
        let item = self.require(key, &what)?;
        match item.value {
            Value::Int(i) if i >= i128::from(lo) && i <= i128::from(hi) => Ok(i as u64),
            _ => Err(self.must_be(key, &what, item)),
        }
    }

    /// A whole number in lo..=hi as a size.
    pub(super) fn size(&self, key: &str, lo: usize, hi: usize) -> Result<usize, ConfigError> {
        Ok(self.int(key, lo as u64, hi as u64)? as usize)
    }

    /// A number in `range`, also after it is rounded to f32; a whole number counts.
    pub(super) fn float(&self, key: &str, range: Interval) -> Result<f64, ConfigError> {
        let what = range.to_string();
        let item = self.require(key, &what)?;
        let x = match item.value {
            Value::Float(x) => x,
            Value::Int(i) => i as f64,
            _ => f64::NAN,
        };
        if !range.contains(x) {
            return Err(self.must_be(key, &what, item));
        }
        match range.lost_in_f32(x) {
            None => Ok(x),
            Some(rounded) => {
                let got = item.value.show();
                let message = format!("must be {what}, got {got}, which is {rounded} in f32");
                Err(self.fault(key, &message))
            }
        }
    }

    /// A number in `range`, or `default` where the key is not written.
    pub(super) fn float_or(
        &self,
        key: &str,
        range: Interval,
        default: f64,
    ) -> Result<f64, ConfigError> {
        match self.get(key) {
            None => Ok(default),
            Some(_) => self.float(key, range),
        }
    }

    /// true or false.
    pub(super) fn bool(&self, key: &str) -> Result<bool, ConfigError> {
        let item = self.require(key, "true or false")?;
        match item.value {
            Value::Bool(b) => Ok(b),
            _ => Err(self.must_be(key, "true or false", item)),
        }
    }

    /// A string; `what` says which.
    pub(super) fn str(&self, key: &str, what: &str) -> Result<&'a str, ConfigError> {
        let item = self.require(key, what)?;
        match &item.value {
            Value::Str(s) => Ok(s),
            _ => Err(self.must_be(key, what, item)),
        }
    }

    /// One of the named options.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        options: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        let names: Vec<&str> = options.iter().map(|(n, _)| *n).collect();
        let quoted: Vec<String> = names.iter().map(|n| format!("{n:?}")).collect();
        let what = match quoted.as_slice() {
            [one] => one.clone(),
            many => format!("one of {}", many.join(", ")),
        };
        let word = self.str(key, &what)?;
        if let Some((_, value)) = options.iter().find(|(n, _)| *n == word) {
            return Ok(*value);
        }
        let hint = nearest(word, &names)
            .map(|n| format!(", did you mean {n:?}?"))
            .unwrap_or_default();
        let got = Value::Str(word.to_owned()).show();
        Err(self.fault(key, &format!("must be {what}, got {got}{hint}")))
    }

    /// The items of an array; `what` says of what.
    pub(super) fn array(&self, key: &str, what: &str) -> Result<&'a [Item], ConfigError> {
        let item = self.require(key, what)?;
        match &item.value {
            Value::Array(items) => Ok(items),
            _ => Err(self.must_be(key, what, item)),
        }
    }
}
