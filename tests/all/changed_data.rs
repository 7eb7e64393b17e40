//! Data that have changed since a run or a generator has learnt from them: nothing is computed from them in silence.

use std::fs;

use ganforge::gan::data::{Dataset, Images, bundled_sample};
use ganforge::gan::files::{ArrayRef, NpzReader, read_npz, write_npy, write_npz};

use crate::common::{Place, small};

/// An array of so many digits of the bundled sample, 28x28.
fn digits(place: &Place, name: &str, n: usize) {
    let Dataset { train, .. } = bundled_sample().expect("within");
    let bytes = Images::bytes(&train).expect("bytes");
    let shape = [n, 28, 28];
    let array = ArrayRef::u8(&shape, &bytes[..n * 784]);
    write_npy(&place.path(name), array).expect("written");
}

/// A run on 70 digits in d.npy, and its generator in g.npz.
fn learnt() -> Place {
    let place = Place::new();
    digits(&place, "d.npy", 70);
    let more = ["--epochs", "1", "--set", "data.set=d.npy"];
    place.train("run", &[&more[..], &["--set", "train.batch=10"]].concat());
    place.ok(&["export", "run", "--out", "g.npz"]);
    place
}

/// What computes something from the data of a run or a generator.
const READERS: [&[&str]; 7] = [
    &["eval", "run"],
    &["eval", "g.npz"],
    &["figure", "2", "run"],
    &["figure", "2", "g.npz"],
    &["explain", "run"],
    &["trace", "run", "--seed", "9", "--out", "t.npz"],
    &["train", "--resume", "run", "--epochs", "2"],
];

#[test]
fn changed_data_are_refused_by_all_that_read_them() {
    let place = learnt();
    let line = place.ok(&["eval", "g.npz"]);
    assert!(
        line.contains("50 images to train, 10 to validate, 10 to test"),
        "{line}"
    );
    let sum = |name: &str| {
        let about = place.text(&format!("{name}/run.json"));
        let about: serde_json::Value = serde_json::from_str(&about).expect("JSON");
        about["data"]["sha256"].as_str().expect("a sum").to_string()
    };
    let before = sum("run");
    digits(&place, "d.npy", 700);
    let more = ["--epochs", "1", "--set", "data.set=d.npy"];
    place.train("other", &more);
    let now = sum("other");
    let all_refuse = || {
        for reader in READERS {
            let message = place.refused(reader);
            for part in [&before, &now, "d.npy", "other data", "restore"] {
                assert!(message.contains(part), "{reader:?}, {part}: {message}");
            }
        }
    };
    all_refuse();
    // The checkpoint knows as well.
    fs::remove_file(place.path("run/run.json")).expect("removed");
    all_refuse();
    place.ok(&["export", "run", "--out", "g.npz"]);
    all_refuse();
    digits(&place, "d.npy", 70);
    for reader in READERS {
        place.ok(reader);
    }
}

#[test]
fn counts_and_sum_beside_a_score_are_those_of_the_data_scored_on() {
    let place = learnt();
    // Parameters of another program: nobody knows what they have learnt from.
    let all = read_npz(&place.path("g.npz")).expect("read");
    let tensors = all.iter().filter(|(name, _)| name.starts_with("G."));
    let tensors = tensors.map(|(name, array)| (name.clone(), array.as_ref()));
    write_npz(&place.path("p.npz"), tensors).expect("written");
    place.ok(&[
        "import",
        "p.npz",
        "--config",
        "run/config.toml",
        "--out",
        "i.npz",
    ]);
    for (n, counts) in [
        (70, "50 images to train, 10 to"),
        (700, "500 images to train, 100 to"),
    ] {
        digits(&place, "d.npy", n);
        let said = place.ok(&["eval", "i.npz"]);
        assert!(said.contains(counts), "{said}");
    }
}

#[test]
fn a_generator_of_the_full_data_is_not_scored_on_the_sample() {
    let place = Place::new();
    place.ok(&["export", "--pretrained", "mnist", "--out", "g.npz"]);
    let learnt = NpzReader::open(&place.path("g.npz"))
        .expect("read")
        .read("about")
        .expect("text");
    assert!(learnt.as_text().expect("text").contains("full data set"));
    let message = place.refused(&["eval", "g.npz"]);
    assert!(message.contains("ganforge data fetch mnist"), "{message}");
    let said = place.ok(&["figure", "2", "g.npz", "--rows", "1", "--cols", "1"]);
    assert!(
        said.contains("searched only the 4000 training images of the bundled sample"),
        "{said}"
    );
}

#[test]
fn seeds_that_learnt_from_other_data_are_not_taken_into_a_mean() {
    let place = Place::new();
    digits(&place, "d.npy", 70);
    let seeds = |list| {
        let more = ["--epochs", "1", "--set", "data.set=d.npy", "--set"];
        let more = [&more[..], &["train.batch=10", "--seeds", list]].concat();
        place.run(&small("mix", &more))
    };
    for list in ["1..2", "1..2"] {
        let done = seeds(list);
        assert_eq!(done.code, Some(0), "{}", done.err);
    }
    let table = place.text("mix/seeds.csv");
    digits(&place, "d.npy", 140);
    let done = seeds("1..4");
    done.assert_refused("other data");
    for part in ["mix/seed-1: has learnt from other data", "d.npy"] {
        assert!(done.err.contains(part), "{part}: {}", done.err);
    }
    assert!(!place.path("mix/seed-3").exists());
    assert_eq!(place.text("mix/seeds.csv"), table);
}
