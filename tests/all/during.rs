//! Scores during training: what run.json says of the networks, and the checkpoint of the best score.

use serde_json::Value;

use crate::browser::page_data;
use crate::common::Place;

fn own_network(place: &Place) {
    let bundled = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/crates/gan/assets/mnistnet.npz"
    );
    std::fs::copy(bundled, place.path("net.npz")).expect("copied");
}

/// Trains preset tiny in the folder `run`.
fn train(place: &Place, more: &[&str]) -> String {
    let all = ["train", "tiny", "--set", "train.batch=500", "--out", "run"];
    place.ok(&[&all[..], more].concat())
}

fn run_json(place: &Place, run: &str) -> Value {
    serde_json::from_str(&place.text(&format!("{run}/run.json"))).expect("JSON")
}

#[test]
fn a_run_names_the_networks_of_its_scores_and_goes_on_with_no_others() {
    let place = Place::new();
    own_network(&place);
    let metrics = "eval.metrics=[{kind=\"fid\", images=40}, {kind=\"fid\", images=40, extractor=\"./net.npz\"}]";
    let more = ["--set", metrics, "--set", "eval.every=1", "--epochs", "2"];
    train(&place, &more);
    let scores = place.text("run/scores.csv");
    let header = "step,epoch,fid_mnistnet,fid_samples_mnistnet,fid_test_mnistnet,fid_net,fid_samples_net,fid_test_net\n";
    assert!(scores.starts_with(header), "{scores}");
    assert_eq!(scores.lines().count(), 3);
    for row in scores.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        assert_eq!(fields[2], fields[5], "it is the same network");
    }
    let named = run_json(&place, "run")["extractors"].clone();
    assert_eq!(named[0]["extractor"], "mnistnet");
    assert_eq!(named[1]["extractor"], place.at("net.npz"));
    assert_eq!(named[0]["sha256"], named[1]["sha256"]);
    assert_eq!(named[0]["sha256"].as_str().map(str::len), Some(64));
    // One network, one set of images: one file.
    let kept = std::fs::read_dir(place.path("no-data/features")).expect("a folder");
    assert_eq!(kept.count(), 1);

    let more = ["train", "--resume", "run", "--epochs", "3"];
    place.ok(&["export", "net.npz", "--out", "other.npz"]);
    std::fs::rename(place.path("other.npz"), place.path("net.npz")).expect("renamed");
    let error = place.refused(&more);
    assert!(
        error.contains("run: its scores so far are of")
            && error.contains("net.npz with the SHA-256"),
        "{error}"
    );
    assert_eq!(place.text("run/scores.csv"), scores);
    own_network(&place);
    place.ok(&more);
    assert_eq!(place.text("run/scores.csv").lines().count(), 4);
}

#[test]
fn the_best_checkpoint_is_scored_sampled_and_exported_where_it_is_asked_for() {
    let place = Place::new();
    // Of one block compare-gan's KID has no standard error.
    let metrics = "eval.metrics=[{kind=\"fid\", images=60}, {kind=\"kid\", images=60, protocol=\"compare-gan\"}]";
    let keys = [
        metrics,
        "eval.every=1",
        "eval.best=fid",
        "output.keep_checkpoints=9",
    ];
    let more: Vec<&str> = keys.iter().flat_map(|key| ["--set", key]).collect();
    let said = train(&place, &[&more[..], &["--epochs", "3"]].concat());
    let best = said.lines().find(|line| line.starts_with("best: "));
    let best = best
        .expect("it says which")
        .trim_start_matches("best:")
        .trim();
    assert!(
        best.contains(": valid_fid_mnistnet ") && best.ends_with(", on validation images"),
        "{best}"
    );
    let page = place.text("run/report.html");
    assert!(page.contains(&format!("{best}: checkpoints/best.npz")));
    let shown = &page_data(&page)["runs"][0];
    let title = &shown["labels"]["valid_fid_mnistnet"]["title"];
    assert_eq!(title, "Fréchet distance of features, on validation images");
    let names = shown["scores"]["names"].as_array().expect("a list");
    let column = |name: &str| {
        let at = names.iter().position(|n| n == name).expect("a column");
        shown["scores"]["columns"][at].as_array().expect("a list")
    };
    assert!(column("kid_stderr").iter().all(Value::is_null));
    assert_eq!(column("valid_fid_mnistnet").len(), 3);
    assert!(column("valid_fid_mnistnet").iter().all(Value::is_f64));

    // An earlier one, as if it had been the best.
    let first = place.checkpoints("run").swap_remove(1);
    let [first, kept] = [first.as_str(), "best.npz"].map(|name| format!("run/checkpoints/{name}"));
    std::fs::copy(place.path(&first), place.path(&kept)).expect("copied");
    let step: u64 = first[first.len() - 12..first.len() - 4]
        .parse()
        .expect("a number");
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&place.ok(&[&["eval", "run", "--json"], arguments].concat()))
            .expect("JSON")
    };
    let (newest, best) = (json(&[]), json(&["--best"]));
    assert_eq!(newest.get("best"), None);
    assert_eq!(
        (&best["best"]["step"], &best["best"]["on"]),
        (&step.into(), &"valid".into())
    );
    let table = place.text("run/scores.csv");
    let row = |at: usize| {
        table
            .lines()
            .nth(at)
            .expect("a row")
            .split(',')
            .nth(2)
            .map(String::from)
    };
    let value = |object: &Value| {
        Some(format!(
            "{:.6}",
            object["fid_mnistnet"].as_f64().expect("a number")
        ))
    };
    assert_eq!([value(&best), value(&newest)], [row(1), row(3)]);
    let text = place.ok(&[
        "eval",
        "run",
        "--best",
        "--metrics",
        "parzen",
        "--set",
        "eval.samples=50",
    ]);
    assert!(
        text.contains(&format!("best: after step {step}, epoch 1: ")),
        "{text}"
    );

    for name in ["a.npy", "b.npy"] {
        let more: &[&str] = if name == "a.npy" { &["--best"] } else { &[] };
        place.ok(&[&["sample", "run", "-n", "3", "--out", name], more].concat());
    }
    assert!(place.bytes("a.npy") != place.bytes("b.npy"));
    place.ok(&["export", "run", "--best", "--out", "best.npz"]);
    place.ok(&["sample", "best.npz", "-n", "3", "--out", "c.npy"]);
    assert!(place.bytes("a.npy") == place.bytes("c.npy"));

    let error = place.refused(&["sample", "best.npz", "--best"]);
    assert!(
        error.contains("--best: of a run, and best.npz is a file"),
        "{error}"
    );
    std::fs::remove_file(place.path(&kept)).expect("there");
    let error = place.refused(&["eval", "run", "--best"]);
    assert!(error.contains("has no best checkpoint yet"), "{error}");
}
