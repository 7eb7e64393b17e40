//! What the tests of all crates share: how a test says that it could not check something here, how it gives up root's
//! rights, whether an SVG is one, and numbers and images of a rule.
#![forbid(unsafe_code)]

pub mod rule;

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// Says that the calling test leaves something unchecked, because the machine lacks `what`, a short name such as `gpu` or
/// `numpy`, and why. The test then returns or goes on with the rest.
///
/// It is written past the test runner, which hides what passing tests print: to stderr, once per program and reason, and
/// for each test to the end of the file that `GANFORGE_SKIPS` names. With `GANFORGE_NO_SKIP=1` the test fails, except
/// where `what` is in the list `GANFORGE_MAY_SKIP`, separated by commas.
#[track_caller]
pub fn skip(what: &str, reason: impl Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a thread");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let list = variable("GANFORGE_MAY_SKIP");
    let is_allowed = list.split(',').any(|name| name.trim() == what);
    assert!(
        variable("GANFORGE_NO_SKIP") != "1" || is_allowed,
        "skipped ({what}: {reason}), with GANFORGE_NO_SKIP=1 and without `{what}` in GANFORGE_MAY_SKIP={list}"
    );
    if is_first(format!("{what}: {reason}")) {
        let line = format!("skipped ({what}: {reason}) in {test}\n");
        let _ = io::stderr().write_all(line.as_bytes());
    }
    let file = variable("GANFORGE_SKIPS");
    if !file.is_empty() {
        let opened = OpenOptions::new().create(true).append(true).open(&file);
        let line = format!("{what}: {reason}\t{test}\n");
        let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("GANFORGE_SKIPS={file}: {error}"));
    }
}

fn is_first(reason: String) -> bool {
    static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let mut said = SAID.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    said.get_or_insert_default().insert(reason)
}

/// Whether `python3` can import a module; where not, that is a [`skip`] of the module's name.
#[track_caller]
pub fn has_python(module: &str) -> bool {
    let import = format!("import {module}");
    let tried = Command::new("python3").args(["-c", &import]).output();
    let is_there = tried.is_ok_and(|done| done.status.success());
    if !is_there {
        skip(module, format_args!("python3 cannot import {module}"));
    }
    is_there
}

/// Whether `folder`, made by the calling test, belongs to root, whom no permissions bind.
#[cfg(unix)]
pub fn is_roots(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).is_ok_and(|about| about.uid() == 0)
}

/// A command that runs `program` as a user whom permissions bind: as the one that runs the tests or, where that is root,
/// as `nobody`, from a copy of the program in `folder`, where everybody may then write. Where root may not become
/// `nobody`, that is a [`skip`] of `nobody`.
#[cfg(unix)]
#[track_caller]
pub fn bound_by_permissions(program: &Path, folder: &Path) -> Option<Command> {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    if !is_roots(folder) {
        return Some(Command::new(program));
    }
    let copy = folder.join("copy-of-the-program");
    fs::copy(program, &copy).expect("copied");
    for path in [folder, &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("set");
    }
    let command = || {
        let mut command = Command::new(&copy);
        command.uid(NOBODY).gid(NOBODY).env("TMPDIR", folder);
        command
    };
    match command().arg("--help").output() {
        Ok(_) => Some(command()),
        Err(error) => {
            skip("nobody", format_args!("cannot run as nobody: {error}"));
            None
        }
    }
}

/// Runs the test `name` of the calling test program again, as a user whom permissions bind; `folder` belongs to root.
#[cfg(unix)]
#[track_caller]
pub fn run_as_nobody(name: &str, folder: &Path) {
    let program = std::env::current_exe().expect("its path");
    if let Some(mut command) = bound_by_permissions(&program, folder) {
        let done = command.args(["--exact", name]).output().expect("runs");
        let said = String::from_utf8_lossy(&done.stdout);
        let is_run = said.contains("1 passed");
        assert!(done.status.success() && is_run, "{name}, as nobody: {said}");
    }
}

/// Asserts of an SVG that its tags are closed in the order in which they were opened, quotes are in pairs and every `&`
/// begins an entity.
pub fn assert_well_formed(svg: &str) {
    let assert_entities = |text: &str| {
        let known = ["amp;", "lt;", "gt;", "quot;", "apos;", "#39;"];
        for after in text.split('&').skip(1) {
            assert!(known.iter().any(|e| after.starts_with(e)), "&{after}");
        }
    };
    let mut open = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("<{piece}"));
        assert_entities(tag);
        assert_entities(text);
        assert!(tag.matches('"').count() % 2 == 0, "<{tag}>");
        let name = tag.trim_start_matches('/');
        let name = name.split(|c: char| c.is_whitespace() || c == '/').next();
        match () {
            () if tag.starts_with('/') => assert_eq!(open.pop(), name, "<{tag}>"),
            () if tag.ends_with('/') => {}
            () => open.push(name.expect("a name")),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "skips, in a process of its own that the next test starts"]
    fn skips_twice() {
        for _ in 0..2 {
            skip("moon", "there is none tonight");
        }
    }

    #[test]
    fn a_skip_is_seen_and_recorded_and_a_failure_where_asked_for() {
        let file = std::env::temp_dir().join(format!("ganforge-skips-{}", std::process::id()));
        let run = |no: &str, may: &str| {
            let program = std::env::current_exe().expect("its path");
            let mut command = Command::new(program);
            command.args(["--ignored", "--exact", "tests::skips_twice"]);
            command
                .env("GANFORGE_NO_SKIP", no)
                .env("GANFORGE_MAY_SKIP", may);
            command.env("GANFORGE_SKIPS", &file).output().expect("runs")
        };
        let seen = "skipped (moon: there is none tonight) in tests::skips_twice\n";
        for (no, may) in [("", ""), ("1", "sun, moon")] {
            let done = run(no, may);
            assert!(done.status.success());
            assert_eq!(String::from_utf8_lossy(&done.stderr), seen);
        }
        let line = "moon: there is none tonight\ttests::skips_twice\n";
        let recorded = fs::read_to_string(&file).expect("written");
        assert_eq!(recorded, line.repeat(4));
        fs::remove_file(&file).expect("removed");
        for may in ["", "sun", "moonlight"] {
            let done = run("1", may);
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(!done.status.success(), "{may}");
            assert!(said.contains("there is none tonight), with GANFORGE_NO_SKIP=1"));
        }
        assert!(!file.exists());
    }

    #[cfg(unix)]
    #[test]
    fn root_runs_a_program_as_somebody_whom_permissions_bind() {
        let folder = std::env::temp_dir().join(format!("ganforge-nobody-{}", std::process::id()));
        fs::create_dir(&folder).expect("made");
        if let Some(mut command) = bound_by_permissions(Path::new("/bin/sh"), &folder) {
            let done = command.args(["-c", "id -u"]).output().expect("runs");
            assert_ne!(String::from_utf8_lossy(&done.stdout).trim(), "0");
        }
        fs::remove_dir_all(&folder).expect("removed");
    }
}
