//! Printing: answers to stdout, everything else to stderr; a closed pipe is no reason to panic, and nothing that comes
//! from a file steers the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use super::failure::Failure;

/// Prints an answer and a line end to stdout.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints an answer that has its line ends to stdout.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let done = write!(out, "{}", harmless(text)).and_then(|()| out.flush());
    done.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::silent(),
        _ => Failure::io(Path::new("stdout"), "write", error),
    })
}

/// Prints a message and a line end to stderr; where that is closed there is no one to tell.
pub(super) fn tell(text: &str) {
    let print = || drop(writeln!(io::stderr().lock(), "{}", harmless(text)));
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// The bar that messages must not be written across.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Notes the bar that is shown from here on, or that there is none any more.
pub(super) fn set_bar(bar: Option<&ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar.cloned();
}

/// The text with what would steer a terminal written out as \uXXXX, as JSON has it, too: control characters but line
/// ends and tabs, and the marks that turn the direction of writing.
fn harmless(text: &str) -> Cow<'_, str> {
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

/// A message of which only indented lines go on: a line end before any other text came with a name, and is written out.
pub(super) fn indented(message: &str) -> String {
    let mut lines = message.split('\n');
    let mut text = lines.next().unwrap_or("").to_string();
    for line in lines {
        text.push_str(if line.starts_with(' ') { "\n" } else { "\\n" });
        text.push_str(line);
    }
    text
}

/// Lines in a frame of stars, so that they cannot be missed.
pub(super) fn framed(lines: &[String]) -> String {
    let width = lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let bar = "*".repeat(width + 4);
    let body = lines.iter().map(|line| format!("* {line:<width$} *\n"));
    format!("{bar}\n{}{bar}", body.collect::<String>())
}

/// What a format is called if the ending of the file to write says so, as `svg` of `a.svg`.
pub(super) fn ending(out: Option<&Path>) -> Option<&str> {
    out?.extension()?.to_str()
}

/// Refuses files of which two are the same under whatever names, each with what it is: the second would overwrite the first.
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

/// Where a file is or will be: its folder without links, `.` and `..`, and of a link to a file that file.
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
        _ => path.to_path_buf(), // which cannot be written either
    }
}

/// Makes a folder for results, unless it is there.
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
