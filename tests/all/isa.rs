//! `GANFORGE_ISA`: the CPU's kernels with each instruction set that this machine has.

use crate::common::{Done, Place, array, npz};
use ganforge::kernels::cpu::{ISA_VARIABLE, Isa};

fn with_isa(place: &Place, isa: &str, arguments: &[&str]) -> Done {
    let mut command = place.command(arguments);
    let command = command.env(ISA_VARIABLE, isa);
    Done::of(command.output().expect("the program runs"))
}

#[test]
fn an_instruction_set_without_kernels_is_refused_before_anything_else() {
    let place = Place::new();
    for command in [&["info"][..], &["train", "tiny", "--out", "run"]] {
        let done = with_isa(&place, "sse2", command);
        done.assert_refused("GANFORGE_ISA=sse2");
        assert!(
            done.err
                .contains("GANFORGE_ISA=sse2: expected avx512, avx2 or portable"),
            "{}",
            done.err
        );
    }
    assert!(!place.path("run").exists());
    assert_eq!(with_isa(&place, "", &["info"]).code, Some(0));
}

#[test]
fn info_and_runs_say_which_instruction_set_the_kernels_use() {
    let place = Place::new();
    let done = with_isa(&place, "portable", &["info"]);
    let line = done.out.lines().find(|l| l.starts_with("kernels"));
    assert!(line.expect("a line").contains("portable"), "{}", done.out);
}

/// Two steps: products, maxout and its gradients, dropout, activations, losses, updates. AVX2 and AVX-512 share every
/// bit; the portable products add in another order, and two steps cannot carry that further than the bound.
#[test]
fn all_instruction_sets_train_to_the_same_values() {
    let place = Place::new();
    let (available, missing): (Vec<Isa>, Vec<Isa>) =
        Isa::ALL.into_iter().partition(|i| i.is_available());
    for isa in missing {
        testkit::skip(isa.name(), "not on this processor");
    }
    for isa in &available {
        let file = format!("{}.npz", isa.name());
        let trace = [
            "trace",
            "tiny",
            "--steps",
            "2",
            "--set",
            "train.batch=13",
            "--out",
            &file,
        ];
        let done = with_isa(&place, isa.name(), &trace);
        assert_eq!(done.code, Some(0), "{}: {}", isa.name(), done.err);
    }
    let open = |isa: &Isa| npz(&place.path(&format!("{}.npz", isa.name())));
    let mut portable = open(&Isa::Portable);
    let names: Vec<String> = portable.names().map(String::from).collect();
    for isa in available.iter().filter(|i| **i != Isa::Portable) {
        let mut file = open(isa);
        for name in names.iter().filter(|n| *n != "config.toml") {
            let (shape, expected) = array(&mut portable, name);
            let (other, found) = array(&mut file, name);
            assert_eq!(shape, other, "{name}");
            let scale = expected.iter().fold(1.0f32, |s, v| s.max(v.abs()));
            for (i, (e, f)) in expected.iter().zip(&found).enumerate() {
                assert!(
                    (e - f).abs() <= 1e-5 * scale,
                    "{name}[{i}] is {f} with {}, {e} with portable kernels",
                    isa.name()
                );
            }
        }
    }
    if available.len() == 3 {
        assert!(
            place.bytes("avx2.npz") == place.bytes("avx512.npz"),
            "AVX2 and AVX-512 differ in bits"
        );
    }
}
