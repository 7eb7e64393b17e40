//! A classifier on the command line: trained, resumed, looked at, exported, and refused where a generator is asked for.

use std::fs;

use ganforge::gan::data::{ImageSize, Picture};

use crate::common::Place;

/// Pictures of 8 x 8 in folders of two classes, bright on the left or on the right, and a configuration for them.
fn place() -> Place {
    let place = Place::new();
    for (number, class) in ["left", "right"].iter().enumerate() {
        fs::create_dir_all(place.path(&format!("set/{class}"))).expect("made");
        for i in 0..70 {
            let value = |at: usize| match usize::from(at % 8 >= 4) == number {
                true => (150 + (at * 7 + i * 13) % 100) as u8,
                false => ((at * 5 + i * 29) % 120) as u8,
            };
            let size = ImageSize {
                height: 8,
                width: 8,
                channels: 1,
            };
            let picture = Picture::new(size, (0..64).map(value).collect()).expect("its size");
            let name = format!("set/{class}/{i:02}.png");
            picture.save(&place.path(&name)).expect("saved");
        }
    }
    let text = "
name = 'sides'
data.set = 'set/'
[[data.augment]]
kind = 'crop'
padding = 1
[classifier]
image = [8, 8, 1]
[[classifier.layer]]
name = 'h0'
kind = 'conv2d'
channels = 4
kernel = 3
norm = 'batch'
[[classifier.layer]]
name = 'pool'
kind = 'max_pool'
[[classifier.layer]]
name = 'h1'
units = 6
keep_prob = 0.8
[[classifier.layer]]
name = 'out'
units = 2
activation = 'linear'
[optimizer]
lr = 0.01
[train]
batch = 10
epochs = 4
[eval]
every = 1
[output]
log_every = 3
";
    fs::write(place.path("sides.toml"), text).expect("written");
    place
}

#[test]
fn it_is_trained_resumed_scored_and_exported_and_has_no_samples() {
    let place = place();
    let said = place.ok(&["train", "sides.toml", "--out", "whole"]);
    assert!(
        said.contains("test accuracy 100.00 % (20 test examples)"),
        "{said}"
    );
    assert!(!said.contains("samples:"), "{said}");
    assert!(place.path("whole/report.html").is_file());
    place.ok(&["train", "sides.toml", "--out", "short", "--epochs", "2"]);
    place.ok(&["train", "--resume", "short", "--epochs", "4"]);
    let last = place.last_checkpoint("whole");
    let last = last.strip_prefix("whole/").expect("relative to the run");
    for file in ["metrics.csv", "scores.csv", last] {
        let read = |run: &str| place.bytes(&format!("{run}/{file}"));
        assert!(read("whole") == read("short"), "{file}");
    }
    let again = place.ok(&["train", "--resume", "whole"]);
    assert!(again.contains("test accuracy 100.00 %"), "{again}");
    let score = place.ok(&["eval", "whole", "--json"]);
    let score: serde_json::Value = serde_json::from_str(&score).expect("JSON");
    assert_eq!(score["test_accuracy"], 1.0);
    let said = place.ok(&["export", "whole", "--half"]);
    assert_eq!(said.trim_end(), "classifier: whole/classifier.npz");
    assert!(place.bytes("whole/classifier.npz").len() < 20_000);
    let said = place.ok(&[
        "export",
        "whole/classifier.npz",
        "--out",
        "again.safetensors",
    ]);
    assert_eq!(said.trim_end(), "classifier: again.safetensors");
    for arguments in [
        &["sample", "whole"][..],
        &["sample", "whole/classifier.npz"],
        &["figure", "2", "whole"],
        &["eval", "whole/classifier.npz"],
    ] {
        let error = place.refused(arguments);
        assert!(
            error.contains("sides: is a classifier, and has no generator"),
            "{error}"
        );
    }
    let error = place.refused(&["export", "whole", "--to", "pytorch"]);
    assert!(
        error.contains("a classifier is written as npz or safetensors"),
        "{error}"
    );
}

#[test]
fn its_step_is_shown_and_explained() {
    let place = place();
    let model = place.ok(&["model", "sides.toml"]);
    assert!(
        model.contains("\nC: 8 x 8 x 1 to 2\n") && !model.contains("\nG:"),
        "{model}"
    );
    let graph = place.ok(&["graph", "mnistnet"]);
    assert!(
        graph.contains("C/h0") && graph.contains("loss/c"),
        "{graph}"
    );
    place.ok(&["explain", "sides.toml", "--out", "step.html"]);
    let page = place.text("step.html");
    assert!(page.contains("C's loss") && page.contains("mean cross-entropy"));
    assert!(!page.contains("Only D sees them"));
    let checked = place.ok(&["gradcheck", "mnistnet"]);
    assert!(checked.contains("loss of C"), "{checked}");
}

#[test]
fn other_metrics_are_asked_for_at_the_command_line() {
    let place = Place::new();
    let asked = [
        "eval",
        "run",
        "--metrics",
        "fid,kid,prdc,is",
        "-n",
        "40",
        "--json",
    ];
    place.train("run", &["--epochs", "1"]);
    let score = place.ok(&asked);
    let score: serde_json::Value = serde_json::from_str(&score).expect("JSON");
    for name in ["fid", "kid", "kid_stderr", "recall", "is", "is_std"] {
        assert!(score[name].is_number(), "{name}: {score}");
    }
    assert_eq!(score["extractor"], "mnistnet");
    assert_eq!(score["protocol"], "ganforge");
    assert_eq!(score["n"], 40);
    assert_eq!(score["n_reference"], 40);
    let sum = score["extractor_sha256"].as_str().map(str::len);
    assert_eq!((sum, score["data"].is_string()), (Some(64), true));
    // Numbers of images that differ leave the network one, and other names of a score are that score.
    let metrics = "eval.metrics=[{kind='fid', images=30}, {kind='kid', images=40}]";
    let said = place.ok(&["eval", "run", "--json", "--set", metrics]);
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(
        (&said["extractor"], &said["protocol"]),
        (&"mnistnet".into(), &"ganforge".into())
    );
    for (key, n) in [
        ("fid_n", 30),
        ("fid_n_reference", 30),
        ("kid_n", 40),
        ("kid_n_reference", 40),
    ] {
        assert_eq!(said[key], n, "{key}: {said}");
    }
    assert!(said.get("n").is_none() && said["fid"].is_number(), "{said}");
    let said = place.ok(&[&asked[..3], &["recall,coverage", "-n", "40", "--json"]].concat());
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["recall"], score["recall"]);
    for (arguments, expected) in [
        (
            &["--metrics", "kid", "--protocol", "pytorch-fid"][..],
            "--metrics kid: protocol pytorch-fid has no such score",
        ),
        (
            &["--metrics", "prdc", "--protocol", "compare-gan"],
            "--metrics precision: protocol compare-gan has no such score",
        ),
        (
            &["--metrics", "fid", "--extractor", "inception"],
            "expected --weights FILE, as pt_inception",
        ),
        (&["--metrics", "fidd"], "did you mean \"fid\"?"),
        (&["--metrics", "fid", "--extractor", "no/such"], "no/such"),
        (&["--set", "train.batch=7"], "only keys of the section eval"),
        (&["--metrics", "accuracy"], "scores samples of a class"),
        (
            &["--metrics", "test-accuracy"],
            "a metric of the classes that D assigns",
        ),
    ] {
        let error = place.refused(&[&["eval", "run"], arguments].concat());
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
