//! Names and numbers in messages: what a terminal must not obey, what is too long, what was meant.

use ganforge::gan::files::{ArrayRef, write_npz};

use crate::common::Place;

/// A name that would clear the screen, turn the direction of writing and forge a line.
const EVIL: &str = "\u{1b}[2J\u{202e}\nerror: forged\u{9b}31m";

fn archive(place: &Place, name: &str, arrays: &[String]) {
    let values = [0.0; 4];
    let entries = arrays.iter();
    let entries = entries.map(|a| (a.clone(), ArrayRef::f32(&[2, 2], &values)));
    write_npz(&place.path(name), entries).expect("written");
}

#[test]
fn names_from_files_do_not_steer_the_terminal() {
    let place = Place::new();
    let many: Vec<String> = (0..300).map(|i| format!("{i}{EVIL}")).collect();
    archive(&place, "many.npz", &many);
    archive(&place, "one.npz", &[EVIL.to_string(), "b".to_string()]);
    std::fs::create_dir(place.path(EVIL)).expect("made");
    let data = format!("data.set='{}'", place.at("many.npz"));
    for arguments in [
        &["eval", "many.npz"][..],
        &["import", "one.npz", "--config", "mnist", "--out", "x.npz"],
        &[
            "eval",
            "--samples",
            "many.npz",
            "--valid",
            "many.npz",
            "--test",
            "many.npz",
        ],
        &[
            "eval",
            "--samples",
            "many.npz:none",
            "--valid",
            "one.npz",
            "--test",
            "one.npz",
        ],
        &["train", "tiny", "--set", &data],
        &["graph", EVIL],
        &["kernels", "inspect", EVIL],
        &["sample", "--pretrained", EVIL],
        &["presets", "show", EVIL],
        &["gradcheck", EVIL],
        &["train", "--resume", EVIL],
        &["data", "fetch", EVIL],
    ] {
        let done = place.run(arguments);
        assert_ne!(done.code, Some(0), "{arguments:?}");
        for c in ['\u{1b}', '\u{202e}', '\u{9b}'] {
            assert!(!done.err.contains(c), "{arguments:?}: {:?}", done.err);
        }
        assert!(done.err.len() < 3000, "{arguments:?}: {}", done.err);
        let forged = done.err.lines().any(|l| l.starts_with("error: forged"));
        assert!(!forged, "{arguments:?}: {}", done.err);
    }
}

#[test]
fn long_lists_are_cut() {
    let place = Place::new();
    let many: Vec<String> = (0..300).map(|i| format!("array{i}")).collect();
    archive(&place, "many.npz", &many);
    let none = [
        "eval",
        "--samples",
        "many.npz:no",
        "--valid",
        "many.npz",
        "--test",
        "many.npz",
    ];
    let message = place.refused(&none);
    assert!(message.contains("array0, array1, "), "{message}");
    assert!(message.contains("array19 and 280 more"), "{message}");
}

#[test]
fn options_that_do_not_end_or_are_long_are_said_in_short() {
    let place = Place::new();
    let refused = |option: &str| place.refused(&["graph", "tiny", "--set", option]);
    for (option, expected) in [
        (
            "name=\"foo",
            "the \" after the = has no other one that ends it",
        ),
        (
            "name='foo",
            "the ' after the = has no other one that ends it",
        ),
        (
            "name=\"a\\\"",
            "the \" after the = has no other one that ends it",
        ),
        (
            "discriminator.penalty=[\"gradient_penalty\"",
            "the [ after the = is not closed",
        ),
        (
            "generator.layer+={name=\"u\"",
            "the { after the = is not closed",
        ),
        (
            "discriminator.penalty=[gradient_penalty]",
            "text in an array or a table needs quotes",
        ),
    ] {
        let message = refused(option);
        assert!(message.contains(expected), "{option}: {message}");
    }
    let numbers: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    let message = refused(&format!("train.batch=[{}]", numbers.join(",")));
    assert!(message.contains("24,25...: train.batch must"), "{message}");
    let message = refused(&format!("eval.metrics=[{}]", numbers.join(",")));
    assert!(message.contains("\n  and 180 more"), "{message}");
    assert_eq!(message.lines().count(), 22, "{message}");
}

#[test]
fn negative_numbers_are_refused_by_what_is_expected() {
    let place = Place::new();
    for (arguments, expected) in [
        (
            &["train", "tiny", "--seed", "-3"][..],
            "whole number from 0 to",
        ),
        (
            &["train", "tiny", "--epochs", "-3"],
            "whole number from 1 to",
        ),
        (
            &["train", "tiny", "--threads", "-2"],
            "whole number from 1 to 1024",
        ),
        (&["sample", "run", "-n", "-1"], "whole number from 1 to"),
        (&["sample", "run", "--seed", "-1"], "whole number from 0 to"),
        (
            &["sample", "run", "--scale", "-1"],
            "whole number from 1 to 32",
        ),
        (
            &["figure", "2", "run", "--rows", "-1"],
            "whole number from 1 to 100",
        ),
        (
            &["figure", "3", "run", "--scale", "-1"],
            "whole number from 1 to 32",
        ),
        (
            &["figure", "theory", "--seed", "-1"],
            "whole number from 0 to",
        ),
        (&["gradcheck", "--all", "--order", "-1"], "expected 1 or 2"),
        (
            &["gradcheck", "--all", "--seed", "-1"],
            "whole number from 0 to",
        ),
        (&["explain", "tiny", "--step", "-1"], "whole number"),
        (
            &["profile", "tiny", "--steps", "-1"],
            "whole number from 1 to",
        ),
        (
            &["trace", "tiny", "--out", "t.npz", "--steps", "-1"],
            "whole number from 1 to",
        ),
        (
            &["bench", "step", "--batch", "-1"],
            "whole number from 1 to",
        ),
        (
            &["bench", "step", "--steps", "-1"],
            "whole number from 1 to",
        ),
        (
            &["bench", "gpu", "--shrink", "-1"],
            "whole number from 1 to",
        ),
        (
            &["kernels", "inspect", "x", "--size", "-1"],
            "whole numbers",
        ),
    ] {
        let message = place.refused(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
        assert!(!message.contains("tip:"), "{arguments:?}: {message}");
    }
}

#[test]
fn slips_are_answered_with_what_was_meant() {
    let place = Place::new();
    for (arguments, meant) in [
        (
            &["sample", "--pretrained", "minst"][..],
            "did you mean mnist?",
        ),
        (&["export", "--pretrained", "mnits"], "did you mean mnist?"),
        (
            &["kernels", "inspect", "matmul_v1_niave_nn_f32"],
            "did you mean matmul_v1_naive_nn_f32?",
        ),
        (
            &["kernels", "inspect", "naive_nn"],
            "there are matmul_v1_naive_nn_f32",
        ),
        (&["presets", "show", "tinny"], "did you mean tiny?"),
    ] {
        let message = place.refused(arguments);
        assert!(message.contains(meant), "{arguments:?}: {message}");
    }
}
