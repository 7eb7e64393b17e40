//! The keys of a configuration as a human-readable page, for a terminal or as Markdown.

use crate::key::{Key, Shape};
use crate::reader::keys_of;

/// Longest line.
const WIDTH: usize = 110;

/// All keys, those of a table below those of the table around it; tables with the same keys are told together.
pub fn page(keys: &[Key]) -> String {
    let mut sections: Vec<(Vec<String>, String)> = Vec::new();
    add(&mut sections, "", "", keys);
    let mut text = String::new();
    for (headings, body) in sections {
        let headings: Vec<&str> = headings
            .iter()
            .map(String::as_str)
            .filter(|h| !h.is_empty())
            .collect();
        if !headings.is_empty() {
            text += &format!("## {}\n\n", headings.join(", "));
        }
        text += &body;
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

fn add(sections: &mut Vec<(Vec<String>, String)>, path: &str, heading: &str, keys: &[Key]) {
    // Sections of the file have a heading each, whatever they belong to.
    let has_heading = |key: &&Key| match path {
        "" => !matches!(key.shape, Shape::Value),
        _ => has_heading(key),
    };
    let plain = keys.iter().filter(|k| !has_heading(k)).collect();
    let body: String = shared(plain).iter().map(line).collect();
    if !body.is_empty() {
        match sections.iter_mut().find(|(_, other)| *other == body) {
            Some((headings, _)) => headings.push(heading.to_owned()),
            None => sections.push((vec![heading.to_owned()], body)),
        }
    }
    for key in keys.iter().filter(has_heading) {
        let path = match path {
            "" => key.name.to_owned(),
            path => format!("{path}.{}", key.name),
        };
        let heading = match key.shape {
            Shape::List(_) => format!("`[[{path}]]`"),
            Shape::Named(_) => format!("`[{path}.KEY]`"),
            _ => format!("`[{path}]`"),
        };
        add(
            sections,
            &path,
            &heading,
            &keys_of(key.shape).unwrap_or_default(),
        );
    }
}

/// The same keys, each once: one that several alternatives have, with the same default, is told with all of them.
fn shared(keys: Vec<&Key>) -> Vec<Key> {
    let mut all: Vec<Key> = Vec::new();
    for key in keys {
        let told = |k: &Key| (k.name, k.doc.clone(), k.takes.clone(), k.default.clone());
        let same = |k: &&mut Key| told(k) == told(key);
        match (all.iter_mut().find(same).map(|k| &mut k.only), &key.only) {
            (Some(Some(known)), Some(only)) => {
                if known.text != only.text {
                    known.text = format!("{} or {}", known.text, only.text);
                }
            }
            (Some(_), _) => {}
            (None, _) => all.push(key.clone()),
        }
    }
    all
}

/// Tables that belong to a choice are written on one line, among its keys.
fn has_heading(key: &Key) -> bool {
    !matches!(key.shape, Shape::Value) && key.only.is_none()
}

fn line(key: &Key) -> String {
    let mut text = match key.default.as_str() {
        "" => format!("- `{}`", key.name),
        toml if is_toml(toml) => format!("- `{} = {toml}`", key.name),
        words => format!("- `{}`, by default {words}", key.name),
    };
    if let Some(only) = &key.only {
        text += &format!(", with {}", only.text);
    }
    let mut doc = key.doc.lines();
    text += &format!(": {}", doc.next().unwrap_or(""));
    let choices: Vec<&str> = doc.collect();
    let mut takes = key.takes.chars();
    if let Some(first) = takes.next().filter(|_| choices.is_empty()) {
        text += &format!(" {}{}.", first.to_uppercase(), takes.as_str());
    }
    if !key.old.is_empty() {
        text += &format!(" Formerly `{}`.", key.old.join("`, `"));
    }
    let mut text = wrapped(&text, "  ");
    for choice in choices {
        text += &format!("  {}", wrapped(choice, "    "));
    }
    for inner in keys_of(key.shape).unwrap_or_default() {
        let lines = line(&inner);
        text.extend(lines.lines().map(|l| format!("  {l}\n")));
    }
    text
}

fn is_toml(text: &str) -> bool {
    toml::de::DeValue::parse(text).is_ok()
}

/// Text in lines of at most [`WIDTH`], all but the first indented.
fn wrapped(text: &str, indent: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        if line.len() + word.len() >= WIDTH && !line.trim().is_empty() {
            lines += &format!("{line}\n");
            line = indent.to_owned();
        } else if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines + &line + "\n"
}
