//! Printing: answers to stdout, everything else to stderr; a closed pipe is no reason to panic.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::failure::Failure;

/// Prints an answer and a line end to stdout.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints an answer that has its line ends to stdout.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let done = write!(out, "{text}").and_then(|()| out.flush());
    done.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::silent(),
        _ => Failure::io(Path::new("stdout"), "write", error),
    })
}

/// Prints a message and a line end to stderr; where that is closed there is no one to tell.
pub(super) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
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

/// Makes a folder for results, unless it is there.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    let made = std::fs::create_dir_all(folder);
    made.map_err(|e| Failure::io(folder, "create", e))
}
