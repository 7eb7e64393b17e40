//! `benches/gpu/run.sh`, with programs that only pretend.

#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::Place;

/// The script's exit code and the folder that it filled, where compute-sanitizer ends with `code` and tests say `tests`.
fn run(code: u8, tests: &str) -> (Option<i32>, Place) {
    let place = Place::new();
    let numbers = r#"{"median_ms": 1.5, "gflops": 10, "rows": []}"#;
    for (name, body) in [
        ("nvidia-smi", "echo Fake GPU, 550".to_string()),
        (
            "cargo",
            format!(
                "case $* in *info*) echo cuda there ;; test*) echo '{tests}' >&2 ;; *) echo '{numbers}' ;; esac"
            ),
        ),
        ("compute-sanitizer", format!("echo $2; exit {code}")),
    ] {
        let path = place.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its own");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/gpu/run.sh");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args([script, &place.at("out")])
        .env("PATH", format!("{}:{path}", place.at("")))
        .env("BASELINE", "0")
        .output();
    let output = output.expect("bash is there");
    (output.status.code(), place)
}

#[test]
fn reports_of_the_sanitizer_end_the_script_after_the_times_and_not_before() {
    for (code, says) in [(0, "clean"), (1, "memcheck on trace tiny; ")] {
        let (ended, place) = run(code, "ok");
        assert_eq!(ended, Some(i32::from(code)));
        let read = |name: &str| std::fs::read_to_string(place.path(name)).expect(name);
        assert!(read("out/sanitizer.txt").contains(says));
        assert!(read("out/table.md").contains("| iteration | tf32 |"));
        for tool in ["memcheck", "racecheck", "initcheck", "synccheck"] {
            assert_eq!(
                read(&format!("out/{tool}.log")),
                format!("{tool}\n{tool}\n")
            );
        }
    }
}

#[test]
fn tests_that_did_not_run_on_the_gpu_end_the_script_before_any_time_is_taken() {
    // As testkit::skip writes it.
    let (ended, place) = run(0, "skipped (gpu: no CUDA device) in parity::ops");
    assert_eq!(ended, Some(1));
    assert!(place.path("out/tests.log").exists() && !place.path("out/sanitizer.txt").exists());
}
