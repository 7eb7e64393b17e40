//! Scores during training: what run.json says of the networks, and the checkpoint of the best score.

use serde_json::Value;

use crate::common::Place;

fn own_network(place: &Place) {
    let bundled = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/crates/gan/assets/mnistnet.npz"
    );
    std::fs::copy(bundled, place.path("net.npz")).expect("copied");
}

fn run_json(place: &Place, run: &str) -> Value {
    serde_json::from_str(&place.text(&format!("{run}/run.json"))).expect("JSON")
}

#[test]
fn a_run_names_the_networks_of_its_scores_and_goes_on_with_no_others() {
    let place = Place::new();
    own_network(&place);
    let metrics = "eval.metrics=[{kind=\"fid\", images=40}, {kind=\"fid\", images=40, extractor=\"./net.npz\"}]";
    place.train(
        "run",
        &["--set", metrics, "--set", "eval.every=1", "--epochs", "2"],
    );
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
