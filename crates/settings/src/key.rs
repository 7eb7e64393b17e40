//! The table of keys, shared by reading, merging, hints and documentation.

/// A key of a table.
#[derive(Clone, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// As it was written once: still read, never written.
    pub old: Vec<&'static str>,
    /// What its values were called once, and what they are called now.
    pub words: Vec<(&'static str, &'static str)>,
    /// What it means.
    pub doc: String,
    /// What it takes: type and range.
    pub takes: String,
    /// What is taken where it is left out, as TOML or in words.
    pub default: String,
    /// The key of the same table that its default is computed from.
    pub computed_from: Option<&'static str>,
    /// The choice that it belongs to, if it is read for some only.
    pub only: Option<Only>,
    /// What it holds.
    pub shape: Shape,
}

/// The choice that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    /// The key of the choice, in the same table; empty where it is in another one.
    pub key: &'static str,
    /// Its value with which the key is read; none: see `text`.
    pub value: Option<&'static str>,
    /// The same in words: `kind = "adam"`.
    pub text: String,
}

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A value that is replaced as a whole.
    Value,
    /// A table with these keys.
    Table(fn() -> Vec<Key>),
    /// An array of tables with these keys, each found by its `name`.
    List(fn() -> Vec<Key>),
    /// Tables with these keys, each under a name of its own.
    Named(fn() -> Vec<Key>),
}

impl Key {
    /// A key with a plain value.
    pub fn value(name: &'static str, takes: impl Into<String>, default: impl Into<String>) -> Key {
        Key {
            name,
            old: Vec::new(),
            words: Vec::new(),
            doc: String::new(),
            takes: takes.into(),
            default: default.into(),
            computed_from: None,
            only: None,
            shape: Shape::Value,
        }
    }

    /// What a value that is a word is called now.
    pub(crate) fn word_of(&self, word: &str) -> String {
        let old = self.words.iter().find(|(old, _)| *old == word);
        old.map_or(word, |(_, now)| now).to_owned()
    }

    /// Whether it is, or was once, written so.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.old.contains(&name)
    }
}

/// Adds to what a rule says of a field's keys what the field says: for the first its documentation, its old names and
/// its default in words with the key it is computed from; for all what they belong to.
pub fn described(
    mut keys: Vec<Key>,
    doc: &str,
    old: &[&'static str],
    default: Option<(&str, Option<&'static str>)>,
    only: Option<Only>,
) -> Vec<Key> {
    if let Some(first) = keys.first_mut() {
        // Alternatives are told below what the field is.
        let (_, alternatives) = first.doc.split_once('\n').unwrap_or_default();
        let lines = [one_paragraph(doc), alternatives.to_owned()];
        if first.doc.is_empty() || first.doc.contains('\n') && !lines[0].is_empty() {
            first.doc = lines.join("\n").trim_end().to_owned();
        }
        first.old.extend(old);
        if let Some((text, from)) = default {
            first.default = text.to_owned();
            first.computed_from = from;
        }
    }
    if only.is_some() {
        keys.iter_mut().for_each(|k| k.only = only.clone());
    }
    keys
}

/// The first paragraph of documentation as it stands in the source, its lines joined.
pub fn one_paragraph(doc: &str) -> String {
    let lines = doc.lines().map(str::trim).skip_while(|l| l.is_empty());
    lines
        .take_while(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Where a key that stands in the wrong table belongs: its full path, of several the shortest.
pub(crate) fn elsewhere(name: &str, root: &[Key]) -> Option<String> {
    fn find(name: &str, keys: &[Key], path: &str, depth: usize) -> Option<String> {
        if depth == 0 {
            let key = keys.iter().find(|k| k.name == name)?;
            return Some(format!("{path}{}", key.name));
        }
        keys.iter().find_map(|k| {
            let (inner, path) = match k.shape {
                Shape::Value => return None,
                Shape::Table(keys) => (keys(), format!("{path}{}.", k.name)),
                Shape::List(keys) | Shape::Named(keys) => {
                    (keys(), format!("{path}{}.NAME.", k.name))
                }
            };
            find(name, &inner, &path, depth - 1)
        })
    }
    (0..4).find_map(|depth| find(name, root, "", depth))
}
