//! What a checkpoint is good for.

use ganforge_gan::Trainer;
use ganforge_gan::config::Config;
use ganforge_gan::data::Images;
use ganforge_gan::files::{ArrayRef, NpzWriter};
use ganforge_gan::trainer::StepReport;

fn trainer(options: &[&str]) -> Trainer {
    let all = [&["train.batch=10"], options].concat();
    let config = Config::preset("tiny").and_then(|c| c.with(&all));
    let bytes: Vec<u8> = (0..20 * 784).map(|i| (i * 7919 % 256) as u8).collect();
    Trainer::new(&config.expect("valid"), &Images::from_bytes(784, bytes)).expect("a trainer")
}

/// Two trainers go the same way from a checkpoint only if everything that trains is equal; what a run writes may differ.
#[test]
fn a_checkpoint_of_whatever_trains_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let mut first = trainer(&[]);
    first.step().unwrap();
    first.save(&path, "sum").unwrap();
    for option in [
        "seed=2",
        "noise.distribution=\"normal\"",
        "generator.layer.h0.activation=\"tanh\"",
        "generator.layer.h0.init={uniform=0.06}",
        "generator.layer.h0.max_col_norm=1.0",
        "discriminator.layer.h0.keep_prob=0.7",
        "discriminator.layer.h0.scale=1.0",
        "discriminator.layer.h0.dropout_epochs=1",
        "loss.half=false",
        "loss.generator=\"minimax\"",
        "train.batch=5",
        "train.update=\"alternating\"",
        "train.joined=true",
        "discriminator.optimizer.lr=0.2",
        "optimizer.lr=0.2",
        "optimizer.lr_decay=1.1",
        "optimizer.lr_min=1e-5",
        "optimizer.momentum.end=0.8",
    ] {
        let mut other = trainer(&[option]);
        let before = other.store().clone();
        let message = other.load(&path).expect_err(option).to_string();
        assert!(
            message.contains("another configuration"),
            "{option}: {message}"
        );
        assert!(*other.store() == before, "{option}: the store is changed");
    }
    for option in [
        "name=\"other\"",
        "train.epochs=9",
        "eval.samples=7",
        "output.log_every=3",
    ] {
        let mut other = trainer(&[option]);
        assert_eq!(other.load(&path).expect(option), "sum");
        assert!(other.store() == first.store(), "{option}");
    }
}

/// Commit d5f05c1 wrote the keys `include` and `loss.discriminator`, no `joined`, and the sums of its four monitors in one
/// array.
#[test]
fn a_checkpoint_of_format_1_is_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.npz");
    let mut first = trainer(&[]);
    for _ in 0..3 {
        let report = first.step().unwrap();
        first.window().add(&report);
    }
    let means: Vec<f64> = first.window().means().into_iter().flatten().collect();
    let sums: Vec<f64> = means.iter().map(|mean| mean * 3.0).collect();
    let text = first.config().to_toml();
    let text = text.replace("keep_prob = ", "include = ");
    let text = text.replace("[loss]\nkind = ", "[loss]\ndiscriminator = ");
    let lines = text.lines().filter(|line| !line.starts_with("joined"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let control = &first.store().control;
    let write = |format: u64, sums: &[f64]| {
        let mut npz = NpzWriter::create(&path).unwrap();
        npz.add("format", ArrayRef::u64(&[], &[format])).unwrap();
        npz.add_text("config", &text).unwrap();
        npz.add_text("data", "sum").unwrap();
        let (key, step) = ([control.key], [control.step]);
        npz.add("control/key", ArrayRef::u64(&[], &key)).unwrap();
        npz.add("control/step", ArrayRef::u64(&[], &step)).unwrap();
        npz.add("metrics/sums", ArrayRef::f64(&[sums.len()], sums))
            .unwrap();
        npz.add("metrics/steps", ArrayRef::u64(&[], &[3])).unwrap();
        for entry in first.store().iter() {
            let array = ArrayRef::f32(entry.shape.dims(), &entry.data);
            npz.add(&entry.name, array).unwrap();
        }
        npz.finish().unwrap();
    };
    write(1, &sums);
    let mut other = trainer(&[]);
    assert_eq!(other.load(&path).unwrap(), "sum");
    assert!(other.store().iter().eq(first.store().iter()));
    assert_eq!((other.steps(), other.window().steps()), (3, 3));
    let same = other.window().means().into_iter().flatten().zip(&means);
    assert!(same.into_iter().all(|(a, b)| (a - b).abs() < 1e-12));
    assert_eq!(other.step().unwrap(), trainer_after(&[], 4));
    for (format, sums, expected) in [
        (1, &sums[..3], "metrics/sums: expected 4 finite numbers"),
        (2, &sums, "no entry metrics/loss_d"),
        (3, &sums, "is of format 3, written by a newer ganforge"),
    ] {
        write(format, sums);
        let error = trainer(&[]).load(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The report of a step, counted from 1.
fn trainer_after(options: &[&str], step: usize) -> StepReport {
    let mut trainer = trainer(options);
    let reports: Vec<StepReport> = (0..step).map(|_| trainer.step().unwrap()).collect();
    reports[step - 1].clone()
}
