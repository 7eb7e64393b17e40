//! Settings in which runs differ.

use std::collections::BTreeSet;

use toml::{Table, Value};

use ganforge_gan::config::Config;

/// A row for each setting that is not the same in all configurations: its path, then its value in each of them as TOML
/// (empty where it has none).
pub(super) fn differences(configs: &[&Config]) -> Vec<Vec<String>> {
    let flat: Vec<Vec<(String, String)>> = configs.iter().map(|c| flat(c)).collect();
    let paths: BTreeSet<&String> = flat.iter().flatten().map(|(path, _)| path).collect();
    let mut rows = Vec::new();
    for path in paths {
        let value = |settings: &Vec<(String, String)>| {
            let found = settings.iter().find(|(p, _)| p == path);
            found.map_or(String::new(), |(_, value)| value.clone())
        };
        let values: Vec<String> = flat.iter().map(value).collect();
        if values.windows(2).any(|w| w[0] != w[1]) {
            rows.push([vec![path.clone()], values].concat());
        }
    }
    rows
}

/// Every setting by its path, as in `--set`.
fn flat(config: &Config) -> Vec<(String, String)> {
    let text = config.to_toml();
    let table: Table = text.parse().expect("a configuration writes itself as TOML");
    let mut settings = Vec::new();
    add(&mut settings, "", &table);
    settings
}

fn add(settings: &mut Vec<(String, String)>, prefix: &str, table: &Table) {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => add(settings, &format!("{path}."), inner),
            Value::Array(items) if items.iter().all(Value::is_table) => {
                for layer in items.iter().filter_map(Value::as_table) {
                    let name = layer.get("name").and_then(Value::as_str).unwrap_or("");
                    add(settings, &format!("{path}.{name}."), layer);
                }
            }
            value => settings.push((path, value.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_listed_under_its_path() {
        let tiny = Config::preset("tiny").expect("a preset");
        let other = tiny.with(&[
            "seed=7",
            "generator.layer.h0.units=33",
            "optimizer.kind=adam",
        ]);
        let other = other.expect("valid");
        assert!(differences(&[&tiny]).is_empty());
        assert!(differences(&[&tiny, &tiny]).is_empty());
        let rows = differences(&[&tiny, &other, &tiny]);
        let paths: Vec<&str> = rows.iter().map(|r| r[0].as_str()).collect();
        let expected = [
            "generator.layer.h0.units",
            "optimizer.beta1",
            "optimizer.beta2",
            "optimizer.eps",
            "optimizer.kind",
            "optimizer.momentum.end",
            "optimizer.momentum.first",
            "optimizer.momentum.last",
            "optimizer.momentum.nesterov",
            "optimizer.momentum.start",
            "seed",
        ];
        assert_eq!(paths, expected);
        assert_eq!(rows[0][1..], ["32", "33", "32"]);
        assert_eq!(rows[1][1..], ["", "0.9", ""]);
        assert_eq!(rows[4][1..], ["\"sgd\"", "\"adam\"", "\"sgd\""]);
    }
}
