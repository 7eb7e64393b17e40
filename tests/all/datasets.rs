//! The paper's other data sets through the command line: files of their formats, nets of a reduced size.

use std::fs;

use crate::common::Place;
use ganforge::gan::data::{ImageSize, Picture};

/// 75 faces, 60 of them unlabelled, in five folds.
const FACES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/crates/data/tests/fixtures/tfd.mat"
);

/// Small nets, few samples, one epoch.
const SMALL: [&str; 8] = [
    "generator.layer.h0.units=9",
    "generator.layer.h1.units=8",
    "discriminator.layer.h0.units=4",
    "discriminator.layer.h1.units=4",
    "train.batch=4",
    "train.epochs=1",
    "eval.samples=30",
    "output.grid=[2, 3]",
];

fn train<'a>(preset: &'a str, out: &'a str, options: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["train", preset, "-q", "--out", out];
    for option in SMALL.iter().chain(options) {
        arguments.extend(["--set", option]);
    }
    arguments.extend(more);
    arguments
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn faces_are_trained_on_in_two_stages_and_scored_by_fold() {
    let place = Place::new();
    fs::create_dir(place.path("stick")).expect("made");
    let sparse = ["generator.layer.out.init.sparse=5"];
    let first = train("tfd-pretrain", "a", &sparse, &[]);
    let refused = place.refused(&first);
    assert!(
        refused.contains("TFD_48x48.mat is not there") && refused.contains("no public mirror"),
        "{refused}"
    );
    fs::copy(FACES, place.path("stick/TFD_48x48.mat")).expect("copied");
    let said = place.ok(&["data", "fetch", "tfd", "--from", "stick"]);
    assert!(said.contains("no-data/tfd (from folder stick)"), "{said}");
    assert!(
        place
            .ok(&["data", "list"])
            .contains("tfd             complete, checked")
    );

    let said = place.ok(&first);
    assert!(said.contains("nats, mean over 5 folds (sigma 0."), "{said}");
    assert!(
        said.contains("60 images to train, 3 to validate, 3 to test in the first of 5 folds"),
        "{said}"
    );

    let second = |out| {
        train(
            "tfd",
            out,
            &["generator.layer.z0.units=7", "eval.every=1"],
            &[],
        )
    };
    let refused = place.refused(&second("b"));
    assert!(
        refused.contains("G.h0, G.h1, G.out start from the parameters of another run"),
        "{refused}"
    );
    let from = |run| [second("b"), vec!["--init-from", run]].concat();
    assert!(
        place
            .refused(&from("nowhere"))
            .contains("nowhere: is not a run")
    );
    place.train("m", &["--epochs", "1"]);
    let refused = place.refused(&from("m"));
    assert!(
        refused.contains("m: has no layer h1 in G, only h0, out"),
        "{refused}"
    );
    let refused = place.refused(&["train", "tiny", "--out", "c", "--init-from", "a"]);
    assert!(refused.contains("init_from is not used here"), "{refused}");
    assert!(!place.path("c").exists(), "nothing was begun");
    assert!(!place.path("b").exists(), "nothing was begun");

    place.ok(&from("a"));
    let config = place.text("b/config.toml");
    assert!(
        config.contains(&format!("init_from = \"{}\"", place.at("a"))),
        "{config}"
    );
    assert!(
        config.contains("init = { run = \"out\" }\nbias = \"run\""),
        "{config}"
    );
    let about = json(&place.text("b/run.json"));
    assert_eq!(about["init_from"]["step"], 15);
    assert_eq!(
        about["init_from"]["sha256"].as_str().map(str::len),
        Some(64)
    );
    assert_eq!(about["data"]["folds"], 5);

    // The first run is needed no more.
    fs::rename(place.path("a"), place.path("elsewhere")).expect("renamed");
    place.ok(&["train", "--resume", "b", "--epochs", "2", "-q"]);
    let score = json(&place.ok(&["eval", "b", "--json"]));
    let folds = score["folds"].as_array().expect("folds");
    assert_eq!(folds.len(), 5);
    let of = |fold: &serde_json::Value| fold["log_likelihood"].as_f64().expect("a number");
    let mean = folds.iter().map(of).sum::<f64>() / 5.0;
    let variance = folds.iter().map(|f| (of(f) - mean).powi(2)).sum::<f64>() / 5.0;
    let error = (variance / 5.0).sqrt();
    assert!((of(&score) - mean).abs() < 1e-9 * mean.abs());
    assert!((score["stderr"].as_f64().expect("a number") - error).abs() < 1e-9 * error);
    assert_eq!(
        (&score["n_test"], &folds[4]["n_test"]),
        (&15.into(), &3.into())
    );

    let table = place.ok(&["table1", "elsewhere", "b", "m"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[5].starts_with("tfd-pretrain (elsewhere)"), "{table}");
    assert!(
        table.contains("tfd, file of 60 training images, "),
        "{table}"
    );
    assert!(
        table.contains("not comparable with the paper: fewer than 10000 samples"),
        "{table}"
    );
    assert!(
        table.contains("not comparable with the paper: on the bundled sample"),
        "{table}"
    );
}

#[test]
fn photographs_are_trained_on_with_normalised_contrast() {
    let place = Place::new();
    fs::create_dir(place.path("cifar")).expect("made");
    let records = |n: usize, first: usize| -> Vec<u8> {
        let record = |i: usize| {
            let pixels = (0..3072).map(move |p| ((p % 32) * (i % 7 + 1) + p / 1024 * 60) as u8);
            std::iter::once((i % 10) as u8).chain(pixels)
        };
        (first..first + n).flat_map(record).collect()
    };
    fs::write(place.path("cifar/data_batch_1.bin"), records(20, 0)).expect("written");
    fs::write(place.path("cifar/test_batch.bin"), records(5, 20)).expect("written");
    let options = ["data.set=./cifar"];
    let said = place.ok(&train("cifar10-mlp", "run", &options, &[]));
    assert!(
        said.contains("16 images to train, 4 to validate, 5 to test"),
        "{said}"
    );
    assert!(place.text("run/config.toml").contains("contrast = \"gcn\""));
    let picture = place.picture("run/samples/epoch-001.png");
    let ImageSize { height, width, .. } = picture.size();
    assert_eq!((width, height), (3 * 34 + 2, 2 * 34 + 2));
    // Values about 0 are grey: neither half of them is cut off.
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let inside = places.filter(|(x, y)| x % 34 >= 2 && y % 34 >= 2);
    let values: Vec<u8> = inside
        .flat_map(|(x, y)| picture.pixel(x, y))
        .copied()
        .collect();
    let share =
        |is: fn(u8) -> bool| values.iter().filter(|v| is(**v)).count() as f64 / values.len() as f64;
    assert!(share(|v| v < 127) > 0.3 && share(|v| v > 128) > 0.3);
    assert!(share(|v| v == 0) + share(|v| v == 255) < 0.1);

    let table = json(&place.ok(&["table1", "run", "--json"]));
    assert_eq!(table[0]["column"], "other");
    assert!(
        table[0]["not_comparable"]
            .as_array()
            .expect("reasons")
            .len()
            >= 2
    );
    assert!(
        place
            .refused_by_system(&train("cifar10-mlp", "x", &[], &[]))
            .contains("not tried: offline")
    );
    fs::write(place.path("cifar/data_batch_1.bin"), &records(20, 0)[1..]).expect("written");
    assert!(
        place
            .refused(&train("cifar10-mlp", "x", &options, &[]))
            .contains("not a multiple of CIFAR-10's record size")
    );
    let refused = place.refused(&["train", "tiny", "--set", "data.set=cifar"]);
    assert!(
        refused.contains("or of a folder, with a / in it"),
        "{refused}"
    );
}

#[test]
fn pictures_in_a_folder_are_data_too() {
    let place = Place::new();
    fs::create_dir(place.path("pictures")).expect("made");
    let save = |name: &str, height: usize, width: usize, of: &dyn Fn(usize, usize) -> usize| {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let bytes = places.map(|(x, y)| of(x, y) as u8).collect();
        let size = ImageSize {
            height,
            width,
            channels: 1,
        };
        let picture = Picture::new(size, bytes).expect("as many bytes");
        picture.save(&place.path(name)).expect("saved");
    };
    for i in 0..21 {
        save(&format!("pictures/{i:02}.png"), 28, 28, &|x, y| {
            x * 9 + y * i
        });
    }
    let arguments = [
        "train",
        "tiny",
        "--out",
        "run",
        "--epochs",
        "1",
        "--set",
        "data.set=pictures/",
        "--set",
        "train.batch=5",
        "--set",
        "eval.samples=20",
    ];
    let said = place.ok(&arguments);
    assert!(
        said.contains("15 images to train, 3 to validate, 3 to test"),
        "{said}"
    );
    // The path in the configuration does not depend on where it is used.
    assert!(
        place
            .text("run/config.toml")
            .contains(&place.at("pictures"))
    );
    save("pictures/07.png", 28, 27, &|_, _| 0);
    let refused = place.refused(&["eval", "run"]);
    assert!(refused.contains("07.png: is 28x27 grey, but "), "{refused}");
    assert!(refused.contains("`--set data.resize=28`"), "{refused}");
    let resized = ["--set", "data.resize=28"];
    let arguments: Vec<&str> = arguments
        .iter()
        .map(|a| if *a == "run" { "resized" } else { a })
        .collect();
    place.ok(&[&arguments[..], &resized].concat());
    let config = place.text("resized/config.toml");
    assert!(config.contains("resize = [28, 28]"), "{config}");
    fs::write(
        place.path("resized/config.toml"),
        config.replace("[28, 28]", "[14, 56]"),
    )
    .expect("written");
    for command in [
        &["eval", "resized"][..],
        &["train", "--resume", "resized", "--epochs", "2"],
    ] {
        let refused = place.refused(command);
        assert!(refused.contains("has learnt from other data"), "{refused}");
    }
    fs::create_dir(place.path("empty")).expect("made");
    let refused = place.refused(&["train", "tiny", "--set", "data.set=empty/"]);
    assert!(
        refused.contains("contains no images (.png, .jpg, .jpeg)"),
        "{refused}"
    );
}

#[test]
fn the_table_is_written_three_ways_and_says_what_is_missing() {
    let place = Place::new();
    let table = place.ok(&["table1"]);
    assert!(
        table.contains("Adversarial nets (paper)  225 ± 2    2057 ± 26"),
        "{table}"
    );
    assert!(
        place
            .ok(&["table1", "--format", "md"])
            .contains("| DBN (paper) | 138 ± 2 | 1909 ± 66 |")
    );
    assert_eq!(place.ok(&["table1", "--format", "csv"]).lines().count(), 5);
    assert!(
        place
            .refused(&["table1", "nowhere"])
            .contains("nowhere: is not a run")
    );
    place.refused(&["table1", "--format", "html"]);

    // Scored after its first epoch, and stopped before its end.
    place.train("run", &["--epochs", "2", "--set", "eval.every=1"]);
    let about = json(&place.text("run/run.json"));
    let mut unfinished = about.clone();
    unfinished
        .as_object_mut()
        .expect("an object")
        .remove("score");
    fs::write(place.path("run/run.json"), unfinished.to_string()).expect("written");
    let scores = place.text("run/scores.csv");
    let first: Vec<&str> = scores.lines().take(2).collect();
    fs::write(place.path("run/scores.csv"), first.join("\n") + "\n").expect("written");
    let table = place.ok(&["table1", "run"]);
    assert!(
        table.contains("unfinished: the score of epoch 1 of 2"),
        "{table}"
    );
    fs::write(place.path("run/scores.csv"), format!("{}\n", first[0])).expect("written");
    let table = place.ok(&["table1", "run"]);
    assert!(
        table.contains("no score [") && table.contains("no score yet: a run is scored at its end"),
        "{table}"
    );
}

#[test]
fn colour_pictures_in_an_archive_are_shown_and_trained_on() {
    let place = Place::new();
    let classes = ["green", "red"];
    for (number, class) in classes.iter().enumerate() {
        fs::create_dir_all(place.path(&format!("set/{class}"))).expect("made");
        for i in 0..14 {
            // The class's colour, and in the left upper corner white.
            let colour = [[0, 200, 0], [200, 0, 0]][number];
            let pixels = (0..24).map(|p| if p == 0 { [255; 3] } else { colour });
            let size = ImageSize {
                height: 4,
                width: 6,
                channels: 3,
            };
            let picture = Picture::new(size, pixels.flatten().collect()).expect("as many bytes");
            let name = format!("set/{class}/{i:02}.png");
            picture.save(&place.path(&name)).expect("saved");
        }
    }
    let shown = place.ok(&["data", "show", "set/", "--out", "shown.png", "-n", "4"]);
    for line in [
        "20 images to train, 4 to validate, 4 to test",
        "image            4x6x3",
        "classes            0  green  10 train, 2 validate, 2 test",
        "                   1  red    10 train, 2 validate, 2 test",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let picture = place.picture("shown.png");
    assert_eq!((picture.size().height, picture.size().width), (14, 18));
    let corners = [(2, 2), (3, 3), (11, 11)].map(|(x, y)| picture.pixel(x, y));
    assert_eq!(corners, [[255; 3], [0, 200, 0], [200, 0, 0]]);
    let json = json(&place.ok(&["data", "show", "set/", "--json", "--set", "data.crop=4"]));
    assert_eq!(
        (&json["width"], &json["classes"], &json["counts"][1]),
        (&4.into(), &classes[..].into(), &vec![10, 2, 2].into())
    );
    assert!(json["examples_per_second"].as_f64() > Some(0.0));
    assert!(
        place
            .ok(&["data", "list"])
            .contains("pictures        2 sets decoded, 0.0 MB")
    );
    let refused = place.refused(&["data", "show", "set/", "--set", "train.batch=5"]);
    assert!(refused.contains("unknown key train"), "{refused}");

    let arguments = [
        "train",
        "tiny",
        "--out",
        "run",
        "--epochs",
        "2",
        "--set",
        "data.set=set/",
        "--set",
        "data.subset=15",
        "--set",
        "train.batch=5",
        "--set",
        "eval.samples=10",
        "--set",
        "generator.layer.out.units=72",
    ];
    let said = place.ok(&arguments);
    assert!(
        said.contains("15 images to train, 4 to validate, 4 to test"),
        "{said}"
    );
    // The mean of the data is what G begins with: reddish, greenish, never blue, and white in the corner.
    let samples = place.picture("run/samples/epoch-001.png");
    assert_eq!(samples.size().channels, 3);
    let [corner, beside] = [(2, 2), (4, 4)].map(|(x, y)| samples.pixel(x, y).to_vec());
    assert!(corner.iter().all(|v| *v > 200), "{corner:?}");
    assert!(
        beside[2] < 60 && beside[0].max(beside[1]) > 60,
        "{beside:?}"
    );
    let about = self::json(&place.text("run/run.json"));
    assert_eq!(about["data"]["classes"], serde_json::json!(classes));
}
