//! `GANFORGE_ISA`: the CPU's kernels with each instruction set that this machine has.

use crate::common::{Done, Place, array, npz};
use ganforge::gan::files::{ArrayRef, write_npz};
use ganforge::kernels::cpu::{ISA_VARIABLE, Isa, isa};

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

/// A step of a net of convolutions, batch norm and Adam on made-up pictures: its trace.
fn traced(place: &Place, isa: &str, more: &[&str], file: &str) {
    let pixels: Vec<u8> = (0..40 * 784).map(|i| (i * 7919 % 251) as u8).collect();
    let images = ArrayRef::u8(&[40, 28, 28], &pixels);
    write_npz(&place.path("images.npz"), [("images".to_string(), images)]).expect("written");
    let settings = ["data.set=./images.npz", "train.batch=8"];
    let settings = settings.into_iter().flat_map(|s| ["--set", s]);
    let mut arguments = vec!["trace", "dcgan28", "--steps", "1", "--out", file];
    arguments.extend(settings.chain(more.iter().copied()));
    let done = with_isa(place, isa, &arguments);
    assert_eq!(done.code, Some(0), "{isa}: {}", done.err);
}

/// Each array of `b` is that of `a` within a share of its largest number: what sums in another order make of a step.
fn assert_near(place: &Place, a: &str, b: &str, share: f32) {
    let [mut a, mut b] = [a, b].map(|file| npz(&place.path(file)));
    let names: Vec<String> = a.names().map(String::from).collect();
    let names = names.iter().filter(|n| n.starts_with("0/"));
    let mut compared = 0;
    for name in names {
        let ((shape, x), (other, y)) = (array(&mut a, name), array(&mut b, name));
        assert_eq!(shape, other, "{name}");
        // A bias before batch norm has no gradient: what is there are rounding errors.
        let scale = x.iter().fold(0.01f32, |s, v| s.max(v.abs()));
        let worst = x.iter().zip(&y).map(|(x, y)| (x - y).abs());
        let worst = worst.fold(0.0, f32::max);
        // Of such errors, and of gradients as small, Adam makes a step of its rate, 2e-4, either way; running means go along.
        let is_moved = name.starts_with("0/after/");
        let step = if is_moved { 2.0 * 2e-4 } else { 0.0 };
        assert!(
            worst <= share * scale + step,
            "{name}: {worst:e} of {scale:e}"
        );
        compared += 1;
    }
    assert!(compared > 20, "{compared} arrays");
}

/// Without AVX2 products and convolutions run through another library; the number of threads changes nothing there either.
#[test]
fn a_convolutional_net_trains_on_any_processor() {
    let place = Place::new();
    traced(&place, "portable", &["--threads", "1"], "one.npz");
    traced(&place, "portable", &["--threads", "2"], "two.npz");
    assert!(place.bytes("one.npz") == place.bytes("two.npz"));
    traced(&place, "", &[], "widest.npz");
    assert_near(&place, "one.npz", "widest.npz", 1e-3);
}

#[test]
fn strict_precision_has_other_bits_than_winograd_and_the_same_values() {
    let place = Place::new();
    let strict = ["--precision", "strict"];
    traced(&place, "", &[], "fast.npz");
    traced(&place, "", &strict, "strict.npz");
    assert_near(&place, "strict.npz", "fast.npz", 1e-3);
    let differ = place.bytes("fast.npz") != place.bytes("strict.npz");
    assert_eq!(differ, isa() != Isa::Portable);
    // Where there is no Winograd it changes nothing.
    traced(&place, "portable", &[], "portable.npz");
    traced(&place, "portable", &strict, "portable-strict.npz");
    assert!(place.bytes("portable.npz") == place.bytes("portable-strict.npz"));
}
