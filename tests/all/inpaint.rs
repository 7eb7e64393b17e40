//! Inpainting on the command line: trained with and without a discriminator, resumed, scored, shown, and refused where noise alone is
//! asked for.

use std::fs;

use ganforge::gan::data::{ImageSize, Picture};

use crate::common::Place;

fn picture(side: usize, value: impl Fn(usize) -> u8) -> Picture {
    let size = ImageSize {
        height: side,
        width: side,
        channels: 1,
    };
    Picture::new(size, (0..side * side).map(value).collect()).expect("its size")
}

/// Pictures of 8 x 8 in a folder, and a configuration that restores them.
fn place() -> Place {
    let place = Place::new();
    for folder in ["set", "small"] {
        fs::create_dir_all(place.path(folder)).expect("made");
    }
    for i in 0..70 {
        let drawn = picture(8, |at| ((at * 5 + i * 29) % 250) as u8);
        let path = place.path(&format!("set/{i:02}.png"));
        drawn.save(&path).expect("saved");
    }
    picture(4, |_| 7)
        .save(&place.path("small/a.png"))
        .expect("saved");
    let mask = picture(8, |at| if at < 32 { 255 } else { 0 });
    mask.save(&place.path("mask.png")).expect("saved");
    let data = "
data = { set = 'set/', resize = [8, 8], channels = 1, contrast = 'signed' }
generator.layer = [
    { name = 'h0', kind = 'conv2d', channels = 4, norm = 'batch' },
    { name = 'out', kind = 'conv2d', channels = 1, activation = 'tanh' },
]
eval = { metrics = ['restoration'], every = 2 }
output = { grid = [2, 7] }
";
    let gan = "
name = 'gan'
restore = { kind = 'inpaint', first_epochs = 1 }
discriminator.layer = [
    { name = 'h0', kind = 'conv2d', channels = 4, stride = [2, 2] },
    { name = 'out', units = 1, activation = 'linear' },
]
train = { batch = 10, epochs = 4, average = 0.9 }
";
    let alone = "
name = 'alone'
restore = { kind = 'inpaint', adversarial = 0, content = 'mse', mask = 'top' }
train = { batch = 10, epochs = 4 }
";
    for (name, text) in [("gan", gan), ("alone", alone)] {
        let text = format!("{text}{data}");
        fs::write(place.path(&format!("{name}.toml")), text).expect("written");
    }
    place
}

#[test]
fn it_is_trained_resumed_scored_and_shown() {
    let place = place();
    for name in ["gan", "alone"] {
        let file = format!("{name}.toml");
        let said = place.ok(&["train", &file, "--out", name]);
        assert!(said.contains("of missing values"), "{said}");
        assert!(place.path(&format!("{name}/report.html")).is_file());
        let short = format!("{name}-short");
        let arguments = ["train", &file, "--out", &short, "--epochs", "2"];
        place.ok(&[&arguments[..], &["--threads", "1"]].concat());
        place.ok(&["train", "--resume", &short, "--epochs", "4"]);
        let last = place.last_checkpoint(name);
        let last = last.strip_prefix(&format!("{name}/")).expect("in the run");
        for file in ["metrics.csv", "scores.csv", "samples/epoch-004.png", last] {
            let read = |run: &str| place.bytes(&format!("{run}/{file}"));
            assert!(read(name) == read(&short), "{name}: {file}");
        }
        let grid = place
            .picture(&format!("{name}/samples/epoch-001.png"))
            .size();
        assert!(grid.width > 7 * 8 && grid.height > 2 * 8);
    }
    let columns = |run: &str| {
        place
            .text(&format!("{run}/metrics.csv"))
            .lines()
            .next()
            .map(str::to_owned)
    };
    let [gan, alone] = ["gan", "alone"].map(|run| columns(run).expect("a header"));
    assert!(gan.contains("loss_d") && gan.contains("content"), "{gan}");
    assert!(
        !alone.contains("loss_d") && alone.contains("content"),
        "{alone}"
    );
    let score = place.ok(&["eval", "gan", "--json"]);
    let score: serde_json::Value = serde_json::from_str(&score).expect("JSON");
    assert!(score["mse_missing"].is_f64(), "{score}");

    let said = place.ok(&[
        "inpaint",
        "gan",
        "--test",
        "3",
        "--samples",
        "4",
        "--out",
        "a.png",
    ]);
    assert!(
        said.contains("3 images: mean (y - x)² of missing values"),
        "{said}"
    );
    assert!(said.contains("of two completions"), "{said}");
    let shown = place.picture("a.png").size();
    assert_eq!([shown.height, shown.width], [3 * 10 + 2, 6 * 10 + 2]);
    let json = |more: &[&str]| -> serde_json::Value {
        let arguments = [&["inpaint", "gan", "set", "-n", "5", "--json"][..], more].concat();
        serde_json::from_str(&place.ok(&arguments)).expect("JSON")
    };
    let of_file = json(&["--mask", "mask.png"]);
    assert_eq!(
        (&of_file["missing"], &of_file["images"]),
        (&0.5.into(), &5.into())
    );
    // The same mask by its name.
    assert_eq!(of_file["mse"], json(&["--mask", "bottom"])["mse"]);
    picture(8, |_| 255)
        .save(&place.path("whole.png"))
        .expect("saved");
    assert!(json(&["--mask", "whole.png"])["mse"].is_null());

    for arguments in [
        &["sample", "gan"][..],
        &["figure", "2", "gan"],
        &["export", "alone"],
    ] {
        let error = place.refused(arguments);
        assert!(error.contains("restores images"), "{error}");
    }
    picture(8, |at| at as u8)
        .save(&place.path("grey.png"))
        .expect("saved");
    for (arguments, words) in [
        (
            &["set", "--mask", "small/a.png"][..],
            "a picture of 4x4, and the images are 8x8",
        ),
        (
            &["set", "--mask", "grey.png"],
            "expected white, what is known, and black",
        ),
        (
            &["set", "--mask", "rihgt"],
            "neither a file nor one of right, left",
        ),
        (
            &["small"],
            "images of 4x4x1, and the generator makes images of 8x8x1",
        ),
    ] {
        let error = place.refused(&[&["inpaint", "gan"][..], arguments].concat());
        assert!(error.contains(words), "{error}");
    }
    place.ok(&[
        "train",
        "tiny",
        "--out",
        "tiny",
        "--epochs",
        "1",
        "--set",
        "eval.samples=200",
    ]);
    let error = place.refused(&["inpaint", "tiny", "--test", "3"]);
    assert!(error.contains("tiny: has no [restore]"), "{error}");
}

#[test]
fn its_step_is_shown_explained_and_traced() {
    let place = place();
    for name in ["gan", "alone"] {
        let file = format!("{name}.toml");
        place.ok(&["train", &file, "--out", name, "--epochs", "1"]);
        let model = place.ok(&["model", name]);
        assert!(model.contains("\nG: 8 x 8 x 3 to 8 x 8 x 1"), "{model}");
        assert_eq!(
            model.contains("\nD: 8 x 8 x 2 to 1"),
            name == "gan",
            "{model}"
        );
        let graph = place.ok(&["graph", name]);
        assert!(
            graph.contains("G/h0") && graph.contains("loss/g"),
            "{graph}"
        );
        place.ok(&["explain", name, "--out", "step.html"]);
        place.ok(&["trace", name, "--steps", "2", "--out", "trace.npz"]);
        place.ok(&["gradcheck", name, "--order", "1"]);
        place.ok(&["profile", name]);
    }
}
