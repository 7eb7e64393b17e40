//! Overrides in a tree of keys: a file over its base, `--set` options over both.

use crate::fault::{Fault, nearest};
use crate::key::{Key, Shape};
use crate::reader::keys_of;
use crate::tree::{At, Item, Table, Value, parse_value};
use crate::writer::text_option;
use crate::{name_of, told_by};

/// Most parts of a key.
const MAX_PARTS: usize = 8;

/// Lays `over` onto `base`, key by key, under the names that keys have now.
///
/// Tables merge. An array replaces the one that was there; a table in its place changes the elements of these names.
/// Where a choice becomes another one (`kind`), the keys of the old one are left over: they are read if the new one has
/// them too. What is computed from a key that changes leaves. Options outlast both.
pub fn merge(base: &mut Table, over: Table, keys: &[Key], faults: &mut Vec<Fault>) {
    merge_at(base, over, keys, "", faults);
}

fn merge_at(base: &mut Table, over: Table, keys: &[Key], path: &str, faults: &mut Vec<Fault>) {
    let mut over = renamed(over, keys, path, faults);
    for (name, item) in &over {
        let default = keys.iter().find(|k| k.name == name).map(|k| &k.default);
        let is_same = match base.get(name) {
            Some(before) => is_equal(&before.value, &item.value),
            None => default == Some(&item.value.show()),
        };
        if !is_same {
            leave(base, name, keys);
        }
    }
    while let Some((name, item)) = over.pop_first() {
        let shape = keys.iter().find(|k| k.name == name).map(|k| k.shape);
        let inner = shape.and_then(keys_of).unwrap_or_default();
        let full = joined(path, &name);
        let value = match (shape, item.value) {
            (Some(Shape::Table(_)), Value::Table(table)) => {
                let mut merged = take_table(base, &name, &inner);
                merge_at(&mut merged, table, &inner, &full, faults);
                Value::Table(merged)
            }
            (Some(Shape::List(_)), Value::Array(items)) => {
                let element = |(index, item): (usize, Item)| {
                    let full = format!("{full}[{index}]");
                    new_element(item, &inner, &full, faults)
                };
                Value::Array(items.into_iter().enumerate().map(element).collect())
            }
            (Some(Shape::List(_) | Shape::Named(_)), Value::Table(changes)) => {
                match base.remove(&name) {
                    Some(Item {
                        value: Value::Array(mut items),
                        at,
                    }) => {
                        change_elements(&mut items, changes, &inner, &full, faults);
                        base.insert(
                            name,
                            Item {
                                value: Value::Array(items),
                                at,
                            },
                        );
                        continue;
                    }
                    // Until somebody says what the list is.
                    Some(Item {
                        value: Value::Table(mut table),
                        ..
                    }) => {
                        table.extend(changes);
                        Value::Table(table)
                    }
                    _ => Value::Table(changes),
                }
            }
            (Some(_), Value::Str(word)) => {
                let kind = inner.iter().find(|k| k.name == "kind");
                Value::Str(kind.map_or(word.clone(), |k| k.word_of(&word)))
            }
            (_, value) => value,
        };
        base.insert(name, Item { value, at: item.at });
    }
}

/// Whether two values are the same, wherever they were written; 1 and 1.0 are.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(&a.value, &b.value))
        }
        (Value::Table(a), Value::Table(b)) => {
            let other = |(name, a): (&String, &Item)| {
                b.get(name).is_some_and(|b| is_equal(&a.value, &b.value))
            };
            a.len() == b.len() && a.iter().all(other)
        }
        (a, b) => match (a.number(), b.number()) {
            (Some(a), Some(b)) => a == b,
            _ => a.show() == b.show(),
        },
    }
}

fn joined(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// What there is under `name`: a table, or a kind alone, which stands for one.
fn take_table(base: &mut Table, name: &str, keys: &[Key]) -> Table {
    match base.remove(name) {
        Some(Item {
            value: Value::Table(table),
            ..
        }) => table,
        Some(kind)
            if kind.value.text().is_some_and(|k| k != "none")
                && keys.iter().any(|k| k.name == "kind") =>
        {
            Table::from([("kind".to_owned(), kind)])
        }
        _ => Table::new(),
    }
}

/// Every key and every word under the name it has now.
fn renamed(over: Table, keys: &[Key], path: &str, faults: &mut Vec<Fault>) -> Table {
    let mut table = Table::new();
    for (name, mut item) in over {
        let key = keys.iter().find(|k| k.name == name);
        let key = key.or_else(|| keys.iter().find(|k| k.is_called(&name)));
        if let (Some(key), Value::Str(word)) = (key, &mut item.value) {
            *word = key.word_of(word);
        }
        let now = key.map_or(name.as_str(), |k| k.name).to_owned();
        let at = item.at.clone();
        if let Some(twice) = table.insert(now.clone(), item) {
            let (now, old) = (joined(path, &now), key.map_or(&[][..], |k| &k.old));
            let message = format!("{now} is written twice: {} is its old name", old.join(", "));
            faults.push(fault(
                if twice.at.line > at.line {
                    &twice.at
                } else {
                    &at
                },
                &now,
                message,
            ));
        }
    }
    table
}

fn fault(at: &At, key: &str, message: String) -> Fault {
    Fault {
        line: at.line,
        key: Some(key.to_owned()),
        ..Fault::whole(&*at.origin, message)
    }
}

/// Marks the keys that belong to a choice which changes as left over, removes those that are computed from it.
fn leave(base: &mut Table, changed: &str, keys: &[Key]) {
    for key in keys {
        if key.computed_from == Some(changed) && base.get(key.name).is_some_and(|i| !i.at.is_option)
        {
            base.remove(key.name);
        }
        if key.only.as_ref().is_some_and(|o| o.key == changed) {
            if let Some(item) = base.get_mut(key.name) {
                item.at.is_left_over = !item.at.is_option;
            }
            leave(base, key.name, keys);
        }
    }
}

fn new_element(item: Item, keys: &[Key], path: &str, faults: &mut Vec<Fault>) -> Item {
    let value = match item.value {
        Value::Table(table) => {
            let mut element = Table::new();
            merge_at(&mut element, table, keys, path, faults);
            Value::Table(element)
        }
        // A kind alone stands for a table that says no more.
        Value::Str(kind) => {
            let (value, at) = (Value::Str(kind), item.at.clone());
            let table = Table::from([("kind".to_owned(), Item { value, at })]);
            Value::Table(renamed(table, keys, path, faults))
        }
        value => value,
    };
    Item { value, at: item.at }
}

/// Changes elements of a list by name.
pub fn change_elements(
    items: &mut [Item],
    changes: Table,
    keys: &[Key],
    path: &str,
    faults: &mut Vec<Fault>,
) {
    let by = told_by(keys);
    let key = keys.iter().find(|k| k.name == by);
    for (name, item) in changes {
        let name = key.map_or(name.clone(), |key| key.word_of(&name));
        let Value::Table(change) = item.value else {
            let message = format!("{path} is an array; name the element, as in {path}.h0.units");
            faults.push(fault(&item.at, path, message));
            continue;
        };
        match items.iter().position(|i| name_of(i, by) == Some(&name)) {
            Some(index) => {
                if let Value::Table(table) = &mut items[index].value {
                    merge_at(table, change, keys, &joined(path, &name), faults);
                }
            }
            None => faults.push(fault(&item.at, path, no_element(items, keys, path, &name))),
        }
    }
}

fn no_element(items: &[Item], keys: &[Key], path: &str, name: &str) -> String {
    let names: Vec<&str> = items
        .iter()
        .filter_map(|i| name_of(i, told_by(keys)))
        .collect();
    let hint = nearest(name, &names).map(|n| format!(", did you mean {n}?"));
    let name: String = name.chars().take(64).collect();
    let hint = hint.unwrap_or_default();
    format!(
        "{path} has no element {name:?}, only {}{hint}",
        names.join(", ")
    )
}

/// A `--set` option.
pub struct Change {
    at: At,
    parts: Vec<String>,
    action: Action,
    value: Value,
}

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Set,
    Add,
    Remove,
}

/// Characters of an option that messages show.
const SHOWN: usize = 80;

/// What [`Fault::origin`] calls an option `key=value`: of a long one its beginning, then an ellipsis.
pub fn origin(option: &str) -> String {
    let shown = option.chars().take(SHOWN).flat_map(char::escape_debug);
    let rest = option.chars().nth(SHOWN).map_or("", |_| "...");
    format!("--set {}{rest}", shown.collect::<String>())
}

impl Change {
    /// `key=value`; of a list `key+={ .. }`, which adds an element, and `key-=name`, which removes one.
    ///
    /// # Errors
    ///
    /// What has another form.
    pub fn parse(option: &str) -> Result<Change, Fault> {
        let at = At {
            is_option: true,
            ..At::whole(&origin(option))
        };
        let expected = |what: &str| Fault::whole(&*at.origin, what);
        let (key, value) = option
            .split_once('=')
            .ok_or_else(|| expected("expected key=value, such as train.batch=64"))?;
        let key = key.trim();
        let (key, action) = match (key.strip_suffix('+'), key.strip_suffix('-')) {
            (Some(key), _) => (key, Action::Add),
            (_, Some(key)) => (key, Action::Remove),
            _ => (key, Action::Set),
        };
        let parts: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
        let is_part = |p: &String| {
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            !p.is_empty() && p.chars().all(good)
        };
        if parts.len() > MAX_PARTS || !parts.iter().all(is_part) {
            return Err(expected("expected a key such as train.batch before the ="));
        }
        let value = parse_value(value, &at).ok_or_else(|| {
            if let Some(fault) = unbalanced(value.trim()) {
                return expected(&fault);
            }
            let what = "expected a number, true, false, a word or a quoted string after the =";
            match as_typed(key, value.trim()) {
                Some(form) => expected(&format!("{what}, as in {form}")),
                None => expected(what),
            }
        })?;
        Ok(Change {
            at,
            parts,
            action,
            value,
        })
    }

    /// Whether it changes a list of these keys, or something in one.
    pub fn is_of_list(&self, keys: &[Key]) -> bool {
        let mut keys = keys.to_vec();
        for part in &self.parts {
            match keys.iter().find(|k| k.is_called(part)).map(|k| k.shape) {
                Some(Shape::Table(inner)) => keys = inner(),
                Some(Shape::List(_) | Shape::Named(_)) => return true,
                _ => return false,
            }
        }
        false
    }

    /// Applies it.
    pub fn apply(self, root: &mut Table, keys: &[Key], faults: &mut Vec<Fault>) {
        if self.action != Action::Set {
            if let Err(fault) = self.change_list(root, keys) {
                faults.push(fault);
            }
            return;
        }
        let (mut name, mut value) = (String::new(), self.value);
        for part in self.parts.into_iter().rev() {
            if !name.is_empty() {
                let at = self.at.clone();
                value = Value::Table(Table::from([(name, Item { value, at })]));
            }
            name = part;
        }
        let item = Item { value, at: self.at };
        merge(root, Table::from([(name, item)]), keys, faults);
    }

    /// Adds or removes an element.
    fn change_list(self, root: &mut Table, keys: &[Key]) -> Result<(), Fault> {
        let path = self.parts.join(".");
        let wrong = |message: String| fault(&self.at, &path, message);
        let no_list = || {
            wrong(format!(
                "{path} is no list: += and -= change lists such as generator.layer"
            ))
        };
        let (mut table, mut keys) = (root, keys.to_vec());
        let (last, parents) = self.parts.split_last().ok_or_else(no_list)?;
        for part in parents {
            let shape = keys.iter().find(|k| k.name == part).map(|k| k.shape);
            keys = shape.and_then(keys_of).ok_or_else(no_list)?;
            table = match table.get_mut(part).map(|i| &mut i.value) {
                Some(Value::Table(inner)) => inner,
                _ => return Err(no_list()),
            };
        }
        let shape = keys.iter().find(|k| k.name == last).map(|k| k.shape);
        let inner = shape.and_then(keys_of).ok_or_else(no_list)?;
        let Some(Value::Array(items)) = table.get_mut(last).map(|i| &mut i.value) else {
            return Err(no_list());
        };
        let find = |items: &[Item], name: &str| {
            let found = items
                .iter()
                .position(|i| name_of(i, told_by(&inner)) == Some(name));
            found.ok_or_else(|| wrong(no_element(items, &inner, &path, name)))
        };
        if self.action == Action::Remove {
            let name = self.value.text().unwrap_or("");
            let index = find(items, name)?;
            items.remove(index);
            return Ok(());
        }
        let Value::Table(mut element) = self.value else {
            return Err(wrong(format!(
                "{path} takes a table after the +=, such as {{name = \"h2\", units = 64}}, got {}",
                self.value.show()
            )));
        };
        let beside = |item: Option<Item>| item.map(|i| i.value.text().unwrap_or("").to_owned());
        let (after, before) = (
            beside(element.remove("after")),
            beside(element.remove("before")),
        );
        let index = match (after, before) {
            (None, None) => items.len().saturating_sub(1),
            (Some(name), None) => find(items, &name)? + 1,
            (None, Some(name)) => find(items, &name)?,
            (Some(_), Some(_)) => {
                return Err(wrong(format!("{path}: after or before, not both")));
            }
        };
        let (value, at) = (Value::Table(element), self.at.clone());
        let mut faults = Vec::new();
        let element = new_element(Item { value, at }, &inner, &path, &mut faults);
        items.insert(index, element);
        faults.pop().map_or(Ok(()), Err)
    }
}

/// What is wrong with a string, an array or a table that does not end, or that has text without quotes in it.
fn unbalanced(text: &str) -> Option<String> {
    if !text.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    let (mut open, mut quote) = (Vec::new(), None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            // In double quotes it takes the next character along.
            ('\\', Some('"')) => drop(chars.next()),
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('[' | '{', None) => open.push(c),
            (']' | '}', None) => drop(open.pop()),
            _ => {}
        }
    }
    Some(match (quote, open.last()) {
        (Some(q), _) => format!("the {q} after the = has no other one that ends it"),
        (None, Some(bracket)) => format!("the {bracket} after the = is not closed"),
        (None, None) if text.starts_with(['[', '{']) => {
            "expected TOML after the =: text in an array or a table needs quotes, which a shell takes away unless others are \
             around the whole option, as in --set 'key=[\"word\"]'"
                .to_owned()
        }
        _ => return None,
    })
}

/// How to type text that is no single word, a path with spaces say, so that it comes through the shell with its quotes.
fn as_typed(key: &str, text: &str) -> Option<String> {
    let is_short = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    let is_quoted = text.starts_with(['"', '\'', '[', '{']);
    let option = || text_option(key, text).replace('\'', r"'\''");
    (is_short && !is_quoted).then(|| format!("--set '{}'", option()))
}
