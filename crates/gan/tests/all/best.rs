//! The checkpoint of the best score.

use std::path::Path;

use ganforge_gan::config::Config;
use ganforge_gan::data::{Dataset, GAUSSIAN, bundled_sample};
use ganforge_gan::extractors::Loaded;
use ganforge_gan::run::Run;
use ganforge_gan::run::table::Table;
use ganforge_gan::sampler::Sampler;
use ganforge_gan::train::{Observer, Outcome, Progress, score_store, train};
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::Device;

/// Stops after the steps of a list.
struct Stops<'a>(&'a [u64], u64);

impl Observer for Stops<'_> {
    fn step(&mut self, progress: &Progress) {
        self.1 = progress.step;
    }
    fn message(&mut self, _: &str) {}
    fn should_stop(&self) -> bool {
        self.0.contains(&(self.1 + 1))
    }
}

fn config(preset: &str, options: &[&str]) -> Config {
    let config = Config::preset(preset).and_then(|c| c.with(options));
    config.unwrap_or_else(|e| panic!("{e}"))
}

/// Trains in a folder, from where it stands, until nothing stops it any more.
fn trained(folder: &Path, config: &Config, data: &Dataset, stops: &[u64]) -> Run {
    let mut run = match folder.is_dir() {
        true => Run::open(folder).expect("a run").0,
        false => Run::create(folder, config, "{}").expect("made"),
    };
    let mut outcome = Outcome::Stopped;
    while outcome == Outcome::Stopped {
        let mut trainer = Trainer::new(config, &data.train).expect("a trainer");
        run.newest(|path| trainer.load(path)).expect("resumed");
        run.rewind(trainer.steps()).expect("rewound");
        outcome = train(&mut trainer, data, &mut run, &mut Stops(stops, 0)).expect("trained");
    }
    run
}

/// Four steps an epoch, a score after each, by which the first is not the last.
const TOY: [&str; 7] = [
    "train.batch=2560",
    "train.epochs=6",
    "eval.samples=500",
    "eval.every=1",
    "eval.best=jsd",
    "output.checkpoint_every=1",
    "output.keep_checkpoints=6",
];

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The step whose number in a column is the smallest, and that number.
fn least(folder: &Path, column: &str) -> (u64, f64) {
    let table = Table::read(&folder.join("scores.csv")).expect("a table");
    let at = table.names.iter().position(|name| name == column);
    let at = at.unwrap_or_else(|| panic!("{column}: {:?}", table.names));
    let rows = table.rows.iter().map(|row| (row[0] as u64, row[at]));
    let least = rows.reduce(|a, b| if b.1 < a.1 { b } else { a });
    least.expect("a row")
}

#[test]
fn the_checkpoint_of_the_best_score_stays_whatever_stops_the_run() {
    let place = tempfile::tempdir().expect("a folder");
    let config = config("fig1", &TOY);
    let data = GAUSSIAN.draw(config.seed);
    let whole = place.path().join("whole");
    let run = trained(&whole, &config, &data, &[]);
    let (step, value) = least(&whole, "valid_jsd");
    let best = run.best().expect("read").expect("there");
    assert_eq!(
        (best.step, best.epoch, best.value),
        (step, Some(step as usize / 4), Some(value))
    );
    assert_eq!((&*best.score, best.on), ("valid_jsd", "valid"));
    let said = format!("after step {step}, epoch {}: valid_jsd ", step / 4);
    let text = best.to_string();
    assert!(
        text.starts_with(&said) && text.ends_with(", on validation images"),
        "{text}"
    );
    let same = format!("checkpoints/step-{step:08}.npz");
    assert!(bytes(&whole, "checkpoints/best.npz") == bytes(&whole, &same));

    let at_best = run.at_best().expect("it has one");
    let store = at_best.load(&config, 1).expect("loaded");
    assert_eq!(store.control.step, step);

    for stops in [&[1, 6][..], &[4, 13, 22]] {
        let folder = place.path().join(format!("stopped-{}", stops[0]));
        trained(&folder, &config, &data, stops);
        for name in ["checkpoints/best.npz", "scores.csv"] {
            assert!(
                bytes(&folder, name) == bytes(&whole, name),
                "{name} after {stops:?}"
            );
        }
    }
    // Killed after its last checkpoint but one: what is repeated chooses the same.
    for step in [12, 16, 20, 24] {
        std::fs::remove_file(whole.join(format!("checkpoints/step-{step:08}.npz"))).expect("there");
    }
    let before = bytes(&whole, "checkpoints/best.npz");
    trained(&whole, &config, &data, &[]);
    assert!(bytes(&whole, "checkpoints/best.npz") == before);
    // From before the best one, which on another device would not be repeated to the bit: it is not the run's any more.
    for later in (step..=24).step_by(4) {
        std::fs::remove_file(whole.join(format!("checkpoints/step-{later:08}.npz")))
            .expect("there");
    }
    let (run, _) = Run::open(&whole).expect("a run");
    run.rewind(step).expect("rewound");
    assert!(bytes(&whole, "checkpoints/best.npz") == before);
    run.rewind(step - 4).expect("rewound");
    assert_eq!(run.best().expect("read"), None);
    trained(&whole, &config, &data, &[]);
    assert!(bytes(&whole, "checkpoints/best.npz") == before);
}

#[test]
fn a_score_is_named_by_its_metric_or_its_column() {
    let named = |best: &str, metrics: &str| {
        let options = [
            "eval.every=1",
            "eval.best_on=test",
            &format!("eval.best={best}"),
            &format!("eval.metrics={metrics}"),
        ];
        let preset = if metrics.contains("modes") {
            "ring"
        } else {
            "mnist"
        };
        config(preset, &options).eval.choice().expect("one").name
    };
    // The first number of `modes` is how many there are.
    let modes = "[\"modes\", {kind=\"parzen\", valid=1000}]";
    assert_eq!(named("modes", modes), "covered");
    assert_eq!(named("parzen", modes), "log_likelihood");
    for (best, column) in [
        ("fid", "fid_mnistnet"),
        ("fid_mnistnet", "fid_mnistnet"),
        ("prdc", "precision_mnistnet"),
        ("precision", "precision_mnistnet"),
        ("recall", "recall_mnistnet"),
    ] {
        assert_eq!(named(best, "[\"prdc\", \"fid\"]"), column);
    }
}

#[test]
fn few_checkpoints_are_kept_beside_the_best_one_which_goes_with_all() {
    let place = tempfile::tempdir().expect("a folder");
    let config = config("fig1", &[&TOY[..], &["output.keep_checkpoints=1"]].concat());
    let data = GAUSSIAN.draw(config.seed);
    let folder = place.path().join("run");
    let run = trained(&folder, &config, &data, &[]);
    let names = || {
        let entries = std::fs::read_dir(folder.join("checkpoints")).expect("a folder");
        let names = entries.map(|e| e.expect("an entry").file_name().into_string());
        let mut names: Vec<String> = names.map(|n| n.expect("text")).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["best.npz", "step-00000024.npz"]);
    run.begin_again().expect("begun");
    assert!(names().is_empty());
    let none = run.best().expect("read");
    assert_eq!(none, None);
    let error = run.at_best().err().expect("none yet").to_string();
    assert!(
        error.ends_with(
            "has no best checkpoint yet: there is one after the first score, at epoch 1"
        ),
        "{error}"
    );
}

#[test]
fn a_run_without_a_choice_keeps_no_best_checkpoint() {
    let place = tempfile::tempdir().expect("a folder");
    let config = config("fig1", &[&TOY[..3], &["train.epochs=1"]].concat());
    let data = GAUSSIAN.draw(config.seed);
    let folder = place.path().join("run");
    let run = trained(&folder, &config, &data, &[]);
    assert!(!folder.join("checkpoints/best.npz").exists());
    let error = run.at_best().err().expect("none").to_string();
    assert!(
        error.ends_with("keeps no best checkpoint: its configuration has no eval.best"),
        "{error}"
    );
}

#[test]
fn the_choice_is_made_on_validation_images_unless_it_is_told_otherwise() {
    let place = tempfile::tempdir().expect("a folder");
    let data = bundled_sample().expect("bundled");
    let options = [
        "train.batch=1000",
        "train.epochs=2",
        "eval.every=1",
        "eval.metrics=[{kind=\"fid\", images=60}, {kind=\"kid\", protocol=\"compare-gan\", images=60}]",
        "eval.best=fid",
    ];
    let on_valid = config("tiny", &options);
    let folder = place.path().join("valid");
    trained(&folder, &on_valid, &data, &[]);
    let table = Table::read(&folder.join("scores.csv")).expect("a table");
    let last = table.names.last().map(String::as_str);
    assert_eq!(last, Some("valid_fid_mnistnet"));
    // The number of the end, by hand: the same samples against the validation images.
    let (run, _) = Run::open(&folder).expect("a run");
    let mut store = run.load(&on_valid, 784).expect("loaded");
    let swapped = Dataset {
        test: data.valid.clone(),
        ..data.clone()
    };
    let mut sampler = Sampler::new(&on_valid).expect("a sampler");
    let loaded = Loaded::at(&Device::CPU);
    let mut scored = |data: &Dataset| {
        let scores = score_store(&mut sampler, &on_valid, &mut store, data, &loaded);
        scores.expect("scored").values()[0].value
    };
    let row = &table.rows[1];
    let (test, valid) = (scored(&data), scored(&swapped));
    assert!((row[2] - test).abs() < 1e-6 && (row[row.len() - 1] - valid).abs() < 1e-6);
    assert!((test - valid).abs() > 1e-3, "{test} {valid}");

    let on_test = on_valid.with(&["eval.best_on=test"]).expect("valid");
    let folder = place.path().join("test");
    let run = trained(&folder, &on_test, &data, &[]);
    let (step, _) = least(&folder, "fid_mnistnet");
    let best = run.best().expect("read").expect("there");
    assert_eq!(
        (best.step, &*best.score, best.on),
        (step, "fid_mnistnet", "test")
    );
    let table = Table::read(&folder.join("scores.csv")).expect("a table");
    assert!(table.names.iter().all(|name| !name.starts_with("valid_")));
}

#[test]
fn numbers_that_cannot_be_told_are_empty_fields() {
    let place = tempfile::tempdir().expect("a folder");
    let mut data = bundled_sample().expect("bundled");
    data.test = data.test.slice(0..40).expect("some");
    // Fewer test images than in a batch of MS-SSIM; a standard error of KID that compare-gan's blocks of one do not have.
    let metrics = "eval.metrics=[\"ms-ssim\", {kind=\"kid\", protocol=\"compare-gan\", images=60}]";
    let config = config("tiny", &["train.batch=1000", "train.epochs=1", metrics]);
    let folder = place.path().join("run");
    trained(&folder, &config, &data, &[]);
    let text = String::from_utf8(bytes(&folder, "scores.csv")).expect("text");
    assert!(!text.contains("NaN"), "{text}");
    let table = Table::read(&folder.join("scores.csv")).expect("a table");
    let empty: Vec<&str> = table
        .names
        .iter()
        .zip(&table.rows[0])
        .filter(|(_, value)| value.is_nan())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(empty, ["ms_ssim_of_reference", "kid_stderr"]);
    let events = std::fs::read_dir(folder.join("tensorboard")).expect("a folder");
    let event = events
        .map(|e| e.expect("an entry").path())
        .next()
        .expect("a file");
    let events = std::fs::read(event).expect("read");
    let has = |tag: &str| events.windows(tag.len()).any(|w| w == tag.as_bytes());
    assert!(has("scores/ms_ssim") && has("scores/kid_std"));
    assert!(!has("scores/ms_ssim_of_reference") && !has("scores/kid_stderr"));
}
