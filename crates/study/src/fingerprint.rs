//! What a file says beyond its defaults, in a form that stays the same where the program learns more keys.
//!
//! A default that changes later is another matter: what was begun with the old one would be taken for the same.

use std::collections::BTreeMap;

use ganforge_settings::{Fault, Key, Settings, Shape, Table, Value, parse, write};
use serde_json::{Value as Json, json};

/// A line for each key whose value is not its default, and for each table that has a name of its own: its path and its value as
/// JSON, in the order of the paths.
pub(crate) fn said<T: Settings>(settings: &T) -> String {
    let mut all = BTreeMap::new();
    let text = write(settings);
    match parse(&text, "") {
        Ok(table) => add(&table, &T::keys(), "", &mut all),
        // It never is no TOML; all of the text would do as well.
        Err(Fault { .. }) => drop(all.insert(text, Json::Null)),
    }
    let lines = all
        .iter()
        .map(|(path, value)| format!("{path} = {value}\n"));
    lines.collect()
}

fn add(table: &Table, keys: &[Key], path: &str, all: &mut BTreeMap<String, Json>) {
    for (name, item) in table {
        let path = format!("{path}/{name}");
        let is_read = |key: &&Key| match &key.only {
            Some(only) if !only.key.is_empty() => {
                let by = table.get(only.key).and_then(|i| i.value.text());
                only.value.is_none() || only.value == by
            }
            _ => true,
        };
        let key = keys.iter().filter(|k| k.name == name).find(is_read);
        match (&item.value, key.map(|k| k.shape)) {
            (Value::Table(inner), Some(Shape::Table(keys))) => add(inner, &keys(), &path, all),
            (Value::Table(named), Some(Shape::Named(keys))) => {
                for (name, item) in named {
                    let path = format!("{path}/{name}");
                    all.insert(path.clone(), json!("a table"));
                    if let Value::Table(inner) = &item.value {
                        add(inner, &keys(), &path, all);
                    }
                }
            }
            (value, _) => {
                let value = json_of(value);
                if key.and_then(default_of).as_ref() != Some(&value) {
                    all.insert(path, value);
                }
            }
        }
    }
}

/// A key's default; none where it is told in words.
fn default_of(key: &Key) -> Option<Json> {
    let table = parse(&format!("default = {}", key.default), "").ok()?;
    table.get("default").map(|item| json_of(&item.value))
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Str(text) => json!(text),
        Value::Int(n) => json!(n.to_string()),
        // Unlike JSON's, numbers may be infinite, and 1.0 is no whole number.
        Value::Float(x) => json!(format!("{x:?}")),
        Value::Bool(is) => json!(is),
        Value::Other(what) => json!(what),
        Value::Array(items) => items.iter().map(|i| json_of(&i.value)).collect(),
        Value::Table(table) => {
            let pairs = table.iter().map(|(k, i)| json!([k, json_of(&i.value)]));
            pairs.collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use ganforge_settings::{below, list, read, settings, whole};

    use super::*;
    use crate::Study;

    /// The same before and after the program has learnt more keys and another kind.
    mod before {
        use super::*;

        settings! {
            /// Thumb.
            pub struct Thumb {
                /// Length.
                pub length: usize = 3, whole(1, 9);
            }
        }
        list! {
            /// A rule.
            pub enum Rule by "kind" { "thumb" => Thumb(Thumb), }
        }
        settings! {
            /// Table.
            pub struct Inner {
                /// Rule.
                pub rule: Rule = Rule::Thumb(Thumb::default());
            }
        }
        settings! {
            /// File.
            pub struct File {
                /// A number.
                pub n: usize = 1, whole(0, 9);
                /// A table.
                pub inner: Inner = Inner::default();
            }
        }
    }

    mod after {
        use super::*;

        settings! {
            /// Thumb.
            pub struct Thumb {
                /// Width.
                pub width: f64 = 0.5, below(0.0, 9.0);
                /// Length.
                pub length: usize = 3, whole(1, 9);
            }
        }
        settings! {
            /// Fist.
            pub struct Fist {
                /// Length.
                pub length: usize = 4, whole(1, 9);
            }
        }
        list! {
            /// A rule.
            pub enum Rule by "kind" { "thumb" => Thumb(Thumb), "fist" => Fist(Fist), }
        }
        settings! {
            /// Table.
            pub struct Inner {
                /// Rule.
                pub rule: Rule = Rule::Thumb(Thumb::default());
                /// Name.
                pub name: String = "a".to_owned(), ganforge_settings::text("text", |_| true);
            }
        }
        settings! {
            /// More.
            pub struct More {
                /// On.
                pub on: bool = false;
            }
        }
        settings! {
            /// File.
            pub struct File {
                /// A number.
                pub n: usize = 1, whole(0, 9);
                /// A table.
                pub inner: Inner = Inner::default();
                /// More.
                pub more: More = More::default();
            }
        }
    }

    fn of<T: Settings>(text: &str) -> String {
        said(&read::<T>(&parse(text, "a.toml").unwrap(), "a.toml").unwrap())
    }

    #[test]
    fn new_keys_with_their_defaults_are_not_said() {
        for (text, expected) in [
            ("", ""),
            ("n = 1\n[inner]\nkind = 'thumb'\nlength = 3", ""),
            (
                "n = 2\n[inner]\nlength = 4",
                "/inner/length = \"4\"\n/n = \"2\"\n",
            ),
        ] {
            assert_eq!(of::<before::File>(text), expected);
            assert_eq!(of::<after::File>(text), expected);
        }
        // The default of its own kind counts.
        for (text, expected) in [
            (
                "[inner]\nkind = 'fist'\nlength = 4",
                "/inner/kind = \"fist\"\n",
            ),
            (
                "[inner]\nkind = 'fist'\nlength = 3",
                "/inner/kind = \"fist\"\n/inner/length = \"3\"\n",
            ),
            (
                "[inner]\nwidth = 1\n[more]\non = true",
                "/inner/width = \"1.0\"\n/more/on = true\n",
            ),
        ] {
            assert_eq!(of::<after::File>(text), expected);
        }
    }

    #[test]
    fn what_is_said_of_a_study_is_what_was_typed() {
        let study = |rest: &str| {
            let text = format!(
                "base = 'mnist'\nscore = 'fid'\n{rest}\n[space.a]\nlo = 0\nhi = 1\n[space.'b.c']\nkind = 'choice'\nvalues = [1, 'x']\n"
            );
            said(&Study::from_toml(&text, "s.toml").unwrap())
        };
        let least = "/base = \"mnist\"\n/score = \"fid\"\n/space/a = \"a table\"\n/space/a/hi = \"1.0\"\n/space/a/lo = \"0.0\"\n\
            /space/b.c = \"a table\"\n/space/b.c/kind = \"choice\"\n/space/b.c/values = [\"1\",\"x\"]\n";
        assert_eq!(study(""), least);
        let defaults =
            "direction = 'lower'\nseeds = [1]\n[design]\nkind = 'gp-ucb'\nseed = 1\napart = false";
        assert_eq!(study(defaults), least);
        let more = study("seeds = [1, 2]\n[design]\nkind = 'random'\nsettings = 7");
        let only: Vec<&str> = more.lines().filter(|l| !least.contains(l)).collect();
        assert_eq!(
            only,
            [
                "/design/kind = \"random\"",
                "/design/settings = \"7\"",
                "/seeds = [\"1\",\"2\"]"
            ]
        );
    }
}
