//! Nets that ask for the classes of examples: what training hands them, samples of a class, what is refused.

use ganforge_gan::config::Config;
use ganforge_gan::critic::Critic;
use ganforge_gan::data::Images;
use ganforge_gan::gradcheck::Target;
use ganforge_gan::sampler::{Decoder, Sampler};
use ganforge_gan::trainer::Trainer;
use ganforge_kernels::cuda::{Device as Cuda, Precision};
use ganforge_ptxvm::Interpreter;
use ganforge_tensor::{Device, Plan};

const CLASSES: usize = 3;

/// Dense nets on images of 2 x 2; G tells three classes apart, and with `D` D does.
fn config(options: &[&str]) -> Config {
    let text = "
data.set = 'mine.npz'
noise.dim = 3
generator.layer = [
    { name = 'h0', units = 5, norm = { kind = 'conditional', classes = 3 } },
    { name = 'out', units = 4, activation = 'sigmoid' },
]
discriminator.layer = [
    { name = 'h0', units = 6, activation = 'tanh' },
    { name = 'out', units = 1, activation = 'linear' },
]
[train]
batch = 10
";
    Config::from_toml_with(text, "classes.toml", options).unwrap_or_else(|e| panic!("{e}"))
}

const OF_D: &str = "discriminator.layer.h0.norm={kind=\"conditional\", classes=3}";

/// 100 images whose first pixel is 50 times their class, of which class 1 has none.
fn images() -> Images {
    let class = |i: usize| 2 * (i * 7 % 5 % 2);
    let bytes = (0..100).flat_map(|i| [50 * class(i), i, 3 * i % 251, 7 * i % 251]);
    let bytes: Vec<u8> = bytes.map(|b| b as u8).collect();
    let labels: Vec<u8> = (0..100).map(|i| class(i) as u8).collect();
    Images::from_bytes(4, bytes).with_labels(labels)
}

/// A trainer that hands out the classes that it draws.
fn trainer(options: &[&str]) -> Trainer {
    let trainer = Trainer::with_plan(&Device::CPU, &config(options), &images(), |step| {
        let mut builder = Plan::of(step.graph);
        for (name, var) in step.classes.iter().chain(&step.monitors) {
            builder = builder.fetch(name, *var);
        }
        for (old, (_, new)) in &step.updates {
            builder = builder.update(*old, *new);
        }
        Ok(builder.compile()?)
    });
    trainer.unwrap_or_else(|e| panic!("{e}"))
}

/// Which rows of a table [classes, units] are not 0 any more.
fn learnt(trainer: &Trainer, table: &str) -> Vec<bool> {
    let entry = trainer.store().get(table).expect("stored");
    let rows = entry.data.chunks(entry.data.len() / CLASSES);
    rows.map(|row| row.iter().any(|v| *v != 0.0)).collect()
}

#[test]
fn labels_are_those_of_the_data_and_classes_of_generated_examples_are_drawn_or_the_same() {
    for update in ["alternating", "simultaneous"] {
        for k in [1, 2] {
            let k = match update {
                "alternating" => format!("train.k={k}"),
                _ => "seed=2".to_string(),
            };
            let update = format!("train.update={update}");
            let mut drawn = trainer(&[&update, &k, OF_D]);
            let mut counts = [0; CLASSES];
            for _ in 0..20 {
                drawn.step().expect("a step");
                let labels = drawn.labels().expect("asked for");
                let x = drawn.x().chunks(4);
                for (x, label) in x.zip(labels) {
                    assert_eq!((255.0 * x[0]).round(), 50.0 * label);
                }
                let names = drawn.plan().fetches.iter().map(|f| f.name.clone());
                for name in names.filter(|n| n.starts_with("classes")) {
                    for class in drawn.fetch(&name).expect("fetched") {
                        counts[*class as usize] += 1;
                    }
                }
            }
            let all: usize = counts.iter().sum();
            let expected = all as f64 / 3.0;
            let bound = 4.0 * (expected * 2.0 / 3.0).sqrt();
            for count in counts {
                assert!((count as f64 - expected).abs() < bound, "{counts:?}");
            }
            assert_eq!(learnt(&drawn, "G.h0.gamma"), [true; 3], "{update}");
            assert_eq!(learnt(&drawn, "D.h0.gamma"), [true; 3], "{update}");
            // Where generated examples are of the classes of the data, nothing is learnt of class 1, which has none.
            let mut same = trainer(&[&update, &k, OF_D, "noise.classes=data"]);
            for _ in 0..5 {
                same.step().expect("a step");
            }
            for table in ["G.h0.gamma", "G.h0.beta", "D.h0.gamma", "D.h0.beta"] {
                assert_eq!(
                    learnt(&same, table),
                    [true, false, true],
                    "{table}, {update}"
                );
            }
        }
    }
    // A step that asks for no labels has none.
    let mut of_g = trainer(&[]);
    of_g.step().expect("a step");
    assert!(of_g.labels().is_none());
}

#[test]
fn joined_examples_have_their_own_classes() {
    let mut joined = trainer(&[OF_D, "train.joined=true", "noise.classes=data"]);
    for _ in 0..5 {
        joined.step().expect("a step");
    }
    assert_eq!(learnt(&joined, "D.h0.gamma"), [true, false, true]);
}

#[test]
fn a_resumed_run_goes_on_with_the_same_classes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.npz");
    let penalty = "discriminator.penalty=[\"gp\"]";
    for options in [
        &[OF_D][..],
        &[OF_D, penalty, "train.average=0.9"],
        &["noise.classes=data"],
    ] {
        let mut whole = trainer(options);
        for _ in 0..3 {
            whole.step().expect("a step");
        }
        whole.save(&path, "sum").expect("saved");
        let mut rest = trainer(options);
        rest.load(&path).expect("loaded");
        for _ in 0..9 {
            assert_eq!(whole.step().expect("a step"), rest.step().expect("a step"));
        }
        assert!(whole.store() == rest.store(), "{options:?}");
    }
}

#[test]
fn samples_are_of_each_class_in_turn_or_of_one() {
    let mut trainer = trainer(&[]);
    for _ in 0..20 {
        trainer.step().expect("a step");
    }
    let (config, mut store) = (trainer.config(), trainer.store().clone());
    let mut sampler = Sampler::new(config).expect("recorded");
    let mut decoder = Decoder::new(config).expect("recorded");
    let turns = sampler.draw(&mut store, 7, 203).expect("drawn");
    let z = sampler.noise(&mut store, 7, 203).expect("drawn");
    assert_eq!(decoder.decode(&mut store, &z).expect("decoded"), turns);
    for class in 0..CLASSES {
        sampler.set_class(Some(class)).expect("there");
        decoder.set_class(Some(class)).expect("there");
        let of_one = sampler.draw(&mut store, 7, 203).expect("drawn");
        assert_eq!(decoder.decode(&mut store, &z).expect("decoded"), of_one);
        for (i, (a, b)) in turns.chunks(4).zip(of_one.chunks(4)).enumerate() {
            assert_eq!(a == b, i % CLASSES == class, "sample {i} of class {class}");
        }
    }
    let error = sampler.set_class(Some(3)).expect_err("beyond").to_string();
    assert_eq!(error, "class 3: the generator has classes 0 to 2");
    sampler.set_class(None).expect("all of them");
    assert_eq!(sampler.draw(&mut store, 7, 203).expect("drawn"), turns);
    let plain = Config::preset("tiny").expect("a preset");
    let error = Sampler::new(&plain).expect("recorded").set_class(Some(0));
    assert_eq!(
        error.expect_err("none").to_string(),
        "the generator has no classes"
    );
    let of_d = self::config(&[OF_D]);
    let error = Critic::new(&of_d).err().expect("no classes of points");
    assert_eq!(
        error.to_string(),
        "points have no classes, which D's layer h0 asks for"
    );
}

#[test]
fn gradients_of_both_nets_are_those_of_differences() {
    let target = Target::of_config(config(&[OF_D]));
    for order in [1, 2] {
        let rows = target.check(order, 7).expect("recorded");
        assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
        for name in ["G.h0.gamma", "D.h0.beta"] {
            assert!(rows.iter().any(|r| r.input == name), "{name}");
        }
    }
}

/// Steps ahead in a captured loop, whose examples are images with their labels.
#[test]
fn steps_on_a_device_are_those_on_the_cpu() {
    let config = config(&[OF_D, "optimizer.kind=sgd", "optimizer.lr=0.05"]);
    let device = Device::Cuda(Cuda::new(Interpreter::default()), Precision::F32);
    let [cpu, there] = [Device::CPU, device].map(|device| {
        let mut trainer = Trainer::at(&device, &config, &images()).expect("a trainer");
        for step in 0..6 {
            if step % 3 == 0 {
                trainer.run_ahead(3);
            }
            trainer.step().expect("a step");
        }
        trainer.settle().expect("all steps are reported");
        trainer.store().clone()
    });
    for (a, b) in cpu.iter().zip(there.iter()) {
        for (x, y) in a.data.iter().zip(&b.data) {
            assert!((x - y).abs() < 2e-6, "{}: {x} {y}", a.name);
        }
    }
}

#[test]
fn what_does_not_fit_is_said_with_key_and_line() {
    let text = config(&[]).to_toml();
    let refused = |options: &[&str]| {
        let config = Config::from_toml_with(&text, "a.toml", options);
        config.expect_err("refused").to_string()
    };
    let message = refused(&["discriminator.layer.h0.norm={kind=\"conditional\", classes=4}"]);
    let expected = "discriminator.layer.h0.norm has 4 classes, and generator.layer.h0.norm has 3";
    assert!(message.contains(expected), "{message}");
    let message = refused(&["generator.layer.h0.norm=none"]);
    let expected = "noise.classes is not used here, only with a layer that asks for the classes";
    assert!(message.contains(expected), "{message}");
    let mnist = Config::preset("dcgan28").expect("a preset");
    let message = mnist.with(&["generator.layer.h0.norm={kind=\"conditional\", classes=5}"]);
    let message = message.expect_err("ten").to_string();
    let expected = "generator.layer.h0.norm has 5 classes, and the data set mnist has 10";
    assert!(message.contains(expected), "{message}");
    let message = refused(&["generator.layer.h0.norm={kind=\"batch\", moves=\"real\"}"]);
    let expected = "generator.layer.h0.norm has moves = \"real\", which is of the discriminator";
    assert!(message.contains(expected), "{message}");
    let refused = |images: Images| {
        let trainer = Trainer::new(&config(&[OF_D]), &images);
        trainer.err().expect("refused").to_string()
    };
    let message = refused(Images::from_bytes(4, vec![0; 400]));
    let expected =
        "generator.layer.h0.norm needs the classes of the examples, and the data have none";
    assert!(message.contains(expected), "{message}");
    let message = refused(Images::from_bytes(4, vec![0; 400]).with_labels(vec![7; 100]));
    let expected = "generator.layer.h0.norm has 3 classes, and the data have 8 or more";
    assert!(message.contains(expected), "{message}");
}
