//! One way to say things: what one command takes, the others take as well.

use serde_json::Value;

use crate::common::Place;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_run_is_taken_where_a_preset_is_and_means_its_configuration() {
    let place = Place::new();
    place.train("run", &["--epochs", "1", "--set", "noise.dim=7"]);
    let plan = |config: &str| place.ok(&["graph", config, "--stage", "plan"]);
    assert_eq!(plan("run"), plan("run/config.toml"));
    assert_ne!(plan("run"), plan("tiny"));
    let checked = json(&place.ok(&[
        "gradcheck",
        "run",
        "run/config.toml",
        "--order",
        "1",
        "--json",
    ]));
    let rows = checked.as_array().expect("a list");
    let (run, file) = rows.split_at(rows.len() / 2);
    assert_eq!(run, file);
    assert!(rows.iter().all(|r| r["passes"] == true), "{checked}");
    let profile = json(&place.ok(&["profile", "run", "--steps", "1", "--json"]));
    assert_eq!(profile["batch"], 100, "{profile}");
    let bench = json(&place.ok(&["bench", "step", "run", "--steps", "1", "--json"]));
    assert_eq!(bench["batch"], 100, "{bench}");
    let set = ["--set", "train.batch=5"];
    let trace = |config: &str, out: &str| {
        place.ok(&[&["trace", config, "--out", out], &set[..]].concat());
        place.bytes(out)
    };
    assert_eq!(trace("run", "a.npz"), trace("run/config.toml", "b.npz"));
    assert_eq!(
        place.ok(&["explain", "run/config.toml", "--out", "page.html"]),
        "page.html\n"
    );
}

#[test]
fn a_folder_is_no_preset_and_must_be_a_run() {
    let place = Place::new();
    std::fs::create_dir(place.path("tiny")).expect("made");
    place.ok(&["graph", "tiny", "--stage", "plan"]);
    for command in ["graph", "profile", "gradcheck", "explain"] {
        let message = place.refused(&[command, "./tiny"]);
        assert!(message.contains("is not a run"), "{command}: {message}");
    }
    let message = place.refused(&["trace", "./tiny", "--out", "t.npz"]);
    assert!(message.contains("is not a run"), "{message}");
    let message = place.refused(&["bench", "step", "./tiny"]);
    assert!(message.contains("is not a run"), "{message}");
    let message = place.refused(&["graph", "mnist-best"]);
    assert!(
        message.contains("it has been renamed to mnist"),
        "{message}"
    );
}

#[test]
fn the_report_of_a_folder_is_on_all_runs_in_it() {
    let place = Place::new();
    for run in ["runs/b", "runs/a"] {
        place.train(run, &["--epochs", "1"]);
    }
    std::fs::create_dir(place.path("runs/notes")).expect("made");
    assert_eq!(place.ok(&["report", "runs"]), "runs/report.html\n");
    let page = place.text("runs/report.html");
    assert!(page.contains("<title>a, b"), "{:.300}", page);
    let out = ["report", "runs", "--out", "other.html"];
    assert_eq!(place.ok(&out), "other.html\n");
    for command in ["report", "table1"] {
        let message = place.refused(&[command, "runs/notes"]);
        assert!(
            message.contains("runs/notes: is not a run and contains none"),
            "{message}"
        );
    }
    // With those of several seeds, and without one that cannot be opened.
    place.train("runs/many", &["--epochs", "1", "--seeds", "1..2"]);
    std::fs::create_dir(place.path("runs/bad")).expect("made");
    std::fs::write(place.path("runs/bad/config.toml"), "no = 1\n").expect("written");
    let done = place.run(&["table1", "runs", "--format", "csv"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(
        done.err.contains("skipped: runs/bad/config.toml"),
        "{}",
        done.err
    );
    let row = |run: &str| done.out.find(&format!(",{run},")).expect("a row");
    let places = ["runs/a", "runs/b", "runs/many/seed-1", "runs/many/seed-2"].map(row);
    assert!(places.is_sorted(), "{}", done.out);
    let done = place.run(&["report", "runs"]);
    assert!(
        done.err.contains("skipped: runs/bad/config.toml"),
        "{}",
        done.err
    );
    let page = crate::browser::page_data(&place.text("runs/report.html"));
    let labels = page["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| &run["label"]);
    assert_eq!(labels.collect::<Vec<_>>(), ["a", "b", "seed-1", "seed-2"]);
    place.refused(&["report", "runs/a", "runs/bad"]);
}

#[test]
fn info_says_in_json_what_it_says_in_lines() {
    let place = Place::new();
    let said = json(&place.ok(&["info", "--json", "--threads", "3"]));
    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(said["threads"], 3);
    for key in ["commit", "rustc", "system", "isa", "processor"] {
        assert!(said[key].is_string(), "{key} in {said}");
    }
    assert!(said["cpu_features"].is_array() && said["cuda"]["devices"].is_array());
    let listed = json(&place.ok(&["data", "list", "--json"]));
    assert_eq!(said["data"], listed);
}

#[test]
fn samples_go_into_files_of_the_kinds_that_their_names_say() {
    let place = Place::new();
    let two = [
        "sample",
        "--pretrained",
        "mnist",
        "-n",
        "4",
        "--out",
        "a.PNG",
        "--out",
        "a.npz",
    ];
    let said = place.ok(&two);
    assert!(place.bytes("a.PNG").starts_with(b"\x89PNG"));
    assert!(place.bytes("a.npz").starts_with(b"PK"));
    assert_eq!(said.lines().count(), 2, "{said}");
    let text = ["sample", "--pretrained", "mnist", "--out", "a.txt"];
    assert!(
        place
            .refused(&text)
            .contains(".png, .jpg, .jpeg, .npy, .npz")
    );
}

#[test]
fn the_generator_within_is_scored_by_its_name() {
    let place = Place::new();
    for (figure, other) in [("2", "3"), ("3", "2")] {
        let help = place.ok(&["help", "figure", figure]);
        assert!(
            help.contains(&format!("RUN/figure-{figure}.png;")),
            "{help}"
        );
        assert!(!help.contains(&format!("figure-{other}.png")), "{help}");
    }
    let help = place.ok(&["help", "bench", "gpu"]);
    assert!(
        help.contains("[default: cuda]") && !help.contains("[default: cpu]"),
        "{help}"
    );
    let help = place.ok(&["eval", "--help"]);
    assert!(help.contains("--pretrained <NAME>"), "{help}");
    let message = place.refused(&["eval", "--pretrained", "minst"]);
    assert!(message.contains("did you mean mnist?"), "{message}");
    // Without the data that it has learnt from there is no score of it.
    let message = place.refused(&["eval", "--pretrained", "mnist"]);
    assert!(message.contains("--pretrained mnist"), "{message}");
    let both = ["eval", "run", "--pretrained", "mnist"];
    assert!(place.refused(&both).contains("cannot be used with"));
}

#[test]
fn an_interpreter_says_beforehand_how_slow_it_is() {
    let place = Place::new();
    let step = ["trace", "ring", "--set", "train.batch=2", "--out", "t.npz"];
    let done = place.run(&[&step[..], &["--device", "ptxvm"]].concat());
    assert_eq!(done.code, Some(0), "{}", done.err);
    let said = done.err.lines().next().expect("a line");
    assert!(
        said.starts_with("--device ptxvm interprets"),
        "{}",
        done.err
    );
    assert!(
        done.err
            .contains("a second with preset tiny, five seconds with ring"),
        "{}",
        done.err
    );
    assert!(!place.run(&step).err.contains("ptxvm"));
}
