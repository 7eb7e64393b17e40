//! The command line on a device: the interpreter of the GPU's kernels stands for one.

use crate::common::{Place, array, npz};
use ganforge::gan::files::{ArrayRef, write_npz};

const PIXELS: usize = 16;

/// Sixty pictures of four by four pixels, and small nets for them.
fn place() -> (Place, Vec<String>) {
    let place = Place::new();
    let (n, shape) = (60, [60, 4, 4]);
    let pixels: Vec<u8> = (0..n * PIXELS).map(|i| (i * 7919 % 251) as u8).collect();
    let array = ArrayRef::u8(&shape, &pixels);
    write_npz(&place.path("images.npz"), [("images".to_string(), array)]).expect("written");
    let options = [
        "data.set=./images.npz",
        "noise.dim=3",
        "generator.layer.h0.units=5",
        "generator.layer.out.units=16",
        "discriminator.layer.h0.units=4",
        "train.batch=8",
        "train.update=alternating",
        "eval.samples=30",
        "eval.valid=4",
        "output.log_every=3",
        "output.grid=[2, 2]",
    ];
    let options = options
        .iter()
        .flat_map(|o| ["--set".to_string(), o.to_string()]);
    (place, options.collect())
}

fn train<'a>(options: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["train", "tiny", "-q"];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(more);
    arguments
}

/// Two states of one run, beside one another: they may differ by what sums in another order make of them.
fn assert_near(place: &Place, a: &str, b: &str) {
    let [mut a, mut b] = [a, b].map(|run| npz(&place.path(&place.last_checkpoint(run))));
    let names: Vec<String> = a.names().map(String::from).collect();
    let tensors = names
        .iter()
        .filter(|n| n.contains(".w") || n.contains(".b"));
    for name in tensors {
        let (x, y) = (array(&mut a, name).1, array(&mut b, name).1);
        let worst = x.iter().zip(&y).map(|(x, y)| (x - y).abs());
        let worst = worst.fold(0.0, f32::max);
        assert!(worst <= 1e-5, "{name} differs by {worst}");
    }
}

#[test]
fn a_run_on_a_device_is_one_like_any_other() {
    let (place, options) = place();
    place.ok(&train(&options, &["--epochs", "3", "--out", "cpu"]));
    let on_device = ["--epochs", "2", "--out", "device", "--device", "ptxvm"];
    place.ok(&train(&options, &on_device));
    let about = place.text("device/run.json");
    assert!(
        about.contains("\"device\":\"PTX interpreter\"")
            || about.contains("\"device\": \"PTX interpreter\""),
        "{about}"
    );
    // It goes on there and ends like one that never left the CPU; so does one that comes back.
    place.ok(&[
        "train", "--resume", "device", "--epochs", "3", "--device", "ptxvm", "-q",
    ]);
    assert_near(&place, "cpu", "device");
    let rows = |run: &str| place.text(&format!("{run}/metrics.csv")).lines().count();
    assert_eq!(rows("cpu"), rows("device"));
    // Twice the same is the same to the byte.
    let again = ["--epochs", "2", "--out", "again", "--device", "ptxvm"];
    place.ok(&train(&options, &again));
    place.ok(&[
        "train", "--resume", "again", "--epochs", "3", "--device", "ptxvm", "-q",
    ]);
    let bytes = |run: &str| place.bytes(&place.last_checkpoint(run));
    assert!(bytes("again") == bytes("device"));
    assert_eq!(
        place.text("again/metrics.csv"),
        place.text("device/metrics.csv")
    );

    // Score and samples.
    let number = |text: &str| {
        let json: serde_json::Value = serde_json::from_str(text).expect("JSON");
        json["log_likelihood"].as_f64().expect("a score")
    };
    let [cpu, there] =
        ["cpu", "ptxvm"].map(|d| number(&place.ok(&["eval", "device", "--json", "--device", d])));
    assert!((cpu - there).abs() < 1e-3, "{cpu} and {there}");
    let samples = |device: &str| {
        let file = format!("{device}.npz");
        place.ok(&[
            "sample", "device", "-n", "7", "--device", device, "--out", &file,
        ]);
        array(&mut npz(&place.path(&file)), "samples").1
    };
    let (here, there) = (samples("cpu"), samples("ptxvm"));
    let worst = here
        .iter()
        .zip(&there)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst <= 1e-6 && here.len() == 7 * PIXELS, "{worst}");
}

#[test]
fn a_trace_on_a_device_has_the_same_noise_and_masks() {
    let (place, options) = place();
    let [mut here, mut there] = ["cpu", "ptxvm"].map(|device| {
        let file = format!("{device}.npz");
        let mut arguments = vec![
            "trace", "tiny", "--steps", "2", "--device", device, "--out", &file,
        ];
        arguments.extend(options.iter().map(String::as_str));
        place.ok(&arguments);
        npz(&place.path(&file))
    });
    let names: Vec<String> = here.names().map(String::from).collect();
    assert!(names.iter().any(|n| n.starts_with("1/mask/")));
    for name in names {
        let (a, b) = (array(&mut here, &name).1, array(&mut there, &name).1);
        let is_drawn = name.contains("/mask/") || name.contains("/z") || name.ends_with("/x");
        let bound = if is_drawn || name.starts_with("init/") {
            0.0
        } else {
            1e-5
        };
        let worst = a
            .iter()
            .zip(&b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            a.len() == b.len() && worst <= bound,
            "{name} differs by {worst}"
        );
    }
}

#[test]
fn steps_and_kernels_on_a_device_can_be_timed() {
    let place = Place::new();
    let arguments = [
        "bench", "step", "ring", "--batch", "2", "--steps", "3", "--device", "ptxvm", "--json",
    ];
    let json: serde_json::Value = serde_json::from_str(&place.ok(&arguments)).expect("JSON");
    assert_eq!(json["origin"]["device"], "PTX interpreter");
    assert!(json["median_ms"].as_f64().expect("a time") > 0.0);
    assert!(json["peak_gflops"].is_null());
    let arguments = [
        "bench", "gpu", "--device", "ptxvm", "--shrink", "30000", "--json",
    ];
    let json: serde_json::Value = serde_json::from_str(&place.ok(&arguments)).expect("JSON");
    let rows = json["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 12);
    assert_eq!(json["origin"]["device"], "PTX interpreter");
    assert!(
        rows.iter()
            .all(|r| r["us"].as_f64().is_some_and(|us| us > 0.0)),
        "{rows:?}"
    );
    let message = place.refused(&["bench", "gpu", "--device", "cpu"]);
    assert!(message.contains("--device cuda"), "{message}");
}

#[test]
fn a_device_that_is_not_there_is_one_message_and_code_3() {
    let place = Place::new();
    let message = place.refused(&["train", "tiny", "--device", "gpu"]);
    assert!(message.contains("expected cpu, cuda, cuda:N"), "{message}");
    let message = place.refused(&["train", "tiny", "--precision", "tf32", "--out", "run"]);
    assert!(
        message.contains("--precision tf32: only with --device cuda"),
        "{message}"
    );
    assert!(!place.path("run").exists());
    let said = place.ok(&["info"]);
    match ganforge::kernels::cuda::devices() {
        Ok(devices) => {
            assert!(said.contains(&devices[0].name), "{said}");
            let none = format!("cuda:{}", devices.len());
            let message = place.refused_by_system(&["train", "tiny", "--device", &none]);
            assert!(message.contains("this machine has"), "{message}");
        }
        Err(error) => {
            assert!(said.contains(&error.to_string()), "{said}");
            for command in [
                &["train", "tiny", "--out", "run"][..],
                &["sample", "--pretrained", "mnist"],
                &["bench", "step"],
                &["bench", "gpu"],
            ] {
                let message = place.refused_by_system(&[command, &["--device", "cuda"]].concat());
                assert!(message.contains("no CUDA device: "), "{message}");
            }
            assert!(!place.path("run").exists());
        }
    }
}
