//! File systems that cannot do what others can: network ones, and those in user space.

#![cfg(target_os = "linux")]

use std::process::Command;

use crate::common::{Done, Place, small};

const EIO: &str = "5";
const EINVAL: &str = "22";
const ENOLCK: &str = "37";
const ENOSYS: &str = "38";
const EOPNOTSUPP: &str = "95";

/// A folder with the library that makes calls fail; nothing where there is no C compiler.
pub fn faults() -> Option<Place> {
    let place = Place::new();
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fake_file_system/faults.c"
    );
    let mut compile = Command::new("cc");
    compile.args([
        "-shared",
        "-fPIC",
        "-o",
        &place.at("faults.so"),
        source,
        "-ldl",
    ]);
    match compile.status() {
        Ok(status) => assert!(status.success(), "{source} does not compile"),
        Err(error) => {
            testkit::skip("cc", error);
            return None;
        }
    }
    Some(place)
}

fn train(place: &Place, call: &str, answer: &str, out: &str) -> Done {
    let mut command = place.command(&small(out, &["--epochs", "1"]));
    command.env("LD_PRELOAD", place.at("faults.so"));
    Done::of(command.env(call, answer).output().expect("it runs"))
}

#[test]
fn without_file_locks_training_goes_on_with_one_line_of_warning() {
    let Some(place) = faults() else { return };
    for answer in [ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL] {
        let done = train(&place, "FAKE_FLOCK", answer, answer);
        assert_eq!(done.code, Some(0), "{answer}: {}", done.err);
        let said = done
            .err
            .lines()
            .filter(|l| l.contains("does not support file locks"));
        assert_eq!(said.count(), 1, "{answer}: {}", done.err);
    }
    let done = train(&place, "FAKE_FLOCK", EIO, "failed");
    done.assert_refused_by_system("a lock that failed");
    assert!(done.err.contains("cannot lock"), "{}", done.err);
}

#[test]
fn a_folder_that_cannot_be_synced_is_no_failure_and_one_whose_sync_failed_is() {
    let Some(place) = faults() else { return };
    for answer in [EINVAL, EOPNOTSUPP, ENOSYS] {
        let done = train(&place, "FAKE_FSYNC", answer, answer);
        assert_eq!(done.code, Some(0), "{answer}: {}", done.err);
    }
    let done = train(&place, "FAKE_FSYNC", EIO, "failed");
    done.assert_refused_by_system("a sync that failed");
}
