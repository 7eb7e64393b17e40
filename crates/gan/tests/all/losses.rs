//! Training with losses that ask D for more than a number: an auto-encoder's energy, the classes of a classifier.

use ganforge_gan::config::Config;
use ganforge_gan::critic::Critic;
use ganforge_gan::data::{Dataset, Images, RING};
use ganforge_gan::extractors::Loaded;
use ganforge_gan::gradcheck::Target;
use ganforge_gan::run::Run;
use ganforge_gan::sampler::Sampler;
use ganforge_gan::train::{Observer, Progress, score_store, train};
use ganforge_gan::trainer::Trainer;
use ganforge_kernels::cuda::{Device as Cuda, Precision};
use ganforge_ptxvm::Interpreter;
use ganforge_tensor::Device;

/// Dense nets on images of 2 x 2; D reconstructs them.
const EBGAN: &str = "
data.set = 'mine.npz'
noise.dim = 3
generator.layer = [{ name = 'h0', units = 5 }, { name = 'out', units = 4, activation = 'sigmoid' }]
discriminator.layer = [{ name = 'h0', units = 3 }, { name = 'out', units = 4, activation = 'sigmoid' }]
loss = { kind = 'ebgan', margin = 2, margin_decay = 0.5 }
train.batch = 10
";

/// G is told which of three classes, D tells them apart.
const CLS_GAN: &str = "
data.set = 'mine.npz'
noise.dim = 3
generator.layer = [
    { name = 'class', kind = 'append_class', classes = 3 },
    { name = 'h0', units = 5 },
    { name = 'out', units = 4, activation = 'sigmoid' },
]
discriminator.layer = [{ name = 'h0', units = 8 }, { name = 'out', units = 3, activation = 'linear' }]
loss.kind = 'cls-gan'
train.batch = 10
optimizer.lr = 0.02
";

fn config(text: &str, options: &[&str]) -> Config {
    Config::from_toml_with(text, "a.toml", options).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(text: &str, options: &[&str]) -> String {
    let config = Config::from_toml_with(text, "a.toml", options);
    config.expect_err("refused").to_string()
}

/// 100 images whose first pixels say their class.
fn images() -> Images {
    let bytes = (0..100).flat_map(|i| [100 * (i % 3), 200 * (i % 3 % 2), 3 * i % 251, 7 * i % 251]);
    let bytes: Vec<u8> = bytes.map(|b| b as u8).collect();
    let labels: Vec<u8> = (0..100).map(|i| i % 3).collect();
    Images::from_bytes(4, bytes).with_labels(labels)
}

fn interpreter() -> Device {
    Device::Cuda(Cuda::new(Interpreter::default()), Precision::F32)
}

/// Fifteen steps in captured loops are those on the CPU, with what they report.
fn assert_same_on_a_device(config: &Config) {
    let [cpu, there] = [Device::CPU, interpreter()].map(|device| {
        let mut trainer = Trainer::at(&device, config, &images()).expect("a trainer");
        let mut reports = Vec::new();
        for step in 0..15 {
            if step % 5 == 0 {
                trainer.run_ahead(5);
            }
            let report = trainer.step().expect("a step");
            reports.extend(
                report
                    .monitors()
                    .map(|(_, value)| value)
                    .collect::<Vec<_>>(),
            );
        }
        trainer.settle().expect("all steps are reported");
        let entries = trainer
            .store()
            .iter()
            .map(|e| (e.name.clone(), e.data.clone()));
        (reports, entries.collect::<Vec<_>>())
    });
    for (a, b) in cpu.0.iter().zip(&there.0) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    for ((name, a), (_, b)) in cpu.1.iter().zip(&there.1) {
        for (x, y) in a.iter().zip(b) {
            assert!((x - y).abs() < 1e-4, "{name}: {x} {y}");
        }
    }
}

#[test]
fn the_margin_of_energies_falls_from_epoch_to_epoch() {
    for kind in ["loss.kind=ebgan", "loss.kind=ebgan-pt"] {
        let mut trainer = Trainer::new(&config(EBGAN, &[kind]), &images()).expect("a trainer");
        let margins = (0..30).map(|_| trainer.step().expect("a step").get("margin"));
        let margins: Vec<Option<f64>> = margins.collect();
        let expected = [2.0, 1.0, 0.5].map(|margin| vec![Some(margin); 10]);
        assert_eq!(margins, expected.concat(), "{kind}");
    }
    let constant = Trainer::new(&config(EBGAN, &["loss.margin_decay=1"]), &images());
    let report = constant.expect("a trainer").step().expect("a step");
    assert_eq!(report.get("margin"), None);
}

#[test]
fn the_margin_of_the_loss_is_the_one_that_is_reported() {
    let options = ["loss.margin=100", "loss.margin_decay=1e-5", "train.k=2"];
    let mut trainer = Trainer::new(&config(EBGAN, &options), &images()).expect("a trainer");
    for step in 0..15 {
        let report = trainer.step().expect("a step");
        let get = |name| report.get(name).expect("watched");
        let hinge = get("loss_d") - get("d_real");
        match step {
            0..5 => assert!((hinge - (100.0 - get("d_fake"))).abs() < 1e-3, "{hinge}"),
            10.. => assert_eq!((get("active"), hinge), (0.0, 0.0)),
            _ => {}
        }
    }
}

#[test]
fn losses_of_more_than_a_number_are_the_same_on_a_device() {
    assert_same_on_a_device(&config(EBGAN, &["optimizer.kind=sgd", "optimizer.lr=0.01"]));
    let options = [
        "loss.kind=ebgan-pt",
        "optimizer.kind=sgd",
        "optimizer.lr=0.01",
    ];
    assert_same_on_a_device(&config(EBGAN, &options));
    let options = ["optimizer.kind=sgd", "optimizer.lr=0.05"];
    assert_same_on_a_device(&config(CLS_GAN, &options));
}

#[test]
fn one_sample_cannot_be_pulled_away_from_others() {
    let base = config(EBGAN, &["loss.kind=ebgan-pt", "train.batch=4"]);
    let with = |options: &[&str]| base.with(options);
    assert!(with(&["train.shards=2"]).is_ok());
    for (options, expected) in [
        (
            &["train.shards=4"][..],
            "loss.kind is of a shard and needs 2 or more examples, and train.batch / train.shards is 1",
        ),
        (
            &["train.batch=1"],
            "loss.kind is of the whole minibatch and needs 2 or more examples, and train.batch is 1",
        ),
    ] {
        let said = with(options).expect_err("refused").to_string();
        assert!(said.contains(expected), "{said}");
    }
    assert!(with(&["train.shards=4", "loss.kind=ebgan"]).is_ok());
}

#[test]
fn gradients_in_all_parameters_are_those_of_differences() {
    let pt = ["loss.kind=ebgan-pt"];
    let configs = [
        config(CLS_GAN, &[]),
        config(EBGAN, &["loss.margin_decay=1"]),
        config(EBGAN, &[]),
        config(EBGAN, &pt),
    ];
    for config in configs {
        let target = Target::of_config(config);
        for order in [1, 2] {
            let rows = target.check(order, 7).expect("recorded");
            assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
            for name in ["G.h0.w", "G.out.b", "D.h0.w", "D.out.b"] {
                assert!(rows.iter().any(|r| r.input == name), "{name}");
            }
        }
    }
}

#[derive(Default)]
struct Messages(Vec<String>);

impl Observer for Messages {
    fn step(&mut self, _: &Progress) {}
    fn message(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
    fn should_stop(&self) -> bool {
        false
    }
}

#[test]
fn a_margin_on_another_scale_than_the_energies_is_told_once() {
    let text = "
data.set = 'ring'
generator.layer = [{ name = 'h0', units = 5 }, { name = 'out', units = 2, activation = 'linear' }]
discriminator.layer = [{ name = 'h0', units = 3 }, { name = 'out', units = 2, activation = 'linear' }]
loss = { kind = 'ebgan', energy = 'mse' }
eval.samples = 500
train = { batch = 200, epochs = 1 }
";
    let folder = tempfile::tempdir().expect("a folder");
    for (margin, is_told) in [(500, true), (10, false)] {
        let config = config(text, &[&format!("loss.margin={margin}")]);
        let data = RING.draw(config.seed);
        let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
        assert!(trainer.steps_per_epoch() > 40);
        let place = folder.path().join(margin.to_string());
        let mut run = Run::create(&place, &config, "{}").expect("made");
        let mut observer = Messages::default();
        train(&mut trainer, &data, &mut run, &mut observer).expect("trained");
        let told = observer
            .0
            .iter()
            .filter(|text| text.contains("loss.margin"));
        let told: Vec<&String> = told.collect();
        assert_eq!(told.len(), usize::from(is_told), "{told:?}");
        for text in told {
            assert!(
                text.starts_with("step 20: loss.margin is 500, and"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_classifier_learns_the_classes_and_its_error_is_a_score() {
    let config = config(CLS_GAN, &["eval.metrics=[\"classification\"]"]);
    assert!(config.to_toml().contains("classes = \"data\""));
    let mut trainer = Trainer::new(&config, &images()).expect("a trainer");
    let mut errors = Vec::new();
    for _ in 0..200 {
        errors.push(
            trainer
                .step()
                .expect("a step")
                .get("error")
                .expect("watched"),
        );
    }
    let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(
        mean(&errors[..10]) > 0.2 && mean(&errors[150..]) < 0.02,
        "{errors:?}"
    );
    let mut data: Dataset = RING.draw(1);
    (data.train, data.valid, data.test) = (images(), images(), images());
    let mut sampler = Sampler::new(&config).expect("recorded");
    let mut store = trainer.store().clone();
    let mut critic = Critic::new(&config).expect("recorded");
    let classes = critic.classes(&mut store, &images()).expect("classified");
    let labels = images().labels().expect("there").to_vec();
    let wrong = classes
        .iter()
        .zip(&labels)
        .filter(|(c, l)| **c != usize::from(**l));
    let share = wrong.count() as f64 / 100.0;
    let scores = score_store(
        &mut sampler,
        &config,
        &mut store,
        &data,
        &Loaded::at(&Device::CPU),
    )
    .expect("scored");
    let expected = format!(
        "D classifies {:.2} % of 100 test examples wrongly",
        100.0 * share
    );
    assert_eq!(scores.to_string(), expected);
    assert!(share < 0.1, "{share}");
    // Samples of a class are of that class to D.
    let mut of_one = |class| {
        sampler.set_class(Some(class)).expect("there");
        let samples = sampler.draw(&mut store, 1, 50).expect("drawn");
        let samples = Images::from_values(4, samples);
        let classes = critic.classes(&mut store, &samples).expect("classified");
        classes.iter().filter(|c| **c == class).count()
    };
    for class in 0..3 {
        assert!(of_one(class) > 40, "{class}");
    }
}

#[test]
fn what_a_classifier_needs_is_said_with_key_and_line() {
    let message = refused(CLS_GAN, &["generator.layer-=class"]);
    let expected = "a.toml:10: loss.kind is \"cls-gan\", whose samples are of a class, and no layer of the generator asks \
                    for it, as append_class does";
    assert!(message.contains(expected), "{message}");
    let message = refused(CLS_GAN, &["discriminator.layer.out.units=4"]);
    let expected =
        "discriminator.layer.out.units has 4 classes, and generator.layer.class.kind has 3";
    assert!(message.contains(expected), "{message}");
    let message = refused(EBGAN, &["eval.metrics=[\"classification\"]"]);
    let expected = "eval.metrics has a metric of the classes that D assigns, and with loss.kind = \"ebgan\" it assigns none";
    assert!(message.contains(expected), "{message}");
    let config = config(EBGAN, &[]);
    let mut critic = Critic::new(&config).expect("recorded");
    let trainer = Trainer::new(&config, &images()).expect("a trainer");
    let classes = critic.classes(&mut trainer.store().clone(), &images());
    let error = classes.expect_err("it reconstructs").to_string();
    assert!(error.contains("does not classify"), "{error}");
}
