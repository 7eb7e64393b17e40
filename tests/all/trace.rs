//! A trace holds what the contract lists, what a reader redoing it by hand gets, and what
//! training does.

use std::collections::BTreeSet;

use crate::common::{Place, array, npz, small};
use crate::replay::{Replay, Rule};
use ganforge::gan::files::{ArrayRef, write_npz};

pub const PARAMS: [&str; 8] = [
    "G.h0.w", "G.h0.b", "G.out.w", "G.out.b", "D.h0.w", "D.h0.b", "D.out.w", "D.out.b",
];

/// The options of a small trace; batch 6, so that a step's arrays are odd and few.
fn options<'a>(update: &'a str, steps: &'a str) -> Vec<&'a str> {
    let mut arguments = vec![
        "trace", "tiny", "--steps", steps, "--seed", "5", "--out", "t.npz",
    ];
    arguments.extend(["--set", "train.batch=6", "--set", update]);
    arguments
}

#[test]
fn entries_are_exactly_those_of_the_contract() {
    let place = Place::new();
    for (update, noise, passes) in [
        (
            "train.update=simultaneous",
            &["z"][..],
            &["real", "fake"][..],
        ),
        (
            "train.update=alternating",
            &["z_d", "z_g"],
            &["real", "fake_d", "fake_g"],
        ),
    ] {
        place.ok(&options(update, "3"));
        let mut expected: BTreeSet<String> = PARAMS.map(|p| format!("init/{p}")).into();
        for i in 0..3 {
            let mut add = |entry: &str| expected.insert(format!("{i}/{entry}"));
            for entry in [
                "x", "loss_d", "loss_g", "d_real", "d_fake", "lr", "momentum",
            ] {
                add(entry);
            }
            for z in noise {
                add(z);
            }
            for pass in passes {
                for layer in ["D.h0", "D.out"] {
                    add(&format!("mask/{pass}/{layer}"));
                    add(&format!("pre/{pass}/{layer}"));
                }
                if pass.starts_with("fake") {
                    for layer in ["G.h0", "G.out"] {
                        add(&format!("pre/{pass}/{layer}"));
                    }
                }
            }
            for param in PARAMS {
                add(&format!("grad/{param}"));
                add(&format!("after/{param}"));
            }
        }
        let mut file = npz(&place.path("t.npz"));
        let found: BTreeSet<String> = file.names().map(String::from).collect();
        assert_eq!(found, expected, "{update}");
        assert_eq!(array(&mut file, "0/x").0, [6, 784]);
        assert_eq!(array(&mut file, &format!("2/{}", noise[0])).0, [6, 10]);
        assert_eq!(array(&mut file, "0/grad/D.h0.w").0, [784, 64]);
        let pre = |layer: &str| format!("0/pre/{}/{layer}", passes[1]);
        assert_eq!(array(&mut file, &pre("D.h0")).0, [6, 64]);
        assert_eq!(array(&mut file, &pre("G.out")).0, [6, 784]);
        assert!(
            array(&mut file, "0/loss_d").0.is_empty(),
            "a loss is one number"
        );
        let (shape, mask) = array(&mut file, &format!("1/mask/{}/D.h0", passes[1]));
        assert_eq!(shape, [6, 784]);
        assert!(mask.iter().all(|&m| m == 0.0 || m == 1.0));
        let kept = mask.iter().sum::<f32>() / mask.len() as f32;
        assert!((kept - 0.8).abs() < 0.04, "{kept} of the pixels are kept");
    }
}

#[test]
fn a_trace_says_how_large_it_is_and_a_very_large_one_must_be_asked_for() {
    let place = Place::new();
    let done = place.run(&["trace", "tiny", "--steps", "3", "--out", "t.npz"]);
    let said = done.err.lines().find_map(|l| l.strip_prefix("t.npz: "));
    let said = said.and_then(|l| l.strip_suffix(" MB"));
    let said: f64 = said.and_then(|n| n.parse().ok()).expect("a size");
    let size = place.bytes("t.npz").len() as f64 / 1e6;
    // What it says is rounded.
    assert!(
        (said - 0.05..1.02 * said + 0.05).contains(&size),
        "{said}: {size}"
    );
    let huge = ["trace", "tiny", "--steps", "3000", "--out", "huge.npz"];
    let message = place.refused(&huge);
    assert!(message.contains(" MB for 3000 steps: ask for fewer, or add --force"));
    assert!(!place.path("huge.npz").exists());
}

#[test]
fn a_step_redone_by_hand_in_f64_gives_the_traced_numbers() {
    let place = Place::new();
    let adam = [
        "optimizer.kind=adam",
        "optimizer.lr=0.001",
        "optimizer.beta2=0.9",
        "optimizer.eps=1e-3",
    ];
    let adam = adam.map(|option| ["--set", option]).concat();
    let as_adam = Rule::Adam {
        beta1: 0.9,
        beta2: 0.9,
        eps: 1e-3,
    };
    for (more, rule) in [(&[][..], Rule::Momentum), (&adam, as_adam)] {
        for update in ["train.update=simultaneous", "train.update=alternating"] {
            place.ok(&[&options(update, "3"), more].concat());
            let mut replay = Replay::new(npz(&place.path("t.npz")), 6, rule);
            for i in 0..3 {
                match update {
                    "train.update=simultaneous" => replay.simultaneous(i),
                    _ => replay.alternating(i),
                }
            }
        }
    }
}

#[test]
fn each_step_of_d_has_its_own_losses_and_outputs() {
    let place = Place::new();
    let set = [
        "train.k=2",
        "optimizer.lr=0.001",
        "discriminator.penalty=[\"gp\"]",
    ];
    let set = set.map(|option| ["--set", option]).concat();
    place.ok(&[options("train.update=alternating", "2"), set].concat());
    let mut file = npz(&place.path("t.npz"));
    let mut values = |entry: String| {
        let values = array(&mut file, &entry).1.into_iter();
        values.map(f64::from).collect::<Vec<f64>>()
    };
    let mean = |values: &[f64], f: fn(f64) -> f64| {
        values.iter().map(|&x| f(x)).sum::<f64>() / values.len() as f64
    };
    let d: fn(f64) -> f64 = |logit| 1.0 / (1.0 + (-logit).exp());
    for i in 0..2 {
        for step in ["", ".1"] {
            let [real, fake] =
                ["real", "fake_d"].map(|pass| values(format!("{i}/pre/{pass}{step}/D.out")));
            // Preset tiny halves its loss.
            let loss =
                (mean(&real, |x| (-x).exp().ln_1p()) + mean(&fake, |x| x.exp().ln_1p())) / 2.0;
            let mut found = |name: &str| values(format!("{i}/{name}{step}"))[0];
            let loss = loss + found("gp");
            for (name, expected) in [
                ("loss_d", loss),
                ("d_real", mean(&real, d)),
                ("d_fake", mean(&fake, d)),
            ] {
                let found = found(name);
                let error = (found - expected).abs() / expected;
                assert!(error < 1e-5, "{i}/{name}{step}: {found}, {expected}");
            }
        }
    }
    assert!(
        file.names().all(|name| name != "0/loss_g.1"),
        "G takes one step"
    );
}

#[test]
fn traced_steps_are_those_of_training_to_the_bit() {
    let place = Place::new();
    let pixels: Vec<u8> = (0..60 * 784)
        .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let part = |name: &str, n: usize| (name.to_string(), [n, 784], &pixels[..n * 784]);
    let parts = [part("train", 60), part("valid", 10), part("test", 10)];
    let parts = parts
        .iter()
        .map(|(n, s, p)| (n.clone(), ArrayRef::u8(s, p)));
    write_npz(&place.path("d.npz"), parts).expect("written");
    let set = format!("data.set={:?}", place.at("d.npz"));
    for update in ["train.update=simultaneous", "train.update=alternating"] {
        let more = ["--set", &set, "--set", update, "--set", "train.batch=20"];
        let mut train = small("run", &more);
        train.extend(["--epochs", "1", "--seed", "3"]);
        place.ok(&train);
        let mut trace = vec![
            "trace", "tiny", "--steps", "3", "--seed", "3", "--out", "t.npz",
        ];
        trace.extend(more);
        place.ok(&trace);
        let mut trained = npz(&place.path("run/checkpoints/step-00000003.npz"));
        let mut traced = npz(&place.path("t.npz"));
        for param in PARAMS {
            let (a, b) = (
                array(&mut trained, param),
                array(&mut traced, &format!("2/after/{param}")),
            );
            assert_eq!(a.0, b.0, "{param}");
            assert!(
                a.1.iter()
                    .zip(&b.1)
                    .all(|(a, b)| a.to_bits() == b.to_bits()),
                "{param}"
            );
        }
        std::fs::remove_dir_all(place.path("run")).expect("removed");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_trace_that_is_stopped_ends_with_its_step_and_the_code_of_what_was_stopped() {
    use crate::signals::{ended, send, start, wait_for};
    let place = Place::new();
    let more = [
        &options("train.update=simultaneous", "100000")[..],
        &["--force"],
    ]
    .concat();
    let child = start(&place, "", &more);
    wait_for("the size, said before the first step", || {
        place.text("said").contains("t.npz: ")
    });
    send("-INT", &child);
    assert_eq!(ended(child), Some(130), "{}", place.text("said"));
    let file = npz(&place.path("t.npz"));
    assert!(file.names().any(|name| name.starts_with("init/")));
    assert!(!file.names().any(|name| name == "99999/lr"));
}
