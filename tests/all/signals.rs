//! What Ctrl-C, hang-ups and polite kills do, and what they do not where they were to be ignored.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::common::{Place, small};

/// Long enough for a busy machine; nothing waits so long where all is well.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts the program with the signals of `ignored` ignored and the others as they are by default; it talks into `said`.
pub fn start(place: &Place, ignored: &str, arguments: &[&str]) -> Child {
    let ignore = format!("--ignore-signal={ignored}");
    let program = env!("CARGO_BIN_EXE_ganforge");
    let mut env = vec!["--default-signal=HUP,INT,TERM"];
    if !ignored.is_empty() {
        env.push(&ignore);
    }
    env.push(program);
    env.extend(arguments);
    let said = File::create(place.path("said")).expect("made");
    let mut command = place.within("env", &env);
    let command = command
        .stdout(said.try_clone().expect("again"))
        .stderr(said);
    command.spawn().expect("env starts the program")
}

pub fn send(signal: &str, child: &Child) {
    let mut kill = Command::new("kill");
    let sent = kill.args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// Waits for something to become true, for no longer than [`PATIENCE`].
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn rows(place: &Place, run: &str) -> usize {
    let table = fs::read_to_string(place.path(run).join("metrics.csv"));
    table.map_or(0, |text| text.lines().count())
}

/// The exit code, after a kill where the program does not end by itself.
pub fn ended(mut child: Child) -> Option<i32> {
    let start = Instant::now();
    while child.try_wait().expect("asked").is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().expect("killed");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait().expect("ended").code()
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let place = Place::new();
    for (ignored, other) in [("HUP", "-TERM"), ("INT", "-TERM"), ("TERM", "-INT")] {
        let child = start(&place, ignored, &small(ignored, &["--epochs", "100000"]));
        wait_for("rows", || rows(&place, ignored) > 3);
        send(&format!("-{ignored}"), &child);
        let before = rows(&place, ignored);
        // It would have stopped after the step.
        wait_for("more rows", || rows(&place, ignored) > before + 3);
        send(other, &child);
        assert_eq!(ended(child), Some(130), "{ignored} ignored, then {other}");
    }
}

#[test]
fn a_hang_up_that_is_not_ignored_stops_with_a_checkpoint() {
    let place = Place::new();
    let child = start(&place, "", &small("run", &["--epochs", "100000"]));
    wait_for("rows", || rows(&place, "run") > 3);
    send("-HUP", &child);
    assert_eq!(ended(child), Some(130));
    assert!(!place.checkpoints("run").is_empty());
}

#[test]
fn the_second_ctrl_c_ends_the_program_at_once() {
    let place = Place::new();
    let mut child = start(&place, "", &small("run", &["--epochs", "100000"]));
    wait_for("rows", || rows(&place, "run") > 3);
    // A table that is a pipe which nobody reads: the step that writes its row never ends.
    let made = Command::new("mkfifo").arg(place.path("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    fs::rename(place.path("pipe"), place.path("run/metrics.csv")).expect("renamed");
    let says = |what: &str| place.text("said").contains(what);
    send("-INT", &child);
    wait_for("the first answer", || says("a second signal stops at once"));
    // The first one alone ends nothing here, and within a second another one is the same request.
    send("-TERM", &child);
    std::thread::sleep(Duration::from_millis(1300));
    assert_eq!(child.try_wait().expect("asked"), None);
    send("-INT", &child);
    assert_eq!(ended(child), Some(130));
    assert!(says("stopped at once"));
}

#[test]
fn signals_that_come_together_are_one_request() {
    let place = Place::new();
    let child = start(&place, "", &small("run", &["--epochs", "100000"]));
    wait_for("rows", || rows(&place, "run") > 3);
    // As `timeout` does it: first the program, then its group. Two kinds, as one kind may be merged into one signal.
    let id = child.id();
    let both = format!("kill -TERM {id}; kill -INT {id}; kill -TERM {id}");
    let sent = Command::new("sh").args(["-c", &both]).status();
    assert!(sent.expect("sh runs").success());
    assert_eq!(ended(child), Some(130), "{}", place.text("said"));
    assert!(!place.text("said").contains("stopped at once"));
    assert!(
        place
            .text("said")
            .contains("to resume: ganforge train --resume run")
    );
    assert!(!place.checkpoints("run").is_empty());
}

#[test]
fn a_run_that_has_a_folder_stops_with_a_checkpoint() {
    let place = Place::new();
    for name in ["one", "two", "three"] {
        let child = start(&place, "", &small(name, &["--epochs", "100000"]));
        wait_for("a folder", || place.path(name).exists());
        send("-INT", &child);
        assert_eq!(ended(child), Some(130), "{}", place.text("said"));
        assert!(!place.checkpoints(name).is_empty(), "{name}");
    }
}
