//! Reads the keys of one table and collects all errors, each with key, range and line.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::fault::{ConfigError, Fault, nearest};
use crate::key::{Key, Shape, elsewhere};
use crate::tree::{At, Item, Table, Value};
use crate::{Settings, name_of, told_by};

/// What all readers of a document share.
struct Shared {
    faults: RefCell<Vec<Fault>>,
    /// Whether a value was wrong, so that its default stands in its place.
    wrong: Cell<bool>,
    root: fn() -> Vec<Key>,
}

/// A table being read.
pub struct Reader<'a> {
    table: &'a Table,
    /// Its full name, empty for the whole file.
    path: String,
    at: At,
    used: RefCell<BTreeSet<&'a str>>,
    shared: &'a Shared,
}

/// Reads all of a document; `origin` names it in messages about what is not written.
///
/// # Errors
///
/// Every key that is unknown, not used with the choices made, or has a value that it does not take. What keys must be to
/// each other is checked once each has a good value.
pub fn read<T: Settings>(table: &Table, origin: &str) -> Result<T, ConfigError> {
    read_all(table, origin, None)
}

/// The same over settings that hold for what is not written, and that bring along what only this program has.
///
/// # Errors
///
/// As [`read`].
pub fn read_over<T: Settings>(table: &Table, origin: &str, over: &T) -> Result<T, ConfigError> {
    read_all(table, origin, Some(over))
}

fn read_all<T: Settings>(table: &Table, origin: &str, over: Option<&T>) -> Result<T, ConfigError> {
    let shared = Shared {
        faults: RefCell::default(),
        wrong: Cell::new(false),
        root: T::keys,
    };
    let at = At {
        line: Some(1),
        ..At::whole(origin)
    };
    let root = Reader {
        table,
        path: String::new(),
        at,
        used: RefCell::default(),
        shared: &shared,
    };
    let read = root.whole::<T>(over);
    drop(root);
    let faults = shared.faults.into_inner();
    match faults.is_empty() {
        true => Ok(read),
        false => Err(ConfigError::new(faults)),
    }
}

impl<'a> Reader<'a> {
    /// All of this table; what is not written is as in `inherited`, or has the stated default.
    pub fn whole<T: Settings>(&self, inherited: Option<&T>) -> T {
        let read = T::read(self, inherited);
        self.refuse_unused(&T::keys());
        read
    }

    /// The table in `item`, called `path` in messages; none, with a fault, if it is no table.
    pub fn open(&self, item: &'a Item, path: String) -> Option<Reader<'a>> {
        let Value::Table(table) = &item.value else {
            let message = format!("{path} must be a table, got {}", item.value.show());
            self.push(&item.at, &path, message);
            self.shared.wrong.set(true);
            return None;
        };
        Some(Reader {
            table,
            path,
            at: item.at.clone(),
            used: RefCell::default(),
            shared: self.shared,
        })
    }

    /// What `item` holds, a table made of what is written under `key`.
    pub(crate) fn made<'b>(&'b self, item: &'b Item, key: &str) -> Option<Reader<'b>> {
        let Value::Table(table) = &item.value else {
            return None;
        };
        Some(Reader {
            table,
            path: self.full(key),
            at: item.at.clone(),
            used: RefCell::default(),
            shared: self.shared,
        })
    }

    /// The table under `key`; none if it is not written or, with a fault, no table.
    pub fn section(&self, key: &str) -> Option<Reader<'a>> {
        self.open(self.get(key)?, self.full(key))
    }

    /// What is written under `key`.
    pub fn get(&self, key: &str) -> Option<&'a Item> {
        let (key, item) = self.table.get_key_value(key)?;
        self.used.borrow_mut().insert(key);
        Some(item)
    }

    /// The keys that are written.
    pub fn written(&self) -> impl Iterator<Item = &'a str> {
        self.table.keys().map(String::as_str)
    }

    /// Whether `key` is written.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The full path of a key of this table.
    pub fn full(&self, key: &str) -> String {
        // A name from the file goes into a message: keep it on one line and short.
        let key: String = key.chars().take(64).flat_map(char::escape_debug).collect();
        match self.path.as_str() {
            "" => key,
            path => format!("{path}.{key}"),
        }
    }

    /// Whether all values so far are good.
    pub fn is_good(&self) -> bool {
        !self.shared.wrong.get()
    }

    fn push(&self, at: &At, key: &str, message: String) {
        self.shared.faults.borrow_mut().push(Fault {
            origin: at.origin.to_string(),
            line: at.line,
            key: Some(key.to_owned()),
            message,
        });
    }

    /// A fault of `key`, a path from this table on in which layers are named: at its line if it is written, else at that
    /// of its table.
    pub fn fault(&self, key: &str, message: &str) {
        let full = match (self.path.as_str(), key) {
            (path, "") => path.to_owned(),
            ("", key) => key.to_owned(),
            (path, key) => format!("{path}.{key}"),
        };
        self.push(&self.place(key), &full, format!("{full} {message}"));
        self.shared.wrong.set(true);
    }

    fn place(&self, path: &str) -> At {
        let (mut at, mut table) = (&self.at, self.table);
        let mut parts = path.split('.');
        while let Some(item) = parts.next().and_then(|part| table.get(part)) {
            at = &item.at;
            let inner = match &item.value {
                Value::Array(items) => {
                    let name = parts.next();
                    let found = ["name", "kind"].iter().find_map(|told_by| {
                        items
                            .iter()
                            .find(|i| name.is_some() && name_of(i, told_by) == name)
                    });
                    found.map(|i| (&i.at, &i.value))
                }
                value => Some((at, value)),
            };
            match inner {
                Some((place, Value::Table(inner))) => (at, table) = (place, inner),
                _ => break,
            }
        }
        at.clone()
    }

    /// A fault if `key` is written although nothing reads it; `with` says with what it would be.
    pub fn refuse(&self, key: &str, with: &str) {
        if self.get(key).is_some_and(|i| !i.at.is_left_over) {
            let full = self.full(key);
            let message = format!("{full} is not used here, only with {with}");
            self.push(&self.place(key), &full, message);
        }
    }

    /// A value by `parse`, which answers what is wrong besides `what` it must be; none if it is not written or wrong.
    pub fn value<T>(
        &self,
        key: &str,
        what: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let item = self.get(key)?;
        match parse(&item.value) {
            Ok(value) => Some(value),
            Err(more) => {
                let got = item.value.show();
                self.fault(key, &format!("must be {what}, got {got}{more}"));
                None
            }
        }
    }

    /// One of these names; none if it is not written or wrong.
    pub fn word(&self, key: &str, names: &[&str]) -> Option<&'a str> {
        let item = self.get(key)?;
        let name = item.value.text();
        if let Some(name) = name.filter(|n| names.contains(n)) {
            return Some(name);
        }
        let (what, got) = (one_of(names), item.value.show());
        let hint = hint(name.unwrap_or(""), names);
        self.fault(key, &format!("must be {what}, got {got}{hint}"));
        None
    }

    /// Lets all of these keys pass: nobody knows which of them belong to a choice that is wrong.
    pub fn let_pass(&self, keys: &[Key]) {
        let known = |k: &&str| keys.iter().any(|key| key.name == *k);
        let mut used = self.used.borrow_mut();
        used.extend(self.written().filter(known));
    }

    /// A fault for each key that nothing has read.
    pub fn refuse_unused(&self, keys: &[Key]) {
        for (key, item) in self.table {
            if self.used.borrow().contains(key.as_str()) {
                continue;
            }
            let full = self.full(key);
            let mut only: Vec<&str> = keys
                .iter()
                .filter(|k| k.name == key)
                .filter_map(|k| Some(k.only.as_ref()?.text.as_str()))
                .collect();
            only.dedup();
            if item.at.is_left_over && !only.is_empty() {
                continue;
            }
            let message = match only.is_empty() {
                false => format!("{full} is not used here, only with {}", only.join(" or ")),
                true => format!("unknown key {full}{}", self.meant(key, keys)),
            };
            self.push(&item.at, &full, message);
        }
    }

    fn meant(&self, key: &str, keys: &[Key]) -> String {
        let mut known: Vec<&str> = keys.iter().map(|k| k.name).collect();
        known.dedup();
        match nearest(key, &known) {
            Some(k) => format!(", did you mean {}?", self.full(k)),
            None => match elsewhere(key, &(self.shared.root)()) {
                Some(path) => format!(", did you mean {path}?"),
                None => format!(" (known here: {})", known.join(", ")),
            },
        }
    }

    /// The tables of a list by name, or by number where one has no good name; none, with a fault, if it is no list.
    pub fn list(&self, key: &str, what: &str, keys: &[Key]) -> Option<Vec<Reader<'a>>> {
        let item = self.get(key)?;
        let Value::Array(items) = &item.value else {
            let got = item.value.show();
            self.fault(key, &format!("must be {what}, got {got}"));
            return None;
        };
        let open = |(index, item): (usize, &'a Item)| {
            let path = match name_of(item, told_by(keys)) {
                Some(name) => self.full(&format!("{key}.{name}")),
                None => format!("{}[{index}]", self.full(key)),
            };
            self.open(item, path)
        };
        Some(items.iter().enumerate().filter_map(open).collect())
    }
}

/// `one of "a", "b"`.
pub(crate) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("{n:?}")).collect();
    match quoted.as_slice() {
        [one] => one.clone(),
        many => format!("one of {}", many.join(", ")),
    }
}

/// `, did you mean "a"?` if one is near, `"a" or "b"` if the word begins with another one: "lsgan" is near "ls-gan", and is what
/// many call "ls".
pub fn hint(word: &str, names: &[&str]) -> String {
    let begins = names
        .iter()
        .filter(|n| n.len() > 1 && word.starts_with(**n));
    let begins = begins.max_by_key(|n| n.len()).copied();
    let near = nearest(word, names);
    match (near, begins.filter(|n| near != Some(n))) {
        (Some(a), Some(b)) => format!(", did you mean {a:?} or {b:?}?"),
        (Some(a), None) | (None, Some(a)) => format!(", did you mean {a:?}?"),
        (None, None) => String::new(),
    }
}

/// Keys of a list's tables.
pub(crate) fn keys_of(shape: Shape) -> Option<Vec<Key>> {
    match shape {
        Shape::Value => None,
        Shape::Table(keys) | Shape::List(keys) | Shape::Named(keys) => Some(keys()),
    }
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn hints_name_what_is_near_and_what_a_word_begins_with() {
        let names = ["ns", "ls", "ls-gan", "gls-gan", "wgan"];
        for (word, expected) in [
            ("lsgan", ", did you mean \"ls-gan\" or \"ls\"?"),
            ("nsgan", ", did you mean \"ls-gan\" or \"ns\"?"),
            ("wgan2", ", did you mean \"wgan\"?"),
            ("ls-gna", ", did you mean \"ls-gan\" or \"ls\"?"),
            ("hinge", ""),
        ] {
            assert_eq!(hint(word, &names), expected, "{word}");
        }
    }
}
