//! D learns classes from a few labelled examples, and from others without labels what is real.

use ganforge_gan::config::Config;
use ganforge_gan::critic::Critic;
use ganforge_gan::data::Images;
use ganforge_gan::gradcheck::Target;
use ganforge_gan::trainer::Trainer;
use ganforge_kernels::cuda::{Device as Cuda, Precision};
use ganforge_ptxvm::Interpreter;
use ganforge_tensor::Device;

const SEMI: &str = "
data = { set = 'mine.npz', labelled = 6 }
noise.dim = 3
generator.layer = [{ name = 'h0', units = 5 }, { name = 'out', units = 4, activation = 'sigmoid' }]
discriminator.average = 0.9
discriminator.layer = [
    { name = 'n0', kind = 'gaussian_noise', sd = 0.05 },
    { name = 'h0', units = 8, transform = { kind = 'weight_norm', images = 40 } },
    { name = 'out', units = 3, activation = 'linear', transform = { kind = 'weight_norm', images = 40 } },
]
loss = { kind = 'semi-supervised', code = 'h0' }
train.batch = 10
optimizer.lr = 0.02
eval.metrics = ['classification']
";

fn config(options: &[&str]) -> Config {
    Config::from_toml_with(SEMI, "a.toml", options).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(options: &[&str]) -> String {
    let config = Config::from_toml_with(SEMI, "a.toml", options);
    config.expect_err("refused").to_string()
}

/// 100 images of three classes, which the first two pixels tell; the last two tell the number.
fn images() -> Images {
    let bytes = (0..100).flat_map(|i| [100 * (i % 3), 200 * (i % 3 % 2), 2 * i, 255 - i]);
    let bytes: Vec<u8> = bytes.map(|b| b as u8).collect();
    let labels: Vec<u8> = (0..100).map(|i| i % 3).collect();
    Images::from_bytes(4, bytes).with_labels(labels)
}

/// Which image each row of a step's minibatches is.
fn rows(trainer: &Trainer) -> Vec<usize> {
    let number = |x: &[f32]| 255 - (255.0 * x[3]).round() as usize;
    trainer.x().chunks(4).map(number).collect()
}

#[test]
fn a_step_has_examples_without_labels_others_for_g_and_labelled_ones() {
    for (options, drawn, labelled) in [
        (&[][..], 20, 10),
        (&["train.k=2"], 30, 20),
        (&["loss.fresh=false"], 10, 10),
        (&["train.update=simultaneous"], 10, 10),
    ] {
        let config = config(options);
        let mut trainer = Trainer::new(&config, &images()).expect("a trainer");
        assert_eq!(trainer.steps_per_epoch(), 100 / drawn, "{options:?}");
        let known = config
            .labelled_rows(&images())
            .expect("drawn")
            .expect("some");
        assert_eq!(known.len(), 6);
        let (mut seen, mut taught) = (Vec::new(), Vec::new());
        for _ in 0..3 * trainer.steps_per_epoch() {
            trainer.step().expect("a step");
            let rows = rows(&trainer);
            assert_eq!(rows.len(), drawn + labelled, "{options:?}");
            let labels = trainer.labels().expect("fed");
            assert!(labels[..drawn].iter().all(|l| *l == 0.0), "D is not told");
            for (row, label) in rows[drawn..].iter().zip(&labels[drawn..]) {
                assert!(known.contains(row) && *label == (row % 3) as f32);
            }
            seen.extend(rows[..drawn].to_vec());
            taught.extend(rows[drawn..].to_vec());
        }
        for epoch in seen.chunks(100 / drawn * drawn) {
            let mut epoch = epoch.to_vec();
            epoch.sort_unstable();
            epoch.dedup();
            assert_eq!(epoch.len(), 100 / drawn * drawn, "each image once");
        }
        for round in taught.chunks_exact(6) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, known, "each labelled one once in a round");
        }
    }
}

#[test]
fn d_learns_the_classes_of_all_from_two_of_each() {
    let config = config(&[]);
    let mut trainer = Trainer::new(&config, &images()).expect("a trainer");
    for _ in 0..400 {
        trainer.step().expect("a step");
    }
    let report = trainer.step().expect("a step");
    assert!(report.get("error") < Some(0.2) && report.get("supervised").is_some());
    let shown = report.get("d_real").expect("watched");
    assert!((0.0..=1.0).contains(&shown), "a probability: {shown}");
    let mut store = trainer.store().clone();
    let mut critic = Critic::new(&config).expect("recorded");
    let mut wrong = |store: &mut _| {
        let found = critic.classes(store, &images()).expect("classified");
        found
            .iter()
            .enumerate()
            .filter(|(i, c)| i % 3 != **c)
            .count()
    };
    assert!(wrong(&mut store) < 10, "{}", wrong(&mut store));
    // It is the averages that classify.
    for name in ["D.h0.w", "D.out.b"] {
        let shape = store.get(name).expect("there").shape;
        let noise: Vec<f32> = (0..shape.elements())
            .map(|i| (i as f32).sin() * 9.0)
            .collect();
        store.insert(name, shape, noise).expect("the same shape");
    }
    assert!(wrong(&mut store) < 10);
    let name = "D.out.b.average";
    let shape = store.get(name).expect("kept").shape;
    store
        .insert(name, shape, vec![0.0, 0.0, 99.0])
        .expect("the same shape");
    assert_eq!(wrong(&mut store), 67, "all are of class 2");
}

#[test]
fn a_run_goes_on_from_a_checkpoint_with_the_same_bits_anywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.npz");
    for options in [
        &[][..],
        &["train.warmup={steps=2, k=4, every=3}"],
        &["train.shards=2"],
        &["train.update=simultaneous"],
    ] {
        let config = config(options);
        let trainer = || Trainer::new(&config, &images()).expect("a trainer");
        let mut whole = trainer();
        for _ in 0..7 {
            whole.step().expect("a step");
        }
        whole.save(&path, "sum").expect("written");
        let mut resumed = trainer();
        resumed.load(&path).expect("read");
        for _ in 0..7 {
            let reports = (whole.step(), resumed.step());
            assert_eq!(reports.0.expect("a step"), reports.1.expect("a step"));
        }
        assert_eq!(whole.store(), resumed.store(), "{options:?}");
    }
}

#[test]
fn a_device_takes_the_same_steps_one_by_one() {
    let there = Device::Cuda(Cuda::new(Interpreter::default()), Precision::F32);
    let config = config(&[]);
    let [cpu, cuda] = [Device::CPU, there].map(|device| {
        let mut trainer = Trainer::at(&device, &config, &images()).expect("a trainer");
        for _ in 0..6 {
            trainer.run_ahead(3);
            trainer.step().expect("a step");
            assert_eq!(trainer.unreported(), 0);
        }
        trainer.settle().expect("settled");
        let entries = trainer
            .store()
            .iter()
            .map(|e| (e.name.clone(), e.data.to_vec()));
        entries.collect::<Vec<_>>()
    });
    for ((name, a), (_, b)) in cpu.iter().zip(&cuda) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-3 * a.abs().max(1.0), "{name}: {a} {b}");
        }
    }
}

#[test]
fn gradients_of_the_whole_game_are_those_of_differences() {
    let rows = Target::of_config(config(&[]))
        .check(1, 7)
        .expect("recorded");
    assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
    for name in ["D.h0.w", "D.h0.g", "D.out.b", "G.h0.w", "G.out.b"] {
        assert!(
            rows.iter().any(|r| r.input == name && r.analytic != 0.0),
            "{name}"
        );
    }
}

#[test]
fn what_does_not_fit_is_said_with_key_and_line() {
    for (options, expected) in [
        (
            &["data.labelled=7"][..],
            "data.labelled must be a multiple of 3, the number of classes, got 7",
        ),
        (
            &["loss.code=h7"],
            "--set loss.code=h7: loss.code must be a layer of the discriminator, one of n0, h0, out, got \"h7\"",
        ),
        (
            &[
                "loss.kind=ns",
                "discriminator.layer.out.units=1",
                "eval.metrics=[\"kid\"]",
            ],
            "data.labelled is not used here, only with loss.kind = \"semi-supervised\"",
        ),
        (
            &["data.set=mnist", "generator.layer.out.units=784"],
            "discriminator.layer.out.units has 3 classes, and the data set mnist has 10",
        ),
        (
            &["generator.layer+={name='class', kind='append_class', classes=3, before='h0'}"],
            "generator.layer.class.kind asks for the classes of examples, and with loss.kind = \"semi-supervised\" D is to \
             find them",
        ),
        (
            &["data.labelled_seed=3", "data.labelled=0"],
            "data.labelled must be",
        ),
        (
            &["generator.average=0.9"],
            "generator.average is not used here, only with the discriminator",
        ),
    ] {
        let message = refused(options);
        assert!(message.contains(expected), "{message}\nfor {expected}");
    }
    let text = SEMI.replace("labelled = 6", "labelled = 5");
    let message = Config::from_toml(&text, "a.toml")
        .expect_err("refused")
        .to_string();
    let expected = "a.toml:2: data.labelled must be a multiple of 3, the number of classes, got 5";
    assert!(message.contains(expected), "{message}");
    let error = |config: &Config, images: &Images| match Trainer::new(config, images) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("refused"),
    };
    let without = Images::from_bytes(4, vec![0; 400]);
    let message = error(&config(&[]), &without);
    assert!(message.contains("the data have none"), "{message}");
    let message = error(&config(&["data.labelled=102"]), &images());
    let expected = "data.labelled = 102 takes 34 images of each class, and there are 33 of class 1";
    assert!(message.contains(expected), "{message}");
}
