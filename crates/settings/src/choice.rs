//! Common code of [`list!`](crate::list)s: the key that names the alternative, and alternatives from outside.

use std::fmt;
use std::sync::Arc;

use crate::Settings;
use crate::key::{Key, Only, one_paragraph};
use crate::reader::{Reader, one_of};
use crate::writer::{Writer, quoted};

/// How the name of an alternative from outside begins in a file.
const OWN: &str = "own:";
/// The key of its settings.
const OWN_SETTINGS: &str = "settings";

/// The key that names the alternative; `doc` is that of the list.
pub fn choice_keys(by: &'static str, names: &[&str], default: &str, doc: &str) -> Vec<Key> {
    let key = Key::value(by, one_of(names), quoted(default));
    let doc = one_paragraph(doc);
    vec![Key { doc, ..key }]
}

/// Adds the keys of one alternative.
pub fn add_choice<T: Settings>(keys: &mut Vec<Key>, by: &'static str, name: &'static str) {
    keys[0].doc += &format!("\n- `{name:?}`: {}", one_paragraph(T::DOC));
    keys.extend(T::keys().into_iter().map(|mut key| {
        key.only.get_or_insert_with(|| Only {
            key: by,
            value: Some(name),
            text: format!("{by} = {name:?}"),
        });
        key
    }));
}

/// The name that is written, else `default`; none, with a fault, if no alternative is called so.
pub fn chosen<'a>(
    table: &'a Reader<'_>,
    by: &str,
    names: &[&'static str],
    default: &'a str,
) -> Option<&'a str> {
    let Some(item) = table.get(by) else {
        return Some(default);
    };
    match item.value.text() {
        Some(name) if name.starts_with(OWN) => {
            let message =
                format!("= {name:?} is of the program that wrote it, this one has no such thing");
            table.fault(by, &message);
            table.get(OWN_SETTINGS);
            None
        }
        _ => table.word(by, names),
    }
}

/// An alternative that a program brings along: equal to another one of the same name and settings.
pub struct Brought<T: ?Sized> {
    /// What it is called.
    pub name: String,
    /// Its settings, in whatever form.
    pub settings: String,
    /// It.
    pub value: Arc<T>,
}

impl<T: ?Sized> Brought<T> {
    /// Whether a table names it, or nothing.
    pub fn is_named_in(&self, table: &Reader<'_>, by: &str) -> bool {
        let text = |key| table.get(key).and_then(|i| i.value.text());
        let is_same = text(by).and_then(|n| n.strip_prefix(OWN)) == Some(&self.name)
            && text(OWN_SETTINGS).unwrap_or("") == self.settings;
        is_same || !table.has(by)
    }

    /// Writes its name and settings.
    pub fn write(&self, by: &str, to: &mut Writer) {
        to.value(by, &quoted(&format!("{OWN}{}", self.name)));
        if !self.settings.is_empty() {
            to.value(OWN_SETTINGS, &quoted(&self.settings));
        }
    }
}

impl<T: ?Sized> Clone for Brought<T> {
    fn clone(&self) -> Self {
        Brought {
            name: self.name.clone(),
            settings: self.settings.clone(),
            value: Arc::clone(&self.value),
        }
    }
}

impl<T: ?Sized> PartialEq for Brought<T> {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.settings) == (&other.name, &other.settings)
    }
}

impl<T: ?Sized> fmt::Debug for Brought<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.settings)
    }
}
