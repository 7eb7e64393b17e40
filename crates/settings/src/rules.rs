//! The rule of a key: how its value is read, checked, shown and described.

use std::fmt;

use crate::key::{Key, Shape};
use crate::reader::{Reader, hint, one_of};
use crate::tree::{Item, Table, Value};
use crate::writer::{Writer, quoted};
use crate::{Setting, Settings};

/// Reads and writes the keys of a field of type `T`: one key, or those of a choice.
pub trait Takes<T> {
    /// Its keys.
    fn keys(&self, name: &'static str, default: &T) -> Vec<Key>;
    /// What is written of it in the table, else `default`.
    fn read(&self, table: &Reader<'_>, key: &'static str, default: T) -> T;
    /// Writes it.
    fn write(&self, value: &T, key: &str, to: &mut Writer);
}

/// A value of one key.
pub trait Scalar<T> {
    /// What it must be, after "must be".
    fn what(&self) -> String;
    /// The value; an error says what is wrong besides what it must be.
    fn parse(&self, value: &Value) -> Result<T, String>;
    /// The value as TOML.
    fn show(&self, value: &T) -> String;
}

/// Lets a rule that is a [`Scalar`] be what a field takes: `scalar! { impl [] Rule => Type }`.
#[macro_export]
macro_rules! scalar {
    ($(impl [$($generics:tt)*] $rule:ty => $type:ty),* $(,)?) => {
        $(
            impl<$($generics)*> $crate::Takes<$type> for $rule {
                fn keys(&self, name: &'static str, default: &$type) -> Vec<$crate::Key> {
                    let what = $crate::Scalar::<$type>::what(self);
                    vec![$crate::Key::value(name, what, $crate::Scalar::show(self, default))]
                }

                fn read(&self, table: &$crate::Reader<'_>, key: &'static str, default: $type) -> $type {
                    let what = $crate::Scalar::<$type>::what(self);
                    let value = table.value(key, &what, |v| $crate::Scalar::parse(self, v));
                    value.unwrap_or(default)
                }

                fn write(&self, value: &$type, key: &str, to: &mut $crate::Writer) {
                    to.value(key, &$crate::Scalar::show(self, value));
                }
            }
        )*
    };
}

scalar! {
    impl [] Flag => bool,
    impl [] Whole => u64,
    impl [] Whole => usize,
    impl [] Interval => f64,
    impl [] Text => String,
    impl [T: Clone + PartialEq] Words<T> => T,
    impl [T: From<u8> + PartialEq + Copy, R: Scalar<T>] ZeroIsNone<R> => Option<T>,
}

/// The rule that a type brings with it, which a field has where no other is named.
pub struct Own;

impl<T: Setting> Takes<T> for Own {
    fn keys(&self, name: &'static str, default: &T) -> Vec<Key> {
        T::keys(name, default)
    }

    fn read(&self, table: &Reader<'_>, key: &'static str, default: T) -> T {
        T::read(table, key, default)
    }

    fn write(&self, value: &T, key: &str, to: &mut Writer) {
        value.write(key, to);
    }
}

/// A table written on one line.
pub struct Inline;

impl<T: Settings> Takes<T> for Inline {
    fn keys(&self, name: &'static str, default: &T) -> Vec<Key> {
        nested_keys(name, default)
    }

    fn read(&self, table: &Reader<'_>, key: &'static str, default: T) -> T {
        nested_read(table, key, default)
    }

    fn write(&self, value: &T, key: &str, to: &mut Writer) {
        to.inline(key, |to| value.write(to));
    }
}

/// Settings whose keys stand among those of the table around them.
pub struct Flat;

impl<T: Settings> Takes<T> for Flat {
    fn keys(&self, _name: &'static str, _default: &T) -> Vec<Key> {
        T::keys()
    }

    fn read(&self, table: &Reader<'_>, _key: &'static str, default: T) -> T {
        T::read(table, Some(&default))
    }

    fn write(&self, value: &T, _key: &str, to: &mut Writer) {
        value.write(to);
    }
}

/// The key of a nested table.
pub fn nested_keys<T: Settings>(name: &'static str, _default: &T) -> Vec<Key> {
    let shape = Shape::Table(T::keys);
    let key = Key::value(name, "a table", "");
    vec![Key { shape, ..key }]
}

/// A nested table.
pub fn nested_read<T: Settings>(table: &Reader<'_>, key: &str, default: T) -> T {
    match table.section(key) {
        Some(section) => section.whole(Some(&default)),
        None => default,
    }
}

/// A table that need not be there.
impl<T: Settings> Setting for Option<T> {
    fn keys(name: &'static str, default: &Option<T>) -> Vec<Key> {
        nested_keys(name, &default.clone().unwrap_or_default())
    }

    fn read(table: &Reader<'_>, key: &'static str, default: Option<T>) -> Option<T> {
        match table.section(key) {
            Some(section) => Some(section.whole(default.as_ref())),
            None => default,
        }
    }

    fn write(&self, key: &str, to: &mut Writer) {
        if let Some(value) = self {
            to.section(key, |to| value.write(to));
        }
    }
}

/// Any number of tables, an array of them; where a table has a `kind`, that alone stands for it.
pub struct Tables;

/// Any number of alternatives of a [`list!`](crate::list), written on one line; a kind alone stands for a table.
pub struct OnOneLine;

/// One alternative of a [`list!`](crate::list), or `"none"`: a table written on one line, or its kind alone.
pub struct Choice;

const CHOICE: &str = "\"none\", a kind, or a table with the kind and its keys";

impl<T: Setting + Default> Takes<Option<T>> for Choice {
    fn keys(&self, name: &'static str, default: &Option<T>) -> Vec<Key> {
        let shown = default.as_ref().map_or("none".to_owned(), |value| {
            Writer::one_line(|to| value.write("", to))
        });
        let shape = Shape::Table(element_keys::<T>);
        let key = Key::value(name, CHOICE, shown);
        vec![Key { shape, ..key }]
    }

    fn read(&self, table: &Reader<'_>, key: &'static str, default: Option<T>) -> Option<T> {
        let Some(item) = table.get(key) else {
            return default;
        };
        let keys = element_keys::<T>();
        let whole = |reader: &Reader<'_>, inherited: T| {
            let read = T::read(reader, "", inherited);
            reader.refuse_unused(&keys);
            read
        };
        match &item.value {
            Value::Str(word) if word == "none" => None,
            Value::Str(_) => {
                let alone = Item {
                    value: Value::Table(Table::from([("kind".to_owned(), item.clone())])),
                    at: item.at.clone(),
                };
                Some(whole(&table.made(&alone, key)?, T::default()))
            }
            Value::Table(_) => Some(whole(&table.section(key)?, default.unwrap_or_default())),
            other => {
                table.fault(key, &format!("must be {CHOICE}, got {}", other.show()));
                None
            }
        }
    }

    fn write(&self, value: &Option<T>, key: &str, to: &mut Writer) {
        if let Some(value) = value {
            to.value(key, &Writer::one_line(|to| value.write("", to)));
        }
    }
}

const MANY: &str = "an array of tables or of kinds";

fn element_keys<T: Setting + Default>() -> Vec<Key> {
    T::keys("", &T::default())
}

impl<T: Settings> Takes<Vec<T>> for Tables {
    fn keys(&self, name: &'static str, _default: &Vec<T>) -> Vec<Key> {
        let shape = Shape::List(T::keys);
        let key = Key::value(name, MANY, "none");
        vec![Key { shape, ..key }]
    }

    fn read(&self, table: &Reader<'_>, key: &'static str, default: Vec<T>) -> Vec<T> {
        let tables = table.list(key, MANY, &T::keys());
        tables.map_or(default, |all| all.iter().map(|t| t.whole(None)).collect())
    }

    fn write(&self, values: &Vec<T>, key: &str, to: &mut Writer) {
        for value in values {
            to.element(key, |to| value.write(to));
        }
    }
}

impl<T: Setting + Default> Takes<Vec<T>> for OnOneLine {
    fn keys(&self, name: &'static str, default: &Vec<T>) -> Vec<Key> {
        let shape = Shape::List(element_keys::<T>);
        let key = Key::value(name, MANY, one_line(default));
        vec![Key { shape, ..key }]
    }

    fn read(&self, table: &Reader<'_>, key: &'static str, default: Vec<T>) -> Vec<T> {
        let keys = element_keys::<T>();
        let Some(tables) = table.list(key, MANY, &keys) else {
            return default;
        };
        let element = |table: &Reader<'_>| {
            let element = T::read(table, "", T::default());
            table.refuse_unused(&keys);
            element
        };
        tables.iter().map(element).collect()
    }

    fn write(&self, values: &Vec<T>, key: &str, to: &mut Writer) {
        to.value(key, &one_line(values));
    }
}

fn one_line<T: Setting>(values: &[T]) -> String {
    let shown = values
        .iter()
        .map(|v| Writer::one_line(|to| v.write("", to)));
    format!("[{}]", shown.collect::<Vec<_>>().join(", "))
}

/// An optional value: a key that need not be there, whatever is taken then.
pub struct Maybe<R>(pub R);

impl<T, R: Scalar<T>> Takes<Option<T>> for Maybe<R> {
    fn keys(&self, name: &'static str, default: &Option<T>) -> Vec<Key> {
        let default = default.as_ref().map(|d| self.0.show(d));
        vec![Key::value(name, self.0.what(), default.unwrap_or_default())]
    }

    fn read(&self, table: &Reader<'_>, key: &'static str, default: Option<T>) -> Option<T> {
        let value = table.value(key, &self.0.what(), |v| self.0.parse(v));
        value.or(default)
    }

    fn write(&self, value: &Option<T>, key: &str, to: &mut Writer) {
        if let Some(value) = value {
            to.value(key, &self.0.show(value));
        }
    }
}

/// A number of which 0 means that there is none.
pub struct ZeroIsNone<R>(pub R);

impl<T: From<u8> + PartialEq + Copy, R: Scalar<T>> Scalar<Option<T>> for ZeroIsNone<R> {
    fn what(&self) -> String {
        self.0.what()
    }

    fn parse(&self, value: &Value) -> Result<Option<T>, String> {
        let number = self.0.parse(value)?;
        Ok((number != T::from(0)).then_some(number))
    }

    fn show(&self, value: &Option<T>) -> String {
        self.0.show(&value.unwrap_or(T::from(0)))
    }
}

/// The same, written only where there is one.
pub struct UnlessZero<R>(pub R);

impl<T: From<u8> + PartialEq + Copy, R: Scalar<T> + Copy> Takes<Option<T>> for UnlessZero<R> {
    fn keys(&self, name: &'static str, default: &Option<T>) -> Vec<Key> {
        ZeroIsNone(self.0).keys(name, default)
    }

    fn read(&self, table: &Reader<'_>, key: &'static str, default: Option<T>) -> Option<T> {
        ZeroIsNone(self.0).read(table, key, default)
    }

    fn write(&self, value: &Option<T>, key: &str, to: &mut Writer) {
        if value.is_some() {
            ZeroIsNone(self.0).write(value, key, to);
        }
    }
}

/// true or false.
struct Flag;

impl Scalar<bool> for Flag {
    fn what(&self) -> String {
        "true or false".to_owned()
    }

    fn parse(&self, value: &Value) -> Result<bool, String> {
        match value {
            Value::Bool(b) => Ok(*b),
            _ => Err(String::new()),
        }
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

impl Setting for bool {
    fn keys(name: &'static str, default: &bool) -> Vec<Key> {
        Flag.keys(name, default)
    }

    fn read(table: &Reader<'_>, key: &'static str, default: bool) -> bool {
        Flag.read(table, key, default)
    }

    fn write(&self, key: &str, to: &mut Writer) {
        Flag.write(self, key, to);
    }
}

/// Whole numbers from the first to the last.
#[derive(Clone, Copy)]
pub struct Whole(pub u64, pub u64);

/// Whole numbers from `lo` to `hi`.
pub fn whole(lo: usize, hi: usize) -> Whole {
    Whole(lo as u64, hi as u64)
}

impl Scalar<u64> for Whole {
    fn what(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }

    fn parse(&self, value: &Value) -> Result<u64, String> {
        match value {
            Value::Int(i) if *i >= i128::from(self.0) && *i <= i128::from(self.1) => Ok(*i as u64),
            _ => Err(String::new()),
        }
    }

    fn show(&self, value: &u64) -> String {
        value.to_string()
    }
}

impl Scalar<usize> for Whole {
    fn what(&self) -> String {
        Scalar::<u64>::what(self)
    }

    fn parse(&self, value: &Value) -> Result<usize, String> {
        let number: u64 = self.parse(value)?;
        usize::try_from(number).map_err(|_| String::new())
    }

    fn show(&self, value: &usize) -> String {
        value.to_string()
    }
}

/// Numbers of a range, also after they are rounded to f32, in which all of a step is computed; whole numbers count.
#[derive(Clone, Copy)]
pub struct Interval {
    lo: f64,
    lo_open: bool,
    hi: f64,
    hi_open: bool,
}

/// Numbers in [lo, hi].
pub fn closed(lo: f64, hi: f64) -> Interval {
    Interval {
        lo,
        lo_open: false,
        hi,
        hi_open: false,
    }
}

/// Numbers in (lo, hi].
pub fn above(lo: f64, hi: f64) -> Interval {
    Interval {
        lo_open: true,
        ..closed(lo, hi)
    }
}

/// Numbers in [lo, hi).
pub fn below(lo: f64, hi: f64) -> Interval {
    Interval {
        hi_open: true,
        ..closed(lo, hi)
    }
}

impl Interval {
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

    /// What `x`, a number of the range, is in f32 if that is another thing: 0, or a bound that the range does not
    /// include.
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

impl Scalar<f64> for Interval {
    fn what(&self) -> String {
        self.to_string()
    }

    fn parse(&self, value: &Value) -> Result<f64, String> {
        let x = value.number().unwrap_or(f64::NAN);
        match self.lost_in_f32(x) {
            _ if !self.contains(x) => Err(String::new()),
            None => Ok(x),
            Some(rounded) => Err(format!(", which is {rounded} in f32")),
        }
    }

    fn show(&self, value: &f64) -> String {
        format!("{value:?}")
    }
}

/// Text that a test lets pass.
#[derive(Clone, Copy)]
pub struct Text {
    what: &'static str,
    is_good: fn(&str) -> bool,
}

/// Text that `is_good` lets pass; `what` says what that is.
pub fn text(what: &'static str, is_good: fn(&str) -> bool) -> Text {
    Text { what, is_good }
}

impl Scalar<String> for Text {
    fn what(&self) -> String {
        self.what.to_owned()
    }

    fn parse(&self, value: &Value) -> Result<String, String> {
        let text = value.text().filter(|t| (self.is_good)(t));
        text.map(str::to_owned).ok_or_else(String::new)
    }

    fn show(&self, value: &String) -> String {
        quoted(value)
    }
}

/// One of several words.
pub struct Words<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Clone + PartialEq> Words<T> {
    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }
}

impl<T: Clone + PartialEq> Scalar<T> for Words<T> {
    fn what(&self) -> String {
        one_of(&self.names())
    }

    fn parse(&self, value: &Value) -> Result<T, String> {
        let word = value.text().unwrap_or("");
        let found = self.0.iter().find(|(name, _)| *name == word);
        let value = found.map(|(_, value)| value.clone());
        value.ok_or_else(|| hint(word, &self.names()))
    }

    fn show(&self, value: &T) -> String {
        let name = self.0.iter().find(|(_, v)| v == value);
        quoted(name.map_or("", |(name, _)| name))
    }
}

/// Height and width, or rows and columns.
#[derive(Clone, Copy)]
pub struct Sides {
    /// The largest.
    pub most: i128,
    /// What it must be; with " or two" in it, one number stands for both.
    pub what: &'static str,
}

impl Scalar<[usize; 2]> for Sides {
    fn what(&self) -> String {
        self.what.to_owned()
    }

    fn parse(&self, value: &Value) -> Result<[usize; 2], String> {
        let side = |value: &Value| match value {
            Value::Int(n) if (1..=self.most).contains(n) => Ok(*n as usize),
            _ => Err(String::new()),
        };
        match value {
            Value::Array(items) => match items.as_slice() {
                [height, width] => Ok([side(&height.value)?, side(&width.value)?]),
                _ => Err(String::new()),
            },
            one if self.what.contains(" or two") => Ok([side(one)?; 2]),
            _ => Err(String::new()),
        }
    }

    fn show(&self, [height, width]: &[usize; 2]) -> String {
        format!("[{height}, {width}]")
    }
}

scalar! { impl [] Sides => [usize; 2] }
