//! Settings stated once: name, type, default, range and meaning of a key drive reading, checking, hints, writing and
//! documentation.
//!
//! serde would read and write these structs, but stops at the first fault, forgets the line of a value once it is
//! parsed, and knows neither ranges nor documentation: so one table of keys per struct drives all of it.
//!
//! ```
//! use ganforge_settings::{settings, list, read, parse, write, below, whole};
//! settings! {
//!     /// Adam of Kingma and Ba 2015.
//!     pub struct Adam {
//!         /// Decay of the mean of the gradient.
//!         pub beta1: f64 = 0.9, below(0.0, 1.0);
//!     }
//! }
//! settings! {
//!     /// Gradient descent.
//!     pub struct Sgd {
//!         /// Updates between two reports.
//!         #[was("log")]
//!         pub every: usize = 10, whole(1, 100);
//!     }
//! }
//! list! {
//!     /// An optimiser.
//!     pub enum Rule by "kind" { "adam" => Adam(Adam), "sgd" => Sgd(Sgd), }
//! }
//! settings! {
//!     /// How a gradient becomes a step.
//!     pub struct Optimizer {
//!         /// The rule.
//!         pub rule: Rule = Rule::Adam(Adam::default());
//!     }
//! }
//! let read = |text: &str| read::<Optimizer>(&parse(text, "a.toml").unwrap(), "a.toml");
//! assert_eq!(read("").unwrap(), Optimizer::default());
//! assert_eq!(write(&read("kind = 'sgd'").unwrap()), "kind = \"sgd\"\nevery = 10\n");
//! let error = read("beta1 = 1\nkind = 'sgd'\nevry = 0").unwrap_err().to_string();
//! assert!(error.contains("a.toml:1: beta1 is not used here, only with kind = \"adam\""));
//! assert!(error.contains("a.toml:3: unknown key evry, did you mean every?"));
//! ```
#![forbid(unsafe_code)]

mod choice;
mod fault;
mod key;
mod macros;
mod merge;
mod page;
mod reader;
mod rules;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

pub use choice::{Brought, add_choice, choice_keys, chosen};
pub use fault::{ConfigError, Fault, nearest};
pub use key::{Key, Only, Shape, described, one_paragraph};
pub use merge::{Change, change_elements, merge, origin};
pub use page::page;
pub use reader::{Reader, hint, read, read_over};
pub use rules::{
    Choice, Flat, Inline, Interval, Maybe, OnOneLine, Own, Scalar, Sides, Tables, Takes, Text,
    UnlessZero, Whole, Words, ZeroIsNone, above, below, closed, nested_keys, nested_read, text,
    whole,
};
pub use tree::{At, Item, Table, Value, parse};
pub use writer::{Writer, quoted, text_option};

/// The keys of a table: what [`settings!`] makes of a struct.
pub trait Settings: Clone + Default + 'static {
    /// Its documentation.
    const DOC: &'static str;
    /// Its keys, in order.
    fn keys() -> Vec<Key>;
    /// Reads them; what is not written is as in `inherited`, or has the stated default.
    fn read(table: &Reader<'_>, inherited: Option<&Self>) -> Self;
    /// Writes all that are read.
    fn write(&self, to: &mut Writer);
}

/// A type that brings its rule with it: a nested table, a choice, a word, true or false.
pub trait Setting: Clone {
    /// Its keys in the table around it.
    fn keys(name: &'static str, default: &Self) -> Vec<Key>;
    /// What is written of it in the table around it, else `default`.
    fn read(table: &Reader<'_>, key: &'static str, default: Self) -> Self;
    /// Writes it.
    fn write(&self, key: &str, to: &mut Writer);
}

/// The settings as a TOML file with every default written out.
pub fn write<T: Settings>(settings: &T) -> String {
    let mut writer = Writer::default();
    settings.write(&mut writer);
    writer.finish()
}

/// The key by which the elements of a list with these keys are told apart: `name`, or where there is none `kind`.
pub fn told_by(keys: &[Key]) -> &'static str {
    match keys.iter().any(|k| k.name == "name") {
        true => "name",
        false => "kind",
    }
}

/// What an element of a list is called, if it has a good name; a kind may have `-` in it.
pub fn name_of<'a>(item: &'a Item, told_by: &str) -> Option<&'a str> {
    let is_good = |n: &&str| match told_by {
        "kind" => is_name(&n.replace('-', "_")),
        _ => is_name(n),
    };
    match &item.value {
        Value::Table(table) => table.get(told_by)?.value.text().filter(is_good),
        _ => None,
    }
}

/// Whether an element of a list may be called so: 1 to 32 of a-z, 0-9 and _.
pub fn is_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=32).contains(&name.len()) && name.bytes().all(good)
}

/// Whether a condition holds; gives its closure the type of its argument.
pub fn holds<T>(settings: &T, condition: impl Fn(&T) -> bool) -> bool {
    condition(settings)
}
