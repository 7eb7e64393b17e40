//! `--set key=value`: changes to the tree of keys before it is read.

use std::rc::Rc;

use super::read::layer_name;
use super::schema::DEPENDENTS;
use super::tree::{At, Item, Table, Value, parse_value};
use super::write::text_option;
use super::{ConfigError, nearest};
use crate::files::listed;

/// Most parts of a key.
const MAX_PARTS: usize = 8;

struct Change<'a> {
    /// `--set` and the option, for messages.
    origin: Rc<str>,
    parts: Vec<&'a str>,
    value: Value,
}

/// Applies all options: first the keys of choices that change leave, then the new values come in.
pub(super) fn apply<S: AsRef<str>>(root: &mut Table, options: &[S]) -> Result<(), ConfigError> {
    let changes = options
        .iter()
        .map(|o| parse_change(o.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    for change in &changes {
        remove_dependents(root, change)?;
    }
    for change in changes {
        insert(root, change)?;
    }
    Ok(())
}

fn fault(origin: &str, key: Option<String>, message: String) -> ConfigError {
    ConfigError {
        origin: origin.to_owned(),
        line: None,
        key,
        message,
        refused: None,
    }
}

/// What [`ConfigError::origin`] calls an option `key=value`.
pub fn origin(option: &str) -> String {
    let shown = option.chars().take(80).flat_map(char::escape_debug);
    format!("--set {}", shown.collect::<String>())
}

fn parse_change(option: &str) -> Result<Change<'_>, ConfigError> {
    let origin: Rc<str> = origin(option).into();
    let expected = |what: &str| fault(&origin, None, what.to_owned());
    let (key, value) = option
        .split_once('=')
        .ok_or_else(|| expected("expected key=value, such as train.batch=64"))?;
    let parts: Vec<&str> = key.trim().split('.').collect();
    let is_part = |p: &str| {
        !p.is_empty()
            && p.chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if parts.len() > MAX_PARTS || !parts.iter().all(|p| is_part(p)) {
        return Err(expected("expected a key such as train.batch before the ="));
    }
    let at = At::Set(origin.clone());
    let value = parse_value(value, &at).ok_or_else(|| {
        let what = "expected a number, true, false, a word or a quoted string after the =";
        match as_typed(key.trim(), value.trim()) {
            Some(form) => expected(&format!("{what}, as in {form}")),
            None => expected(what),
        }
    })?;
    Ok(Change {
        origin,
        parts,
        value,
    })
}

/// How to type text that is no single word, a path with spaces say, so that it comes through the shell with its quotes.
fn as_typed(key: &str, text: &str) -> Option<String> {
    let is_short = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    let is_quoted = text.starts_with(['"', '\'', '[', '{']);
    let option = || text_option(key, text).replace('\'', r"'\''");
    (is_short && !is_quoted).then(|| format!("--set '{}'", option()))
}

fn remove_dependents(root: &mut Table, change: &Change<'_>) -> Result<(), ConfigError> {
    let Some((last, parents)) = change.parts.split_last() else {
        return Ok(());
    };
    let section = match parents {
        [.., "layer", _] => "layer",
        [.., name] => name,
        [] => return Ok(()),
    };
    // A new initialiser replaces the old one, whichever that was.
    if section == "init" {
        descend(root, parents, &change.origin)?.clear();
        return Ok(());
    }
    for (_, _, dependents) in DEPENDENTS
        .iter()
        .filter(|(table, key, _)| *table == section && key == last)
    {
        let table = descend(root, parents, &change.origin)?;
        let same = match (table.get(*last).map(|i| &i.value), &change.value) {
            (Some(Value::Str(a)), Value::Str(b)) => a == b,
            (Some(Value::Float(a)), Value::Float(b)) => a == b,
            _ => false,
        };
        if !same {
            for key in *dependents {
                table.remove(*key);
            }
        }
    }
    Ok(())
}

fn insert(root: &mut Table, change: Change<'_>) -> Result<(), ConfigError> {
    let Some((last, parents)) = change.parts.split_last() else {
        return Ok(());
    };
    let at = At::Set(change.origin.clone());
    let item = Item {
        value: change.value,
        at,
    };
    descend(root, parents, &change.origin)?.insert((*last).to_owned(), item);
    Ok(())
}

/// The table that `parts` names; one that is not there is made, and the reader will say if it is unknown.
fn descend<'t>(
    root: &'t mut Table,
    parts: &[&str],
    origin: &Rc<str>,
) -> Result<&'t mut Table, ConfigError> {
    let mut table = root;
    let mut parts = parts.iter();
    let mut path = String::new();
    while let Some(part) = parts.next() {
        path = if path.is_empty() {
            (*part).to_owned()
        } else {
            format!("{path}.{part}")
        };
        let item = table.entry((*part).to_owned()).or_insert_with(|| Item {
            value: Value::Table(Table::new()),
            at: At::Set(origin.clone()),
        });
        let value = match &mut item.value {
            Value::Array(items) => {
                let Some(name) = parts.next() else {
                    let message =
                        format!("{path} is an array; name the layer, as in {path}.h0.units");
                    return Err(fault(origin, Some(path), message));
                };
                let found = items.iter().position(|i| layer_name(i) == Some(name));
                let Some(index) = found else {
                    let message = no_element(items, &path, name);
                    return Err(fault(origin, Some(path), message));
                };
                path = format!("{path}.{name}");
                &mut items[index].value
            }
            other => other,
        };
        match value {
            Value::Table(inner) => table = inner,
            other => {
                let message = format!("{path} is not a table but {}", other.show());
                return Err(fault(origin, Some(path), message));
            }
        }
    }
    Ok(table)
}

fn no_element(items: &[Item], path: &str, name: &str) -> String {
    let names: Vec<&str> = items.iter().filter_map(layer_name).collect();
    let hint = nearest(name, &names)
        .map(|n| format!(", did you mean {n}?"))
        .unwrap_or_default();
    format!("{path} has no layer {name:?}, only {}{hint}", listed(names))
}
