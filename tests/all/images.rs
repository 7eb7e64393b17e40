//! `ganforge features`, and `ganforge eval --images`: scores of images that any program made.

use std::fs;

use ganforge::gan::data::{ImageSize, Picture};
use ganforge::gan::files::{ArrayRef, NpzReader, write_npy, write_npz};
use ganforge::gan::metrics::{MetricKind, Scores};
use serde_json::Value;

use crate::common::Place;

/// Bytes [n, 28, 28, 1]: strokes whose place, slope and width depend on the image and on `seed`.
fn digits(n: usize, seed: usize) -> Vec<u8> {
    let pixel = |i: usize| {
        let (image, y, x) = (i / 784, i / 28 % 28, i % 28);
        let mixed = (image * 7919 + seed * 104_729 + 13) % 1009;
        let (middle, slope, width) = (8 + mixed % 13, (mixed / 13) % 5, 2 + mixed % 3);
        let at = middle + slope * y / 14;
        if x >= at && x < at + width && (4..24).contains(&y) {
            (200 + mixed % 56) as u8
        } else {
            0
        }
    };
    (0..n * 784).map(pixel).collect()
}

fn save(place: &Place, name: &str, n: usize, seed: usize) {
    let bytes = digits(n, seed);
    write_npy(&place.path(name), ArrayRef::u8(&[n, 28, 28, 1], &bytes)).expect("written");
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&place.ok(&arguments)).expect("JSON")
}

const KEPT: [&str; 7] = [
    "features",
    "logits",
    "extractor",
    "extractor_sha256",
    "protocol",
    "data",
    "data_sha256",
];

#[test]
fn images_and_their_kept_features_have_the_same_scores() {
    let place = Place::new();
    save(&place, "a.npy", 150, 1);
    save(&place, "b.npy", 140, 2);
    let names = |file: &str| -> Vec<String> {
        let npz = NpzReader::open(&place.path(file)).expect("an npz");
        npz.names().map(str::to_owned).collect()
    };
    let said = place.ok(&["features", "a.npy", "--out", "a.npz"]);
    assert!(
        said.contains("128 features of 150 images of a.npy by mnistnet, protocol torch-fidelity"),
        "{said}"
    );
    assert_eq!(names("a.npz"), KEPT);
    place.ok(&["features", "b.npy", "--out", "b.npz"]);
    place.ok(&["features", "b.npy", "--out", "moments.npz", "--statistics"]);
    assert_eq!(
        names("moments.npz"),
        [&["mu", "sigma", "n"], &KEPT[2..]].concat()
    );
    let subsets = ["--kid-subset-size", "60"];
    let pair = ["eval", "--images", "a.npy", "--reference", "b.npy"];
    let whole = json(&place, &[&pair[..], &subsets].concat());
    for key in [
        "fid",
        "kid",
        "kid_std",
        "kid_stderr",
        "is",
        "is_std",
        "precision",
        "recall",
        "f_score",
        "density",
        "coverage",
        "ms_ssim",
        "nn_distance",
    ] {
        assert!(whole[key].is_f64(), "{key}: {whole}");
    }
    let about = ["extractor", "protocol", "n", "n_reference"];
    assert_eq!(
        about.map(|key| whole[key].clone()),
        [
            "mnistnet".into(),
            "torch-fidelity".into(),
            150.into(),
            140.into()
        ] as [Value; 4]
    );
    assert_eq!(whole["data"], "b.npy");
    assert_eq!(whole["sets"]["generated"]["name"], "a.npy");
    assert_eq!(
        whole["sets"]["reference"]["sha256"].as_str().map(str::len),
        Some(64)
    );
    // The same from files that were kept, of one of them or of both.
    let kept = ["eval", "--features", "a.npz", "--reference", "b.npz"];
    let kept = json(&place, &[&kept[..], &subsets].concat());
    let mixed = ["eval", "--images", "a.npy", "--reference", "b.npz"];
    let mixed = json(&place, &[&mixed[..], &subsets].concat());
    for key in [
        "fid",
        "kid",
        "is",
        "precision",
        "coverage",
        "data",
        "sets",
        "extractor_sha256",
        "reference_extractor",
    ] {
        assert_eq!(
            (&kept[key], &mixed[key]),
            (&whole[key], &whole[key]),
            "{key}"
        );
    }
    let moments = ["eval", "--images", "a.npy", "--reference", "moments.npz"];
    let done = place.run(&[&moments[..], &["--json"]].concat());
    let said: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(said["fid"], whole["fid"]);
    // Of mean and covariance there is no KID, and they are to blame, not the images.
    assert_eq!(said.get("kid"), None);
    let blamed = "not scored: kid: moments.npz: has mean and covariance alone";
    assert!(done.err.contains(blamed), "{}", done.err);
    // A score is never printed without its network, its protocol and the numbers of images.
    let said = place.ok(&[&pair[..], &["--metrics", "fid,prdc"]].concat());
    for score in ["FID", "precision", "density"] {
        let line = said.lines().find(|line| line.starts_with(score));
        let line = line.unwrap_or_else(|| panic!("{score}: {said}"));
        assert!(
            line.starts_with(&format!("{score}-mnistnet by torch-fidelity ")),
            "{line}"
        );
        assert!(line.contains("(150 against 140 rows"), "{line}");
    }
    // FID alone, of some of the images.
    let few = json(
        &place,
        &[&pair[..], &["--metrics", "fid", "-n", "70"]].concat(),
    );
    assert_eq!((&few["n"], &few["n_reference"]), (&70.into(), &70.into()));
    assert_ne!(few["fid"], whole["fid"]);
}

#[test]
fn copies_are_found_by_their_pixels() {
    let place = Place::new();
    save(&place, "a.npy", 100, 1);
    let values: Vec<f32> = digits(100, 1)
        .iter()
        .map(|b| f32::from(*b) / 255.0)
        .collect();
    let array = ArrayRef::f32(&[100, 784], &values);
    write_npz(&place.path("flat.npz"), [("samples".to_owned(), array)]).expect("written");
    let pair = ["eval", "--images", "flat.npz", "--reference", "a.npy"];
    let said = json(
        &place,
        &[&pair[..], &["--metrics", "nearest,ms-ssim,fid"]].concat(),
    );
    assert_eq!(
        (
            &said["nn_distance"],
            &said["nn_distance_copies"],
            &said["nn_distance_n"]
        ),
        (&0.0.into(), &100.into(), &100.into())
    );
    assert_eq!(said["ms_ssim"], said["ms_ssim_of_reference"]);
    assert!(
        said["fid"].as_f64().is_some_and(|fid| fid.abs() < 1e-6),
        "{said}"
    );
    // The names of the metrics' columns of a run.
    let kinds = ["nn-distance", "ms-ssim"].map(|name| MetricKind::named(name).expect("a metric"));
    let header = Scores::header(&kinds);
    let columns: Vec<&str> = header.split(',').collect();
    for key in ["nn_distance", "ms_ssim", "ms_ssim_of_reference"] {
        assert!(columns.contains(&key), "{key}: {header}");
        assert!(said[key].is_f64(), "{key}: {said}");
    }
    let pixels = json(&place, &[&pair[..], &["--metrics", "nearest"]].concat());
    assert_eq!(
        (&pixels["extractor"], &pixels["nn_distance"]),
        (&Value::Null, &0.0.into())
    );
    save(&place, "b.npy", 100, 2);
    let other = [
        "eval",
        "--images",
        "b.npy",
        "--reference",
        "a.npy",
        "--metrics",
        "nearest",
    ];
    assert!(
        json(&place, &other)["nn_distance"]
            .as_f64()
            .is_some_and(|d| d > 0.1)
    );
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let place = Place::new();
    save(&place, "a.npy", 30, 1);
    save(&place, "one.npy", 1, 1);
    let wide = vec![7_u8; 20 * 32 * 32 * 3];
    write_npy(
        &place.path("wide.npy"),
        ArrayRef::u8(&[20, 32, 32, 3], &wide),
    )
    .expect("written");
    let bytes: Vec<f32> = digits(30, 1).iter().map(|b| f32::from(*b)).collect();
    let array = ArrayRef::f32(&[30, 28, 28], &bytes);
    write_npy(&place.path("bytes.npy"), array).expect("written");
    place.ok(&["features", "a.npy", "--out", "a.npz"]);
    place.ok(&["features", "wide.npy", "--out", "wide.npz"]);
    place.ok(&[
        "features",
        "a.npy",
        "--out",
        "clean.npz",
        "--protocol",
        "clean-fid",
    ]);
    fs::create_dir(place.path("folder")).expect("made");
    let eval = |more: &[&str]| place.refused(&[&["eval", "--images"], more].concat());
    for (more, message) in [
        (&["a.npy"][..], "--images: expected --reference B"),
        (
            &["a.npy", "--reference", "wide.npy"],
            "wide.npy: images of 32x32x3, and mnistnet takes 28x28x1",
        ),
        (
            &["a.npy", "--reference", "wide.npz"],
            "by cifarnet (SHA-256",
        ),
        (
            &["a.npy", "--reference", "none.npy"],
            "none.npy: cannot open",
        ),
        (&["bytes.npy", "--reference", "a.npy"], "--range bytes"),
        (
            &[
                "a.npy",
                "--reference",
                "clean.npz",
                "--protocol",
                "pytorch-fid",
            ],
            "--protocol pytorch-fid: clean.npz was made by the rules of clean-fid",
        ),
        (
            &["a.npy", "--reference", "a.npy", "--metrics", "kid"],
            "--kid-subset-size 30 or less",
        ),
        (
            &["a.npy", "--reference", "a.npy", "--metrics", "ms-ssim"],
            "30 rows, expected at least 64",
        ),
        (
            &["a.npy", "--reference", "wide.npy", "--metrics", "nearest"],
            "expected one size",
        ),
        (
            &["a.npy", "--reference", "a.npy", "--metrics", "parzen"],
            "--metrics parzen: sets of features have fid, kid, is, precision",
        ),
        (
            &["a.npy", "--reference", "a.npy", "--extractor", "inception"],
            "expected --weights FILE, as pt_inception-2015-12-05-6726825d.pth",
        ),
        (
            &["a.npy", "--reference", "one.npy"],
            "one.npy: 1 row, expected at least 2",
        ),
        (
            &["a.npy", "--reference", "a.npy", "--extractor", "folder"],
            "the network \"folder\", which there is not: expected ./folder for the run or the file of that name",
        ),
        (
            &["a.npy", "--reference", "a.npy", "-n", "1"],
            "-n 1: expected at least 2 images",
        ),
    ] {
        let said = eval(more);
        assert!(said.contains(message), "{more:?}: {said}");
    }
    let said = place.refused(&["eval", "--features", "a.npz", "--reference", "clean.npz"]);
    let made = "made by the rules of torch-fidelity, those of clean.npz by the rules of clean-fid";
    assert!(said.contains(made), "{said}");
    // The range of either set.
    let copies = |arguments: &[&str]| {
        let fixed = ["eval", "--metrics", "nearest"];
        json(&place, &[&fixed[..], arguments].concat())["nn_distance_copies"].clone()
    };
    for arguments in [
        &[
            "--images",
            "bytes.npy",
            "--reference",
            "a.npy",
            "--range",
            "bytes",
        ][..],
        &[
            "--images",
            "a.npy",
            "--reference",
            "bytes.npy",
            "--reference-range",
            "bytes",
        ],
        &[
            "--images",
            "bytes.npy",
            "--reference",
            "bytes.npy",
            "--range",
            "bytes",
        ],
    ] {
        assert_eq!(copies(arguments), 30, "{arguments:?}");
    }
    let npy = ["features", "a.npy", "--out", "b.npy", "--statistics"];
    assert!(place.refused(&npy).contains("expected --out FILE.npz"));
    // Grey for a network that takes colour is said, and so is a set too small for a covariance of full rank.
    let grey = vec![9_u8; 20 * 32 * 32];
    write_npy(&place.path("grey.npy"), ArrayRef::u8(&[20, 32, 32], &grey)).expect("written");
    let looks = ["--extractor", "cifarnet", "--metrics", "fid"];
    let pair = ["eval", "--images", "grey.npy", "--reference", "wide.npy"];
    let done = place.run(&[&pair[..], &looks].concat());
    assert_eq!(done.code, Some(0), "{}", done.err);
    let said = "grey.npy: images are grey, and cifarnet takes colour: each is repeated";
    assert_eq!(done.err.matches(said).count(), 1, "{}", done.err);
    assert!(
        done.err.contains("more than 128 rows would not"),
        "{}",
        done.err
    );
}

#[test]
fn options_that_would_change_nothing_are_refused() {
    let place = Place::new();
    save(&place, "a.npy", 70, 1);
    place.ok(&["features", "a.npy", "--out", "A.NPZ"]);
    place.ok(&["features", "a.npy", "--out", "B.NPY"]);
    assert!(place.bytes("B.NPY").starts_with(b"\x93NUMPY"));
    let floats = ArrayRef::f32(&[1, 28, 28], &[0.5; 784]);
    write_npy(&place.path("floats.npy"), floats).expect("written");
    let ranged = ["features", "a.npy", "--out", "c.npz", "--range", "unit"];
    let said = place.refused(&ranged);
    let expected = "--range: expected an array of floats, and there are bytes in a.npy";
    assert!(said.contains(expected), "{said}");
    let trained = &["--pretrained", "mnist"][..];
    let features = &["--features", "B.NPY", "--reference", "A.NPZ"][..];
    let samples = ["--samples", "a.npy", "--valid", "a.npy", "--test", "a.npy"];
    let images = &["--images", "a.npy", "--reference", "a.npy"][..];
    let pixels = [images, &["--metrics", "ms-ssim"]].concat();
    let fid = [images, &["--metrics", "fid"]].concat();
    let statistics = &["--features", "B.NPY", "--statistics", "s.npz"][..];
    for (subject, more, name) in [
        (trained, &["--reference", "a.npy"][..], "--reference"),
        (trained, &["--size", "5x5x1"], "--size"),
        (trained, &["--part", "valid"], "--part"),
        (trained, &["--range", "unit"], "--range"),
        (trained, &["--kid-subset-size", "3"], "--kid-subset-size"),
        (trained, &["--logits", "zz"], "--logits"),
        (trained, &["--statistics", "x.npz"], "--statistics"),
        (trained, &["--best"], "--best"),
        (features, &["--extractor", "mnistnet"], "--extractor"),
        (
            features,
            &["--extractor", "c.toml", "--weights", "w"],
            "--extractor",
        ),
        (features, &["-n", "5"], "-n"),
        (features, &["--range", "unit"], "--range"),
        (features, &["--part", "test"], "--part"),
        (features, &["--size", "28x28x1"], "--size"),
        (
            features,
            &["--reference-range", "unit"],
            "--reference-range",
        ),
        (statistics, &["--metrics", "fid"], "--metrics"),
        (statistics, &["--protocol", "clean-fid"], "--protocol"),
        (&samples, &["-n", "5"], "-n"),
        (&samples, &["--extractor", "mnistnet"], "--extractor"),
        (&samples, &["--metrics", "fid"], "--metrics"),
        (&pixels, &["--extractor", "nonesuch"], "--extractor"),
        (&pixels, &["--kid-subset-size", "0"], "--kid-subset-size"),
        (images, &["--part", "test"], "--part"),
        (images, &["--range", "unit"], "--range"),
        (images, &["--reference-range", "unit"], "--reference-range"),
        (
            &["--images", "a.npy", "--reference", "floats.npy"],
            &["--range", "unit", "--reference-range", "unit"],
            "--range",
        ),
        (
            &["--images", "a.npy", "--reference", "A.NPZ"],
            &["--range", "unit"],
            "--range",
        ),
        (&fid, &["--kid-subset-size", "9"], "--kid-subset-size 9"),
        (
            &["--images", "a.npy", "--reference", "A.NPZ"],
            &["--reference-range", "unit"],
            "--reference-range",
        ),
    ] {
        let said = place.refused(&[&["eval"], subject, more].concat());
        let first = said.lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&format!("error: {name}: ")),
            "{subject:?} {more:?}: {said}"
        );
    }
    // Faults of the command are told before anything is looked at: here before it is found that there is no such network.
    for (more, message) in [
        (
            &["--metrics", "prdc", "--protocol", "compare-gan"][..],
            "protocol compare-gan has no such score",
        ),
        (
            &["--metrics", "kid", "--kid-subset-size", "71"],
            "a.npy: 70 rows, expected at least 71",
        ),
        (
            &["--protocol", "compare-gan", "--kid-subset-size", "9"],
            "blocks, no subsets",
        ),
        (&["--kid-subset-size", "1"], "expected at least 2 rows"),
    ] {
        let said = place.refused(&[&["eval", "--extractor", "no/such"], images, more].concat());
        assert!(said.contains(message), "{more:?}: {said}");
    }
    // What does not say its network is named, and its score is called after none.
    let done = place.run(&[&["eval"], features].concat());
    assert_eq!(done.code, Some(0), "{}", done.err);
    let warning = "warning: B.NPY: does not say which network made it";
    assert_eq!(done.err.matches(warning).count(), 1, "{}", done.err);
    assert!(
        done.out.contains("\nFID by torch-fidelity "),
        "{}",
        done.out
    );
    let said = json(&place, &[&["eval"], features].concat());
    assert_eq!(
        (&said["extractor"], &said["reference_extractor"]),
        (&Value::Null, &"mnistnet".into())
    );
    // One spelling for pixels, and as many images as -n says.
    let said = json(
        &place,
        &[&["eval"], images, &["--metrics", "ms_ssim", "-n", "66"]].concat(),
    );
    assert_eq!(
        (&said["ms_ssim_n"], &said["protocol"]),
        (&64.into(), &"torch-fidelity".into())
    );
    let few = [&["eval"], images, &["--metrics", "ms_ssim", "-n", "60"]].concat();
    assert!(
        place
            .refused(&few)
            .contains("60 rows, expected at least 64")
    );
    // A score by the name of one of its numbers.
    let unsaid = [
        "eval",
        "--images",
        "a.npy",
        "--reference",
        "a.npy",
        "--metrics",
        "recall",
    ];
    assert!(json(&place, &unsaid)["recall"].is_f64());
}

#[test]
fn a_folder_is_read_as_the_protocol_reads_it() {
    let place = Place::new();
    fs::create_dir_all(place.path("set/within")).expect("made");
    let size = ImageSize {
        height: 28,
        width: 28,
        channels: 1,
    };
    for (i, pixels) in digits(7, 3).chunks(784).enumerate() {
        let folder = if i < 4 { "set" } else { "set/within" };
        let picture = Picture::new(size, pixels.to_vec()).expect("its size");
        picture
            .save(&place.path(&format!("{folder}/{i}.png")))
            .expect("saved");
    }
    let pair = ["eval", "--images", "set", "--reference", "set"];
    for (protocol, n) in [
        ("torch-fidelity", 4),
        ("pytorch-fid", 4),
        ("clean-fid", 7),
        ("compare-gan", 7),
    ] {
        let more = ["--metrics", "fid", "--protocol", protocol];
        let said = json(&place, &[&pair[..], &more].concat());
        assert_eq!(said["n"], n, "{protocol}");
    }
    // clean-fid reads arrays among pictures.
    let array = vec![128; 28 * 28 * 3];
    let array = ArrayRef::u8(&[28, 28, 3], &array);
    write_npy(&place.path("set/8.npy"), array).expect("written");
    for (protocol, n) in [("torch-fidelity", 4), ("clean-fid", 8)] {
        let more = ["--metrics", "nearest", "--protocol", protocol];
        let said = json(&place, &[&pair[..], &more].concat());
        assert_eq!(said["n"], n, "{protocol}");
        assert_eq!(said["nn_distance_copies"], n, "{protocol}");
    }
    for (option, value) in [
        ("--part", "test"),
        ("--size", "28x28x1"),
        ("--range", "unit"),
    ] {
        let said = place.refused(&[&pair[..], &[option, value]].concat());
        assert!(said.contains(&format!("{option}: expected ")), "{said}");
    }
}
