//! What is asked of a CUDA driver, and what is said when it refuses: with a driver that only pretends.

#![cfg(target_os = "linux")]

use std::process::Command;

use crate::common::{Done, Place};

/// A folder with the pretending driver in it; nothing where there is no C compiler.
fn driver() -> Option<Place> {
    let place = Place::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_driver/cuda.c");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-o", &place.at("libcuda.so.1"), source]);
    match compile.status() {
        Ok(status) => assert!(status.success(), "{source} does not compile"),
        Err(error) => {
            testkit::skip("cc", error);
            return None;
        }
    }
    // Found before a real one.
    std::fs::copy(place.path("libcuda.so.1"), place.path("libcuda.so")).expect("copied");
    Some(place)
}

fn run(place: &Place, pretends: &[(&str, &str)], arguments: &[&str]) -> Done {
    let mut command = place.command(arguments);
    command.env("LD_LIBRARY_PATH", place.at(""));
    command.envs(pretends.iter().copied());
    Done::of(command.output().expect("the program runs"))
}

const STEP: [&str; 8] = [
    "bench", "step", "tiny", "--batch", "3", "--steps", "23", "--device",
];

fn step(device: &str) -> Vec<&str> {
    [&STEP[..], &[device]].concat()
}

#[test]
fn training_asks_nothing_of_the_driver_that_it_refuses() {
    let Some(place) = driver() else { return };
    let done = run(&place, &[], &["info"]);
    let device = "cuda      cuda:0, Fake 0, compute capability 9.0, 1.0 GiB";
    assert!(done.out.contains(device), "{}", done.out);
    // The pretending driver refuses copies, allocations and waits while launches are captured.
    for (device, precision) in [("cuda", "f32"), ("cuda:0", "tf32"), ("cuda", "bf16")] {
        let done = run(
            &place,
            &[],
            &[&step(device)[..], &["--precision", precision]].concat(),
        );
        assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
        assert!(done.out.contains("Fake 0"), "{}", done.out);
    }
}

#[test]
fn a_driver_that_is_too_old_is_told_with_both_versions() {
    let Some(place) = driver() else { return };
    let done = run(&place, &[("FAKE_CUDA_VERSION", "12020")], &step("cuda"));
    done.assert_refused_by_system("an old driver");
    for part in [
        "it supports CUDA 12.2",
        "PTX 8.4 needs 12.4 (driver 550 or newer)",
    ] {
        assert!(done.err.contains(part), "{}", done.err);
    }
}

#[test]
fn cuda_s_stub_of_the_driver_is_told_from_a_driver() {
    let Some(place) = driver() else { return };
    let done = run(&place, &[("FAKE_CUDA_STUB", "1")], &step("cuda"));
    done.assert_refused_by_system("a stub");
    assert!(done.err.contains("LD_LIBRARY_PATH"), "{}", done.err);
}

#[test]
fn a_fault_inside_of_a_graph_is_named_where_that_is_asked_for() {
    let Some(place) = driver() else { return };
    let fails = ("FAKE_CUDA_FAILS", "iteration_begin_v2");
    let done = run(&place, &[fails], &step("cuda"));
    assert_eq!(
        done.code,
        Some(0),
        "the pretending driver's graphs do nothing: {}",
        done.err
    );
    let done = run(
        &place,
        &[fails, ("CUDA_LAUNCH_BLOCKING", "1")],
        &step("cuda"),
    );
    done.assert_failed(1, "a kernel that fails");
    assert!(
        done.err.contains("kernel iteration_begin_v2: "),
        "{}",
        done.err
    );
}

#[test]
fn what_the_driver_s_compiler_says_is_passed_on() {
    let Some(place) = driver() else { return };
    let refuses = ("FAKE_CUDA_REFUSES", ".entry iteration_begin_v2");
    let done = run(&place, &[refuses], &step("cuda"));
    done.assert_failed(1, "a kernel that is refused");
    for part in [
        "kernel iteration_begin_v2: ",
        "PTX 8.4",
        "ptxas fatal: no such instruction",
    ] {
        assert!(done.err.contains(part), "{}", done.err);
    }
}

#[test]
fn devices_that_are_not_there_or_too_old_are_refused() {
    let Some(place) = driver() else { return };
    let message = |pretends: &[(&str, &str)], device: &str| {
        let done = run(&place, pretends, &step(device));
        done.assert_refused_by_system(device);
        done.err
    };
    let found = message(&[("FAKE_CUDA_DEVICES", "3")], "cuda:3");
    assert!(
        found.contains("this machine has 3 devices, cuda:0 to cuda:2"),
        "{found}"
    );
    let found = message(&[], "cuda:1");
    assert!(
        found.contains("this machine has one device, cuda:0"),
        "{found}"
    );
    for none in ["0", "-1"] {
        let found = message(&[("FAKE_CUDA_DEVICES", none)], "cuda");
        assert!(found.contains("the driver finds no NVIDIA GPU"), "{found}");
    }
    let found = message(&[("FAKE_CUDA_MAJOR", "6")], "cuda");
    assert!(
        found.contains("compute capability 6.0, the kernels need 7.0"),
        "{found}"
    );
    let mut tf32 = step("cuda");
    tf32.extend(["--precision", "tf32"]);
    let done = run(&place, &[("FAKE_CUDA_MAJOR", "7")], &tf32);
    done.assert_refused_by_system("tf32");
    assert!(
        done.err.contains("tf32 needs compute capability 8.0"),
        "{}",
        done.err
    );
}

#[test]
fn what_fails_on_the_device_is_one_message_and_too_little_memory_the_system_s_refusal() {
    let Some(place) = driver() else { return };
    let done = run(&place, &[("FAKE_CUDA_MEMORY", "200000")], &step("cuda"));
    done.assert_refused_by_system("a small device");
    assert!(
        done.err.contains("device memory exhausted: asked for ") && done.err.contains("are free"),
        "{}",
        done.err
    );
    let done = run(
        &place,
        &[("FAKE_CUDA_FAILS", "maxout_dropout_v1_f32")],
        &["trace", "tiny", "--out", "t.npz", "--device", "cuda"],
    );
    done.assert_failed(1, "a kernel that fails");
    let parts = [
        "error: kernel ",
        "maxout_dropout_v1_f32",
        "an illegal memory access was encountered",
    ];
    assert!(parts.iter().all(|p| done.err.contains(p)), "{}", done.err);
    assert!(!place.path("t.npz").exists());
}
