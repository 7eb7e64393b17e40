//! From settings to TOML.

use std::fmt::Write;

/// A TOML file being written.
#[derive(Default)]
pub struct Writer {
    text: String,
    /// The full name of the table that is written, empty for the file itself.
    path: String,
    /// A table's heading, until its first value is there.
    heading: Option<String>,
    /// The parts of a table on one line.
    inline: Option<Vec<String>>,
}

impl Writer {
    /// A key and its value, which is TOML.
    pub fn value(&mut self, key: &str, toml: &str) {
        if let Some(parts) = &mut self.inline {
            return parts.push(format!("{key} = {toml}"));
        }
        if let Some(heading) = self.heading.take() {
            self.text += &format!("\n{heading}\n");
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{key} = {toml}");
    }

    /// A table on one line.
    pub fn inline(&mut self, key: &str, write: impl FnOnce(&mut Writer)) {
        let outer = self.inline.replace(Vec::new());
        write(self);
        let parts = std::mem::replace(&mut self.inline, outer).unwrap_or_default();
        self.value(key, &format!("{{ {} }}", parts.join(", ")));
    }

    /// A table on one line, or its kind alone where it says no more.
    pub(crate) fn one_line(write: impl FnOnce(&mut Writer)) -> String {
        let mut writer = Writer {
            inline: Some(Vec::new()),
            ..Writer::default()
        };
        write(&mut writer);
        match writer.inline.unwrap_or_default().as_slice() {
            [kind] => kind.trim_start_matches("kind = ").to_owned(),
            parts => format!("{{ {} }}", parts.join(", ")),
        }
    }

    /// A table with a heading of its own; the keys of the table around it that have none are written before.
    pub fn section(&mut self, key: &str, write: impl FnOnce(&mut Writer)) {
        self.headed(key, "[", "]", write);
    }

    /// A table of a list.
    pub fn element(&mut self, key: &str, write: impl FnOnce(&mut Writer)) {
        self.headed(key, "[[", "]]", write);
    }

    fn headed(&mut self, key: &str, open: &str, close: &str, write: impl FnOnce(&mut Writer)) {
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            outer => format!("{outer}.{key}"),
        };
        self.heading = Some(format!("{open}{path}{close}"));
        let outer = std::mem::replace(&mut self.path, path);
        write(self);
        self.path = outer;
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// A TOML string with what must be escaped escaped.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The option that gives a key any text: `key="text"`, escaped as TOML wants it.
pub fn text_option(key: &str, text: &str) -> String {
    format!("{key}={}", quoted(text))
}
