//! Arrays in a study's file.

use ganforge_settings::{Change, Scalar, Value, quoted, scalar};

/// A list of values, each as TOML.
pub(super) struct Scalars;

impl Scalar<Vec<String>> for Scalars {
    fn what(&self) -> String {
        "an array of two values or more, each a number, a string, true or false".to_owned()
    }

    fn parse(&self, value: &Value) -> Result<Vec<String>, String> {
        let Value::Array(items) = value else {
            return Err(String::new());
        };
        let mut values = Vec::new();
        for item in items {
            let toml = match &item.value {
                Value::Str(s) => quoted(s),
                Value::Float(x) if !x.is_finite() => return Err(format!(" with {x} in it")),
                Value::Int(_) | Value::Float(_) | Value::Bool(_) => item.value.show(),
                other => return Err(format!(" with {} in it", other.show())),
            };
            if values.contains(&toml) {
                return Err(format!(" with {toml} twice"));
            }
            values.push(toml);
        }
        match values.len() {
            0 | 1 => Err(format!(" of {}", values.len())),
            _ => Ok(values),
        }
    }

    fn show(&self, values: &Vec<String>) -> String {
        format!("[{}]", values.join(", "))
    }
}

/// Different names of these things.
pub(crate) struct Names(pub &'static str);

impl Scalar<Vec<String>> for Names {
    fn what(&self) -> String {
        format!("an array of different names of {}", self.0)
    }

    fn parse(&self, value: &Value) -> Result<Vec<String>, String> {
        let Value::Array(items) = value else {
            return Err(String::new());
        };
        let mut names: Vec<String> = Vec::new();
        for item in items {
            let show = || item.value.show();
            match item.value.text() {
                None => return Err(format!(" with {} in it", show())),
                Some(name) if names.iter().any(|n| n == name) => {
                    return Err(format!(" with {} twice", show()));
                }
                Some(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    fn show(&self, names: &Vec<String>) -> String {
        let quoted: Vec<String> = names.iter().map(|n| quoted(n)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

/// Options as after `--set`.
pub(crate) struct Options;

impl Scalar<Vec<String>> for Options {
    fn what(&self) -> String {
        "an array of options, each a string such as \"train.batch=64\"".to_owned()
    }

    fn parse(&self, value: &Value) -> Result<Vec<String>, String> {
        let Value::Array(items) = value else {
            return Err(String::new());
        };
        let option = |item: &ganforge_settings::Item| {
            let show = || item.value.show();
            let text = item
                .value
                .text()
                .ok_or_else(|| format!(" with {} in it", show()))?;
            match Change::parse(text) {
                Ok(_) => Ok(text.to_owned()),
                Err(fault) => Err(format!(" with {}: {}", show(), fault.message)),
            }
        };
        items.iter().map(option).collect()
    }

    fn show(&self, options: &Vec<String>) -> String {
        let quoted: Vec<String> = options.iter().map(|o| quoted(o)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

/// A list of such lists.
pub(super) struct ListsOfOptions;

impl Scalar<Vec<Vec<String>>> for ListsOfOptions {
    fn what(&self) -> String {
        format!("an array of two arrays or more, each {}", Options.what())
    }

    fn parse(&self, value: &Value) -> Result<Vec<Vec<String>>, String> {
        match value {
            Value::Array(items) if items.len() > 1 => {
                items.iter().map(|i| Options.parse(&i.value)).collect()
            }
            Value::Array(items) => Err(format!(" of {}", items.len())),
            _ => Err(String::new()),
        }
    }

    fn show(&self, cases: &Vec<Vec<String>>) -> String {
        let shown: Vec<String> = cases.iter().map(|c| Options.show(c)).collect();
        format!("[{}]", shown.join(", "))
    }
}

scalar! {
    impl [] Scalars => Vec<String>,
    impl [] Names => Vec<String>,
    impl [] Options => Vec<String>,
    impl [] ListsOfOptions => Vec<Vec<String>>,
}
