//! A run of one network that classifies: what it learns, that it goes on with the same bits, its files and its features.

use ganforge_gan::classifier::Classifier;
use ganforge_gan::config::{Config, Update};
use ganforge_gan::data::{Dataset, ImageSize, Images, RING, bundled_sample};
use ganforge_gan::generator::{Generator, Precision};
use ganforge_gan::gradcheck::Target;
use ganforge_gan::run::Run;
use ganforge_gan::run::table::Table;
use ganforge_gan::sampler::Sampler;
use ganforge_gan::train::{self, Outcome};
use ganforge_gan::trainer::Trainer;
use ganforge_gan::{Error, game};
use ganforge_tensor::{Device, Plan};

/// A dense net for images as large as digits.
fn config(options: &[&str]) -> Config {
    let text = "
name = 'small'
data.set = 'mnist'
classifier.layer = [
    { name = 'h0', units = 32, activation = 'relu', norm = 'batch' },
    { name = 'out', units = 10, activation = 'linear', keep_prob = 0.9 },
]
optimizer.lr = 0.003
[train]
batch = 50
epochs = 2
";
    Config::from_toml_with(text, "small.toml", options).unwrap_or_else(|e| panic!("{e}"))
}

/// 4,000 images of 10 classes, each a bright square at a place of its own, under noise.
fn squares() -> Dataset {
    let mut noise = 1_u32;
    let mut image = |class: usize| -> Vec<u8> {
        let pixel = |i: usize| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (y, x) = (i / 28, i % 28);
            let (top, left) = (class / 4 * 9, class % 4 * 7);
            let is_bright = (top..top + 7).contains(&y) && (left..left + 7).contains(&x);
            (noise >> 24) as u8 / 2 + if is_bright { 60 } else { 0 }
        };
        (0..784).map(pixel).collect()
    };
    let mut part = |n: usize| {
        let labels: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();
        let pixels: Vec<u8> = labels
            .iter()
            .flat_map(|&class| image(class.into()))
            .collect();
        Images::from_bytes(784, pixels).with_labels(labels)
    };
    let [train, valid, test] = [4000, 100, 500].map(&mut part);
    Dataset {
        train,
        valid,
        test,
        ..bundled_sample().expect("bundled")
    }
}

fn refused(options: &[&str]) -> String {
    let preset = Config::preset("mnistnet").expect("a preset");
    preset.with(options).expect_err("refused").to_string()
}

#[test]
fn it_learns_the_classes_and_its_run_has_rows_scores_and_no_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (config(&[]), squares());
    let path = folder.path().join("run");
    let mut run = Run::create(&path, &config, "{}").expect("made");
    let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
    let outcome = train::train(&mut trainer, &data, &mut run, &mut ()).expect("trained");
    let Outcome::Finished(scores) = outcome else {
        panic!("not finished");
    };
    let [accuracy, n] = scores.of("test-accuracy").expect("scored").array();
    assert!(accuracy > 0.85, "{accuracy}");
    assert_eq!(n, data.test.n() as f64);
    let read = |name: &str| std::fs::read_to_string(path.join(name)).expect("a table");
    let (metrics, scores) = (read("metrics.csv"), read("scores.csv"));
    assert!(
        metrics.starts_with("step,epoch,loss,accuracy,lr,grad/C.h0.w,grad/C.out.w\n"),
        "{metrics}"
    );
    assert!(
        scores.starts_with("step,epoch,test_accuracy,n_test\n"),
        "{scores}"
    );
    assert!(run.is_complete(&config).expect("read"));
    let pictures = std::fs::read_dir(path.join("samples")).expect("a folder");
    assert_eq!(pictures.count(), 0);
}

#[test]
fn points_of_a_toy_set_are_images_of_one_row() {
    let options = [
        "data.set=ring",
        "classifier.layer.out.units=8",
        "train.batch=5000",
    ];
    let ring = config(&options);
    let size = ring.image().expect("known");
    assert_eq!((size.height, size.width, size.channels), (1, 2, 1));
    let data = RING.draw(1);
    let mut trainer = Trainer::new(&ring, &data.train).expect("a trainer");
    assert!(trainer.step().expect("a step").get("loss") > Some(0.0));
    let preset = Config::preset("mnistnet").expect("a preset");
    let error = preset.with(&["data.set=ring", "classifier.image=[28,28,1]"]);
    let error = error.expect_err("other images").to_string();
    assert!(
        error.contains("classifier.image is 28x28x1, those of ring are 1x2x1"),
        "{error}"
    );
}

#[test]
fn the_best_of_its_checkpoints_is_chosen_on_validation_images() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, mut data) = (
        config(&["eval.every=1", "eval.best=test-accuracy"]),
        squares(),
    );
    // All of one class: an accuracy that none on the test images is.
    data.valid = data.valid.clone().with_labels(vec![0; data.valid.n()]);
    let path = folder.path().join("run");
    let mut run = Run::create(&path, &config, "{}").expect("made");
    let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
    train::train(&mut trainer, &data, &mut run, &mut ()).expect("trained");
    let table = Table::read(&path.join("scores.csv")).expect("a table");
    assert_eq!(
        table.names[2..],
        ["test_accuracy", "n_test", "valid_test_accuracy"]
    );
    let mut best = &table.rows[0];
    for row in &table.rows[1..] {
        assert_ne!(row[2], row[4]);
        if row[4] > best[4] {
            best = row;
        }
    }
    let found = run.best().expect("read").expect("there");
    assert_eq!((found.step as f64, found.value), (best[0], Some(best[4])));
}

#[test]
fn the_loss_and_the_accuracy_are_those_of_the_logits() {
    let config = config(&[]);
    let data = squares();
    let mut trainer = Trainer::with_plan(&Device::CPU, &config, &data.train, |step| {
        let mut builder = Plan::of(step.graph);
        for (name, var) in &step.monitors {
            builder = builder.fetch(name, *var);
        }
        let logits = step.preactivations.last().expect("of the last layer");
        Ok(builder.fetch("logits", logits.var).compile()?)
    })
    .expect("a trainer");
    let report = trainer.step().expect("a step");
    let logits = trainer.fetch("logits").expect("fetched");
    let labels = trainer.labels().expect("asked for");
    let (mut loss, mut right) = (0.0, 0);
    for (row, &label) in logits.chunks(10).zip(labels) {
        let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        loss += sum.ln() - row[label as usize];
        right += usize::from(row.iter().all(|x| *x <= row[label as usize]));
    }
    let found = |name: &str| report.get(name).expect("a monitor");
    assert!((found("loss") - loss / 50.0).abs() < 1e-5);
    assert!((found("accuracy") - right as f64 / 50.0).abs() < 1e-6);
}

#[test]
fn a_resumed_run_has_the_same_bits_with_dropout_batch_norm_and_changed_images() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.npz");
    let config = config(&["data.augment=[\"flip\", {kind=\"crop\", padding=2}]"]);
    let data = squares();
    let trainer = || Trainer::new(&config, &data.train).expect("a trainer");
    let mut whole = trainer();
    // Into the second epoch: 80 steps each.
    while whole.steps() < 79 {
        whole.step().expect("a step");
    }
    whole.save(&path, "sum").expect("written");
    let mut resumed = trainer();
    resumed.load(&path).expect("read");
    for _ in 0..4 {
        // What is measured before a step sees the examples of the step.
        whole.gradient_norms().expect("measured");
        let reports = (whole.step(), resumed.step());
        assert_eq!(reports.0.expect("a step"), reports.1.expect("a step"));
        assert_eq!(whole.x(), resumed.x());
    }
    assert_eq!(whole.store(), resumed.store());
}

#[test]
fn changed_images_are_the_data_s_mirrored_and_shifted() {
    let alone = ["train.batch=1", "classifier.layer.h0.norm=none"];
    let plain = config(&alone);
    let changed = plain
        .with(&["data.augment=[\"flip\", \"crop\"]"])
        .expect("valid");
    // One bright pixel on black.
    let mut pixels = vec![0_u8; 784 * 40];
    (0..40).for_each(|i| pixels[i * 784 + 14 * 28 + 3] = 255);
    let images = Images::from_bytes(784, pixels).with_labels(vec![0; 40]);
    let trainer = |config: &Config| Trainer::new(config, &images).expect("a trainer");
    let (mut plain, mut changed) = (trainer(&plain), trainer(&changed));
    let (mut mirrored, mut places) = (0, std::collections::BTreeSet::new());
    for _ in 0..80 {
        plain.step().expect("a step");
        changed.step().expect("a step");
        assert_eq!(plain.x()[14 * 28 + 3], 1.0);
        let bright = |x: &[f32]| x.iter().position(|&v| v == 1.0);
        // Three columns from an edge, it may be shifted out.
        let Some(at) = bright(changed.x()) else {
            continue;
        };
        let (y, x) = (at / 28, at % 28);
        assert!((10..=18).contains(&y) && (x <= 7 || x >= 20), "{y} {x}");
        mirrored += usize::from(x >= 20);
        places.insert(at);
    }
    assert!((20..60).contains(&mirrored), "{mirrored}");
    assert!(places.len() > 30, "{}", places.len());
}

/// A classifier whose features and logits are known: the sum of the left and of the right pixels, and which is larger.
fn known() -> (Config, Classifier) {
    let text = "
name = 'known'
data.set = 'mine.npz'
classifier.image = [1, 4, 1]
classifier.layer = [
    { name = 'h0', units = 2, activation = 'relu' },
    { name = 'out', units = 2, activation = 'linear' },
]
";
    let config = Config::from_toml(text, "known.toml").unwrap_or_else(|e| panic!("{e}"));
    let mut store = ganforge_gan::init::store(&config, 4, &[]).expect("a store");
    for (name, shape, values) in [
        (
            "C.h0.w",
            [4, 2],
            &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0][..],
        ),
        ("C.out.w", [2, 2], &[1.0, 0.0, 0.0, 1.0]),
    ] {
        store
            .insert(name, shape, values.to_vec())
            .expect("its shape");
    }
    let image = ImageSize {
        height: 1,
        width: 4,
        channels: 1,
    };
    let classifier = Classifier::of_run(&config, &store, image, "").expect("a classifier");
    (config, classifier)
}

const IMAGES: [f32; 12] = [
    1.0, 0.5, 0.0, 0.25, 0.0, 0.0, 0.25, 0.5, 0.5, 0.5, 0.25, 0.25,
];

#[test]
fn features_are_what_goes_into_the_last_layer() {
    let (_, mut known) = known();
    assert_eq!((known.n_features(), known.n_classes()), (2, 2));
    let features = known.features(&IMAGES).expect("features");
    assert_eq!(features, [1.5, 0.25, 0.0, 0.75, 1.0, 0.5]);
    assert_eq!(known.classes(&IMAGES).expect("classes"), [0, 1, 0]);
    // More images than are looked at once.
    let many = IMAGES.repeat(101);
    let all = known.features(&many).expect("features");
    assert_eq!(all, features.repeat(101));
    for (images, expected) in [
        (&IMAGES[..3], "rows of 4 values, got 3 values"),
        (
            &[0.0, 0.0, 0.0, 0.0, 0.0, 255.0, 0.0, 0.0],
            "image 1 has 255 at place 1",
        ),
        (&[-1.0, 0.0, 0.0, 0.0], "image 0 has -1 at place 0"),
        (&[f32::NAN, 0.0, 0.0, 0.0], "image 0 has NaN at place 0"),
    ] {
        let error = known.features(images).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_has_the_same_features_and_is_no_generator() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, mut known) = known();
    let features = known.features(&IMAGES).expect("features");
    for (name, precision) in [
        ("c.npz", Precision::Single),
        ("half.npz", Precision::Half),
        ("c.safetensors", Precision::Single),
    ] {
        let path = folder.path().join(name);
        known.write(&path, precision).expect("written");
        let mut read = Classifier::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(read.config(), known.config());
        assert_eq!(
            read.features(&IMAGES).expect("features"),
            features,
            "{name}"
        );
        let error = Generator::read(&path).err().expect("refused").to_string();
        assert!(error.contains("known: is a classifier"), "{error}");
    }
    let path = folder.path().join("g.npz");
    let generator = Generator::pretrained("mnist").expect("bundled");
    generator.write(&path, Precision::Half).expect("written");
    let error = Classifier::read(&path).err().expect("refused").to_string();
    assert!(error.contains("is a GAN, and has no classifier"), "{error}");
}

#[test]
fn a_batch_norm_is_evaluated_by_its_running_averages() {
    let (config, data) = (config(&[]), squares());
    let mut trainer = Trainer::new(&config, &data.train).expect("a trainer");
    for _ in 0..5 {
        trainer.step().expect("a step");
    }
    let mut classifier =
        Classifier::of_run(&config, trainer.store(), data.image(), "").expect("whole");
    let images = data.test.to_f32(0..120).expect("rows");
    let all = classifier.features(&images).expect("features");
    let one = classifier
        .features(&images[784 * 110..784 * 111])
        .expect("features");
    assert_eq!(all[32 * 110..32 * 111], one[..]);
}

#[test]
fn what_asks_for_a_generator_refuses_a_classifier() {
    let config = config(&[]);
    let named = |error: Error| assert!(error.to_string().contains("small: is a classifier"));
    named(Sampler::new(&config).err().expect("refused"));
    named(
        ganforge_gan::critic::Critic::new(&config)
            .err()
            .expect("refused"),
    );
    let data = squares();
    let trainer = Trainer::new(&config, &data.train).expect("a trainer");
    named(
        Generator::of_run(&config, trainer.store(), data.image(), "")
            .err()
            .expect("refused"),
    );
}

#[test]
fn settings_that_do_not_go_together_are_refused_with_their_keys() {
    for (options, expected) in [
        (
            &["noise.dim=7"][..],
            "noise is not used here, only with a GAN, which has no [classifier]",
        ),
        (&["loss.kind=ls"], "loss is not used here, only with a GAN"),
        (
            &["train.update=alternating"],
            "train.update must be \"single\" where a classifier is trained",
        ),
        (&["train.average=0.9"], "train.average is not used here"),
        (
            &["eval.metrics=[\"parzen\"]"],
            "eval.metrics has \"parzen\", which scores samples of a generator",
        ),
        (
            &["data.set=fashion-mnist", "classifier.layer.out.units=9"],
            "has 9 classes, and the data set fashion-mnist has 10",
        ),
        (
            &["data.set=cifar10"],
            "classifier.image is 28x28x1, those of cifar10 are 32x32x3",
        ),
        (
            &["classifier.layer.out.activation=relu"],
            "classifier.layer.out.activation must be \"linear\"",
        ),
        (
            &["classifier.penalty=[\"gp\"]"],
            "classifier.penalty is not used here, only with the discriminator",
        ),
        (&["classifier.clip=0.1"], "classifier.clip is not used here"),
        (
            &["data.augment=[{kind=\"crop\", padding=28}]"],
            "padding must be below 28",
        ),
        (
            &["classifier.layer.h1.norm={kind=\"conditional\", classes=10}"],
            "asks for the classes of examples, which a classifier is to find",
        ),
    ] {
        let error = refused(options);
        assert!(error.contains(expected), "{options:?}: {error}");
    }
    let gan = Config::preset("tiny").expect("a preset");
    let error = gan
        .with(&["train.update=single"])
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("train.update = \"single\" is of a classifier"),
        "{error}"
    );
    let error = gan
        .with(&["discriminator.image=[28, 28, 1]"])
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("discriminator.image is not used here, only with a classifier"),
        "{error}"
    );
    let error = gan
        .with(&["eval.metrics=[\"test-accuracy\"]"])
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("eval.metrics has a metric of the classes"),
        "{error}"
    );
}

#[test]
fn data_without_the_classes_are_refused() {
    let config = config(&["data.set=mine.npz", "classifier.image=[1, 4, 1]"]);
    let images = Images::from_bytes(4, vec![0; 4 * 60]);
    let error = |images: &Images| {
        Trainer::new(&config, images)
            .err()
            .expect("refused")
            .to_string()
    };
    let found = error(&images);
    assert!(
        found.contains("classifier.layer.out.units needs the classes of the examples"),
        "{found}"
    );
    let found = error(&images.with_labels(vec![11; 60]));
    assert!(
        found.contains("has 10 classes, and the data have 12 or more"),
        "{found}"
    );
    let wide = Images::from_bytes(5, vec![0; 5 * 60]).with_labels(vec![1; 60]);
    let found = error(&wide);
    assert!(
        found.contains("classifier.image must have 5 values"),
        "{found}"
    );
}

#[test]
fn the_preset_is_small_and_its_gradients_are_those_of_differences() {
    let config = Config::preset("mnistnet").expect("a preset");
    assert_eq!(config.train.update, Update::Single);
    let tensors = ganforge_gan::tensors::Tensors::of(&config, 784);
    let count: usize = tensors.params("C").map(|s| s.shape.elements()).sum();
    // 9·32 + 32, 9·32·64 + 64, 144·64·128 + 128, 128·10 + 10
    assert_eq!(count, 320 + 18_496 + 1_179_776 + 1_290);
    assert_eq!(game::monitors(&config), ["loss", "accuracy"]);
    for order in [1, 2] {
        let rows = Target::of_config(config.clone())
            .check(order, 7)
            .expect("recorded");
        assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
        for name in ["C.h0.w", "C.h2.b", "C.out.w"] {
            assert!(
                rows.iter().any(|r| r.input == name),
                "{name} at order {order}"
            );
        }
    }
}
