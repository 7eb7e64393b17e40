//! Conditional games: layers and heads that are told the class, pairs with a wrong class, samples of a class once trained.

use ganforge_gan::class_blend::ClassBlend;
use ganforge_gan::config::Config;
use ganforge_gan::data::Images;
use ganforge_gan::gradcheck::Target;
use ganforge_gan::nn::{Activation, AppendEmbedding, Build, Identity, LayerRule, Projection, Relu};
use ganforge_gan::sampler::{Decoder, Sampler};
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::{Device, Graph, Plan, Shape, Store};

use crate::fixtures::{assert_near, fixture};

const CLASSES: usize = 3;

/// Dense nets on images of 2 x 2, both with a branch of the class.
fn config(options: &[&str]) -> Config {
    let text = "
data.set = 'mine.npz'
noise = { dim = 3, classes = 'data' }
generator.layer = [
    { name = 'h0', units = 8 },
    { name = 'class', kind = 'append_embedding', classes = 3, units = 8, activation = 'relu' },
    { name = 'h1', units = 16 },
    { name = 'out', units = 4, activation = 'sigmoid' },
]
discriminator.layer = [
    { name = 'h0', kind = 'maxout', units = 12, pieces = 2 },
    { name = 'class', kind = 'append_embedding', classes = 3, units = 4, pieces = 2 },
    { name = 'h1', units = 16, activation = 'leaky_relu' },
    { name = 'out', units = 1, activation = 'linear' },
]
train = { batch = 20, update = 'alternating' }
optimizer = { kind = 'adam', lr = 0.005, beta1 = 0.5 }
";
    Config::from_toml_with(text, "conditional.toml", options).unwrap_or_else(|e| panic!("{e}"))
}

const PROJECTION: [&str; 3] = [
    "discriminator.layer-=class",
    "discriminator.layer.out.kind=projection",
    "discriminator.layer.out.classes=3",
];

/// 300 images in turn of three classes, each with a bright pixel of its own and one that varies.
fn images() -> Images {
    let bytes = (0..300).flat_map(|i: usize| {
        let mut pixels = [20, 20, 20, (i * 37 % 251) as u8];
        pixels[i % CLASSES] = 220;
        pixels
    });
    let labels: Vec<u8> = (0..300).map(|i| (i % CLASSES) as u8).collect();
    Images::from_bytes(4, bytes.collect::<Vec<u8>>()).with_labels(labels)
}

fn trained(options: &[&str], steps: usize) -> Trainer {
    let trainer = Trainer::new(&config(options), &images());
    let mut trainer = trainer.unwrap_or_else(|e| panic!("{e}"));
    for _ in 0..steps {
        trainer.step().expect("a step");
    }
    trainer
}

/// The class that an image is of: its brightest pixel of the first three.
fn judged(image: &[f32]) -> usize {
    let places = 0..CLASSES;
    places
        .max_by(|a, b| image[*a].total_cmp(&image[*b]))
        .expect("there are some")
}

/// The share of 600 samples that are judged to be of the class that was asked for, where G is told `told(i)`.
fn agreement(trainer: &Trainer, told: impl Fn(usize) -> usize) -> f64 {
    let mut sampler = Sampler::new(trainer.config()).expect("recorded");
    let turns: Vec<usize> = (0..600).map(told).collect();
    sampler.set_classes(&turns).expect("there");
    let samples = sampler
        .draw(&mut trainer.store().clone(), 5, 600)
        .expect("drawn");
    let right = samples
        .chunks(4)
        .enumerate()
        .filter(|(i, x)| judged(x) == i % CLASSES);
    right.count() as f64 / 600.0
}

#[test]
fn samples_are_of_the_class_that_g_is_told_and_of_another_where_classes_are_shuffled() {
    let mismatched = ["loss.mismatched=0.5"];
    for options in [&[][..], &PROJECTION, &mismatched] {
        let trainer = trained(options, 600);
        let own = agreement(&trainer, |i| i % CLASSES);
        assert!(own > 0.95, "{options:?}: {own}");
        // Each class as likely as another, whatever the sample was asked for: 1/3, within four deviations.
        let shuffled = agreement(&trainer, |i| (i * 7919 % 601) / 5 % CLASSES);
        assert!(
            (shuffled - 1.0 / 3.0).abs() < 0.08,
            "{options:?}: {shuffled}"
        );
    }
}

/// A trainer that hands out its monitors and the classes that real examples are judged with beside their own.
fn watched(options: &[&str]) -> Trainer {
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

#[test]
fn a_wrong_class_is_each_of_the_others_as_often() {
    for (k, names) in [
        (1, &["mismatched"][..]),
        (2, &["mismatched", "mismatched.1"]),
    ] {
        let mut trainer = watched(&["loss.mismatched=0.5", &format!("train.k={k}")]);
        let mut counts = [0; CLASSES];
        for _ in 0..15 {
            trainer.step().expect("a step");
            let labels = trainer.labels().expect("asked for").to_vec();
            let wrong = names
                .iter()
                .flat_map(|name| trainer.fetch(name).expect("fetched").to_vec());
            for (own, wrong) in labels.iter().zip(wrong) {
                assert_ne!(*own, wrong);
                counts[(CLASSES + wrong as usize - *own as usize) % CLASSES] += 1;
            }
        }
        let n = (15 * 20 * k) as f64;
        let bound = 4.0 * (n / 4.0).sqrt();
        assert!((f64::from(counts[1]) - n / 2.0).abs() < bound, "{counts:?}");
        assert_eq!(counts[0], 0);
    }
}

#[test]
fn generated_examples_and_real_ones_of_a_wrong_class_share_the_weight_of_fakes() {
    // R + (1 - w) F + w M at the same parameters, noise and wrong classes.
    let of_d = |w: f64, joined: bool| {
        let options = [
            format!("loss.mismatched={w}"),
            format!("train.joined={joined}"),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut trainer = watched(&options);
        let report = trainer.step().expect("a step");
        report.get("loss_d").expect("a monitor")
    };
    let [none, quarter, half] = [0.0, 0.25, 0.5].map(|w| of_d(w, true));
    assert!((none - half).abs() > 1e-3, "{none} {half}");
    assert!(
        (quarter - (none + half) / 2.0).abs() < 1e-6,
        "{none} {quarter} {half}"
    );
    assert!((half - of_d(0.5, false)).abs() < 1e-6);
}

#[test]
fn a_wrong_class_is_of_a_discriminator_that_is_told_classes() {
    let text = config(&[]).to_toml();
    let refused = |options: &[&str]| {
        let config = Config::from_toml_with(&text, "a.toml", options);
        config.expect_err("refused").to_string()
    };
    let message = refused(&["loss.mismatched=0.5", "discriminator.layer-=class"]);
    let expected = "loss.mismatched is not used here, only with a discriminator of which a layer asks for the classes";
    assert!(message.contains(expected), "{message}");
    let message = refused(&["loss.mismatched=1"]);
    assert!(message.contains("loss.mismatched"), "{message}");
    let message = refused(&["discriminator.layer.class.classes=4"]);
    let expected =
        "discriminator.layer.class.kind has 4 classes, and generator.layer.class.kind has 3";
    assert!(message.contains(expected), "{message}");
    let message = refused(&["discriminator.layer.class.bias={untied=0.0}"]);
    assert!(
        message.contains("discriminator.layer.class.bias"),
        "{message}"
    );
}

#[test]
fn gradients_of_all_parts_are_those_of_differences() {
    let mismatched = ["loss.mismatched=0.3"];
    for options in [&mismatched[..], &PROJECTION] {
        let target = Target::of_config(config(options));
        for order in [1, 2] {
            let rows = target.check(order, 7).expect("recorded");
            assert!(rows.iter().all(|r| r.passes), "{rows:#?}");
            let name = match options.len() {
                1 => "D.class.w",
                _ => "D.out.embedding.w",
            };
            assert!(rows.iter().any(|r| r.input == name && r.of > 0), "{name}");
        }
    }
}

/// A G that adds up noise and class: half way between two classes is the mean of both.
const LINEAR: [&str; 4] = [
    "generator.layer.h0.activation=linear",
    "generator.layer.class.activation=linear",
    "generator.layer.h1.activation=linear",
    "generator.layer.out.activation=linear",
];

#[test]
fn samples_between_two_classes_begin_and_end_with_those_of_each() {
    let one_hot = [
        "generator.layer.class.kind=append_class",
        "generator.layer.class.classes=3",
    ];
    let norm = "generator.layer.h0.norm={kind=\"conditional\", classes=3}";
    let of_norm = ["generator.layer-=class", norm];
    for options in [&[][..], &one_hot, &of_norm, &["train.average=0.9"], &LINEAR] {
        let trainer = trained(options, 5);
        let (config, mut store): (_, Store) = (trainer.config(), trainer.store().clone());
        let z = Sampler::new(config).and_then(|mut s| s.noise(&mut store, 3, 103));
        let z = z.expect("drawn");
        let mut blend = ClassBlend::at(&Device::CPU, config).expect("recorded");
        let mut between = |t: f32| {
            let found = blend.decode(&mut store, &z, [2, 0], &[t; 103]);
            found.expect("decoded")
        };
        let [first, middle, last] = [0.0, 0.5, 1.0].map(&mut between);
        let mut decoder = Decoder::new(config).expect("recorded");
        let mut of = |class| {
            decoder.set_class(Some(class)).expect("there");
            decoder.decode(&mut store, &z).expect("decoded")
        };
        assert_eq!([&first, &last], [&of(2), &of(0)], "{options:?}");
        assert_ne!(first, middle, "{options:?}");
        if options.len() == LINEAR.len() {
            for (i, m) in middle.iter().enumerate() {
                assert!((m - (first[i] + last[i]) / 2.0).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn what_is_no_way_between_two_classes_is_refused() {
    let config = config(&[]);
    let trainer = trained(&[], 0);
    let mut store = trainer.store().clone();
    let mut blend = ClassBlend::at(&Device::CPU, &config).expect("recorded");
    let mut refused = |n: usize, classes, t: f32| {
        let found = blend.decode(&mut store, &vec![0.0; 3 * n], classes, &[t]);
        found.expect_err("refused").to_string()
    };
    assert_eq!(
        refused(1, [0, 3], 0.5),
        "class 3: the generator has classes 0 to 2"
    );
    assert_eq!(
        refused(2, [0, 1], 0.5),
        "noise of 6 values for 1 shares: expected rows of 3"
    );
    for t in [-0.1, 1.1, f32::NAN] {
        let message = refused(1, [0, 1], t);
        assert!(
            message.starts_with("a share of the second class must be"),
            "{message}"
        );
    }
    let plain = Config::preset("tiny").expect("a preset");
    let error = ClassBlend::at(&Device::CPU, &plain).err().expect("none");
    assert_eq!(error.to_string(), "the generator has no classes");
}

/// A layer's output and its gradients in x and in each of its parameters, stored under these names in the fixture and here.
fn pass_is_that_of_pytorch(name: &str, layer: &dyn LayerRule, params: &[(&str, &str)]) {
    let fixture = fixture("conditional.npz");
    let place = |part: &str| &fixture[&format!("{name}/{part}")];
    let graph = Graph::new();
    let mut build = Build::new(&graph);
    build.at("D", "n");
    let mut feeds = vec![("labels".to_string(), fixture["labels"].1.clone())];
    let mut input = |part: &str| {
        feeds.push((part.to_string(), place(part).1.clone()));
        graph.input(part, Shape::new(&place(part).0))
    };
    let (x, dy) = (input("x"), input("dy"));
    let mut wrt = vec![("dx".to_string(), x)];
    for (theirs, ours) in params {
        let value = input(theirs);
        build.set(&format!("D.n.{ours}"), value);
        wrt.push((format!("d{theirs}"), value));
    }
    let y = layer.forward(&mut build, x);
    let of: Vec<_> = wrt.iter().map(|(_, var)| *var).collect();
    let grads = graph.grad((y * dy).sum(), &of).expect("reached");
    let grads = wrt.into_iter().map(|(part, _)| part).zip(grads);
    let feeds: Vec<(&str, Vec<f64>)> = feeds.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
    for (part, var) in std::iter::once(("y".to_string(), y)).chain(grads) {
        let found = var.evaluate(&feeds).expect("values");
        assert_near(&format!("{name}/{part}"), &found, &place(&part).1);
    }
}

#[test]
fn layers_that_are_told_the_class_are_those_of_pytorch() {
    let embedding = |units: usize, activation: Activation, bias: &str| {
        let mut layer = AppendEmbedding {
            classes: 5,
            units,
            activation,
            ..AppendEmbedding::default()
        };
        if bias == "none" {
            layer.weights.bias = ganforge_gan::config::Bias::None;
        }
        layer
    };
    let relu = embedding(6, Activation::Relu(Relu {}), "");
    pass_is_that_of_pytorch("vectors", &relu, &[("w", "w"), ("b", "b")]);
    let linear = embedding(2, Activation::Linear(Identity {}), "none");
    pass_is_that_of_pytorch("images", &linear, &[("w", "w")]);
    let projection = Projection {
        classes: 5,
        ..Projection::default()
    };
    let params = [("w", "w"), ("b", "b"), ("e", "embedding.w")];
    pass_is_that_of_pytorch("projection", &projection, &params);
}
