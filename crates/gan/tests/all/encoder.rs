//! A run of one network that inverts a generator: what it learns, what it leaves alone, and what it refuses.

use std::path::Path;

use ganforge_gan::config::{Config, text_option};
use ganforge_gan::data::{Dataset, ImageSize};
use ganforge_gan::encoder::Encoder;
use ganforge_gan::pretrained::{encoder_of, read_encoder, read_margin};
use ganforge_gan::run::Run;
use ganforge_gan::train::{self, Outcome};
use ganforge_gan::trainer::Trainer;
use ganforge_gan::{game, init};
use ganforge_tensor::{Graph, Keep, Store};

/// G(z) = A z + b with a matrix A of full column rank, noise of three components, points of six values.
const GENERATOR: &str = "
noise = { dim = 3, distribution = 'signed-uniform' }
generator.layer = [{ name = 'out', units = 6, activation = 'linear' }]
";
const ENCODER: &str = "
encoder.layer = [{ name = 'out', units = 3, activation = 'linear' }]
eval.metrics = [{ kind = 'inference', samples = 200 }]
";
const RUN: &str = "
name = 'linear'
data.set = 'mine.npz'
optimizer.lr = 0.01
train.batch = 20
train.epochs = 2
output.log_every = 7
";

const A: [f32; 18] = [
    1.0, 0.5, 0.0, -0.5, 0.3, 2.0, //
    0.0, 1.0, 0.5, 0.7, -1.0, 0.2, //
    0.6, 0.0, 1.0, -0.3, 0.8, 0.1,
];
const B: [f32; 6] = [0.1, -0.2, 0.3, 0.0, 0.5, -1.0];

fn config(parts: &[&str], options: &[&str]) -> Config {
    let text = parts.concat();
    Config::from_toml_with(&text, "a.toml", options).unwrap_or_else(|e| panic!("{e}"))
}

/// What is wrong with a configuration.
fn refused(parts: &[&str], options: &[&str]) -> String {
    let read = Config::from_toml_with(&parts.concat(), "a.toml", options);
    read.expect_err("refused").to_string()
}

fn data(d: usize) -> Dataset {
    let size = ImageSize {
        height: 1,
        width: d,
        channels: 1,
    };
    let values: Vec<f32> = (0..1000 * d).map(|i| ((i * i + 3) as f32).sin()).collect();
    Dataset::of_values("mine.npz", size, &values).expect("data")
}

/// A trainer whose generator is A and b.
fn linear(options: &[&str]) -> Trainer {
    let config = config(&[GENERATOR, ENCODER, RUN], options);
    let mut trainer = Trainer::new(&config, &data(6).train).expect("a trainer");
    let mut store = trainer.store().clone();
    store
        .insert("G.out.w", [3, 6], A.to_vec())
        .expect("a parameter");
    store
        .insert("G.out.b", [6], B.to_vec())
        .expect("a parameter");
    trainer.set_store(store);
    trainer
}

fn of_g(store: &Store) -> Vec<(String, Vec<u32>)> {
    let of = store.iter().filter(|e| e.name.starts_with("G."));
    of.map(|e| (e.name.clone(), e.data.iter().map(|x| x.to_bits()).collect()))
        .collect()
}

/// extensions: the least-squares solution is known, and an affine E can be it.
#[test]
fn a_linear_generator_of_full_rank_is_inverted() {
    let mut trainer = linear(&["optimizer.lr_step=1500", "optimizer.lr_gamma=0.1"]);
    let before = of_g(trainer.store());
    for _ in 0..3000 {
        trainer.step().expect("a step");
    }
    let mut encoder = Encoder::of_run(trainer.config(), trainer.store()).expect("an encoder");
    let found = encoder.inferred(500, &data(6)).expect("found");
    let r2 = ganforge_gan::metrics::inference::coordinates(&found);
    assert_eq!(r2.len(), 3);
    assert!(r2.iter().all(|r2| *r2 > 0.999), "{r2:?}");
    let report = trainer.step().expect("a step");
    assert!(report.get("r2") > Some(0.999), "{report:?}");
    // loss = (1 - R²) times the variance, 1/3.
    let [loss, r2] = ["loss", "r2"].map(|name| report.get(name).expect("there"));
    assert!((3.0 * loss - (1.0 - r2)).abs() < 1e-5, "{loss} {r2}");
    assert_eq!(of_g(trainer.store()), before);
}

#[test]
fn no_gradient_and_no_update_reaches_the_generator() {
    for options in [&[][..], &["encoder.reconstruction=0.1"]] {
        let config = config(&[GENERATOR, ENCODER, RUN], options);
        let graph = Graph::new();
        let step = game::record(&graph, &config, 6).expect("recorded");
        assert_eq!(step.grads.len(), 2, "E.out.w and E.out.b");
        assert!(step.grads.iter().all(|g| g.param.starts_with("E.")));
        let mut names = step.updates.iter().map(|u| u.1.0.as_str());
        assert!(names.all(|name| name.starts_with("E.")));
        let plan = step.plan(Keep::Fetched).expect("a plan");
        // Examples are read where their reconstruction counts, and nowhere else.
        let reads = plan.inputs.iter().any(|input| input.name == "x");
        assert_eq!(reads, !options.is_empty());
        let mut trainer = linear(options);
        let before = of_g(trainer.store());
        assert_eq!(before.len(), 2, "no slots and no averages: {before:?}");
        let first = trainer.step().expect("a step");
        assert_eq!(first.get("reconstruction").is_some(), !options.is_empty());
        for _ in 0..20 {
            trainer.step().expect("a step");
        }
        assert_eq!(of_g(trainer.store()), before, "{options:?}");
    }
}

#[test]
fn the_reconstruction_is_that_of_the_minibatch() {
    let mut trainer = linear(&["encoder.reconstruction=0.5"]);
    let store = trainer.store().clone();
    let report = trainer.step().expect("a step");
    let x = trainer.x().to_vec();
    let mut encoder = Encoder::of_run(trainer.config(), &store).expect("an encoder");
    let [_, again] = encoder.find(&x).expect("found");
    let sum: f32 = x.iter().zip(&again).map(|(x, y)| (x - y).abs()).sum();
    let [loss, r2, mean] = ["loss", "r2", "reconstruction"].map(|name| report.get(name));
    let [loss, r2, mean] = [loss, r2, mean].map(|value| value.expect("there"));
    assert!((f64::from(sum) / x.len() as f64 - mean).abs() < 1e-5);
    let expected = (1.0 - r2) / 3.0 + 0.5 * mean;
    assert!((loss - expected).abs() < 1e-5, "{loss} {expected}");
}

#[test]
fn refined_noise_is_nearer_and_never_farther() {
    let trainer = linear(&[]);
    let mut encoder = Encoder::of_run(trainer.config(), trainer.store()).expect("an encoder");
    let [z, x] = encoder.samples(130).expect("drawn");
    let errors = |again: &[f32]| -> Vec<f32> {
        let pairs = x.chunks(6).zip(again.chunks(6));
        let of = |(x, y): (&[f32], &[f32])| x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
        pairs.map(of).collect()
    };
    let [found, again] = encoder.find(&x).expect("found");
    let [same, unmoved] = encoder.refine(&x, &found, 0, 0.05).expect("none");
    assert_eq!(
        (&same, &unmoved),
        (&found, &again),
        "no steps change nothing"
    );
    let [refined, nearer] = encoder.refine(&x, &found, 300, 0.05).expect("refined");
    assert!(
        errors(&nearer)
            .iter()
            .zip(errors(&again))
            .all(|(a, b)| *a <= b)
    );
    assert!(errors(&nearer).iter().all(|error| *error < 1e-4));
    let farthest = z.iter().zip(&refined).map(|(z, r)| (z - r).abs());
    assert!(
        farthest.fold(0.0, f32::max) < 0.02,
        "the noise itself, as A has full rank"
    );
    assert!(encoder.find(&x[1..]).is_err());
}

/// The run of a GAN whose generator is A and b, with averages of its parameters and others in training.
fn generator(folder: &Path) -> Store {
    let options = ["train.average=0.9", "eval.metrics=[\"nn-distance\"]"];
    let layers = "discriminator.layer = [{ name = 'out', units = 1, activation = 'linear' }]\n";
    let config = config(&[GENERATOR, layers, RUN], &options);
    let run = Run::create(folder, &config, "{}").expect("made");
    let mut trainer = Trainer::new(&config, &data(6).train).expect("a trainer");
    let mut store = trainer.store().clone();
    let set = |store: &mut Store, name: &str, shape: &[usize], values: &[f32]| {
        store
            .insert(name, shape, values.to_vec())
            .map(drop)
            .expect("a tensor");
    };
    set(&mut store, "G.out.w.average", &[3, 6], &A);
    set(&mut store, "G.out.b.average", &[6], &B);
    trainer.set_store(store);
    let saved = run.checkpoint(trainer.config(), trainer.state(), "sum");
    saved.expect("written");
    trainer.store().clone()
}

fn encoder_config(of: &Path) -> Config {
    let of = text_option("encoder.of", of.to_str().expect("text"));
    config(&[ENCODER, RUN], &[&of])
}

/// Trains in `folder`, stopped after 17 steps or not; the last checkpoint, metrics.csv and r2.csv.
fn trained(folder: &Path, of: &Path, stops: bool) -> [Vec<u8>; 3] {
    struct Stop(bool, u64);
    impl train::Observer for Stop {
        fn step(&mut self, progress: &train::Progress) {
            self.1 = progress.step;
        }
        fn message(&mut self, _: &str) {}
        fn should_stop(&self) -> bool {
            self.0 && self.1 == 16
        }
    }
    let mut config = encoder_config(of);
    read_encoder(&mut config).expect("read");
    let data = data(6);
    let mut run = Run::create(folder, &config, "{}").expect("made");
    let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
    assert!(trainer.step().is_err(), "its generator is not there yet");
    assert_eq!(trainer.load_pretrained().expect("loaded")[0].key, "encoder");
    let before = of_g(trainer.store());
    let outcome = train::train(&mut trainer, &data, &mut run, &mut Stop(stops, 0));
    let mut outcome = outcome.expect("trained");
    if stops {
        assert_eq!((outcome, trainer.steps()), (Outcome::Stopped, 17));
        trainer = Trainer::new(&config, &data.train).expect("a trainer");
        run.newest(|path| trainer.load(path)).expect("resumed");
        run.rewind(17).expect("rewound");
        outcome = train::train(&mut trainer, &data, &mut run, &mut ()).expect("trained");
    }
    let Outcome::Finished(scores) = outcome else {
        panic!("stopped")
    };
    assert!(
        scores.to_string().starts_with("mean (z - E(G(z)))²"),
        "{scores}"
    );
    assert_eq!(of_g(trainer.store()), before);
    let last = run.last_checkpoint().expect("read").expect("there");
    let files = [last, folder.join("metrics.csv"), folder.join("r2.csv")];
    files.map(|path| std::fs::read(path).expect("read"))
}

#[test]
fn a_run_that_was_stopped_goes_on_with_the_same_bytes() {
    let place = tempfile::tempdir().expect("a folder");
    let of = place.path().join("gan");
    let theirs = generator(&of);
    let whole = trained(&place.path().join("whole"), &of, false);
    std::fs::remove_dir_all(&of).expect("needed no more");
    assert!(whole[2].starts_with(b"component,r2\n0,"));
    generator(&of);
    let stopped = trained(&place.path().join("stopped"), &of, true);
    assert!(whole == stopped);
    // It inverts the averages, not the parameters in training.
    let mut config = encoder_config(&of);
    read_encoder(&mut config).expect("read");
    let mut trainer = Trainer::new(&config, &data(6).train).expect("a trainer");
    trainer.load_pretrained().expect("loaded");
    let w = |store: &Store| store.get("G.out.w").expect("there").data.to_vec();
    assert_eq!(w(trainer.store()), A);
    assert_ne!(w(&theirs), A);
}

#[test]
fn what_does_not_fit_is_one_clear_error() {
    let place = tempfile::tempdir().expect("a folder");
    let of = place.path().join("gan");
    generator(&of);
    let error = refused(&[GENERATOR, ENCODER, RUN], &["encoder.layer.out.units=4"]);
    let expected = "encoder.layer.out.units must make the 3 components of the noise that the generator takes (noise.dim), and makes 4";
    assert!(error.contains(expected), "{error}");
    let classifier = "classifier.layer = [{ units = 2, activation = 'linear' }]\n";
    let error = refused(&[classifier, ENCODER, RUN], &[]);
    let expected = "encoder is not used here, only with a run without [classifier]";
    assert!(error.contains(expected), "{error}");
    let error = refused(&[ENCODER, RUN], &[]);
    assert!(error.contains("encoder.of must name the run"), "{error}");
    for (options, expected) in [
        (
            &["train.update=alternating"][..],
            "train.update must be \"single\" where an encoder is trained",
        ),
        (
            &["eval.metrics=[\"parzen\"]"],
            "eval.metrics has \"parzen\"",
        ),
        (&["encoder.clip=1"], "encoder.clip is not used here"),
        (
            &["encoder.layer.out.bias=marginals"],
            "encoder.layer.out.bias must be a number",
        ),
        (
            &["generator.optimizer.lr=0.1"],
            "generator.optimizer is not used here",
        ),
        (&["loss.kind=ns"], "loss is not used here"),
        (
            &[
                "generator.layer.out.init={run='out'}",
                "generator.layer.out.bias=run",
            ],
            "generator.layer.out.init names a layer of another run",
        ),
        (
            &["generator.layer.out.bias=marginals"],
            "generator.layer.out.bias = \"marginals\" needs the generator's last layer, linear",
        ),
        (
            &[
                "encoder.layer+={name=\"h\", kind=\"batch_norm\"}",
                "train.batch=1",
            ],
            "needs 2 or more examples",
        ),
    ] {
        let error = refused(&[GENERATOR, ENCODER, RUN], options);
        assert!(error.contains(expected), "{options:?}: {error}");
    }
    let ring = Config::preset("ring").expect("a preset");
    for (options, expected) in [
        (
            &["eval.metrics=[\"inference\"]"][..],
            "has \"inference\", which scores an encoder",
        ),
        (
            &["generator.of=mnist"],
            "generator.of is not used here, only with an encoder",
        ),
        (
            &["discriminator.reconstruction=1"],
            "discriminator.reconstruction is not used here",
        ),
    ] {
        let error = ring.with(options).expect_err("refused").to_string();
        assert!(error.contains(expected), "{options:?}: {error}");
    }
    // A generator other than the one that is written, and runs without one.
    let named = text_option("encoder.of", of.to_str().expect("text"));
    let other = config(
        &[GENERATOR, ENCODER, RUN],
        &[&named, "generator.layer.out.bias=0.5"],
    );
    let mut trainer = Trainer::new(&other, &data(6).train).expect("a trainer");
    let error = trainer.load_pretrained().expect_err("another").to_string();
    assert!(
        error.contains("are others than [generator] and [noise]"),
        "{error}"
    );
    let mut unread = encoder_config(&of);
    let error = Trainer::new(&unread, &data(6).train).err().expect("unread");
    assert!(error.to_string().contains("encoder.of"), "{error}");
    unread.encoder.as_mut().expect("there").layers[0]
        .affine_mut()
        .expect("units")
        .units = 5;
    let error = read_encoder(&mut unread).expect_err("5 for 3").to_string();
    assert!(
        error.contains("encoder.of = ") && error.contains("must make the 3 components"),
        "{error}"
    );
    let run = place.path().join("encoder");
    trained(&run, &of, false);
    for (of, expected) in [
        (run.as_path(), "is an encoder"),
        (Path::new("nowhere"), "nowhere"),
    ] {
        let error = read_encoder(&mut encoder_config(of)).expect_err("no generator");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let network = text_option("margin.network", run.to_str().expect("text"));
    let options = ["loss.kind=ls-gan", &network];
    let mut of_margin = ring.with(&options).expect("valid until it is read");
    let error = read_margin(&mut of_margin).expect_err("no such network");
    let expected = "is an encoder, and has neither a classifier nor a discriminator";
    assert!(error.to_string().contains(expected), "{error}");
    let signed = config(&[ENCODER, RUN], &[&named, "data.contrast=signed"]);
    let error = read_encoder(&mut signed.clone())
        .expect_err("another")
        .to_string();
    assert!(error.contains("--set data.contrast=none"), "{error}");
    let error = encoder_of("mnist", &["data.set=cifar10"]).expect_err("other images");
    assert!(error.to_string().contains("3072"), "{error}");
    let gan = Config::preset("tiny").expect("a preset");
    let store = init::store(&gan, 784, &[0.1; 784]).expect("a store");
    let error = Encoder::of_run(&gan, &store)
        .err()
        .expect("none")
        .to_string();
    assert!(error.contains("tiny: has no encoder"), "{error}");
}

/// The preset with narrow layers, of the generator that comes with the program.
#[test]
fn the_bundled_generator_is_inverted_by_images() {
    let small = [
        "encoder.layer.h0.channels=4",
        "encoder.layer.h1.channels=4",
        "encoder.layer.h2.units=16",
        "train.batch=16",
    ];
    let config = encoder_of("mnist", &small).expect("valid");
    assert_eq!(
        config,
        Config::preset("encoder")
            .and_then(|c| c.with(&small))
            .expect("valid")
    );
    let digits = ganforge_gan::data::bundled_sample().expect("digits");
    let digits = Dataset {
        test: digits.test.slice(0..40).expect("images"),
        ..digits
    };
    let mut trainer = Trainer::new(&config, &digits.train).expect("a trainer");
    let source = trainer.load_pretrained().expect("loaded").remove(0);
    assert_eq!((source.sha256.len(), source.step), (64, 0));
    let before = of_g(trainer.store());
    for _ in 0..40 {
        trainer.step().expect("a step");
    }
    assert_eq!(of_g(trainer.store()), before);
    let few = config
        .with(&["eval.metrics=[{kind=\"inference\", samples=50}, {kind=\"agreement\", images=40}]"])
        .expect("valid");
    let loaded = train::check(&digits, &few, trainer.device()).expect("fits");
    let (scores, r2) =
        train::score_encoder(&loaded, &few, trainer.store(), &digits).expect("scored");
    assert_eq!(r2.len(), 100);
    let values = scores.values();
    let of = |name: &str| values.iter().find(|v| v.name == name).expect("there").value;
    assert!((of("z_mse_of_zero") - 1.0).abs() < 0.05 && of("z_mse").is_finite());
    assert!((0.0..=1.0).contains(&of("agreement_mnistnet")));
    assert_eq!((of("agreement_test"), of("inference_test")), (40.0, 40.0));
    let mean = digits.train.pixel_means();
    let test: Vec<f32> = digits.test.to_f32(0..40).expect("images");
    let squares = test.chunks(784).flat_map(|x| {
        x.iter()
            .zip(&mean)
            .map(|(x, m)| (f64::from(*x) - m).powi(2))
    });
    let expected = squares.sum::<f64>() / test.len() as f64;
    assert!((of("mse_mean") - expected).abs() < 1e-6);
}
