//! Tables of numbers and words.

use std::path::Path;

use ganforge_gan::files::FileError;

use crate::tables::{aligned, quoted};

/// What stands in a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A number; NaN: none.
    Number(f64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_string())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

/// A table with a header.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The columns' names.
    pub columns: Vec<String>,
    /// As many values per row.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// A table without rows.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Table {
        Table {
            columns: columns.into_iter().map(S::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn add<V: Into<Value>>(&mut self, row: impl IntoIterator<Item = V>) {
        self.rows.push(row.into_iter().map(V::into).collect());
    }

    /// The numbers of a column, NaN where it has words; none if there is no such column.
    pub fn column(&self, name: &str) -> Option<Vec<f64>> {
        let at = self.columns.iter().position(|c| c == name)?;
        let number = |row: &Vec<Value>| match &row[at] {
            Value::Number(number) => *number,
            Value::Text(_) => f64::NAN,
        };
        Some(self.rows.iter().map(number).collect())
    }

    /// As CSV, numbers with all their digits and nothing for a NaN.
    pub fn csv(&self) -> String {
        let header = self.columns.iter().map(|c| quoted(c)).collect();
        let field = |value: &Value| match value {
            Value::Text(text) => quoted(text),
            Value::Number(n) if n.is_nan() => String::new(),
            Value::Number(n) => n.to_string(),
        };
        let rows = self.rows.iter().map(|row| row.iter().map(field).collect());
        let lines = std::iter::once(header).chain(rows);
        lines.map(|l: Vec<String>| l.join(",") + "\n").collect()
    }

    /// Reads what [`Table::csv`] has written with these columns; what reads as a number is one.
    ///
    /// # Errors
    /// The line that is no row of such a table; `path` is the file in messages.
    pub fn parse(text: &str, path: &Path, columns: &[&str]) -> Result<Table, FileError> {
        let fault = |line: usize, reason: String| {
            FileError::malformed(&format!("{}:{line}", path.display()), reason)
        };
        let mut table = Table::new(columns.iter().copied());
        for (i, line) in text.lines().enumerate() {
            let fields =
                fields(line).ok_or_else(|| fault(i + 1, "a quote is not closed".into()))?;
            if i == 0 && fields != table.columns {
                let expected = columns.join(",");
                return Err(fault(1, format!("expected the columns {expected}")));
            }
            let (expected, found) = (columns.len(), fields.len());
            if found != expected {
                let reason = format!("expected {expected} values as in the header, got {found}");
                return Err(fault(i + 1, reason));
            }
            if i > 0 {
                let value = |field: String| match field.parse() {
                    Ok(number) => Value::Number(number),
                    Err(_) => Value::Text(field),
                };
                table.add(fields.into_iter().map(value));
            }
        }
        Ok(table)
    }

    /// For reading: aligned, numbers with some digits.
    pub fn text(&self) -> String {
        let field = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            Value::Number(n) => short(*n),
        };
        let rows = self.rows.iter().map(|row| row.iter().map(field).collect());
        let lines = std::iter::once(self.columns.clone()).chain(rows);
        aligned(&lines.collect::<Vec<_>>())
    }
}

/// The fields of a line of CSV; none if a quote is not closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(c),
        }
    }
    fields.push(field);
    (!is_quoted).then_some(fields)
}

/// A number with three or four digits.
fn short(n: f64) -> String {
    match n.abs() {
        _ if n.is_nan() => "-".to_string(),
        _ if n == n.trunc() && n.abs() < 1e6 => format!("{n}"),
        0.001..10.0 => format!("{n:.3}"),
        10.0..1000.0 => format!("{n:.1}"),
        _ => format!("{n:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_whole_and_read_short() {
        let mut table = Table::new(["loss, of D", "W"]);
        table.add([Value::from("a \"b\""), Value::from(0.125_456)]);
        table.add([Value::from("none"), Value::from(f64::NAN)]);
        let csv = "\"loss, of D\",W\n\"a \"\"b\"\"\",0.125456\nnone,\n";
        assert_eq!(table.csv(), csv);
        assert_eq!(
            table.text(),
            "loss, of D  W\na \"b\"       0.125\nnone        -\n"
        );
        assert_eq!(table.column("W").expect("there")[0], 0.125_456);
        assert!(table.column("V").is_none());
        let path = Path::new("a.csv");
        let columns = ["loss, of D", "W"];
        let read = Table::parse(csv, path, &columns).expect("read");
        assert_eq!(read.rows[0], table.rows[0]);
        assert_eq!(read.rows[1], ["none", ""].map(Value::from));
        for (text, fault) in [
            ("a,b\n", "a.csv:1: expected the columns loss, of D,W"),
            ("\"loss, of D\",W\n1\n", "a.csv:2: expected 2 values"),
            (
                "\"loss, of D\",W\n1,\"2\n",
                "a.csv:2: a quote is not closed",
            ),
        ] {
            let error = Table::parse(text, path, &columns).expect_err("refused");
            assert!(error.to_string().starts_with(fault), "{error}");
        }
        let numbers = [3.0, -0.25, 12.34, 1.5e-7, 12345.5, f64::INFINITY];
        let texts = numbers.map(short);
        assert_eq!(texts, ["3", "-0.250", "12.3", "1.5e-7", "1.2e4", "inf"]);
    }
}
