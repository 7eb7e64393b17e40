//! The tables of a run: CSV files with a header, whose rows begin with step and epoch.

use std::fs;
use std::path::Path;

use crate::error::Result;
use crate::files::{FileError, shown};

/// A table as it lies in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The columns' names: `step`, `epoch`, ...
    pub names: Vec<String>,
    /// As many numbers per row; NaN for an empty field.
    pub rows: Vec<Vec<f64>>,
}

impl Table {
    /// Reads a table. Bytes after the last line end are a row that is being written, or was when the program was
    /// killed: they do not count.
    ///
    /// # Errors
    /// No such file; a line that is no row, by its number: other columns than the header has, a field that is not a number, a
    /// step that does not follow on the one before.
    pub fn read(path: &Path) -> Result<Table> {
        let text = fs::read_to_string(path).map_err(|e| FileError::io(path, "read", e))?;
        Table::parse(path, whole_lines(&text))
    }

    /// The same of lines that were read from `path`.
    fn parse<'a>(path: &Path, mut lines: impl Iterator<Item = &'a str>) -> Result<Table> {
        let header = lines.next().unwrap_or("");
        let fault = |line: usize, reason: String| {
            FileError::malformed(&format!("{}:{line}", path.display()), reason)
        };
        check_header(path, header)?;
        let names: Vec<String> = header.split(',').map(String::from).collect();
        let mut rows: Vec<Vec<f64>> = Vec::new();
        for (i, line) in lines.enumerate() {
            let row = row(line, names.len()).map_err(|reason| fault(i + 2, reason))?;
            if let Some(before) = rows.last().map(|r| r[0])
                && row[0] <= before
            {
                let reason = format!("step {} after step {before}", row[0]);
                return Err(fault(i + 2, reason).into());
            }
            rows.push(row);
        }
        Ok(Table { names, rows })
    }
}

/// The lines of a text without what follows the last line end.
pub(super) fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split_inclusive('\n');
    lines.filter_map(|l| l.strip_suffix('\n'))
}

/// Refuses the first line of a table that is none.
fn check_header(path: &Path, header: &str) -> Result<()> {
    if header.starts_with("step,epoch,") {
        return Ok(());
    }
    let reason = format!(
        "expected the columns step, epoch, ..., got \"{}\"",
        shown(header)
    );
    Err(FileError::malformed(&format!("{}:1", path.display()), reason).into())
}

/// The numbers of a line, of which the first two are whole.
fn row(line: &str, columns: usize) -> Result<Vec<f64>, String> {
    let fields: Vec<&str> = line.split(',').collect();
    if fields.len() != columns {
        let n = fields.len();
        return Err(format!(
            "expected {columns} values as in the header, got {n}"
        ));
    }
    let number = |(i, field): (usize, &&str)| match field.parse::<f64>() {
        _ if i < 2 && field.parse::<u64>().is_err() => {
            Err(format!("{field:?} is not a whole number"))
        }
        Ok(x) => Ok(x),
        Err(_) if field.is_empty() => Ok(f64::NAN),
        Err(_) => Err(format!("{field:?} is not a number")),
    };
    fields.iter().enumerate().map(number).collect()
}

/// The text of the table at `path` as it goes on after `step`, with the columns of `header`: without what comes after the
/// last row of a step up to then, rows that will be repeated or that a power cut left unfinished. Columns that it does not
/// have, written by an older program, are empty.
///
/// # Errors
/// As [`Table::read`], of what stays: found before the work, not by the report after it.
pub(super) fn rewound(path: &Path, text: &str, header: &str, step: u64) -> Result<String> {
    if let Some(first) = text.lines().next() {
        check_header(path, first)?;
    }
    let lines: Vec<&str> = whole_lines(text).collect();
    let step_of = |line: &&str| line.split(',').next().and_then(|s| s.parse::<u64>().ok());
    let last = lines
        .iter()
        .rposition(|l| step_of(l).is_some_and(|s| s <= step));
    let (Some(names), Some(last)) = (lines.first(), last) else {
        return Ok(format!("{header}\n"));
    };
    Table::parse(path, lines[..=last].iter().copied())?;
    let columns: Vec<&str> = names.split(',').collect();
    let places = header.split(',');
    let places: Vec<Option<usize>> = places
        .map(|name| columns.iter().position(|c| *c == name))
        .collect();
    let mut kept = format!("{header}\n");
    for line in &lines[1..=last] {
        let fields: Vec<&str> = line.split(',').collect();
        let row: Vec<&str> = places.iter().map(|p| p.map_or("", |p| fields[p])).collect();
        kept += &format!("{}\n", row.join(","));
    }
    Ok(kept)
}

/// Whether a table has a row of `step`.
pub(super) fn has_step(text: &str, step: u64) -> bool {
    let start = format!("{step},");
    text.lines().any(|line| line.starts_with(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        fs::write(&path, text).unwrap();
        Table::read(&path).map_err(|e| {
            let message = e.to_string();
            message[message.find("m.csv").unwrap()..].to_string()
        })
    }

    #[test]
    fn a_table_is_read_up_to_the_row_that_is_being_written() {
        let table = read("step,epoch,a,b\n5,1,0.5,\n10,1,-1e-3,7\n15,2,0.2").unwrap();
        assert_eq!(table.names, ["step", "epoch", "a", "b"]);
        assert_eq!(table.rows.len(), 2);
        assert!(table.rows[0][3].is_nan());
        assert_eq!(table.rows[1], [10.0, 1.0, -1e-3, 7.0]);
        assert!(read("step,epoch,a\n").unwrap().rows.is_empty());
    }

    #[test]
    fn a_damaged_line_is_named() {
        for (text, message) in [
            (
                "",
                "m.csv:1: expected the columns step, epoch, ..., got \"\"",
            ),
            (
                "a,b\n",
                "m.csv:1: expected the columns step, epoch, ..., got \"a,b\"",
            ),
            (
                "step,epoch,a\n5,1,2\n7,1\n",
                "m.csv:3: expected 3 values as in the header, got 2",
            ),
            (
                "step,epoch,a\n5,1,2\n7,1,x\n",
                "m.csv:3: \"x\" is not a number",
            ),
            (
                "step,epoch,a\n5.5,1,2\n",
                "m.csv:2: \"5.5\" is not a whole number",
            ),
            (
                "step,epoch,a\n5,,2\n",
                "m.csv:2: \"\" is not a whole number",
            ),
            (
                "step,epoch,a\n5,1,2\n5,1,2\n",
                "m.csv:3: step 5 after step 5",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), message);
        }
    }

    fn kept(text: &str, header: &str, step: u64) -> Result<String, String> {
        rewound(Path::new("m.csv"), text, header, step).map_err(|e| e.to_string())
    }

    #[test]
    fn rows_after_the_step_and_what_was_cut_off_are_repeated() {
        let header = "step,epoch,a";
        let whole = "step,epoch,a\n5,1,0.5\n10,1,0.25\n";
        for after in ["15,2,1\n20,2\n1", "", "1", "15,2", "15,x\n\0\0\n12,2,3\n\0"] {
            let text = format!("{whole}{after}");
            assert_eq!(kept(&text, header, 10).unwrap(), whole, "{after:?}");
        }
        for nothing in [
            "",
            "step,epoch,a",
            "step,epoch,a\n",
            "step,epoch,a\n15,1,2\n",
        ] {
            assert_eq!(kept(nothing, header, 10).unwrap(), "step,epoch,a\n");
        }
    }

    #[test]
    fn a_table_that_is_none_or_out_of_order_up_to_the_step_is_not_gone_on_with() {
        for (text, message) in [
            ("my notes", "m.csv:1: expected the columns"),
            ("damaged\n5,1,2\n", "m.csv:1: expected the columns"),
            (
                "step,epoch,a\n7,1,2\n5,1,2\n",
                "m.csv:3: step 5 after step 7",
            ),
            (
                "step,epoch,a\n12,1,2\n5,1,2\n",
                "m.csv:3: step 5 after step 12",
            ),
            ("step,epoch,a\n5,1\n10,1,2\n", "m.csv:2: expected 3 values"),
            (
                "step,epoch,a\n5,1,x\n10,1,2\n",
                "m.csv:2: \"x\" is not a number",
            ),
        ] {
            let error = kept(text, "step,epoch,a", 10).unwrap_err();
            assert!(error.starts_with(message), "{text:?}: {error}");
        }
    }

    #[test]
    fn rows_of_an_older_version_keep_their_values_under_their_columns() {
        let text = "step,epoch,a,b\n5,1,0.5,7\n10,1,0.25,\n";
        let header = "step,epoch,b,new,a";
        assert_eq!(
            kept(text, header, 10).unwrap(),
            "step,epoch,b,new,a\n5,1,7,,0.5\n10,1,,,0.25\n"
        );
    }
}
