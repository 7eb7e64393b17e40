//! Normalisers against PyTorch in f64, and which examples they see.

use ganforge_gan::config::{Config, Layer, LayerKind, Network};
use ganforge_gan::data::Images;
use ganforge_gan::nn::{
    BatchNorm, Build, ConditionalBatchNorm, InstanceNorm, LayerNorm, Pass, Running, RunningVariance,
};
use ganforge_gan::sampler::Sampler;
use ganforge_gan::tensors::Role;
use ganforge_gan::trainer::Trainer;
use ganforge_tensor::gradcheck::{Point, check};
use ganforge_tensor::{Graph, Shape, Var};

use crate::fixtures::{assert_near, fixture};

fn network(kind: LayerKind) -> Network {
    let layer = Layer {
        name: "n".into(),
        kind,
        ..Layer::default()
    };
    Network {
        layers: vec![layer],
        ..Network::default()
    }
}

/// Outputs, gradients and running averages of three passes of training, then the output of evaluation.
fn is_that_of_pytorch(name: &str, running_variance: RunningVariance) {
    let fixture = fixture("norms.npz");
    let norm = BatchNorm {
        epsilon: 1e-3,
        running: Running {
            decay: 0.8,
            running_variance,
            ..Running::default()
        },
        ..BatchNorm::default()
    };
    let network = network(LayerKind::BatchNorm(norm));
    let graph = Graph::new();
    let mut build = Build::new(&graph);
    let mut feeds: Vec<(&str, Vec<f64>)> = Vec::new();
    let input = |name: &str| -> (Var, Vec<f64>) {
        let (shape, values) = &fixture[name];
        (graph.input(name, Shape::new(shape)), values.clone())
    };
    let names: Vec<String> = ["gamma", "beta"].map(|n| format!("{name}/{n}")).to_vec();
    let passes: Vec<[String; 2]> = (0..3)
        .map(|i| ["x", "dy"].map(|n| format!("{name}/{i}/{n}")))
        .collect();
    for full in names.iter().chain(passes.iter().flatten()) {
        feeds.push((full, input(full).1));
    }
    let [gamma, beta] = [0, 1].map(|i| input(&names[i]).0);
    build.set("D.n.gamma", gamma);
    build.set("D.n.beta", beta);
    build.set("D.n.mean", graph.constant(0.0, [3]));
    build.set("D.n.var", graph.constant(1.0, [3]));
    let mut last = None;
    for (i, [x, dy]) in passes.iter().enumerate() {
        let (x, dy) = (input(x).0, input(dy).0);
        let y = build.train("D", &network, &[Pass::new("real", x)]);
        let grads = graph
            .grad((y * dy).sum(), &[x, gamma, beta])
            .expect("reached");
        let running = |part: &str| {
            let specs = build.tensors().of_net("D", Role::Buffer);
            let spec = specs.into_iter().find(|s| s.part() == part);
            build.value(spec.expect("a buffer"))
        };
        let found = [
            ("y", y),
            ("dx", grads[0]),
            ("dgamma", grads[1]),
            ("dbeta", grads[2]),
            ("mean", running("mean")),
            ("var", running("var")),
        ];
        for (part, var) in found {
            if part == "var" && running_variance == RunningVariance::Biased {
                continue; // PyTorch keeps the other one
            }
            let what = format!("{name}/{i}/{part}");
            assert_near(
                &what,
                &var.evaluate(&feeds).expect("values"),
                &fixture[&what].1,
            );
        }
        last = Some(x);
    }
    let y = build.eval("D", &network, last.expect("three passes"));
    if running_variance == RunningVariance::Unbiased {
        let what = format!("{name}/eval");
        assert_near(
            &what,
            &y.evaluate(&feeds).expect("values"),
            &fixture[&what].1,
        );
    }
    // The biased variance of n values is (n - 1) / n of the unbiased one.
    if running_variance == RunningVariance::Biased {
        let unbiased = &fixture[&format!("{name}/0/var")].1;
        let n = fixture[&format!("{name}/0/x")].1.len() as f64 / 3.0;
        let expected = unbiased.iter().map(|v| 0.8 + (v - 0.8) * (n - 1.0) / n);
        let fresh = Graph::new();
        let mut build = Build::new(&fresh);
        for (part, value) in [("gamma", 1.0), ("beta", 0.0), ("mean", 0.0), ("var", 1.0)] {
            build.set(&format!("D.n.{part}"), fresh.constant(value, [3]));
        }
        let x = fresh.input(&passes[0][0], Shape::new(&fixture[&passes[0][0]].0));
        build.train("D", &network, &[Pass::new("real", x)]);
        let spec = build
            .tensors()
            .of_net("D", Role::Buffer)
            .nth(1)
            .expect("var");
        let found = build.value(spec).evaluate(&feeds[2..3]).expect("values");
        assert_near("var", &found, &expected.collect::<Vec<_>>());
    }
}

#[test]
fn batch_norm_is_that_of_pytorch_over_several_passes() {
    for name in ["vectors", "images"] {
        is_that_of_pytorch(name, RunningVariance::Unbiased);
        is_that_of_pytorch(name, RunningVariance::Biased);
    }
}

/// Dense nets on images of 2 x 2 with batch norm in both.
fn config(options: &[&str]) -> Config {
    let text = "
[data]
set = 'mine.npz'
[noise]
dim = 3
[[generator.layer]]
name = 'h0'
units = 5
norm = 'batch'
[[generator.layer]]
name = 'out'
units = 4
activation = 'sigmoid'
[[discriminator.layer]]
name = 'h0'
units = 6
norm = { kind = 'batch', decay = 0.75 }
[[discriminator.layer]]
name = 'out'
units = 1
activation = 'linear'
[train]
batch = 10
";
    Config::from_toml_with(text, "norms.toml", options).expect("valid")
}

fn images() -> Images {
    let bytes: Vec<u8> = (0..400).map(|i| (i * 7919 % 251) as u8).collect();
    Images::from_bytes(4, bytes)
}

#[test]
fn real_and_generated_examples_are_normalised_apart_in_both_orders_unless_it_is_said_otherwise() {
    for update in ["alternating", "simultaneous"] {
        let option = format!("train.update={update}");
        assert!(!config(&[&option]).train.joined, "{update}");
        assert!(config(&[&option, "train.joined=true"]).train.joined);
    }
    let without = [
        "discriminator.layer.h0.norm=none",
        "train.update=alternating",
    ];
    assert!(config(&without).train.joined);
}

/// The running mean of D's h0 after the first step, from the means of its passes: the parameters of the step are those of
/// step 0 in each pass of D's phase.
#[test]
fn passes_move_running_averages_one_after_the_other_or_only_the_last_one_or_only_real_ones() {
    for update in ["alternating", "simultaneous"] {
        for joined in [true, false] {
            for moves in ["each_pass", "last_pass", "real"] {
                let found = running_mean(update, joined, moves);
                for (found, expected) in found[0].iter().zip(&found[1]) {
                    let error = (found - expected).abs();
                    assert!(
                        error < 1e-5,
                        "{update}, joined {joined}, {moves}: {found} {expected}"
                    );
                }
            }
        }
    }
}

/// That mean as it is stored, and as it should be.
fn running_mean(update: &str, joined: bool, moves: &str) -> [Vec<f64>; 2] {
    let options = [
        format!("train.update={update}"),
        format!("train.joined={joined}"),
        format!("discriminator.layer.h0.norm={{kind='batch', decay=0.75, moves='{moves}'}}"),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let config = config(&options);
    let mut trainer = Trainer::with_plan(&Default::default(), &config, &images(), |step| {
        let mut builder = ganforge_tensor::Plan::of(step.graph);
        for pre in step.preactivations.iter().filter(|p| p.layer == "G.out") {
            let name = format!("{}/{}", pre.passes.join("+"), pre.layer);
            builder = builder.fetch(&name, pre.var.sigmoid());
        }
        for (old, (_, new)) in &step.updates {
            builder = builder.update(*old, *new);
        }
        Ok(builder.compile()?)
    });
    let trainer = trainer.as_mut().expect("a trainer");
    let stored = |trainer: &Trainer, name: &str| -> Vec<f64> {
        let data = &trainer.store().get(name).expect("stored").data;
        data.iter().map(|&v| f64::from(v)).collect()
    };
    let (w, b) = (stored(trainer, "D.h0.w"), stored(trainer, "D.h0.b"));
    trainer.step().expect("a step");
    // Mean response of a minibatch to each of the 6 units, of D before its update.
    let mean = |x: &[f32], w: &[f64], b: &[f64]| -> Vec<f64> {
        let rows = x.len() / 4;
        let sum = |j: usize| -> f64 {
            let of =
                |i: usize| -> f64 { (0..4).map(|k| f64::from(x[4 * i + k]) * w[6 * k + j]).sum() };
            (0..rows).map(of).sum()
        };
        (0..6).map(|j| sum(j) / rows as f64 + b[j]).collect()
    };
    let first = if update == "alternating" {
        "fake_d"
    } else {
        "fake"
    };
    let fake = trainer.fetch(&format!("{first}/G.out")).expect("fetched");
    let (real, fake) = (mean(trainer.x(), &w, &b), mean(fake, &w, &b));
    // The means of the passes, and whether there are real examples in them.
    let mut passes = match joined {
        true => {
            let both = real.iter().zip(&fake).map(|(r, f)| (r + f) / 2.0);
            vec![(true, both.collect())]
        }
        false => vec![(true, real), (false, fake)],
    };
    if update == "alternating" {
        // G's phase asks the D that has learnt.
        let (w, b) = (stored(trainer, "D.h0.w"), stored(trainer, "D.h0.b"));
        let fake = trainer.fetch("fake_g/G.out").expect("fetched");
        passes.push((false, mean(fake, &w, &b)));
    }
    match moves {
        "last_pass" => passes = passes.split_off(passes.len() - 1),
        "real" => passes.retain(|p| p.0),
        _ => {}
    }
    let mut expected = vec![0.0; 6];
    for (_, mean) in passes {
        let moved = expected.iter().zip(&mean);
        expected = moved.map(|(e, m)| 0.75 * e + 0.25 * m).collect();
    }
    [stored(trainer, "D.h0.mean"), expected]
}

#[test]
fn samples_go_by_running_averages_or_by_their_own_statistics() {
    let config = config(&[]);
    let mut trainer = Trainer::new(&config, &images()).expect("a trainer");
    for _ in 0..5 {
        trainer.step().expect("a step");
    }
    let mut store = trainer.store().clone();
    let device = Default::default();
    let mut running = Sampler::at(&device, &config).expect("recorded");
    let mut own = Sampler::with_batch_statistics(&device, &config).expect("recorded");
    let before = (
        running.draw(&mut store, 1, 100).expect("drawn"),
        own.draw(&mut store, 1, 100).expect("drawn"),
    );
    assert_ne!(before.0, before.1);
    assert_eq!(&store, trainer.store(), "sampling moves nothing");
    let shape = store.get("G.h0.mean").expect("stored").shape;
    store
        .insert("G.h0.mean", shape, vec![9.0; 5])
        .expect("the same shape");
    assert_ne!(running.draw(&mut store, 1, 100).expect("drawn"), before.0);
    assert_eq!(own.draw(&mut store, 1, 100).expect("drawn"), before.1);
}

/// Samples of averaged parameters go by the running averages of the net that trains, which are not averaged once more.
#[test]
fn with_averages_of_the_parameters_running_averages_are_those_of_the_training_net() {
    let averaged = config(&["train.average=0.9"]);
    let mut trainer = Trainer::new(&averaged, &images()).expect("a trainer");
    for _ in 0..5 {
        trainer.step().expect("a step");
    }
    let mut store = trainer.store().clone();
    let found = Sampler::new(&averaged)
        .expect("recorded")
        .draw(&mut store, 1, 20);
    // The same net without averages, whose parameters are those of the other one's averages.
    let plain = config(&[]);
    let mut store = ganforge_tensor::Store::new(averaged.seed);
    for entry in trainer.store().iter() {
        let average = trainer.store().get(&format!("{}.average", entry.name));
        let value = average.unwrap_or(entry).data.clone();
        if entry.name.starts_with("G.") && !entry.name.ends_with(".average") {
            store.insert(&entry.name, entry.shape, value).expect("new");
        }
    }
    assert!(store.get("G.h0.mean") == trainer.store().get("G.h0.mean"));
    assert!(store.get("G.h0.w") != trainer.store().get("G.h0.w"));
    let expected = Sampler::new(&plain)
        .expect("recorded")
        .draw(&mut store, 1, 20);
    assert_eq!(found.expect("drawn"), expected.expect("drawn"));
}

#[test]
fn a_minibatch_of_one_is_refused_under_batch_norm() {
    let text = config(&[]).to_toml().replace("batch = 10", "batch = 1");
    let message = Config::from_toml(&text, "a.toml").unwrap_err().to_string();
    let line = 1 + text
        .lines()
        .position(|l| l.starts_with("norm = "))
        .expect("G's");
    let expected = format!(
        "a.toml:{line}: generator.layer.h0.norm is of the whole minibatch and needs 2 or more examples, and train.batch is 1"
    );
    assert!(message.contains(&expected), "{message}");
}

/// Output and gradients of one pass of training of a normaliser with these tensors.
fn pass_is_that_of_pytorch(name: &str, kind: LayerKind) {
    let fixture = fixture("norms.npz");
    let graph = Graph::new();
    let mut build = Build::new(&graph);
    let mut feeds: Vec<(&str, Vec<f64>)> = Vec::new();
    let parts = match name {
        "conditional" => vec!["x", "dy", "gamma", "beta", "labels"],
        _ => vec!["x", "dy", "gamma", "beta"],
    };
    let inputs: Vec<Var> = parts
        .iter()
        .map(|part| {
            let (shape, values) = &fixture[&format!("{name}/{part}")];
            feeds.push((part, values.clone()));
            graph.input(part, Shape::new(shape))
        })
        .collect();
    let [x, dy, gamma, beta] = inputs[..4].try_into().expect("four");
    build.set("D.n.gamma", gamma);
    build.set("D.n.beta", beta);
    if name == "conditional" {
        for (part, value) in [("mean", 0.0), ("var", 1.0)] {
            build.set(&format!("D.n.{part}"), graph.constant(value, [3]));
        }
        build.set_labels(Some(inputs[4]));
    }
    let y = build.train("D", &network(kind), &[Pass::new("real", x)]);
    let grads = graph
        .grad((y * dy).sum(), &[x, gamma, beta])
        .expect("reached");
    let found = [
        ("y", y),
        ("dx", grads[0]),
        ("dgamma", grads[1]),
        ("dbeta", grads[2]),
    ];
    for (part, var) in found {
        let what = format!("{name}/{part}");
        let found = var.evaluate(&feeds).expect("values");
        assert_near(&what, &found, &fixture[&what].1);
    }
    let place = |part: &str| &fixture[&format!("{name}/{part}")];
    for order in [1, 2] {
        let points: Vec<Point> = ["x", "gamma", "beta"]
            .iter()
            .map(|part| Point {
                shape: Shape::new(&place(part).0),
                data: place(part).1.clone(),
                varies: true,
            })
            .collect();
        let found = check(&points, order, 7, |graph, x| {
            let mut build = Build::new(graph);
            build.set("D.n.gamma", x[1]);
            build.set("D.n.beta", x[2]);
            if name == "conditional" {
                let zeros = graph.constant(0.0, [3]);
                build.set("D.n.mean", zeros);
                build.set("D.n.var", zeros);
                let labels = graph.constant(1.0, [2]).concat(graph.constant(3.0, [2]), 0);
                build.set_labels(Some(labels));
            }
            let pass = Pass::new("real", x[0]);
            build.train("D", &network(self::kind(name)), &[pass]).tanh()
        });
        let found = found.expect("recorded");
        assert!(found.iter().all(|f| f.passes()), "{name}: {found:?}");
    }
}

fn kind(name: &str) -> LayerKind {
    let epsilon = 1e-3;
    match name {
        "layer" => LayerKind::LayerNorm(LayerNorm { epsilon }),
        "instance" => LayerKind::InstanceNorm(InstanceNorm { epsilon }),
        _ => LayerKind::ConditionalBatchNorm(ConditionalBatchNorm {
            classes: 5,
            epsilon,
            ..ConditionalBatchNorm::default()
        }),
    }
}

#[test]
fn layer_instance_and_conditional_batch_norm_of_images_are_those_of_pytorch() {
    for name in ["layer", "instance", "conditional"] {
        pass_is_that_of_pytorch(name, kind(name));
    }
}

#[test]
fn a_normaliser_of_images_is_refused_where_there_are_none() {
    let refused = |option: &str| {
        let text = config(&[]).to_toml();
        let config = Config::from_toml_with(&text, "a.toml", &[option]);
        config.expect_err(option).to_string()
    };
    let message = refused("generator.layer.h0.norm=instance");
    assert!(
        message.contains("generator.layer.h0.norm normalises the channels of images"),
        "{message}"
    );
}
