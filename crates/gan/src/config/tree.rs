//! A TOML document as a plain tree in which each key knows its line.

use std::collections::BTreeMap;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use super::error::ConfigError;

/// Where a key was written.
#[derive(Clone, Debug)]
pub(super) enum At {
    /// A line of the file, from 1.
    Line(usize),
    /// A `--set` option, whole.
    Set(Rc<str>),
}

/// A value and the place of its key.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub value: Value,
    pub at: At,
}

pub(super) type Table = BTreeMap<String, Item>;

#[derive(Clone, Debug)]
pub(super) enum Value {
    Str(String),
    Int(i128),
    Float(f64),
    Bool(bool),
    /// A value that no key takes: a date, or an integer beyond 128 bits; the text says which.
    Other(&'static str),
    Array(Vec<Item>),
    Table(Table),
}

impl Value {
    /// The value for an error message, cut to a readable length.
    pub(super) fn show(&self) -> String {
        match self {
            Value::Str(s) if s.chars().count() > 40 => {
                format!("{:?}...", s.chars().take(40).collect::<String>())
            }
            Value::Str(s) => format!("{s:?}"),
            Value::Int(i) => i.to_string(),
            Value::Float(x) => format!("{x:?}"),
            Value::Bool(b) => b.to_string(),
            Value::Other(what) => (*what).to_owned(),
            Value::Array(_) => "an array".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }

    fn from_toml(value: &DeValue<'_>, at: &dyn Fn(usize) -> At) -> Value {
        match value {
            DeValue::String(s) => Value::Str(s.to_string()),
            DeValue::Integer(i) => i128::from_str_radix(i.as_str(), i.radix())
                .map_or(Value::Other("an integer of more than 128 bits"), Value::Int),
            DeValue::Float(x) => match x.as_str().parse::<f64>() {
                Ok(value) if value.is_infinite() && !x.as_str().ends_with("inf") => {
                    Value::Other("a number too large for f32")
                }
                Ok(value) => Value::Float(value),
                Err(_) => Value::Other("a number"),
            },
            DeValue::Boolean(b) => Value::Bool(*b),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|v| Item {
                        value: Value::from_toml(v.get_ref(), at),
                        at: at(v.span().start),
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(table_from_toml(table, at)),
        }
    }
}

fn table_from_toml(table: &DeTable<'_>, at: &dyn Fn(usize) -> At) -> Table {
    table
        .iter()
        .map(|(k, v)| {
            let item = Item {
                value: Value::from_toml(v.get_ref(), at),
                at: at(k.span().start),
            };
            (k.get_ref().to_string(), item)
        })
        .collect()
}

/// Parses a document; a syntax error names its line. Nesting is limited by the parser, so walks may recurse.
pub(super) fn parse(text: &str, origin: &str) -> Result<Table, ConfigError> {
    let starts: Vec<usize> = text
        .bytes()
        .enumerate()
        .filter(|(_, b)| *b == b'\n')
        .map(|(i, _)| i + 1)
        .collect();
    let line = |offset: usize| starts.partition_point(|&s| s <= offset) + 1;
    let fault = |line, message| ConfigError {
        origin: origin.to_owned(),
        line: Some(line),
        key: None,
        message,
        refused: None,
    };
    let table = DeTable::parse(text).map_err(|e| {
        let at = e.span().map_or(1, |s| line(s.start));
        fault(at, format!("not TOML: {}", e.message()))
    })?;
    Ok(table_from_toml(table.get_ref(), &|o| At::Line(line(o))))
}

/// Parses the value of a `--set` option: a TOML value, or a bare word which stands for itself as a string.
pub(super) fn parse_value(text: &str, at: &At) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let is_word = text
        .chars()
        .all(|c| c.is_alphanumeric() || "_-./+~:".contains(c));
    match DeValue::parse(text) {
        Ok(value) => Some(Value::from_toml(value.get_ref(), &|_| at.clone())),
        Err(_) if is_word => Some(Value::Str(text.to_owned())),
        Err(_) => None,
    }
}
