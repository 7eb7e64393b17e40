//! A TOML document as a plain tree in which each key knows where it was written.

use std::collections::BTreeMap;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use crate::fault::Fault;

/// Where a key was written.
#[derive(Clone, Debug)]
pub struct At {
    /// The file, the preset or the `--set` option.
    pub origin: Rc<str>,
    /// The line of a file, from 1.
    pub line: Option<usize>,
    /// Whether it is an option.
    pub is_option: bool,
    /// Whether it belongs to a choice that a later file or option has changed: it is no fault if nothing reads it.
    pub is_left_over: bool,
}

/// A value and the place of its key.
#[derive(Clone, Debug)]
pub struct Item {
    /// The value.
    pub value: Value,
    /// Its place.
    pub at: At,
}

/// Keys and what they hold.
pub type Table = BTreeMap<String, Item>;

/// What a key holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string.
    Str(String),
    /// A whole number.
    Int(i128),
    /// A number.
    Float(f64),
    /// true or false.
    Bool(bool),
    /// A value that no key takes: a date, or an integer beyond 128 bits; the text says which.
    Other(&'static str),
    /// An array.
    Array(Vec<Item>),
    /// A table.
    Table(Table),
}

impl At {
    /// A file as a whole.
    pub fn whole(origin: &str) -> At {
        At {
            origin: origin.into(),
            line: None,
            is_option: false,
            is_left_over: false,
        }
    }
}

impl Item {
    /// The same, written at another place.
    pub fn moved(mut self, at: &At) -> Item {
        self.value = match self.value {
            Value::Array(items) => Value::Array(items.into_iter().map(|i| i.moved(at)).collect()),
            Value::Table(t) => Value::Table(t.into_iter().map(|(k, i)| (k, i.moved(at))).collect()),
            value => value,
        };
        self.at = at.clone();
        self
    }
}

impl Value {
    /// The value for an error message, cut to a readable length.
    pub fn show(&self) -> String {
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

    /// Of a number: as f64.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// Of a string: its text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
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
///
/// # Errors
///
/// What is no TOML.
pub fn parse(text: &str, origin: &str) -> Result<Table, Fault> {
    let starts: Vec<usize> = text
        .bytes()
        .enumerate()
        .filter(|(_, b)| *b == b'\n')
        .map(|(i, _)| i + 1)
        .collect();
    let line = |offset: usize| starts.partition_point(|&s| s <= offset) + 1;
    let table = DeTable::parse(text).map_err(|e| Fault {
        line: Some(e.span().map_or(1, |s| line(s.start))),
        ..Fault::whole(origin, format!("not TOML: {}", e.message()))
    })?;
    let origin: Rc<str> = origin.into();
    Ok(table_from_toml(table.get_ref(), &|offset| At {
        origin: origin.clone(),
        line: Some(line(offset)),
        is_option: false,
        is_left_over: false,
    }))
}

/// Parses the value of a `--set` option: a TOML value, or a bare word which stands for itself as a string.
pub(crate) fn parse_value(text: &str, at: &At) -> Option<Value> {
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
