//! Where there is not enough memory, commands say so.

#![cfg(target_os = "linux")]

use crate::common::{Done, Place};

/// Runs the program with `kib` of address space.
fn within(place: &Place, kib: usize, arguments: &[&str]) -> Done {
    let limited = format!("ulimit -v {kib} && exec \"$0\" \"$@\"");
    let shell = [&["-c", &limited, env!("CARGO_BIN_EXE_ganforge")], arguments].concat();
    let mut command = place.within("sh", &shell);
    Done::of(command.output().expect("a shell"))
}

#[test]
fn a_limit_on_memory_ends_commands_with_a_message_and_without_an_abort() {
    let place = Place::new();
    let train = [
        "train",
        "mnist",
        "--epochs",
        "1",
        "--set",
        "train.batch=4000",
    ];
    let train = [&train[..], &["--set", "eval.samples=100", "--threads", "2"]].concat();
    let mut refused = 0;
    for (n, kib) in (70_000..600_000).step_by(30_000).enumerate() {
        let out = format!("run{n}");
        for arguments in [
            &[&train[..], &["--out", &out]].concat()[..],
            &[
                "sample",
                "--pretrained",
                "mnist",
                "-n",
                "20000",
                "--out",
                "x.npy",
            ],
            &["graph", "mnist", "--stage", "plan"],
            &["bench", "step", "mnist", "--batch", "2000", "--steps", "1"],
        ] {
            let done = within(&place, kib, arguments);
            let what = format!("{kib} KiB, {arguments:?}: {:?} {}", done.code, done.err);
            assert!(!done.err.contains("panicked"), "{what}");
            assert!(matches!(done.code, Some(0 | 2 | 3)), "{what}");
            if done.code == Some(3) {
                let messages = done.err.lines().filter(|l| l.starts_with("error: "));
                assert_eq!(messages.count(), 1, "{what}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "no limit was low enough");
}
