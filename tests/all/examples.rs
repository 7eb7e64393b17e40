//! The examples do what they say. Each is included as a module, so that what is tested is what is in the file.

use crate::common::Place;
use ganforge::gan::Config;
use ganforge::gan::data::bundled_sample;

#[path = "../../examples/03-gan-1d.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod gan_1d;
#[path = "../../examples/01-graph.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod graph;
#[path = "../../examples/07-interpolation.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod interpolation;
#[path = "../../examples/11-landscape/main.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod landscape;
#[path = "../../examples/05-mnist.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod mnist;
#[path = "../../examples/06-nearest-neighbours.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod nearest_neighbours;
#[path = "../../examples/08-your-own-gan.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod own;
#[path = "../../examples/10-your-own-op.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod own_op;
#[path = "../../examples/04-ring-mode-collapse.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod ring;
#[path = "../../examples/09-theory.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod theory;
#[path = "../../examples/02-xor.rs"]
#[allow(dead_code, reason = "its main is not called here")]
mod xor;

#[test]
fn the_chain_rule_agrees_with_differences_and_with_the_formula() {
    let checks = graph::run().expect("runs");
    let s = 1.0 / (1.0 + 2.75f64.exp()); // w·x + b = -2 · 1.5 + 0.25
    let by_hand = [(s - 1.0) * 1.5, s - 1.0, s * (1.0 - s) * 2.25];
    assert_eq!(checks.len(), by_hand.len());
    for (c, by_hand) in checks.iter().zip(by_hand) {
        assert!((c.chain_rule - by_hand).abs() < 1e-14, "{}", c.name);
        assert!((c.chain_rule - c.differences).abs() < 1e-9, "{}", c.name);
    }
}

#[test]
fn an_op_of_the_programs_own_is_checked_and_trained_with() {
    let (checks, [first, last]) = own_op::run(500).expect("runs");
    assert!(
        checks.len() > 8 && checks.iter().all(|f| f.passes()),
        "{checks:#?}"
    );
    assert!(last < 0.1 * first, "loss {first} -> {last}");
}

#[test]
fn the_perceptron_learns_exclusive_or() {
    let p = xor::run(500).expect("runs");
    let wrong = |(p, target): (&f32, f32)| (p - target).abs() > 0.1;
    assert!(!p.iter().zip([0.0, 1.0, 1.0, 0.0]).any(wrong), "{p:?}");
}

#[test]
fn the_generator_finds_the_data() {
    let [mean, sd] = gan_1d::run(5000).expect("runs");
    assert!((mean - 4.0).abs() < 0.5, "mean {mean}");
    assert!((0.3..0.8).contains(&sd), "sd {sd}");
}

#[test]
fn mnist_is_trained_and_scored_as_the_program_does_it() {
    let place = Place::new();
    place.train("run", &["--epochs", "2"]);
    let about: serde_json::Value = serde_json::from_str(&place.text("run/run.json")).expect("JSON");
    let config = Config::from_toml(&place.text("run/config.toml"), "config.toml").expect("valid");
    let picture = place.path("digits.png");
    let score = mnist::run(&config, &bundled_sample().expect("within"), 2, &picture).expect("runs");
    assert_eq!(about["score"]["log_likelihood"].as_f64(), Some(score));
    assert!(place.bytes("digits.png").starts_with(b"\x89PNG"));
    let text = include_str!("../../examples/05-mnist.rs");
    assert!(text.lines().count() <= 60, "longer than it promises");
}

#[test]
fn samples_are_no_nearer_to_the_training_examples_than_test_images() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("neighbours.png");
    let data = bundled_sample().expect("within");
    let [samples, test] = nearest_neighbours::run(&data, 20, &picture).expect("runs");
    assert!(
        samples > 0.6 * test,
        "samples {samples}, test images {test}"
    );
    assert!(picture.exists());
}

#[test]
fn the_way_between_two_digits_is_made_of_small_steps() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("way.png");
    let way = interpolation::run(15, &picture).expect("runs");
    assert_eq!(way.len(), 14);
    // Two different digits are about 10 apart.
    assert!(way.iter().all(|&step| step > 0.0 && step < 6.0), "{way:?}");
    assert!(way.iter().sum::<f64>() > 5.0, "{way:?}");
}

#[test]
fn taking_turns_finds_modes_and_a_stale_discriminator_loses_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let stem = folder.path().join("ring");
    let [good, bad] = ring::run(1500, Some(&stem)).expect("runs");
    assert!(
        good.score.covered >= 4 && good.crowd < 0.3,
        "{:?}",
        good.score
    );
    assert!(
        bad.score.covered <= 1 && bad.crowd > 0.45,
        "{:?}",
        bad.score
    );
    assert!(stem.with_extension("png").exists());
}

#[test]
fn theory_comes_out_in_numbers() {
    let found = theory::run(1500).expect("runs");
    assert!(found.d_error < 0.05, "{}", found.d_error);
    let [start, middle, end] = found.costs;
    assert!(start > middle && middle > end && end > -(4f64.ln()) - 1e-9);
    assert!(end < -(4f64.ln()) + 1e-6, "{end}");
    let s = 1.0 / (1.0 + 5f64.exp());
    assert!((found.gradients[0] + s).abs() < 1e-12 && (found.gradients[1] + 1.0 - s).abs() < 1e-12);
    let [both, turns] = found.radii;
    assert!((both - 1.01f64.powi(50)).abs() < 1e-4, "{both}");
    assert!((turns - 1.0).abs() < 0.1, "{turns}");
}

#[test]
fn a_game_of_ones_own_is_short_and_learns_its_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("parabola");
    own::run(&folder, 240).expect("runs");
    let samples = own::run(&folder, 720).expect("goes on from its checkpoint");
    assert!(folder.join("checkpoints/step-00000720.npz").is_file());
    let text = std::fs::read_to_string(folder.join("config.toml")).expect("written");
    assert!(text.contains("kind = \"own:least-squares\""), "{text}");
    let lacks = ganforge::gan::run::Run::open(&folder)
        .err()
        .expect("another program");
    assert!(
        lacks.to_string().contains("this one has no such thing"),
        "{lacks}"
    );
    let off = |p: &[f32]| (p[1] - p[0] * p[0]).powi(2);
    let n = samples.len() as f32 / 2.0;
    let distance = (samples.chunks(2).map(off).sum::<f32>() / n).sqrt();
    let widest = samples.chunks(2).map(|p| p[0].abs()).fold(0.0, f32::max);
    assert!(distance < 0.15, "{distance} from the parabola");
    assert!((1.2..2.0).contains(&widest), "as far out as {widest}");
    let text = include_str!("../../examples/08-your-own-gan.rs");
    assert!(text.lines().count() < 60, "longer than it promises");
}

/// A small grid in a folder, of the digits inside the program.
fn quick_landscape(
    folder: &std::path::Path,
    more: &[&str],
) -> (landscape::Args, ganforge::gan::data::Dataset) {
    let out = folder.to_str().expect("text");
    let all = [&["landscape", "--quick", "--out", out], more].concat();
    let args = clap::Parser::parse_from(all);
    landscape::prepare(args).expect("the digits inside")
}

#[test]
fn a_landscape_trains_each_run_once_wherever_it_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (args, data) = quick_landscape(folder.path(), &[]);
    let path = folder.path().join("runs.csv");
    let read = || std::fs::read_to_string(&path).expect("written");
    assert_eq!(landscape::fill(&args, &data).expect("trained"), 6);
    let whole = read();
    assert_eq!(landscape::fill(&args, &data).expect("nothing to do"), 0);
    assert_eq!(read(), whole);
    // All but the time of a run, which is another one each time.
    let values = |text: &str| -> Vec<String> {
        let values = text.lines().map(|line| {
            let mut fields: Vec<&str> = line.split(',').collect();
            fields.remove(5);
            fields.join(",")
        });
        values.collect()
    };
    let found = values(&whole);
    assert!(found[1].starts_with("ns,none,1,2,finished,"), "{found:?}");
    assert!(found[6].starts_with("hinge,sn,1,2,finished,"), "{found:?}");
    let outcomes = found[1..].iter().map(|line| line.splitn(6, ',').last());
    let different: std::collections::BTreeSet<_> = outcomes.collect();
    assert_eq!(different.len(), 6, "each setting counts: {found:?}");
    // Killed while it wrote a row.
    std::fs::write(&path, &whole[..whole.len() - 10]).expect("written");
    assert_eq!(landscape::fill(&args, &data).expect("goes on"), 1);
    assert_eq!(values(&read()), found);
    landscape::score_again(&args, &data, "parzen").expect("scored");
    assert_eq!(
        values(&read()),
        found,
        "scores are those of the generators kept"
    );
    let fid = r#"{kind="fid", images=150}"#;
    landscape::score_again(&args, &data, fid).expect("scored");
    let text = read();
    let mut lines = text.lines().skip(1).map(|line| line.rsplit_once(','));
    let is_fid = |line: Option<(&str, &str)>| {
        let (rest, score) = line.expect("fields");
        let is_far = score.parse::<f64>().is_ok_and(|score| score > 10.0); // of noise from digits
        rest.ends_with(",fid_mnistnet of 150 samples") && is_far
    };
    assert!(lines.all(is_fid), "{text}");
    let table = landscape::table(&args).expect("a table");
    assert!(table.contains("| `hinge` | "), "{table}");
    for picture in ["scores.png", "scores.svg", "samples.png"] {
        assert!(folder.path().join(picture).is_file(), "{picture}");
    }
    let (other, data) = quick_landscape(folder.path(), &["--set", "optimizer.lr=0.1"]);
    let refused = landscape::fill(&other, &data).expect_err("another folder is for that");
    assert!(refused.to_string().contains("setup.toml"), "{refused}");
    for option in ["seed=3", "data.contrast=none", "loss.kind=ls"] {
        let (other, data) = quick_landscape(folder.path(), &["--set", option]);
        let refused = landscape::fill(&other, &data).expect_err("the grid says it");
        assert!(refused.to_string().contains(option), "{refused}");
    }
}

#[test]
fn a_run_that_diverges_is_a_row_of_its_landscape() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = ["--only", "ebgan", "--set", "optimizer.lr=1000"];
    let (args, data) = quick_landscape(folder.path(), &more);
    assert_eq!(landscape::fill(&args, &data).expect("trained"), 3);
    let text = std::fs::read_to_string(folder.path().join("runs.csv")).expect("written");
    let is_row = |line: &str| line.starts_with("ebgan,none,1,") && line.contains(",diverged,");
    assert!(text.lines().any(is_row), "{text}");
    assert!(!folder.path().join("ebgan-none-1.npz").exists());
    let table = landscape::table(&args).expect("a table");
    assert!(table.contains("| `ebgan` | 1 of 1 diverged |"), "{table}");
}
