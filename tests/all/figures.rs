//! Pictures of trained generators: `figure 2`, `figure 3`, `export`, and the generator that comes with the program; classic
//! results: `figure wasserstein`.

use crate::common::Place;

#[test]
fn the_generator_within_the_program_draws_digits_at_once() {
    let place = Place::new();
    let said = place.ok(&[
        "sample",
        "--pretrained",
        "mnist",
        "-n",
        "9",
        "--out",
        "a.npy",
    ]);
    assert!(said.contains("9 samples of 784 values: a.npy"), "{said}");
    let one = place.ok(&[
        "sample",
        "--pretrained",
        "mnist",
        "-n",
        "1",
        "--out",
        "one.npy",
    ]);
    assert!(one.contains("1 sample of 784 values: one.npy"), "{one}");
    let (n, d, x) = ganforge::gan::files::read_matrix_f32(&place.path("a.npy")).expect("read");
    assert_eq!((n, d), (9, 784));
    // Digits are mostly black, with strokes of white.
    let mean = x.iter().sum::<f32>() / x.len() as f32;
    assert!((0.08..0.2).contains(&mean), "mean {mean}");
    assert!(x.iter().filter(|v| **v > 0.9).count() > x.len() / 50);
    let said = place.ok(&["figure", "3", "--pretrained", "mnist", "--steps", "4"]);
    assert!(said.contains("figure 3: mnist-figure-3.png"), "{said}");
    assert!(place.bytes("mnist-figure-3.png").starts_with(b"\x89PNG"));
    let unknown = place.refused(&["sample", "--pretrained", "cifar"]);
    assert!(unknown.contains("there is: mnist"), "{unknown}");
}

#[test]
fn a_run_becomes_figures_and_one_file() {
    let place = Place::new();
    place.train("run", &["--epochs", "1", "--set", "train.average=0.99"]);
    let said = place.ok(&["figure", "2", "run", "--rows", "2", "--cols", "3"]);
    assert!(said.contains("nearest training example"), "{said}");
    assert!(said.contains("BUNDLED SAMPLE"), "{said}");
    assert!(place.bytes("run/figure-2.png").starts_with(b"\x89PNG"));
    place.ok(&["figure", "3", "run", "--out", "three.png"]);
    assert!(place.bytes("three.png").starts_with(b"\x89PNG"));

    place.ok(&["export", "run", "--out", "g.npz"]);
    place.ok(&["export", "run", "--out", "half.npz", "--half"]);
    let of = |from: &str, out: &str| {
        place.ok(&["sample", from, "-n", "5", "--out", out]);
        place.bytes(out)
    };
    assert_eq!(of("run", "a.npy"), of("g.npz", "b.npy"));
    assert_ne!(of("run", "a.npy"), of("half.npz", "c.npy"));
    let (full, half) = (place.bytes("g.npz").len(), place.bytes("half.npz").len());
    assert!(half < full * 6 / 10, "{half} of {full} bytes");
}

/// Draws four digits into this picture.
fn sample(picture: &str) -> [&str; 7] {
    [
        "sample",
        "--pretrained",
        "mnist",
        "-n",
        "4",
        "--out",
        picture,
    ]
}

#[test]
fn a_picture_is_what_the_ending_of_its_name_says_or_is_refused() {
    let place = Place::new();
    let (png, jpeg) = (&b"\x89PNG"[..], &b"\xff\xd8\xff"[..]);
    for (name, start) in [("a.png", png), ("a.jpg", jpeg), ("A.JPEG", jpeg)] {
        place.ok(&sample(name));
        assert!(place.bytes(name).starts_with(start), "{name}");
    }
    let figure = ["figure", "3", "--pretrained", "mnist", "--out", "f.txt"];
    for refused in [&sample("a.txt")[..], &figure] {
        let message = place.refused(refused);
        let expected = "expected a name that ends in .png, .jpg, .jpeg";
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn samples_are_enlarged_by_whole_pixels() {
    let place = Place::new();
    place.ok(&sample("small.png"));
    place.ok(&[&sample("large.png")[..], &["--scale", "3"]].concat());
    let (small, large) = (place.picture("small.png"), place.picture("large.png"));
    assert_eq!(small.size().to_string(), "62x62x1");
    assert_eq!(small.enlarged(3).expect("drawn"), large);
}

#[test]
fn what_is_no_generator_is_refused() {
    let place = Place::new();
    for command in [
        &["figure", "2"][..],
        &["figure", "3"],
        &["sample"],
        &["eval"],
    ] {
        let message = place.refused(command);
        assert!(message.contains("--pretrained NAME"), "{message}");
    }
    assert!(place.refused(&["figure", "4"]).contains("unrecognized"));
    assert!(
        place
            .refused(&["figure", "3", "nothing"])
            .contains("is not a run")
    );
    std::fs::write(place.path("text.npz"), "no archive").expect("written");
    let message = place.refused(&["sample", "text.npz"]);
    assert!(
        message.contains("text.npz: not an npz archive"),
        "{message}"
    );
    place.train("run", &["--epochs", "1"]);
    let message = place.refused(&["export", "run", "--out", "g.npy"]);
    assert!(message.contains(".npz"), "{message}");
    let checkpoint = "run/checkpoints/step-00000040.npz";
    let message = place.refused(&["sample", checkpoint]);
    assert!(message.contains("name the run's folder"), "{message}");
}

#[test]
fn a_toy_run_draws_points_and_counts_modes() {
    let place = Place::new();
    let short = [
        "train",
        "ring",
        "--epochs",
        "1",
        "--out",
        "ring",
        "--set",
        "train.batch=12800",
    ];
    place.ok(&short);
    assert!(
        place
            .bytes("ring/samples/epoch-001.png")
            .starts_with(b"\x89PNG")
    );
    let scores = place.text("ring/scores.csv");
    assert!(
        scores.starts_with("step,epoch,covered,modes,high_quality,n_samples\n4,1,"),
        "{scores}"
    );
    assert!(place.ok(&["eval", "ring"]).contains("of 8 modes covered"));
    let message = place.refused(&["figure", "2", "ring"]);
    assert!(message.contains("draws points of ring"), "{message}");
    std::fs::write(place.path("file"), "no folder").expect("written");
    assert!(
        place
            .refused(&["figure", "1", "--out", "file/x"])
            .contains("file/x")
    );
    assert!(
        place
            .refused(&["figure", "theory", "--out", "file/x"])
            .contains("file/x")
    );
}

#[test]
fn a_classic_result_is_drawn_and_the_same_for_any_number_of_threads() {
    let place = Place::new();
    let help = place.ok(&["help", "figure"]);
    for classic in ganforge::see::classics::CLASSICS {
        assert!(help.contains(classic.about()), "{help}");
        let own = place.ok(&["help", "figure", classic.name()]);
        assert!(
            own.contains("source: ") || classic.name() == "coverage",
            "{own}"
        );
    }
    for threads in ["1", "3"] {
        let out = format!("of-{threads}");
        let said = place.ok(&[
            "figure",
            "wasserstein",
            "--quick",
            "--threads",
            threads,
            "--out",
            &out,
        ]);
        assert!(said.starts_with("t       W      clipped"), "{said}");
        assert!(said.contains("wasserstein.png and .svg\n"), "{said}");
        let png = place.bytes(&format!("{out}/wasserstein.png"));
        assert!(png.starts_with(b"\x89PNG"));
    }
    for file in ["wasserstein.csv", "wasserstein.svg"] {
        let [one, three] = ["1", "3"].map(|n| place.bytes(&format!("of-{n}/{file}")));
        assert_eq!(one, three, "{file}");
    }
    let message = place.refused(&["figure", "wasserstein", "--seed", "-1"]);
    assert!(message.contains("--seed"), "{message}");
    assert!(
        place
            .refused(&["figure", "wasserstien"])
            .contains("wasserstein")
    );
}

#[test]
fn experiments_on_digits_take_the_sample_where_there_is_no_more_and_say_so() {
    let place = Place::new();
    let said = place.ok(&["figure", "bias", "--quick"]);
    assert!(said.starts_with("n    fid"), "{said}");
    for file in ["bias.svg", "bias.csv"] {
        let text = String::from_utf8(place.bytes(file)).expect("text");
        assert!(text.contains("the bundled sample of mnist"), "{text}");
    }
    assert!(place.bytes("bias.png").starts_with(b"\x89PNG"));
    for (classic, expected) in [
        ("bias", "sets of 9 images: expected from 500 to 500"),
        ("planted", "sets of 9 images: expected from 320 to 500"),
        ("margin", "unexpected argument '-n'"),
    ] {
        let message = place.refused(&["figure", classic, "-n", "9"]);
        assert!(message.contains(expected), "{message}");
    }
    let message = place.refused(&["figure", "planted", "-n", "x"]);
    assert!(message.contains("expected a whole number"), "{message}");
}
