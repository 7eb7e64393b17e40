//! The paper's training on faces in two stages, at a reduced size.

use std::path::Path;

use ganforge_gan::config::{Config, text_option};
use ganforge_gan::data::Images;
use ganforge_gan::run::Run;
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::Store;

/// Ten faces, more or less: values that differ from pixel to pixel and from image to image.
fn images() -> Images {
    let bytes: Vec<u8> = (0..10 * 2304).map(|i| (i * 37 % 251) as u8).collect();
    Images::from_bytes(2304, bytes)
}

fn config(preset: &str, options: &[&str]) -> Config {
    let small = [
        "generator.layer.h0.units=12",
        "generator.layer.h1.units=11",
        "discriminator.layer.h0.units=4",
        "discriminator.layer.h1.units=4",
        "train.batch=5",
    ];
    let own: &[&str] = match preset {
        "tfd" => &["generator.layer.z0.units=7"],
        _ => &["generator.layer.out.init.sparse=3"],
    };
    let all = [&small[..], own, options].concat();
    Config::preset(preset).and_then(|c| c.with(&all)).unwrap()
}

fn column_norms(store: &Store, name: &str) -> Vec<f64> {
    let w = store.get(name).unwrap();
    let columns = w.shape.dims()[1];
    let square = |x: &f32| f64::from(*x) * f64::from(*x);
    let sum = |j: usize| {
        w.data
            .iter()
            .skip(j)
            .step_by(columns)
            .map(square)
            .sum::<f64>()
    };
    (0..columns).map(|j| sum(j).sqrt()).collect()
}

#[test]
fn sparse_columns_of_norm_10_are_cut_to_the_constraint_by_the_first_update() {
    // As in the preset, 100 rows of each column are standard normal: a norm of 10 on average, with a spread of 0.7.
    let config = config(
        "tfd-pretrain",
        &[
            "generator.layer.h1.units=200",
            "generator.layer.out.init.sparse=100",
        ],
    );
    let mut trainer = Trainer::new(&config, &images()).unwrap();
    let before = column_norms(trainer.store(), "G.out.w");
    let mean = before.iter().sum::<f64>() / before.len() as f64;
    assert!((9.9..10.1).contains(&mean), "{mean}");
    assert!(before.iter().all(|n| (6.5..13.5).contains(n)));
    trainer.step().unwrap();
    for name in ["G.h0.w", "G.h1.w", "G.out.w", "D.h0.w", "D.h1.w", "D.out.w"] {
        let norms = column_norms(trainer.store(), name);
        assert!(norms.iter().all(|&n| n <= 1.9365 * (1.0 + 1e-5)), "{name}");
    }
    let after = column_norms(trainer.store(), "G.out.w");
    assert!(
        after.iter().all(|&n| (n - 1.9365).abs() < 1e-4),
        "every column was cut"
    );
}

/// A run of the first stage with one step in its checkpoint; its parameters.
fn first_stage(folder: &Path, options: &[&str]) -> Store {
    let config = config("tfd-pretrain", options);
    let run = Run::create(folder, &config, "{}").unwrap();
    let mut trainer = Trainer::new(&config, &images()).unwrap();
    trainer.step().unwrap();
    run.checkpoint(trainer.config(), trainer.state(), "sum")
        .unwrap();
    trainer.store().clone()
}

fn second_stage(run: &Path, options: &[&str]) -> Config {
    let from = text_option("init_from", run.to_str().unwrap());
    config("tfd", &[&[from.as_str()], options].concat())
}

fn refusal(config: &Config) -> String {
    let mut trainer = Trainer::new(config, &images()).unwrap();
    let message = trainer.load_pretrained().unwrap_err().to_string();
    assert!(
        trainer.step().is_err(),
        "a trainer without its parameters takes no step"
    );
    message
}

#[test]
fn the_second_stage_begins_with_the_first_ones_generator_and_all_else_new() {
    let folder = tempfile::tempdir().unwrap();
    let first = first_stage(&folder.path().join("a"), &[]);
    let config = second_stage(&folder.path().join("a"), &["train.average=0.9"]);
    let mut trainer = Trainer::new(&config, &images()).unwrap();
    let fresh = trainer.store().clone();
    let source = trainer.load_pretrained().unwrap().remove(0);
    assert_eq!((source.step, source.sha256.len()), (1, 64));
    assert!(source.checkpoint.ends_with("checkpoints/step-00000001.npz"));
    for entry in trainer.store().iter() {
        let parameter = entry.name.strip_suffix(".average").unwrap_or(&entry.name);
        let is_slot = entry.name.ends_with("velocity");
        let is_taken = ["G.h0.", "G.h1.", "G.out."]
            .iter()
            .any(|l| parameter.starts_with(l));
        let expected = match is_taken && !is_slot {
            true => first.get(parameter),
            false => fresh.get(&entry.name),
        };
        assert_eq!(entry.data, expected.unwrap().data, "{}", entry.name);
    }
    // All layers learn: the step of the lowest is too small to be seen beside its weights, not in its velocity.
    trainer.step().unwrap();
    for name in ["G.z0.w", "G.z1.w", "G.h0.w", "G.h1.w", "G.out.w", "D.h0.w"] {
        let velocity = trainer.store().get(&format!("{name}.velocity")).unwrap();
        assert!(velocity.data.iter().any(|v| *v != 0.0), "{name}");
    }
    // From its own checkpoint it goes on without the first run.
    let path = folder.path().join("second.npz");
    trainer.save(&path, "sum").unwrap();
    std::fs::remove_dir_all(folder.path().join("a")).unwrap();
    let mut resumed = Trainer::new(&config, &images()).unwrap();
    resumed.load(&path).unwrap();
    assert!(resumed.store() == trainer.store());
    assert_eq!(resumed.step().unwrap(), trainer.step().unwrap());
}

#[test]
fn what_a_layer_keeps_without_learning_it_comes_with_its_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let options = [
        "generator.layer.h0.norm=batch",
        "generator.layer.h1.transform=spectral_norm",
    ];
    let first = first_stage(&folder.path().join("a"), &options);
    let config = second_stage(&folder.path().join("a"), &options);
    let mut trainer = Trainer::new(&config, &images()).unwrap();
    let fresh = trainer.store().clone();
    assert_eq!(trainer.load_pretrained().unwrap().len(), 1);
    for name in ["G.h0.mean", "G.h0.var", "G.h1.u"] {
        let found = &trainer.store().get(name).unwrap().data;
        assert_eq!(found, &first.get(name).unwrap().data, "{name}");
        assert_ne!(found, &fresh.get(name).unwrap().data, "{name}");
    }
}

#[test]
fn a_run_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let a = folder.path().join("a");
    let message = refusal(&config("tfd", &[]));
    assert!(
        message.contains("the layers G.h0, G.h1, G.out start from the parameters of another run")
            && message.contains("--init-from"),
        "{message}"
    );
    assert!(
        refusal(&second_stage(&a, &[]))
            .contains("a: is not a run: there is no such file or folder")
    );
    Run::create(&a, &config("tfd-pretrain", &[]), "{}").unwrap();
    assert!(refusal(&second_stage(&a, &[])).contains("a: has no checkpoint yet"));
    let b = folder.path().join("b");
    first_stage(&b, &[]);
    for (option, part) in [
        (
            &["generator.layer.h1.init.run=h9"],
            "b: has no layer h9 in G, only h0, h1, out",
        ),
        (
            &["generator.layer.h1.activation=tanh"],
            "b: its layer G.h1 has kind = \"linear\", activation = \"sigmoid\", expected kind = \"linear\", activation = \"tanh\"",
        ),
        (
            &["generator.layer.h0.units=13"],
            "step-00000001.npz: G.h0.w: shape [100, 12], expected [100, 13]",
        ),
        (
            &["generator.layer.z1.units=99"],
            "step-00000001.npz: G.h0.w: shape [100, 12], expected [99, 12]",
        ),
    ] {
        let message = refusal(&second_stage(&b, option));
        assert!(message.contains(part), "expected `{part}` in `{message}`");
    }
    let path = b.join("checkpoints/step-00000001.npz");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    assert!(refusal(&second_stage(&b, &[])).contains("step-00000001.npz"));
}
