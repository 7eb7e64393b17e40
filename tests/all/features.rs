//! `ganforge eval --features`: scores of arrays that another program made.

use ganforge::gan::files::{ArrayRef, NpzReader, read_npz, write_npy, write_npz};
use serde_json::Value;

use crate::common::Place;

/// Rows [n, d] of the numbers from 0 to 1, shifted.
fn rows(n: usize, d: usize, shift: f64) -> Vec<f64> {
    let value = |i: usize| ((i * 7919 + 13) % 10_007) as f64 / 10_007.0 + shift;
    (0..n * d).map(value).collect()
}

fn save(place: &Place, name: &str, n: usize, d: usize, shift: f64) {
    let values = rows(n, d, shift);
    write_npy(&place.path(name), ArrayRef::f64(&[n, d], &values)).expect("written");
}

fn json(place: &Place, more: &[&str]) -> Value {
    let arguments = [
        &["eval", "--json", "--features", "a.npy", "--reference"],
        more,
    ]
    .concat();
    serde_json::from_str(&place.ok(&arguments)).expect("JSON")
}

#[test]
fn features_have_scores_by_protocol() {
    let place = Place::new();
    save(&place, "a.npy", 60, 3, 0.25);
    save(&place, "b.npy", 50, 3, 0.0);
    let said = json(&place, &["b.npy", "--kid-subset-size", "40"]);
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        keys.sort_unstable();
        keys
    };
    let about = [
        "d",
        "data",
        "extractor",
        "extractor_sha256",
        "fid",
        "n",
        "n_reference",
        "protocol",
        "reference",
        "reference_extractor",
        "sets",
    ];
    let of = |more: &[&str]| {
        let mut keys: Vec<String> = about.iter().chain(more).map(|k| k.to_string()).collect();
        keys.sort_unstable();
        keys
    };
    let kid = ["kid", "kid_std", "kid_stderr"];
    let balls = ["precision", "recall", "f_score", "density", "coverage"];
    assert_eq!(keys(&said), of(&[&kid[..], &balls].concat()));
    assert_eq!(
        (&said["n"], &said["n_reference"], &said["d"]),
        (&60.into(), &50.into(), &3.into())
    );
    assert_eq!(said["protocol"], "torch-fidelity");
    // The same by the library, and whatever the number of threads.
    let one = json(
        &place,
        &["b.npy", "--kid-subset-size", "40", "--threads", "1"],
    );
    assert_eq!(one, said);
    let shift = said["fid"].as_f64().expect("a number");
    assert!((shift - 3.0 * 0.0625).abs() < 0.1, "{shift}");
    let clean = json(&place, &["b.npy", "--protocol", "clean-fid"]);
    assert_eq!((keys(&clean), &clean["fid"]), (of(&kid), &said["fid"]));
    let fid = json(&place, &["b.npy", "--protocol", "pytorch-fid"]);
    assert_eq!(keys(&fid), of(&[]));
    let logits = ["b.npy", "--protocol", "compare-gan", "--logits", "a.npy"];
    assert_eq!(
        keys(&json(&place, &logits)),
        of(&[&kid[..], &["is", "is_std"]].concat())
    );
    let done = place.run(&["eval", "--features", "a.npy", "--reference", "b.npy"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(
        done.out.starts_with(
            "a.npy against b.npy: 3 features of an unknown network, protocol torch-fidelity\n\
             FID by torch-fidelity 0."
        ),
        "{}",
        done.out
    );
    assert!(
        !done.out.contains("KID") && done.out.contains("coverage"),
        "{}",
        done.out
    );
    assert!(
        done.err
            .contains("at least 1000 for a subset of KID: --kid-subset-size 50 or less"),
        "{}",
        done.err
    );
}

#[test]
fn statistics_stand_for_features() {
    let place = Place::new();
    save(&place, "a.npy", 60, 3, 0.25);
    save(&place, "b.npy", 50, 3, 0.0);
    save(&place, "few.npy", 3, 3, 0.0);
    place.ok(&["eval", "--features", "b.npy", "--statistics", "b.npz"]);
    let names: Vec<String> = NpzReader::open(&place.path("b.npz"))
        .expect("an npz")
        .names()
        .map(str::to_owned)
        .collect();
    assert_eq!(names, ["mu", "sigma", "n"]);
    let whole = json(&place, &["b.npy", "--kid-subset-size", "40"]);
    let said = json(&place, &["b.npz"]);
    assert_eq!(
        (&said["fid"], &said["n_reference"]),
        (&whole["fid"], &50.into())
    );
    assert_eq!(said.get("kid"), None);
    // As other programs write them: no n.
    let arrays = read_npz(&place.path("b.npz")).expect("read");
    let arrays = arrays.iter().filter(|(name, _)| name != "n");
    let arrays = arrays.map(|(name, array)| (name.clone(), array.as_ref()));
    write_npz(&place.path("other.npz"), arrays).expect("written");
    let other = json(&place, &["other.npz"]);
    assert_eq!(
        (&other["fid"], &other["n_reference"]),
        (&whole["fid"], &Value::Null)
    );
    let done = place.run(&["eval", "--features", "few.npy", "--reference", "b.npz"]);
    assert!(
        done.err.contains("warning: few.npy: 3 rows of 3 features"),
        "{}",
        done.err
    );
    // Of a set with itself the warning is said once, and the distance is not below 0.
    let done = place.run(&["eval", "--features", "few.npy", "--reference", "few.npy"]);
    let warnings = done.err.matches("few.npy: 3 rows of 3 features");
    assert_eq!(warnings.count(), 1, "{}", done.err);
    let said = "FID by torch-fidelity 0.000000 (3 against 3 rows)";
    assert!(done.out.contains(said), "{}", done.out);
}

#[test]
fn features_that_do_not_fit_are_refused() {
    let place = Place::new();
    save(&place, "a.npy", 60, 3, 0.0);
    save(&place, "wide.npy", 60, 4, 0.0);
    save(&place, "one.npy", 1, 3, 0.0);
    let mut broken = rows(60, 3, 0.0);
    broken[7] = f64::NAN;
    write_npy(&place.path("nan.npy"), ArrayRef::f64(&[60, 3], &broken)).expect("written");
    write_npy(
        &place.path("flat.npy"),
        ArrayRef::f64(&[180], &rows(60, 3, 0.0)),
    )
    .expect("written");
    write_npy(&place.path("bytes.npy"), ArrayRef::u8(&[2, 3], &[0; 6])).expect("written");
    let (mu, sigma) = ([0.0; 3], [1.0; 4]);
    let statistics = [
        ("mu".to_owned(), ArrayRef::f64(&[3], &mu)),
        ("sigma".to_owned(), ArrayRef::f64(&[2, 2], &sigma)),
    ];
    write_npz(&place.path("bad.npz"), statistics).expect("written");
    for (against, message) in [
        (
            "wide.npy",
            "rows of wide.npy have 4 features, those of a.npy have 3",
        ),
        (
            "one.npy",
            "one.npy: 1 row, expected at least 2 for a covariance",
        ),
        ("nan.npy", "nan.npy: row 2, column 1 is NaN"),
        ("flat.npy", "flat.npy: expected shape [N, d], got [180]"),
        ("bytes.npy", "bytes.npy: unsupported dtype uint8"),
        ("bad.npz", "expected shape [3, 3], as mu is [3], got [2, 2]"),
        ("none.npy", "none.npy"),
    ] {
        let said = place.refused(&["eval", "--features", "a.npy", "--reference", against]);
        assert!(said.contains(message), "{against}: {said}");
    }
    for (arguments, message) in [
        (&["--features", "a.npy"][..], "expected --reference B.npy"),
        (&["--reference", "a.npy"], "expected a run's folder"),
    ] {
        let said = place.refused(&[&["eval"], arguments].concat());
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
    let unknown = [
        "eval",
        "--features",
        "a.npy",
        "--reference",
        "a.npy",
        "--protocol",
        "mine",
    ];
    assert!(place.refused(&unknown).contains("torch-fidelity"));
    let blocks = ["--protocol", "compare-gan", "--kid-subset-size", "5"];
    let blocks = [
        &["eval", "--features", "a.npy", "--reference", "a.npy"][..],
        &blocks,
    ]
    .concat();
    assert!(place.refused(&blocks).contains("blocks"));
    let logits = [
        "eval",
        "--features",
        "a.npy",
        "--reference",
        "a.npy",
        "--logits",
        "a.npy",
        "--protocol",
        "pytorch-fid",
    ];
    let said = place.refused(&logits);
    assert!(
        said.contains("--logits: protocol pytorch-fid has no inception score"),
        "{said}"
    );
    let few = [
        &["eval", "--features", "a.npy", "--reference", "a.npy"][..],
        &["--logits", "one.npy"],
    ];
    let said = place.refused(&few.concat());
    assert!(
        said.contains("one.npy: 1 rows of logits, expected 60 as in a.npy"),
        "{said}"
    );
    for (metrics, message) in [
        (
            "kid",
            "not scored: kid: a.npy: 60 rows, expected at least 1000",
        ),
        ("is", "not scored: is: a.npy: has no logits"),
        (
            "parzen",
            "--metrics parzen: sets of features have fid, kid, is, precision",
        ),
    ] {
        let asked = [few[0], &["--metrics", metrics]].concat();
        let said = place.refused(&asked);
        assert!(said.contains(message), "{said}");
    }
    let one = place.ok(&[few[0], &["--metrics", "fid"]].concat());
    assert_eq!(one.lines().count(), 2, "{one}");
    let said = place.refused(&[
        "eval",
        "--pretrained",
        "mnist",
        "--metrics",
        "parzen",
        "--extractor",
        "mnistnet",
    ]);
    assert!(
        said.contains("--extractor: none of --metrics looks at images"),
        "{said}"
    );
}
