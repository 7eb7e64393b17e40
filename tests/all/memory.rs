//! Where there is not enough memory, commands say so.

#![cfg(target_os = "linux")]

use crate::common::{Done, Place};

/// Runs the program with `kib` of address space.
fn within(place: &Place, kib: usize, arguments: &[&str]) -> Done {
    let limited = format!("ulimit -v {kib} && exec \"$0\" \"$@\"");
    let shell = [&["-c", &limited, env!("CARGO_BIN_EXE_ganforge")], arguments].concat();
    let mut command = place.within("sh", &shell);
    // A backtrace of a failed allocation allocates, and fails within it.
    command.env("RUST_BACKTRACE", "0");
    Done::of(command.output().expect("a shell"))
}

#[test]
fn a_limit_on_memory_ends_commands_with_a_message_and_without_an_abort() {
    let place = Place::new();
    let starts = |kib: &usize| within(&place, *kib, &["--version"]).code == Some(0);
    let least = (5_000..1_000_000).step_by(5_000).find(starts);
    let least = least.expect("a limit that the program fits under");
    let train = [
        "train",
        "tiny",
        "--epochs",
        "1",
        "--set",
        "eval.samples=100",
    ];
    let mut refused = 0;
    for kib in (least..least + 60_000).step_by(5_000) {
        for arguments in [
            &[&train[..], &["--out", &format!("run{kib}")]].concat()[..],
            &[
                "sample",
                "--pretrained",
                "mnist",
                "-n",
                "100",
                "--out",
                "x.npy",
            ],
            &["graph", "mnist", "--stage", "plan"],
            &["gradcheck", "tiny", "--order", "1"],
        ] {
            let arguments = match arguments[0] {
                "graph" => arguments.to_vec(),
                _ => [arguments, &["--threads", "2"]].concat(),
            };
            let done = within(&place, kib, &arguments);
            let what = format!("{kib} KiB, {arguments:?}: {:?} {}", done.code, done.err);
            assert!(!done.err.contains("panicked"), "{what}");
            assert!(matches!(done.code, Some(0 | 3)), "{what}");
            if done.code != Some(0) {
                let messages = done.err.lines().filter(|l| l.starts_with("error: "));
                assert_eq!(messages.count(), 1, "{what}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "no limit was low enough");
}
