//! Every command once as it is meant, and once as it is not.

use crate::common::{Done, Place, SMALL, small};
use ganforge::gan::files::{ArrayRef, write_npy};
use std::io::Read;
use std::process::Stdio;

#[test]
fn five_lines_are_enough_to_train() {
    let place = Place::new();
    let text = "name = \"five\"\n[data]\nset = \"ring\"\n[train]\nepochs = 2\n";
    std::fs::write(place.path("five.toml"), text).expect("written");
    let options = ["--set", "eval.samples=500", "--set", "generator.layer-=h1"];
    let done = place.ok(&[
        &["train", "five.toml", "--quiet", "--out", "run"],
        &options[..],
    ]
    .concat());
    assert!(done.contains("modes covered"), "{done}");
    let whole = place.text("run/config.toml");
    for key in ["lr = 0.001", "units = 2\n", "log_every = 50"] {
        assert!(whole.contains(key), "{whole}");
    }
    let message = place.refused(&[
        "train",
        "five.toml",
        "--epochs",
        "0",
        "--set",
        "train.bach=3",
    ]);
    let expected = "\
error: 2 errors in the configuration:
  --epochs 0: train.epochs must be a whole number from 1 to 1000000, got 0
  --set train.bach=3: unknown key train.bach, did you mean train.batch?";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn train_fills_its_folder_and_says_what_came_of_it() {
    let place = Place::new();
    let done = place.run(&small("run", &["--epochs", "2", "--set", "eval.every=1"]));
    assert_eq!(done.code, Some(0), "{}", done.err);
    for file in [
        "config.toml",
        "run.json",
        "metrics.csv",
        "scores.csv",
        "samples/epoch-001.png",
        "samples/epoch-002.png",
        "checkpoints/step-00000040.npz",
        "checkpoints/step-00000080.npz",
    ] {
        assert!(place.path("run").join(file).is_file(), "{file}");
    }
    assert!(
        done.out.starts_with("Parzen log-likelihood "),
        "{}",
        done.out
    );
    for said in [
        "bundled sample",
        "run/samples/epoch-002.png",
        "THIS IS A RESULT ON THE BUNDLED",
    ] {
        assert!(done.out.contains(said), "{said} in {}", done.out);
    }
    // The sample is announced in a frame; then one plain line for each epoch and each score.
    assert!(
        done.err.contains("* mnist could not be fetched"),
        "{}",
        done.err
    );
    assert!(
        !done.err.contains('\u{1b}') && !done.err.contains('\r'),
        "{}",
        done.err
    );
    let epochs = done.err.lines().filter(|l| l.starts_with("epoch "));
    let epochs: Vec<&str> = epochs.filter(|l| l.contains("steps/s")).collect();
    assert_eq!(epochs.len(), 2, "{}", done.err);
    assert!(epochs[0].contains("D(G(z))") && epochs[0].starts_with("epoch 1/2: step 40,"));

    let config = place.text("run/config.toml");
    assert!(
        config.contains("batch = 100") && config.contains("epochs = 2"),
        "{config}"
    );
    let about: serde_json::Value = serde_json::from_str(&place.text("run/run.json")).expect("JSON");
    for key in [
        "version",
        "commit",
        "seed",
        "threads",
        "device",
        "gemm_isa",
        "rustc",
        "score",
        "processor",
        "started",
        "ended",
        "seconds",
    ] {
        assert!(!about[key].is_null(), "{key} in {about}");
    }
    assert_eq!(about["data"]["origin"], "bundled sample");
    assert_eq!(about["data"]["sha256"].as_str().map(str::len), Some(64));
    let metrics = place.text("run/metrics.csv");
    assert_eq!(metrics.lines().count(), 1 + 13, "{metrics}"); // steps 7, 14, .. 77, and 40, 80
    let norms = "momentum,grad/D.h0.w,grad/D.out.w,grad/G.h0.w,grad/G.out.w\n";
    assert!(metrics.contains(norms), "{metrics}");
    assert_eq!(place.text("run/scores.csv").lines().count(), 1 + 2);

    // Again into the same folder: nothing is touched.
    let message = place.refused(&small("run", &[]));
    assert!(message.contains("run: is not empty"), "{message}");
    assert_eq!(place.text("run/config.toml"), config);
}

#[test]
fn runs_are_numbered_where_no_folder_is_given() {
    let place = Place::new();
    let mut arguments = vec!["train", "-q", "--epochs", "1"];
    arguments.extend(SMALL);
    for number in ["001", "002"] {
        let done = place.run(&arguments);
        assert!(
            done.out.contains(&format!("runs/tiny-{number}")),
            "{}",
            done.out
        );
        assert!(!done.err.contains("epoch 1"), "quiet: {}", done.err);
    }
}

#[test]
fn a_run_can_be_sampled_scored_and_asked_again() {
    let place = Place::new();
    let result = place.train("run", &["--epochs", "1"]);
    let again = place.run(&["train", "--resume", "run"]);
    assert_eq!(
        (again.code, &again.out),
        (Some(0), &result),
        "{}",
        again.err
    );
    assert!(again.err.contains("already finished"), "{}", again.err);

    let said = place.ok(&["sample", "run"]);
    assert!(said.contains("run/samples-1.png"), "{said}");
    let picture = place.bytes("run/samples-1.png");
    assert_eq!(&picture[1..4], b"PNG");
    place.ok(&[
        "sample", "run", "-n", "7", "--out", "a.npy", "--out", "a.png",
    ]);
    place.ok(&["sample", "run", "-n", "120", "--out", "b.npz"]);
    place.ok(&["sample", "run", "-n", "7", "--seed", "2", "--out", "c.npy"]);
    let read = |name: &str| ganforge::gan::files::read_matrix_f32(&place.path(name)).expect("read");
    let ((n, d, a), (_, _, b), (_, _, c)) = (read("a.npy"), read("b.npz"), read("c.npy"));
    assert_eq!((n, d), (7, 784));
    assert_eq!(
        a,
        b[..7 * 784],
        "sample i does not depend on how many are drawn"
    );
    assert_ne!(a, c, "another seed, other samples");
    assert!(
        place
            .refused(&["sample", "run", "--out", "a.csv"])
            .contains(".npy, .npz")
    );
    let many = place.refused_by_system(&["sample", "run", "-n", "999999999"]);
    assert!(many.contains("GiB"), "{many}");

    let score: serde_json::Value =
        serde_json::from_str(&place.ok(&["eval", "run", "--json"])).expect("JSON");
    let about: serde_json::Value = serde_json::from_str(&place.text("run/run.json")).expect("JSON");
    let keys = [
        "log_likelihood",
        "stderr",
        "sigma",
        "n_samples",
        "n_valid",
        "n_test",
    ];
    for key in keys {
        assert_eq!(score[key], about["score"][key], "{key}");
    }
    assert!(
        score["data"]
            .as_str()
            .expect("text")
            .contains("bundled sample")
    );
    assert_eq!(score.as_object().expect("an object").len(), keys.len() + 1);
    assert!(
        place
            .ok(&["eval", "run"])
            .contains("THIS IS A RESULT ON THE BUNDLED SAMPLE")
    );
}

#[test]
fn arrays_are_scored_and_must_have_one_width() {
    let place = Place::new();
    let write = |name: &str, rows: usize, d: usize| {
        let values: Vec<f32> = (0..rows * d)
            .map(|i| (i * 37 % 101) as f32 / 101.0)
            .collect();
        write_npy(&place.path(name), ArrayRef::f32(&[rows, d], &values)).expect("written");
    };
    write("s.npy", 30, 4);
    write("v.npy", 10, 4);
    write("t.npy", 20, 4);
    write("w.npy", 10, 5);
    let eval = |valid| {
        [
            "eval",
            "--samples",
            "s.npy",
            "--valid",
            valid,
            "--test",
            "t.npy",
            "--json",
        ]
    };
    let score: serde_json::Value = serde_json::from_str(&place.ok(&eval("v.npy"))).expect("JSON");
    let score = score.as_object().expect("an object");
    let mut keys: Vec<&str> = score.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "log_likelihood",
        "n_samples",
        "n_test",
        "n_valid",
        "sigma",
        "stderr",
    ];
    assert_eq!(keys, expected);
    assert_eq!(
        (&score["n_samples"], &score["n_test"]),
        (&30.into(), &20.into())
    );
    let message = place.refused(&eval("w.npy"));
    assert!(
        message.contains("s.npy") && message.contains("w.npy"),
        "{message}"
    );
    assert!(
        message.contains("4 values") && message.contains("have 5"),
        "{message}"
    );
    place.refused(&eval("missing.npy"));
    place.refused(&["eval", "--samples", "s.npy"]);
    place.refused(&["eval"]);
}

#[test]
fn bench_presets_data_and_info_answer() {
    let place = Place::new();
    let bench = ["bench", "step", "tiny", "--batch", "10", "--steps", "3"];
    let table = place.ok(&bench);
    assert!(
        table.contains("median") && table.contains("share of peak"),
        "{table}"
    );
    assert!(table.contains("alternating updates, batch 10"), "{table}");
    let mut json = bench.to_vec();
    json.extend(["--json", "--threads", "1", "--update", "simultaneous"]);
    let bench: serde_json::Value = serde_json::from_str(&place.ok(&json)).expect("JSON");
    for key in [
        "median_ms",
        "min_ms",
        "gflop_per_step",
        "gflops",
        "peak_gflops",
    ] {
        assert!(
            bench[key].as_f64().is_some_and(|v| v > 0.0),
            "{key} in {bench}"
        );
    }
    assert_eq!(bench["origin"]["threads"], 1);

    assert!(place.ok(&["presets", "list"]).contains("mnist"));
    let preset = place.ok(&["presets", "show", "tiny"]);
    std::fs::write(place.path("my.toml"), preset).expect("written");
    place.ok(&[
        "trace",
        "my.toml",
        "--set",
        "train.batch=5",
        "--out",
        "t.npz",
    ]);

    let list = place.ok(&["data", "list"]);
    assert!(list.contains("no-data") && list.contains("mnist"), "{list}");
    let message = place.refused_by_system(&["data", "fetch", "mnist"]);
    assert!(message.contains("not tried: offline"), "{message}");
    for line in message.lines() {
        let reason = line.trim_start_matches("mnist: ").trim();
        assert_eq!(message.matches(reason).count(), 1, "{reason} in {message}");
    }
    assert!(
        place
            .refused(&["data", "fetch", "nist"])
            .contains("mnist, fashion-mnist")
    );
    let info = place.ok(&["info", "--threads", "3"]);
    for part in [
        env!("CARGO_PKG_VERSION"),
        "commit",
        "threads   3",
        "cuda      ",
    ] {
        assert!(info.contains(part), "{part} in {info}");
    }
}

#[test]
fn what_makes_no_sense_is_named() {
    let place = Place::new();
    for (arguments, part) in [
        (vec!["train", "mnits"], "did you mean mnist?"),
        (vec!["train", "no/such.toml"], "neither a preset nor a file"),
        (
            vec!["train", "tiny", "--set", "train.bach=3"],
            "did you mean train.batch?",
        ),
        (
            vec!["train", "tiny", "--set", "train.batch=x"],
            "train.batch",
        ),
        (vec!["train", "tiny", "--set", "train.batch"], "train.batch"),
        (vec!["train", "tiny", "--set", "train.batch=4001"], "4001"),
        (
            vec!["train", "tiny", "--set", "data.set=\"no.npz\""],
            "no.npz",
        ),
        (vec!["train", "tiny", "--epochs", "0"], "--epochs"),
        (
            vec!["train", "tiny", "--epochs", "2000000"],
            "error: --epochs 2000000: train.epochs must be",
        ),
        (
            vec!["train", "tiny", "--init-from", "runs/a \"b\""],
            "error: --init-from runs/a \"b\": init_from is not used here",
        ),
        (
            vec!["train", "tiny", "--set", "train.epochs=0"],
            "error: --set train.epochs=0: train.epochs must be",
        ),
        (
            vec!["bench", "step", "--batch", "200000000"],
            "error: --batch 200000000: train.batch must be",
        ),
        (vec!["train", "tiny", "--threads", "0"], "1 to 1024"),
        (vec!["train", "tiny", "--threads", "99999"], "1 to 1024"),
        (vec!["train", "tiny", "--seed", "-1"], "whole number from 0"),
        (vec!["train"], "required"),
        (
            vec!["train", "--resume", "nowhere"],
            "nowhere: is not a run",
        ),
        (
            vec!["train", "--resume", "run", "--seed", "2"],
            "cannot be used with",
        ),
        (
            vec!["train", "--resume", "run", "--set", "a=1"],
            "cannot be used with",
        ),
        (
            vec!["train", "tiny", "--resume", "run"],
            "cannot be used with",
        ),
        (vec!["sample", "nowhere"], "nowhere: is not a run"),
        (vec!["eval", "nowhere"], "nowhere: is not a run"),
        (vec!["presets", "show", "tinny"], "did you mean tiny?"),
        (vec!["bench", "step", "--update", "both"], "alternating"),
        (vec!["dance"], "unrecognized subcommand"),
    ] {
        let message = place.refused(&arguments);
        assert!(message.contains(part), "{arguments:?}: {message}");
    }
    let message = place.refused_by_system(&["bench", "step", "--batch", "1000000"]);
    assert!(message.contains("GiB"), "{message}");
    assert!(!place.path("runs").exists(), "nothing was begun");
}

#[test]
fn help_is_there_for_every_command_and_has_examples() {
    let place = Place::new();
    assert!(place.ok(&["--help"]).contains("ganforge train mnist"));
    assert!(place.ok(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
    for command in [
        "train", "sample", "eval", "report", "trace", "export", "import", "graph", "profile",
        "explain",
    ] {
        let help = place.ok(&[command, "--help"]);
        assert!(help.contains("Example"), "{command}: {help}");
    }
    for (command, inner) in [("bench", "step"), ("presets", "show"), ("data", "fetch")] {
        assert!(place.ok(&[command, inner, "--help"]).contains("Example"));
    }
    place.ok(&["help", "info"]);
}

#[test]
fn a_reader_that_leaves_early_causes_no_panic() {
    let place = Place::new();
    let mut command = place.command(&["presets", "show", "mnist"]);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdout.take());
    let mut err = String::new();
    let mut pipe = child.stderr.take().expect("piped");
    pipe.read_to_string(&mut err).expect("read");
    assert_eq!(
        (child.wait().expect("ended").code(), err.as_str()),
        (Some(0), "")
    );
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let Ok(full) = full else {
        return testkit::skip("dev-full", "this system has no /dev/full");
    };
    let mut command = place.command(&["presets", "list"]);
    let done = Done::of(command.stdout(full).output().expect("runs"));
    done.assert_refused_by_system("stdout on a full disk");
}

#[test]
fn exit_codes_are_the_same_in_help_readme_and_architecture() {
    let place = Place::new();
    let plain = |text: &str| {
        let text = text.replace('*', "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let texts = [
        plain(&place.ok(&["--help"])),
        plain(include_str!("../../README.md")),
        plain(include_str!("../../docs/architecture.md")),
    ];
    for text in texts {
        for part in [
            "0 done",
            "1 the work failed",
            "a non-finite loss, a wrong gradient",
            "2 bad input",
            "arguments, files, folders, data",
            "3 system error",
            "disk full, no permission, no network, no driver, out of memory",
            "130 interrupted",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn misuse_is_named() {
    let place = Place::new();
    let same = [
        "sample",
        "--pretrained",
        "mnist",
        "-n",
        "4",
        "--out",
        "x.npy",
        "--noise",
        "x.npy",
    ];
    assert!(
        place
            .refused(&same)
            .contains("x.npy: is the same file as --out")
    );
    let array = [
        "sample",
        "--pretrained",
        "mnist",
        "--out",
        "x.npy",
        "--scale",
        "2",
    ];
    assert!(
        place
            .refused(&array)
            .contains("--scale: there is no picture to enlarge")
    );
    let large = [
        "figure",
        "3",
        "--pretrained",
        "mnist",
        "--steps",
        "100",
        "--scale",
        "32",
    ];
    assert!(
        place
            .refused(&large)
            .contains("32 times as large: a side must have")
    );
    let one = ["figure", "3", "--pretrained", "mnist", "--steps", "1"];
    assert!(place.refused(&one).contains("from 2 to 100"));
    assert!(
        place
            .refused(&["eval", "no-run"])
            .contains("no-run: is not a run: there is no such file or folder")
    );
    std::fs::write(place.path("file"), "no folder").expect("written");
    let mut command = place.command(&["data", "list"]);
    let output = command
        .env("GANFORGE_DATA", place.path("file"))
        .output()
        .expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("file: is not a folder"), "{message}");
}

#[test]
fn a_checkpoint_of_another_model_is_not_taken_for_a_damaged_one() {
    let place = Place::new();
    place.train("run", &["--epochs", "2"]);
    let config = place
        .text("run/config.toml")
        .replace("units = 32", "units = 33");
    std::fs::write(place.path("run/config.toml"), config).expect("written");
    let message = place.refused(&["eval", "run"]);
    assert!(
        message.contains("step-00000080.npz") && !message.contains("delete"),
        "{message}"
    );
    place.train("other", &["--epochs", "2"]);
    std::fs::write(place.path("other/checkpoints/step-00000080.npz"), "cut").expect("written");
    let message = place.refused(&["eval", "other"]);
    assert!(
        message.contains("to use other/checkpoints/step-00000040.npz instead, delete"),
        "{message}"
    );
}

#[test]
fn what_cannot_be_written_is_refused_before_the_work() {
    let place = Place::new();
    // Each would take hours.
    for (arguments, file) in [
        (
            &["explain", "tiny", "--step", "99999999", "--out"][..],
            "no/x.html",
        ),
        (
            &["trace", "tiny", "--steps", "99999", "--force", "--out"],
            "no/x.npz",
        ),
        (
            &["profile", "mnist", "--steps", "9999999", "--trace"],
            "no/x.json",
        ),
        (&["bench", "kernels", "--out"], "no/x.html"),
    ] {
        let message = place.refused(&[arguments, &[file]].concat());
        assert!(
            message.contains(&format!("{file}: cannot write")),
            "{message}"
        );
    }
}
