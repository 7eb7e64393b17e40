//! Generators with classes on the command line: samples of a class, between two, pictures with a column for each.

use std::fs;

use ganforge::gan::data::{ImageSize, Picture};
use ganforge::gan::files::read_matrix_f32;

use crate::common::Place;

/// Both networks are told the class.
const TOLD: [&str; 4] = [
    "--set",
    "generator.layer+={name=\"class\", kind=\"append_class\", before=\"h0\"}",
    "--set",
    "discriminator.layer+={name=\"class\", kind=\"append_embedding\", units=4, before=\"h0\"}",
];

/// A run of one epoch on pictures of ten classes, each with rows of its own; pictures of samples have two rows of four.
fn train(place: &Place) {
    let size = ImageSize {
        height: 28,
        width: 28,
        channels: 1,
    };
    for class in 0..10 {
        fs::create_dir_all(place.path(&format!("set/{class}"))).expect("made");
        for i in 0..28 {
            let value = |at: usize| match at / 28 % 10 == class {
                true => (at * (class + 3) + i * 29) as u8,
                false => 0,
            };
            let picture = Picture::new(size, (0..784).map(value).collect()).expect("its size");
            let name = format!("set/{class}/{i:02}.png");
            picture.save(&place.path(&name)).expect("saved");
        }
    }
    let more = [
        "--epochs",
        "1",
        "--set",
        "output.grid=[2,4]",
        "--set",
        "data.set=\"set/\"",
        "--set",
        "train.batch=20",
    ];
    place.train("run", &[&TOLD[..], &more].concat());
}

/// The rows of an array in a file.
fn rows(place: &Place, name: &str) -> Vec<Vec<f32>> {
    let (_, d, values) = read_matrix_f32(&place.path(name)).expect("read");
    values.chunks(d).map(<[f32]>::to_vec).collect()
}

#[test]
fn samples_are_of_the_classes_that_are_asked_for() {
    let place = Place::new();
    train(&place);
    let drawn = |name: &str, more: &[&str]| {
        place.ok(&[&["sample", "run", "-n", "20", "--out", name], more].concat());
        rows(&place, name)
    };
    let all = drawn("all.npy", &[]);
    let (three, eight) = (
        drawn("3.npy", &["--class", "3"]),
        drawn("8.npy", &["--class", "8"]),
    );
    for i in 0..20 {
        assert_eq!(all[i] == three[i], i % 10 == 3, "{i}");
        assert_eq!(all[i] == eight[i], i % 10 == 8, "{i}");
    }
    assert_eq!(drawn("range.npy", &["--class", "0..9"]), all);
    let two = drawn("two.npy", &["--class", "8,3"]);
    for i in 0..20 {
        assert_eq!(two[i], [&eight, &three][i % 2][i], "{i}");
    }
    // From threes to eights in five steps: four noises.
    let more = [
        "--interpolate-class",
        "3:8",
        "--steps",
        "5",
        "--noise",
        "z.npy",
    ];
    let between = drawn("between.npy", &more);
    let z = rows(&place, "z.npy");
    for (i, (row, z)) in between.chunks(5).zip(z.chunks(5)).enumerate() {
        assert_eq!((&row[0], &row[4]), (&three[i], &eight[i]), "{i}");
        assert!(row.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(z.windows(2).all(|pair| pair[0] == pair[1]));
    }
    // From one noise to the next, each row of its class: 20 draws are ten pairs, of which four rows of five take four.
    let ends = drawn("ends.npy", &["--noise", "ends-z.npy"]);
    let draws = rows(&place, "ends-z.npy");
    let mut halfway = Vec::new();
    for way in ["linear", "slerp"] {
        let more = ["--interpolate", way, "--steps", "5", "--noise", "way.npy"];
        let along = drawn("along.npy", &more);
        let z = rows(&place, "way.npy");
        for row in 0..4 {
            assert_eq!(z[5 * row], draws[2 * row], "{way}");
            // The first draw of a pair has the class of its place only where that is the row's.
            let is_of_class = (2 * row) % 10 == row % 10;
            assert_eq!(along[5 * row] == ends[2 * row], is_of_class, "{way} {row}");
        }
        let norm = z[2].iter().map(|z| z * z).sum::<f32>().sqrt();
        halfway.push(norm);
    }
    assert!(halfway[0] < halfway[1], "{halfway:?}");
    place.ok(&["export", "run", "--out", "g.npz"]);
    place.ok(&[
        "sample", "g.npz", "-n", "20", "--class", "8", "--out", "file.npy",
    ]);
    assert_eq!(rows(&place, "file.npy"), eight);
}

#[test]
fn pictures_have_a_column_for_each_class() {
    let place = Place::new();
    train(&place);
    let size = |name: &str| {
        let size = place.picture(name).size();
        (size.width, size.height)
    };
    // The grid of training: its four columns are the first four classes.
    place.ok(&[
        "sample", "run", "-n", "8", "--class", "0..3", "--out", "four.png",
    ]);
    let grid = place.picture("run/samples/epoch-001.png");
    assert_eq!(grid.bytes(), place.picture("four.png").bytes());
    place.ok(&["sample", "run", "-n", "25", "--out", "all.png"]);
    assert_eq!(size("all.png"), (10 * 30 + 2, 3 * 30 + 2));
    place.ok(&[
        "sample",
        "run",
        "-n",
        "25",
        "--class",
        "7",
        "--out",
        "seven.png",
    ]);
    assert_eq!(size("seven.png"), (5 * 30 + 2, 5 * 30 + 2));
    let between = [
        "--interpolate-class",
        "3:8",
        "-n",
        "40",
        "--out",
        "between.png",
    ];
    place.ok(&[&["sample", "run"], &between[..]].concat());
    assert_eq!(size("between.png"), (10 * 30 + 2, 4 * 30 + 2));
    let said = place.ok(&["figure", "classes", "run", "--rows", "3", "--scale", "1"]);
    assert!(
        said.contains("figure classes: run/figure-classes.png"),
        "{said}"
    );
    assert_eq!(size("run/figure-classes.png"), (10 * 29 + 1, 3 * 29 + 1));
}

#[test]
fn classes_that_are_not_there_are_refused() {
    let place = Place::new();
    train(&place);
    place.train("plain", &["--epochs", "1"]);
    for (arguments, expected) in [
        (
            &["sample", "run", "--class", "12"][..],
            "--class: class 12: the generator has classes 0 to 9",
        ),
        (
            &["sample", "run", "--class", "5..12"],
            "--class: class 10: the generator has classes 0 to 9",
        ),
        (
            &["sample", "run", "--class", "x"],
            "a range as 0..9 (inclusive)",
        ),
        (
            &["sample", "run", "--interpolate-class", "3:10"],
            "--interpolate-class: class 10: the generator has classes 0 to 9",
        ),
        (
            &["sample", "run", "--interpolate-class", "3"],
            "two classes",
        ),
        (
            &["sample", "run", "--interpolate-class", "3:8", "-n", "15"],
            "-n 15: must be a multiple of the 10 steps",
        ),
        (
            &["sample", "plain", "--interpolate", "slerp", "-n", "15"],
            "-n 15: must be a multiple of the 10 steps between two noises",
        ),
        (
            &["sample", "plain", "--steps", "5"],
            "--steps: of a way between noises or classes",
        ),
        (
            &["sample", "plain", "--truncate", "0"],
            "--truncate: must be above 0 and at most 10, got 0",
        ),
        (&["sample", "plain", "--truncate", "1"], "--truncate: "),
        (
            &["sample", "plain", "--interpolate", "slerp", "--class", "1"],
            "--class: the generator has no classes",
        ),
        (
            &["sample", "plain", "--class", "1"],
            "--class: the generator has no classes",
        ),
        (
            &["sample", "plain", "--interpolate-class", "1:2"],
            "--interpolate-class: the generator has no classes",
        ),
        (
            &["figure", "classes", "plain"],
            "the generator has no classes",
        ),
    ] {
        let message = place.refused(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn a_score_of_classes_has_the_least_of_them() {
    let place = Place::new();
    train(&place);
    let metrics = [
        "eval",
        "run",
        "--set",
        "eval.samples=60",
        "--set",
        "eval.metrics=[\"accuracy\", {kind=\"class-spread\", of_class=4}]",
        "--json",
    ];
    let text = place.ok(&metrics);
    let scores: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let number = |name: &str| {
        scores[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    assert!((0.0..=1.0).contains(&number("accuracy")));
    assert!(number("accuracy_least") <= number("accuracy"));
    assert!((0.0..10.0).contains(&number("accuracy_least_class")));
    assert!(number("class_spread_least") <= number("class_spread"));
    let message = place.refused(&["eval", "--pretrained", "mnist", "--metrics", "class-spread"]);
    assert!(message.contains("class-spread"), "{message}");
}
