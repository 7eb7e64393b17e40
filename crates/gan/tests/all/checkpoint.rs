//! What a checkpoint is good for.

use ganforge_gan::Trainer;
use ganforge_gan::config::Config;
use ganforge_gan::data::Images;

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
