//! Printing: results to stdout, everything else to stderr; a closed pipe does not panic, and text from files cannot send
//! control sequences to the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use super::failure::Failure;

/// Prints a result and a newline to stdout.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints a result, which ends in a newline, to stdout.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let done = write!(out, "{}", harmless(text)).and_then(|()| out.flush());
    done.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::silent(),
        _ => Failure::io(Path::new("stdout"), "write", error),
    })
}

/// Prints a message and a newline to stderr; ignores a closed stderr.
pub(super) fn tell(text: &str) {
    let print = || drop(writeln!(io::stderr().lock(), "{}", harmless(text)));
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// The progress bar that messages must not overwrite.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Sets the progress bar now shown, or none.
pub(super) fn set_bar(bar: Option<&ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar.cloned();
}

/// The text with control characters except newlines and tabs, and bidirectional marks, escaped as \uXXXX, as in JSON.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match steers(c) {
            true => drop(write!(safe, "\\u{:04x}", u32::from(c))),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// A message whose continuation lines are indented: any other newline came with a name and is escaped.
pub(super) fn indented(message: &str) -> String {
    let mut lines = message.split('\n');
    let mut text = lines.next().unwrap_or("").to_string();
    for line in lines {
        text.push_str(if line.starts_with(' ') { "\n" } else { "\\n" });
        text.push_str(line);
    }
    text
}

/// Lines in a frame of asterisks, so that they cannot be missed.
pub(super) fn framed(lines: &[String]) -> String {
    let width = lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let bar = "*".repeat(width + 4);
    let body = lines.iter().map(|line| format!("* {line:<width$} *\n"));
    format!("{bar}\n{}{bar}", body.collect::<String>())
}

/// The format by the ending of the output file: `svg` for `a.svg`.
pub(super) fn ending(out: Option<&Path>) -> Option<&str> {
    out?.extension()?.to_str()
}

/// Refuses two names of the same file, each given with its role: the second would overwrite the first.
pub(super) fn check_distinct<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a Path)>,
) -> Result<(), Failure> {
    let mut seen: Vec<(PathBuf, &str, &Path)> = Vec::new();
    for (what, path) in files {
        let place = place_of(path);
        if let Some((_, first, other)) = seen.iter().find(|(known, _, _)| *known == place) {
            let (path, other) = (path.display(), other.display());
            return Err(Failure::input(format!(
                "{what} {path}: is the same file as {first} {other}, which it would overwrite"
            )));
        }
        seen.push((place, what, path));
    }
    Ok(())
}

/// The canonical path of a file that exists or will be written: links, `.` and `..` resolved.
fn place_of(path: &Path) -> PathBuf {
    if let Ok(place) = path.canonicalize() {
        return place;
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(), // cannot be written either
    }
}

/// Creates a folder for results, unless it exists.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    let made = std::fs::create_dir_all(folder);
    made.map_err(|e| Failure::io(folder, "create", e))
}

#[cfg(test)]
mod tests {
    use super::{harmless, indented};

    #[test]
    fn a_message_goes_on_in_indented_lines_alone() {
        let message = "mnist: not fetched\n  here: no\n  there: no";
        assert_eq!(indented(message), message);
        assert_eq!(indented("a\nerror: b: no"), "a\\nerror: b: no");
    }

    #[test]
    fn what_would_steer_a_terminal_is_written_out() {
        for (text, shown) in [
            ("plain ümlaut 数\tand\nlines", "plain ümlaut 数\tand\nlines"),
            ("\u{1b}[2Jgone\r\u{7}", "\\u001b[2Jgone\\u000d\\u0007"),
            (
                "gnp.\u{202e}exe\u{2066}\u{9b}31m",
                "gnp.\\u202eexe\\u2066\\u009b31m",
            ),
        ] {
            assert_eq!(harmless(text), shown);
        }
        let json = harmless("{\"name\": \"a\u{202e}b\"}").into_owned();
        let value: serde_json::Value = serde_json::from_str(&json).expect("still JSON");
        assert_eq!(value["name"], "a\u{202e}b");
    }
}
