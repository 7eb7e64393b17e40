//! The scripts in benches/pytorch do what they say, where PyTorch is there.

use crate::common::{Done, Place};
use serde_json::Value;

/// Runs a script of that folder, leaving nothing beside it.
fn python(place: &Place, script: &str, arguments: &[&str]) -> String {
    let path = format!("{}/benches/pytorch/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = place.within("python3", &[&["-B", &path][..], arguments].concat());
    let done = Done::of(command.output().expect("python3 runs"));
    assert_eq!(done.code, Some(0), "{script}: {}", done.err);
    done.out
}

#[test]
fn a_step_in_pytorch_is_a_baseline_of_ours() {
    if !testkit::has_python("torch") {
        return;
    }
    let place = Place::new();
    let options = ["--threads", "1", "--batch", "2", "--steps", "2"];
    for update in ["alternating", "simultaneous"] {
        let options = [&options[..], &["--update", update]].concat();
        let theirs = python(&place, "step.py", &[&options[..], &["--json"]].concat());
        std::fs::write(place.path("theirs.json"), &theirs).expect("written");
        let ours = [
            "bench",
            "step",
            "mnist-2014",
            "--baseline",
            "theirs.json",
            "--json",
        ];
        let ours = place.ok(&[&ours[..], &options].concat());
        let ours: Value = serde_json::from_str(&ours).expect("JSON");
        let theirs: Value = serde_json::from_str(&theirs).expect("JSON");
        assert!(ours["baseline_ratio"].as_f64() > Some(0.0), "{ours}");
        let keys = |of: &Value| -> Vec<String> {
            let fields = of["origin"].as_object().expect("an origin");
            fields.keys().cloned().collect()
        };
        assert_eq!(keys(&ours), keys(&theirs));
        let mut same = vec!["threads", "cores", "device"];
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            same.extend(["processor", "cpu_features", "system"]);
        }
        for field in same {
            let [a, b] = [&ours, &theirs].map(|of| &of["origin"][field]);
            assert_eq!(a, b, "{field}");
        }
    }
}

/// An IDX file of `n` images.
fn idx(n: u32) -> Vec<u8> {
    let header = [0x803, n, 28, 28].into_iter().flat_map(u32::to_be_bytes);
    let pixels = (0..n * 784).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    header.chain(pixels).collect()
}

#[test]
fn training_in_pytorch_ends_in_a_score_for_each_epoch() {
    if !testkit::has_python("torch") {
        return;
    }
    let place = Place::new();
    for (name, n) in [
        ("train-images-idx3-ubyte", 240),
        ("t10k-images-idx3-ubyte", 20),
    ] {
        std::fs::write(place.path(name), idx(n)).expect("written");
    }
    let options = [
        "--data",
        ".",
        "--epochs",
        "2",
        "--samples",
        "50",
        "--threads",
        "1",
    ];
    let said = python(&place, "train.py", &options);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("# {") && lines.len() == 4, "{said}");
    assert_eq!(lines[1], "epoch,seconds,log_likelihood,stderr,sigma");
    for (epoch, line) in (1..).zip(&lines[2..]) {
        let numbers = line.split(',').map(|v| v.parse().expect("a number"));
        let numbers: Vec<f64> = numbers.collect();
        assert!(
            numbers[0] == f64::from(epoch) && numbers.iter().all(|v| v.is_finite()),
            "{said}"
        );
    }
}
