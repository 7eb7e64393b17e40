//! An encoder on the command line: trained on a run's generator, resumed, scored, shown, and refused where a generator is asked for.

use std::fs;

use ganforge::gan::data::{ImageSize, Picture};

use crate::common::Place;

/// Pictures of 8 x 8 in a folder and a run of a small GAN on them.
fn place() -> Place {
    let place = Place::new();
    fs::create_dir_all(place.path("set")).expect("made");
    for i in 0..70 {
        let value = |at: usize| ((at * 5 + i * 29) % 250) as u8;
        let size = ImageSize {
            height: 8,
            width: 8,
            channels: 1,
        };
        let picture = Picture::new(size, (0..64).map(value).collect()).expect("its size");
        picture
            .save(&place.path(&format!("set/{i:02}.png")))
            .expect("saved");
    }
    let text = "
name = 'gan'
data = { set = 'set/', resize = [8, 8], channels = 1, contrast = 'signed' }
noise.dim = 6
generator.layer = [
    { name = 'h0', units = 8, norm = 'batch' },
    { name = 'out', units = 64, shape = [8, 8, 1], activation = 'tanh' },
]
discriminator.layer = [{ name = 'out', units = 1, activation = 'linear' }]
train = { batch = 10, epochs = 1, average = 0.9 }
eval.metrics = ['nn-distance']
";
    fs::write(place.path("gan.toml"), text).expect("written");
    place.ok(&["train", "gan.toml", "--out", "gan"]);
    place
}

const SMALL: [&str; 6] = [
    "--set",
    "encoder.layer.h0.channels=3",
    "--set",
    "train.batch=10",
    "--set",
    "eval.every=2",
];

#[test]
fn it_is_trained_resumed_scored_and_shown() {
    let place = place();
    let train = |out: &str, epochs: &str| {
        let arguments = [
            "train",
            "--encoder",
            "gan",
            "--out",
            out,
            "--epochs",
            epochs,
        ];
        place.ok(&[&arguments[..], &SMALL].concat())
    };
    let said = train("whole", "4");
    assert!(said.contains("R² of a component at least"), "{said}");
    assert!(place.path("whole/report.html").is_file());
    train("short", "2");
    fs::rename(place.path("gan"), place.path("moved")).expect("moved");
    place.ok(&["train", "--resume", "short", "--epochs", "4"]);
    let last = place.last_checkpoint("whole");
    let last = last.strip_prefix("whole/").expect("relative to the run");
    for file in ["metrics.csv", "scores.csv", "r2.csv", last] {
        let read = |run: &str| place.bytes(&format!("{run}/{file}"));
        assert!(read("whole") == read("short"), "{file}");
    }
    assert_eq!(place.text("whole/r2.csv").lines().count(), 1 + 6);
    let about: serde_json::Value =
        serde_json::from_str(&place.text("whole/run.json")).expect("JSON");
    assert!(about.to_string().contains("step-00000005.npz"), "{about}");
    let again = place.ok(&["train", "--resume", "whole"]);
    assert!(again.contains("R² of a component"), "{again}");
    let score = place.ok(&["eval", "whole", "--json"]);
    let score: serde_json::Value = serde_json::from_str(&score).expect("JSON");
    assert!(
        score["z_mse"].is_f64() && score["mse_test"].is_f64(),
        "{score}"
    );
    let said = place.ok(&[
        "invert", "whole", "--test", "5", "--refine", "30", "--out", "a.png",
    ]);
    assert!(said.contains("5 images: mean (G(E(x)) - x)²"), "{said}");
    let picture = place.picture("a.png").size();
    assert_eq!([picture.height, picture.width], [3 * 10 + 2, 5 * 10 + 2]);
    let json = place.ok(&[
        "invert", "whole", "set", "-n", "25", "--refine", "20", "--json",
    ]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["images"], 25);
    let of = |value: &serde_json::Value| -> Vec<f64> {
        let all = value.as_array().expect("a list").iter();
        all.map(|x| x.as_f64().expect("a number")).collect()
    };
    let [before, after] = [&json["mse_of_each"], &json["refined"]["mse_of_each"]].map(of);
    assert!(before.iter().zip(&after).all(|(a, b)| b <= a), "{json}");
    // In pixels from 0 to 1 no square is more than 1.
    assert!(before.iter().all(|x| *x < 1.0));
    for arguments in [
        &["sample", "whole"][..],
        &["figure", "2", "whole"],
        &["export", "whole"],
    ] {
        let error = place.refused(arguments);
        assert!(error.contains("is an encoder, which inverts"), "{error}");
    }
    let error = place.refused(&["invert", "moved", "--test", "3"]);
    assert!(error.contains("moved: is no run of an encoder"), "{error}");
    fs::create_dir(place.path("small")).expect("made");
    let size = ImageSize {
        height: 4,
        width: 4,
        channels: 1,
    };
    let small = Picture::new(size, vec![7; 16]).expect("its size");
    small.save(&place.path("small/a.png")).expect("saved");
    let error = place.refused(&["invert", "whole", "small"]);
    assert!(
        error.contains("images of 4x4x1, and the generator makes images of 8x8x1"),
        "{error}"
    );
    let error = place.refused(&["train", "--encoder", "whole"]);
    assert!(error.contains("is an encoder"), "{error}");
    let error = place.refused(&["train", "--encoder", "nowhere"]);
    assert!(error.contains("encoder.of = \"nowhere\""), "{error}");
}

#[test]
fn its_step_is_shown_explained_and_traced() {
    let place = place();
    let arguments = ["train", "--encoder", "gan", "--out", "run", "--epochs", "1"];
    place.ok(&[&arguments[..], &SMALL].concat());
    let model = place.ok(&["model", "run"]);
    assert!(
        model.contains("\nG: 6 to ") && model.contains("\nE: 8 x 8 x 1 to 6"),
        "{model}"
    );
    let graph = place.ok(&["graph", "encoder"]);
    assert!(
        graph.contains("E/h0") && graph.contains("loss/e"),
        "{graph}"
    );
    place.ok(&["explain", "run", "--out", "step.html"]);
    assert!(place.text("step.html").contains("E's loss"));
    place.ok(&["trace", "run", "--steps", "2", "--out", "trace.npz"]);
    place.ok(&["gradcheck", "run", "--order", "1"]);
    place.ok(&["profile", "run"]);
}
