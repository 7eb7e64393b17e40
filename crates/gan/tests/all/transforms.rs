//! Transforms of weights against PyTorch in f64, and what they keep.

use std::sync::Arc;

use ganforge_gan::config::{Config, Layer, LayerKind, Network};
use ganforge_gan::critic::Critic;
use ganforge_gan::data::Images;
use ganforge_gan::nn::{Build, LayerRule, Moves, Pass, SpectralNorm, Transform, WeightNorm};
use ganforge_gan::tensors::{Initial, Role};
use ganforge_gan::trainer::Trainer;
use ganforge_settings::Brought;
use ganforge_tensor::gradcheck::{Point, check_with_constants};
use ganforge_tensor::{Graph, Shape, Var};

use crate::fixtures::{Array, assert_near, fixture};

/// A layer whose output are weights of the shape of its input, transformed.
#[derive(Debug)]
struct Weights<T>(T);

impl<T: Transform> LayerRule for Weights<T> {
    fn forward<'g>(&self, build: &mut Build<'g>, x: Var<'g>) -> Var<'g> {
        let shape = x.shape();
        let outputs = shape.rank() - 1;
        let w = build.weights("w", shape, [1, 1], Initial::Normal(1.0), None);
        self.0.of(build, w, outputs)
    }
}

fn network(transform: impl Transform + 'static) -> Network {
    let kind = LayerKind::Own(Brought {
        name: "weights".into(),
        settings: String::new(),
        value: Arc::new(Weights(transform)),
    });
    let layer = Layer {
        name: "h".into(),
        kind,
        ..Layer::default()
    };
    Network {
        layers: vec![layer],
        ..Network::default()
    }
}

/// A graph in which a layer `D.h` has inputs as its tensors.
struct Bench<'g> {
    graph: &'g Graph,
    build: Build<'g>,
    feeds: Vec<(String, Vec<f64>)>,
}

impl<'g> Bench<'g> {
    fn new(graph: &'g Graph) -> Bench<'g> {
        let (build, feeds) = (Build::new(graph), Vec::new());
        Bench {
            graph,
            build,
            feeds,
        }
    }

    fn input(&mut self, name: &str, (shape, values): &Array) -> Var<'g> {
        self.feeds.push((name.to_string(), values.clone()));
        self.graph.input(name, Shape::new(shape))
    }

    fn tensor(&mut self, part: &str, array: &Array) -> Var<'g> {
        let value = self.input(part, array);
        self.build.set(&format!("D.h.{part}"), value);
        value
    }

    /// The transformed weights in a pass of training.
    fn train(&mut self, network: &Network, pass: &str, w: Var<'g>) -> Var<'g> {
        self.build.train("D", network, &[Pass::new(pass, w)])
    }

    fn kept(&self, part: &str) -> Var<'g> {
        let mut buffers = self.build.tensors().of_net("D", Role::Buffer);
        self.build
            .value(buffers.find(|s| s.part() == part).expect("a buffer"))
    }

    fn values(&self, var: Var) -> Vec<f64> {
        let feeds: Vec<(&str, Vec<f64>)> = self
            .feeds
            .iter()
            .map(|f| (f.0.as_str(), f.1.clone()))
            .collect();
        var.evaluate(&feeds).expect("values")
    }

    fn assert_near(&self, what: &str, var: Var, expected: &[f64]) {
        assert_near(what, &self.values(var), expected);
    }
}

#[test]
fn spectral_norm_is_that_of_pytorch_in_each_pass() {
    let fixture = fixture("transforms.npz");
    for name in ["dense", "filters"] {
        let graph = Graph::new();
        let mut bench = Bench::new(&graph);
        let network = network(SpectralNorm::default());
        let part = |part: &str| &fixture[&format!("{name}/{part}")];
        let w = bench.tensor("w", part("w"));
        bench.tensor("u", part("u"));
        let dy = bench.input("dy", part("dy"));
        for i in 0..3 {
            let used = bench.train(&network, "real", w);
            let dw = graph.grad((used * dy).sum(), &[w]).expect("reached")[0];
            for (n, var) in [("used", used), ("u", bench.kept("u")), ("dw", dw)] {
                let what = format!("{i}/{n}");
                bench.assert_near(&format!("{name}/{what}"), var, &part(&what).1);
            }
        }
        // Samples and scores go on from u and keep nothing.
        let before = bench.kept("u").id();
        bench.build.eval("D", &network, w);
        assert_eq!(bench.kept("u").id(), before);
    }
}

#[test]
fn iterations_come_to_the_largest_singular_value() {
    let fixture = fixture("transforms.npz");
    for name in ["dense", "filters"] {
        let graph = Graph::new();
        let mut bench = Bench::new(&graph);
        let network = network(SpectralNorm {
            iterations: 50,
            ..SpectralNorm::default()
        });
        let w = bench.tensor("w", &fixture[&format!("{name}/w")]);
        bench.tensor("u", &fixture[&format!("{name}/u")]);
        let used = bench.build.eval("D", &network, w);
        let (used, w) = (bench.values(used), bench.values(w));
        let sigma = fixture[&format!("{name}/svd")].1[0];
        for (used, w) in used.iter().zip(&w) {
            assert!((w / used / sigma - 1.0).abs() < 1e-5, "{name}: {w} {used}");
        }
    }
}

#[test]
fn passes_between_two_updates_share_an_iteration_where_that_is_asked_for() {
    let fixture = fixture("transforms.npz");
    for moves in [Moves::EachPass, Moves::EachUpdate] {
        let graph = Graph::new();
        let mut bench = Bench::new(&graph);
        let network = network(SpectralNorm {
            moves,
            ..SpectralNorm::default()
        });
        let w = bench.tensor("w", &fixture["dense/w"]);
        bench.tensor("u", &fixture["dense/u"]);
        let [first, second] = ["real", "fake"].map(|pass| {
            let used = bench.train(&network, pass, w);
            let u = bench.kept("u");
            [used, u].map(|v| bench.values(v))
        });
        let is_shared = moves == Moves::EachUpdate;
        assert_eq!(first == second, is_shared, "{moves:?}");
        bench.assert_near("u", bench.kept("u"), &second[1]);
        let expected = match is_shared {
            true => &fixture["dense/0/u"].1,
            false => &fixture["dense/1/u"].1,
        };
        bench.assert_near("u", bench.kept("u"), expected);
        // After an update it goes on.
        let next = w * 1.5;
        bench.build.set("D.h.w", next);
        let used = bench.train(&network, "fake_g", next);
        assert_ne!(bench.values(bench.kept("u")), second[1], "{moves:?}");
        bench.values(used);
    }
}

/// u [4] after one power iteration on W [4, 6] of D's first layer, both as they are stored.
fn iterated(trainer: &Trainer) -> Vec<f64> {
    let of = |name: &str| {
        let values = trainer.store().get(name).expect("stored").data.iter();
        values.map(|x| f64::from(*x)).collect::<Vec<f64>>()
    };
    let unit = |x: Vec<f64>| {
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        x.iter().map(|x| x / norm).collect::<Vec<f64>>()
    };
    let (w, u) = (of("D.h0.w"), of("D.h0.u"));
    let column = |j: usize| (0..4).map(|i| w[i * 6 + j] * u[i]).sum();
    let v = unit((0..6).map(column).collect());
    let row = |i: usize| (0..6).map(|j| w[i * 6 + j] * v[j]).sum();
    unit((0..4).map(row).collect())
}

/// One iteration for each change of D's weights, though G's step passes through the changed ones, too.
#[test]
fn u_moves_once_for_each_update_of_its_weights() {
    let moves = "discriminator.layer.h0.transform={kind=\"spectral_norm\", moves=\"each_update\"}";
    for update in ["alternating", "simultaneous"] {
        let option = format!("train.update={update}");
        let options = [&option, moves, "train.joined=false", "optimizer.lr=0.3"];
        let mut trainer = trainer(&options);
        for step in 0..3 {
            let expected = iterated(&trainer);
            trainer.step().expect("a step");
            let u = &trainer.store().get("D.h0.u").expect("stored").data;
            for (u, expected) in u.iter().zip(expected) {
                let difference = (f64::from(*u) - expected).abs();
                assert!(
                    difference < 1e-5,
                    "{update}, step {step}: {u}, expected {expected}"
                );
            }
        }
    }
}

/// Both nets' norm of the gradient in x, which depends on the weights: second derivatives of what they are divided by.
#[test]
fn derivatives_of_a_gradient_penalty_through_spectral_norm_are_those_of_differences() {
    let text = "
[data]
set = 'ring'
[[generator.layer]]
units = 2
activation = 'linear'
[[discriminator.layer]]
units = 4
activation = 'tanh'
transform = 'spectral_norm'
[[discriminator.layer]]
units = 1
activation = 'linear'
transform = { kind = 'spectral_norm', iterations = 2 }
";
    let config = Config::from_toml(text, "sn.toml").expect("valid");
    let value = |shape: &[usize], seed: usize| Point {
        shape: Shape::new(shape),
        data: (0..shape.iter().product())
            .map(|i: usize| ((i * 7 + seed) % 11) as f64 * 0.2 - 0.9)
            .collect(),
        varies: true,
    };
    let points = [
        value(&[2, 4], 1),
        value(&[4, 1], 2),
        value(&[3, 2], 3),
        value(&[4], 4),
    ];
    for order in [1, 2] {
        let found = check_with_constants(&points, order, 7, |graph, x| {
            let mut build = Build::new(graph);
            build.set("D.h0.w", x[0]);
            build.set("D.h0.b", x[3]);
            build.set("D.out.w", x[1]);
            build.set("D.out.b", graph.constant(0.5, [1]));
            build.set("D.h0.u", graph.normal("u0", [2], 0.0, 1.0));
            build.set("D.out.u", graph.normal("u1", [4], 0.0, 1.0));
            let pass = Pass::new("penalty", x[2]);
            let logits = build.train("D", &config.discriminator, &[pass]);
            let gradient = graph.grad(logits.sum(), &[x[2]]).expect("reached")[0];
            let slope = (gradient.square().sum_axes(&[1]) + 1e-4).sqrt();
            (slope - 1.0).square().mean() + logits.tanh().mean()
        });
        let found = found.expect("recorded");
        assert!(
            found.len() >= 5 && found.iter().all(|f| f.passes()),
            "{found:?}"
        );
    }
}

#[test]
fn weight_norm_is_that_of_pytorch() {
    let fixture = fixture("transforms.npz");
    for name in ["dense", "filters"] {
        let graph = Graph::new();
        let mut bench = Bench::new(&graph);
        let w = bench.tensor("w", &fixture[&format!("{name}/w")]);
        let g = bench.tensor("g", &fixture[&format!("{name}/g")]);
        let dy = bench.input("dy", &fixture[&format!("{name}/dy")]);
        let used = bench.train(&network(WeightNorm::default()), "real", w);
        let grads = graph.grad((used * dy).sum(), &[w, g]).expect("reached");
        for (part, var) in [("used", used), ("dw", grads[0]), ("dg", grads[1])] {
            let what = format!("{name}/weight_norm/{part}");
            bench.assert_near(&what, var, &fixture[&what].1);
        }
    }
}

/// Dense nets on images of 2 x 2, batch norm in G, spectral norm in D, averages of G.
fn trainer(options: &[&str]) -> Trainer {
    let text = "
[data]
set = 'mine.npz'
[[generator.layer]]
units = 5
norm = 'batch'
activation = 'prelu'
[[generator.layer]]
units = 4
activation = 'sigmoid'
[[discriminator.layer]]
name = 'h0'
units = 6
transform = 'spectral_norm'
norm = 'layer'
[[discriminator.layer]]
name = 'out'
units = 1
activation = 'linear'
transform = 'spectral_norm'
[train]
batch = 10
average = 0.9
";
    let config = Config::from_toml_with(text, "transforms.toml", options).expect("valid");
    let bytes: Vec<u8> = (0..400).map(|i| (i * 7919 % 251) as u8).collect();
    Trainer::new(&config, &Images::from_bytes(4, bytes)).expect("a trainer")
}

#[test]
fn buffers_are_stored_and_gone_on_from_bit_for_bit_and_moved_by_training_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.npz");
    for update in ["alternating", "simultaneous"] {
        let option = format!("train.update={update}");
        let mut whole = trainer(&[&option]);
        let buffers = ["D.h0.u", "D.out.u", "G.h0.mean", "G.h0.var"];
        let before = whole.store().clone();
        for _ in 0..3 {
            whole.step().expect("a step");
        }
        for name in buffers {
            assert_ne!(whole.store().get(name), before.get(name), "{name}");
        }
        whole.save(&path, "sum").expect("saved");
        let mut rest = trainer(&[&option]);
        rest.load(&path).expect("loaded");
        let mut store = rest.store().clone();
        let mut critic = Critic::new(rest.config()).expect("recorded");
        critic.of(&mut store, &[0.5; 8]).expect("scored");
        assert!(store == *rest.store(), "scoring moves nothing");
        for _ in 0..3 {
            assert_eq!(whole.step().expect("a step"), rest.step().expect("a step"));
        }
        assert!(whole.store() == rest.store(), "{update}");
        assert!(
            whole.store().get("G.h0.mean.average").is_none(),
            "buffers are not averaged"
        );
        assert!(whole.store().get("G.h0.slope.average").is_some());
    }
}
