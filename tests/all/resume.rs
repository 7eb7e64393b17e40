//! A run that was killed, stopped or extended ends with the same bytes as one that was not.

use crate::common::{Choices, Place, small};
use std::process::Command;
use std::time::{Duration, Instant};

const EPOCHS: &str = "12";

/// What two runs of the same configuration must have in common.
fn assert_same(place: &Place, a: &str, b: &str, files: &[&str]) {
    assert_eq!(place.checkpoints(a), place.checkpoints(b));
    let last = place.last_checkpoint(a);
    let last = last
        .strip_prefix(&format!("{a}/"))
        .expect("relative to the run");
    for file in files.iter().chain([&last]) {
        let read = |run: &str| place.bytes(&format!("{run}/{file}"));
        assert!(read(a) == read(b), "{file} of {a} and {b} differ");
    }
}

#[cfg(unix)]
#[test]
fn a_run_killed_again_and_again_ends_as_if_it_never_was() {
    const SEED: u64 = 20_140_610;
    let place = Place::new();
    let more = ["--epochs", EPOCHS, "--set", "eval.every=5"];
    place.train("whole", &more);
    let rows = || std::fs::read_to_string(place.path("killed/metrics.csv"));
    let rows = || rows().map_or(0, |t| t.lines().count());
    let mut choices = Choices(SEED);
    let mut kills = 0;
    for _ in 0..8 {
        let exists = place.path("killed/config.toml").exists();
        let arguments = match exists {
            true => vec!["train", "--resume", "killed"],
            false => small("killed", &more),
        };
        // Up to 12 of the run's 72 rows further on, and a little later.
        let (enough, deadline) = (
            rows() + 1 + choices.below(12) as usize,
            Instant::now() + Duration::from_secs(30),
        );
        let mut child = place.start(&arguments);
        let mut runs = || child.try_wait().expect("asked").is_none();
        while rows() < enough && runs() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(choices.below(20_000)));
        child.kill().expect("SIGKILL is sent");
        kills += usize::from(!child.wait().expect("ended").success());
    }
    assert!(
        kills >= 2,
        "only {kills} kills came before the end; seed {SEED}"
    );
    println!("{kills} kills, seed {SEED}");
    place.ok(&["train", "--resume", "killed"]);
    let files = [
        "metrics.csv",
        "scores.csv",
        "config.toml",
        "samples/epoch-012.png",
    ];
    assert_same(&place, "whole", "killed", &files);
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_step_writes_a_checkpoint_and_says_how_to_go_on() {
    let place = Place::new();
    let more = ["--epochs", "40"];
    place.train("whole", &more);
    for signal in ["-INT", "-TERM"] {
        let child = match signal {
            "-INT" => place.start(&small("stopped", &more)),
            _ => place.start(&["train", "--resume", "stopped"]),
        };
        let rows = || std::fs::read_to_string(place.path("stopped/metrics.csv"));
        let rows = || rows().map_or(0, |t| t.lines().count());
        let (before, deadline) = (rows(), Instant::now() + Duration::from_secs(30));
        while rows() < before.max(1) + 3 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(kill.expect("kill runs").success());
        let output = child.wait_with_output().expect("ended");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(said.contains("stopped after step "), "{said}");
        assert!(said.contains("ganforge train --resume stopped"), "{said}");
        let step: u64 = said
            .split_whitespace()
            .nth(3)
            .and_then(|s| s.parse().ok())
            .expect("a step");
        assert!(
            place
                .path(&format!("stopped/checkpoints/step-{step:08}.npz"))
                .is_file()
        );
    }
    place.ok(&["train", "--resume", "stopped"]);
    let files = ["config.toml", "metrics.csv", "scores.csv"];
    assert_same(&place, "whole", "stopped", &files);
}

#[test]
fn an_extended_run_equals_a_longer_one() {
    let place = Place::new();
    let threads = ["--set", "train.update=alternating", "--set", "train.k=2"];
    let with = |epochs| [&["--epochs", epochs][..], &threads].concat();
    place.train("long", &with("4"));
    place.train("short", &with("2"));
    place.ok(&["train", "--resume", "short", "--epochs", "4"]);
    assert_same(
        &place,
        "long",
        "short",
        &["metrics.csv", "config.toml", "samples/epoch-004.png"],
    );
    let message = place.refused(&["train", "--resume", "short", "--epochs", "3"]);
    assert!(message.contains("beyond epoch 3"), "{message}");
    // A table that is none is not written over.
    std::fs::write(place.path("short/metrics.csv"), "my notes\n").expect("written");
    let message = place.refused(&["train", "--resume", "short", "--epochs", "5"]);
    assert!(
        message.contains("short/metrics.csv:1: expected the columns"),
        "{message}"
    );
    assert_eq!(place.text("short/metrics.csv"), "my notes\n");
    assert!(place.text("short/config.toml").contains("epochs = 4"));
}

#[test]
fn a_run_killed_before_its_first_checkpoint_starts_again() {
    let place = Place::new();
    place.train("whole", &["--epochs", "1"]);
    std::fs::create_dir(place.path("early")).expect("made");
    std::fs::copy(
        place.path("whole/config.toml"),
        place.path("early/config.toml"),
    )
    .expect("copied");
    assert!(
        place
            .refused(&["sample", "early"])
            .contains("no checkpoint yet")
    );
    place.ok(&["train", "--resume", "early"]);
    assert_same(&place, "whole", "early", &["metrics.csv", "scores.csv"]);
}
