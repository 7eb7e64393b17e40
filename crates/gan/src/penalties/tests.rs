//! Penalties of small critics: values by hand and by PyTorch, gradients by differences, a step in f32 and in f64.

use std::cell::RefCell;

use ganforge_tensor::exec::Reference;
use ganforge_tensor::gradcheck::{Point, check, check_with_constants};
use ganforge_tensor::{Cpu, Error, Executor, Feed, Graph, Keep};

use super::*;
use crate::config::Config;
use crate::data::{Images, RING};
use crate::game;
use crate::nn::{Build, Pass, flat, shaped};
use crate::tensors::{Role, TensorSpec, Tensors};
use crate::trainer::Trainer;
use crate::{init, optim};

/// Where a critic stands at minibatches `[b, data]`, with random numbers from `draw`.
fn at<'a, 'g>(
    [real, fake]: [Var<'g>; 2],
    critic: &'a dyn Fn(Var<'g>) -> Var<'g>,
    weights: &[Var<'g>],
    draw: &'a dyn Fn(&str, Shape) -> Var<'g>,
) -> At<'a, 'g> {
    let judged = |x: Var<'g>| Judged {
        x,
        ..Judged::of(critic(x))
    };
    At {
        real: judged(real),
        fake: judged(fake),
        critic,
        weights: weights.to_vec(),
        example: &[],
        range: None,
        draw,
    }
}

/// A penalty at minibatches `[b, data]` of a critic with these weights.
pub(super) fn term<'g>(
    penalty: &dyn Penalty,
    real: Var<'g>,
    fake: Var<'g>,
    critic: &dyn Fn(Var<'g>) -> Var<'g>,
    weights: &[Var<'g>],
) -> Var<'g> {
    let draw = |part: &str, shape| real.graph().uniform(part, shape, 0.0, 1.0);
    let at = at([real, fake], critic, weights, &draw);
    penalty.term(&at).expect("reached")
}

/// A function of points as a critic is one.
fn critic<'g>(says: impl Fn(Var<'g>) -> Var<'g>) -> impl Fn(Var<'g>) -> Var<'g> {
    says
}

/// sin(7·i + 3·seed).
fn wave(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| ((7 * i + 3 * seed) as f64).sin()).collect()
}

/// The same on [0, 1].
fn unit_wave(n: usize, seed: usize) -> Vec<f64> {
    wave(n, seed).iter().map(|x| (x + 1.0) / 2.0).collect()
}

fn point(dims: &[usize], varies: bool, seed: usize) -> Point {
    Point {
        shape: Shape::new(dims),
        data: wave(dims.iter().product(), seed),
        varies,
    }
}

/// Every penalty with its default settings, by name, and those with other forms.
fn all() -> Vec<(String, PenaltyKind)> {
    let options = PenaltyKind::NAMES.iter().map(|name| format!("\"{name}\""));
    let other = [
        "{ kind = \"dragan\", form = \"interpolated\" }",
        "{ kind = \"gp-real\", epsilon = 0.01 }",
    ];
    let options = options.chain(other.map(String::from));
    let penalty = |option: String| {
        let config = config(&[&format!("discriminator.penalty=[{option}]")]);
        (option, config.discriminator.penalties[0].kind.clone())
    };
    options.map(penalty).collect()
}

fn config(options: &[&str]) -> Config {
    let config = Config::preset("ring").and_then(|c| c.with(options));
    config.expect("valid")
}

/// In the parameters of a critic, of which it holds second derivatives where the penalty holds first ones.
#[test]
fn the_gradient_of_each_is_that_of_differences() {
    let points = [
        point(&[4, 5], true, 1),
        point(&[5, 1], true, 2),
        point(&[3, 4], false, 3),
        point(&[3, 4], false, 4),
    ];
    for (name, penalty) in all() {
        let found = check(&points, 1, 7, |_, x| {
            let says = critic(|p| p.matmul(x[0]).tanh().matmul(x[1]));
            term(&*penalty, x[2], x[3], &says, &x[..2])
        });
        let found = found.expect("recorded");
        assert!(found.iter().all(|f| f.passes()), "{name}: {found:?}");
    }
}

/// Convolutional critics of images of 4 x 4 pixels with 2 channels.
const CRITICS: [&str; 4] = [
    "activation = 'leaky_relu'\nnorm = 'none'",
    "activation = 'leaky_relu'\nnorm = 'batch'\nbias = 'none'",
    "activation = 'tanh'\nnorm = 'layer'",
    "activation = 'leaky_relu'\nnorm = 'none'\ntransform = 'spectral_norm'",
];

fn convolutional(critic: &str) -> Config {
    let text = format!(
        "data.set = 'images.npz'\nnoise.dim = 2\ntrain.batch = 3\n
         [[generator.layer]]\nkind = 'linear'\nactivation = 'linear'\nunits = 32\n
         [[generator.layer]]\nkind = 'reshape'\nshape = [4, 4, 2]\n
         [[discriminator.layer]]\nkind = 'conv2d'\nchannels = 3\nstride = [2, 2]\nactivation = 'leaky_relu'\n
         [[discriminator.layer]]\nkind = 'conv2d'\nchannels = 4\nkernel = [2, 2]\n{critic}\n
         [[discriminator.layer]]\nkind = 'linear'\nactivation = 'linear'\nunits = 1\n"
    );
    Config::from_toml(&text, "test").expect("valid")
}

#[test]
fn through_convolutions_and_normalisers_too() {
    for critic in CRITICS {
        let config = convolutional(critic);
        let tensors = Tensors::of(&config, 32);
        let stored = tensors
            .iter()
            .filter(|s| s.net == "D" && s.role != Role::Slot);
        let stored: Vec<TensorSpec> = stored.cloned().collect();
        let mut points: Vec<Point> = (1..)
            .zip(&stored)
            .map(|(seed, s)| point(s.shape.dims(), s.role == Role::Param, seed))
            .collect();
        points.push(point(&[3, 32], false, 30));
        points.push(point(&[3, 32], false, 31));
        for (name, penalty) in all() {
            let found = check_with_constants(&points, 1, 7, |graph, x| {
                let mut build = Build::new(graph);
                for (spec, value) in stored.iter().zip(x) {
                    build.set(&spec.name, *value);
                }
                let build = RefCell::new(build);
                let critic = |x| {
                    let pass = Pass::new("points", shaped(x, &[4, 4, 2]));
                    flat(
                        build
                            .borrow_mut()
                            .train("D", &config.discriminator, &[pass]),
                    )
                };
                let is_weight = |s: &(&TensorSpec, &Var<'_>)| s.0.is_weight();
                let weights = stored.iter().zip(x).filter(is_weight);
                let weights: Vec<Var> = weights.map(|s| *s.1).collect();
                let [real, fake] = [x[stored.len()], x[stored.len() + 1]];
                term(&*penalty, real, fake, &critic, &weights)
            });
            let found = found.expect("recorded");
            assert!(
                found.iter().all(|f| f.passes()),
                "{critic}: {name}: {found:?}"
            );
        }
    }
}

/// What tests/fixtures/make_penalties.py prints: the term, and the inner products of the critic's two weights with the
/// gradients in them.
const PYTORCH: [(&str, [f64; 3]); 9] = [
    (
        "gp",
        [
            157.944_443_336_977,
            350.274_814_520_195,
            394.842_783_029_628,
        ],
    ),
    (
        "dragan",
        [
            105.500_195_773_207,
            169.484_130_929_722,
            275.528_785_299_172,
        ],
    ),
    (
        "dragan form interpolated",
        [1.242_244_642_392, 1.196_827_284_142, 0.202_857_256_958],
    ),
    (
        "l2",
        [0.080_090_272_118, 0.148_767_215_258, 0.011_413_328_977],
    ),
    (
        "gp-real",
        [42.462_703_392_584, 26.295_584_923_828, 42.462_703_392_584],
    ),
    (
        "gp-real per_pixel true",
        [19.977_706_668_581, 12.264_150_593_726, 19.977_706_668_581],
    ),
    (
        "r1",
        [91.724_942_406_251, 118.915_283_267_006, 183.449_884_812_503],
    ),
    (
        "r2",
        [94.981_888_047_123, 130.587_716_697_390, 189.963_776_094_247],
    ),
    (
        "zero-centred",
        [
            246.898_339_692_657,
            436.261_805_296_502,
            493.796_679_385_313,
        ],
    ),
];

#[test]
fn terms_and_their_gradients_are_pytorchs() {
    for (name, expected) in PYTORCH {
        let words: Vec<&str> = name.split(' ').collect();
        let penalty = match words[..] {
            [kind, "form", form] => format!("{{ kind = '{kind}', form = '{form}' }}"),
            [kind, key, value] => format!("{{ kind = '{kind}', {key} = {value} }}"),
            _ => format!("'{name}'"),
        };
        // D sees images, or per_pixel would be refused.
        let text = convolutional(CRITICS[0]).with(&[format!("discriminator.penalty=[{penalty}]")]);
        let penalty = text.expect("valid").discriminator.penalties[0].kind.clone();
        let graph = Graph::new();
        let names: [(&str, &[usize]); 6] = [
            ("w1", &[12, 5]),
            ("w2", &[5, 1]),
            ("real", &[3, 12]),
            ("fake", &[3, 12]),
            ("u", &[3, 12]),
            ("alpha", &[3, 1]),
        ];
        let [w1, w2, real, fake, u, alpha] =
            names.map(|(name, s)| graph.input(name, Shape::new(s)));
        let value = |(seed, (name, s)): (usize, (&'static str, &[usize]))| {
            let n = s.iter().product();
            let wave = if seed < 5 { wave } else { unit_wave };
            (name, wave(n, seed))
        };
        let feeds: Vec<(&str, Vec<f64>)> = (1..).zip(names).map(value).collect();
        let draw = |_: &str, shape: Shape| match shape.dims() {
            [3, 12] => u,
            _ => alpha,
        };
        let says = critic(|x| x.matmul(w1).tanh().matmul(w2));
        let at = At {
            example: &[2, 2, 3],
            range: Some([-0.9, 0.9]),
            ..at([real, fake], &says, &[w1, w2], &draw)
        };
        let term = penalty.term(&at).expect("reached");
        let grads = graph.grad(term, &[w1, w2]).expect("reached");
        let found = [term, (grads[0] * w1).sum(), (grads[1] * w2).sum()];
        for (found, expected) in found.iter().zip(expected) {
            let used = |name: &str| graph.vars().any(|v| v.label() == name);
            let feeds = feeds.iter().filter(|f| used(f.0)).cloned();
            let found = found.evaluate(&feeds.collect::<Vec<_>>()).expect("values")[0];
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-10, "{name}: {found}, {expected}");
        }
    }
}

#[test]
fn of_a_linear_critic_all_are_known() {
    let graph = Graph::new();
    let [real, fake] = ["real", "fake"].map(|name| graph.input(name, [3, 4]));
    let (w, v) = (graph.input("w", [4, 1]), graph.input("v", [2, 2]));
    let feeds = [
        ("real", wave(12, 1)),
        ("fake", wave(12, 2)),
        ("w", vec![3.0, 0.0, 0.0, 4.0]),
        ("v", vec![1.0, 1.0, 1.0, 1.0]),
    ];
    let per_pixel = GradientPenaltyReal {
        per_pixel: true,
        ..GradientPenaltyReal::default()
    };
    let cases: [(&dyn Penalty, f64); 6] = [
        (&R1::default(), 5.0 * 25.0),
        (&R2::default(), 5.0 * 25.0),
        (&ZeroCentred::default(), 10.0 * 25.0),
        (&GradientPenaltyReal::default(), 10.0 * 5.0),
        // Two pixels of two channels, whose gradients are (3, 0) and (0, 4).
        (&per_pixel, 10.0 * 3.5),
        (&L2::default(), 0.01 * (12.5 + 2.0) / 2.0),
    ];
    for (penalty, expected) in cases {
        let draw = |part: &str, shape| graph.uniform(part, shape, 0.0, 1.0);
        let says = critic(|x| x.matmul(w));
        let at = At {
            example: &[1, 2, 2],
            ..at([real, fake], &says, &[w, v], &draw)
        };
        let term = penalty.term(&at).expect("reached");
        let found = term.evaluate(&feeds).expect("a value")[0];
        assert!(
            (found - expected).abs() < 1e-5,
            "{penalty:?}: {found}, {expected}"
        );
    }
}

/// The points of DRAGAN less the examples, and the standard deviation of those.
fn dragans_noise(form: DraganForm, range: Option<[f64; 2]>, x: &[f64]) -> (Vec<f64>, f64) {
    let graph = Graph::new();
    let real = graph.input("real", [x.len() / 50, 50]);
    let points = RefCell::new(Vec::new());
    let noted = critic(|x| {
        points.borrow_mut().push(x);
        x.square().sum_axes(&[1])
    });
    let draw = |part: &str, shape| graph.uniform(part, shape, 0.0, 1.0);
    let at = At {
        range,
        ..at([real, real], &noted, &[], &draw)
    };
    let penalty = Dragan {
        form,
        ..Dragan::default()
    };
    penalty.term(&at).expect("reached");
    let last = *points.borrow().last().expect("judged");
    let moved = (last - real)
        .evaluate(&[("real", x.to_vec())])
        .expect("values");
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (moved, variance.sqrt())
}

#[test]
fn dragans_noise_has_the_moments_of_its_distribution() {
    let x = wave(20_000, 1);
    let moments = |moved: &[f64]| {
        let n = moved.len() as f64;
        let mean = moved.iter().sum::<f64>() / n;
        let square = moved.iter().map(|m| m * m).sum::<f64>() / n;
        let widest = moved.iter().fold(0.0, |w, m| f64::max(w, m.abs()));
        (mean, square, widest)
    };
    // Uniform on [-std/2, std/2): mean 0, variance std²/12, of 20,000 values.
    let (moved, std) = dragans_noise(DraganForm::Noise, None, &x);
    let (mean, square, widest) = moments(&moved);
    let error = 4.0 * std / (12.0 * 20_000f64).sqrt();
    assert!(mean.abs() < error, "{mean}");
    assert!(
        (square / (std * std) - 1.0 / 12.0).abs() < 0.003,
        "{square}"
    );
    assert!(widest <= std / 2.0 && widest > 0.499 * std, "{widest}");
    // alpha·u·std/2: mean std/8, mean of squares std²/36; 400 alphas, from which the errors come.
    let (moved, std) = dragans_noise(DraganForm::Interpolated, None, &x);
    let (mean, square, widest) = moments(&moved);
    assert!((mean / std - 1.0 / 8.0).abs() < 0.015, "{mean}");
    assert!(
        (square / (std * std) - 1.0 / 36.0).abs() < 0.006,
        "{square}"
    );
    assert!(
        widest < std / 2.0 && moved.iter().all(|m| *m >= 0.0),
        "{widest}"
    );
    let (moved, _) = dragans_noise(DraganForm::Noise, Some([-1.0, 0.5]), &x);
    let clipped = moved.iter().zip(&x).map(|(m, x)| m + x);
    let clipped: Vec<f64> = clipped.collect();
    assert!(
        clipped
            .iter()
            .all(|p| (-1.0 - 1e-12..=0.5 + 1e-12).contains(p))
    );
    assert!(clipped.iter().any(|p| (p - 0.5).abs() < 1e-12));
}

#[test]
fn dragans_points_stay_in_the_range_of_the_data() {
    for (preset, options, range) in [
        ("mnist", &[][..], Some([0.0, 1.0])),
        ("ring", &[], None),
        (
            "cifar10-small",
            &[
                "data.contrast=signed",
                "generator.layer.out.activation=tanh",
            ],
            Some([-1.0, 1.0]),
        ),
    ] {
        let config = Config::preset(preset).and_then(|c| c.with(options));
        assert_eq!(config.expect("valid").data_range(), range, "{preset}");
    }
    assert_eq!(convolutional(CRITICS[0]).data_range(), None);
    let text = "data.set = 'vectors.npz'\ngenerator.layer.out = { units = 9, activation = 'tanh' }";
    let tanh = Config::from_toml(text, "test");
    assert_eq!(tanh.expect("valid").data_range(), Some([-1.0, 1.0]));
}

#[test]
fn l2_counts_the_weight_tensors_of_the_study() {
    for (preset, count) in [
        ("dcgan64", 5),
        ("sndcgan32", 8),
        ("resnet32", 13),
        ("resnet128", 19),
        ("infogan28", 4),
    ] {
        let config = Config::preset(preset).expect("bundled");
        let tensors = Tensors::of(&config, config.output_dim());
        let weights = tensors.params("D").filter(|s| s.is_weight()).count();
        assert_eq!(weights, count, "{preset}");
    }
}

#[test]
fn a_critic_that_does_not_look_is_an_error() {
    for (name, penalty) in all().iter().filter(|p| p.1.name() != "l2") {
        let graph = Graph::new();
        let x = graph.input("x", [3, 2]);
        let b = graph.input("b", [3, 1]);
        let draw = |part: &str, shape| graph.uniform(part, shape, 0.0, 1.0);
        let says = critic(|_| b);
        let at = at([x, x * 2.0], &says, &[], &draw);
        let error = penalty.term(&at).expect_err("does not look");
        assert!(matches!(error, Error::NotReached { .. }), "{name}: {error}");
    }
}

const SMALL: [&str; 9] = [
    "generator.layer.h0.units=5",
    "generator.layer.h1.units=4",
    "generator.layer.h2.units=4",
    "discriminator.layer.h0.units=6",
    "discriminator.layer.h1.units=4",
    "discriminator.layer.h2.units=3",
    "noise.dim=3",
    "train.batch=8",
    "train.k=2",
];

/// The first examples of the ring.
fn points() -> Images {
    let ring = RING.draw(1).train.to_f32(0..160).expect("points");
    Images::from_values(2, ring)
}

#[test]
fn a_step_in_f32_is_one_in_f64() {
    for update in ["alternating", "simultaneous"] {
        for (option, _) in all() {
            let penalty = format!("discriminator.penalty=[{option}]");
            let update = format!("train.update={update}");
            let small = SMALL
                .into_iter()
                .filter(|o| *o != "train.k=2" || update.ends_with("ting"));
            let options: Vec<&str> = small.chain([&*update, &*penalty]).collect();
            let config = config(&options);
            let graph = Graph::new();
            let step = game::record(&graph, &config, 2).expect("recorded");
            let plan = step.plan(Keep::Fetched).expect("compiled");
            let mut stores = [0, 1].map(|_| {
                let mut store = init::store(&config, 2, &[]).expect("a store");
                optim::Schedule::of(&config).set(&mut store.control, 0, 1);
                store
            });
            let rows = config.examples_per_step();
            let x = points().to_f32(0..rows).expect("points");
            let feeds = [Feed::new("x", [rows, 2], &x)];
            let [single, double] = &mut stores;
            Cpu::new(&plan).run(&plan, single, &feeds).expect("runs");
            Reference::new().run(&plan, double, &feeds).expect("runs");
            for (a, b) in single.iter().zip(double.iter()) {
                for (x, y) in a.data.iter().zip(&b.data) {
                    let error = (x - y).abs() / y.abs().max(1.0);
                    assert!(error < 2e-4, "{update}, {option}: {}: {x}, {y}", a.name);
                }
            }
        }
    }
}

#[test]
fn what_d_has_said_for_the_loss_is_not_asked_again() {
    for (name, passes) in [
        ("gp", &["real", "fake", "gp"][..]),
        ("dragan", &["real", "fake", "dragan"]),
        ("zero-centred", &["real", "fake", "zero-centred"]),
        ("l2", &["real", "fake"]),
        ("r1", &["real", "fake"]),
        ("r2", &["real", "fake"]),
        ("gp-real", &["real", "fake"]),
    ] {
        let penalty = format!("discriminator.penalty=[\"{name}\"]");
        let config = config(&["train.update=simultaneous", &penalty]);
        let graph = Graph::new();
        let step = game::record(&graph, &config, 2).expect("recorded");
        let first = config.discriminator.layers[0].name.clone();
        let of_d = step
            .preactivations
            .iter()
            .filter(|p| p.layer == format!("D.{first}"));
        let found: Vec<String> = of_d.flat_map(|p| p.passes.clone()).collect();
        assert_eq!(found, passes, "{name}");
    }
}

#[test]
fn gradients_at_the_losses_own_examples_keep_minibatches_apart_and_are_the_same_joined() {
    let joined = |penalty: &str| {
        let text = format!("data.set = 'ring'\ndiscriminator.penalty = [{penalty}]");
        Config::from_toml(&text, "test")
            .expect("valid")
            .train
            .joined
    };
    assert!(joined("") && joined("'gp', 'dragan', 'l2', 'zero-centred'"));
    for name in ["r1", "r2", "gp-real"] {
        assert!(!joined(&format!("'{name}'")), "{name}");
        let penalty = format!("discriminator.penalty=[\"{name}\"]");
        let train = |joined: &str| {
            let options: Vec<&str> = SMALL.into_iter().chain([&*penalty, joined]).collect();
            let config = config(&options);
            let mut trainer = Trainer::new(&config, &points()).expect("a trainer");
            for _ in 0..5 {
                trainer.step().expect("a step");
            }
            trainer.store().clone()
        };
        let (one, two) = (train("train.joined=true"), train("train.joined=false"));
        for (a, b) in one.iter().zip(two.iter()) {
            for (x, y) in a.data.iter().zip(&b.data) {
                assert!((x - y).abs() < 1e-4, "{name}: {}: {x}, {y}", a.name);
            }
        }
    }
}

#[test]
fn keys_that_do_not_fit_are_refused_at_their_lines() {
    let penalty = ["discriminator.penalty=[\"gp-real\"]"];
    let weight = config(&penalty).with(&["discriminator.penalty.gp-real.weight=3"]);
    let weight = weight.expect("found by its name").to_toml();
    assert!(weight.contains("weight = 3.0"), "{weight}");
    for (penalty, expected) in [
        (
            "kind = 'r1'\nweight = -1.0",
            "test:5: discriminator.penalty.r1.weight must be a number above 0",
        ),
        (
            "kind = 'gp-real'\nper_pixel = true",
            "test:5: discriminator.penalty.gp-real.per_pixel is of images",
        ),
        (
            "kind = 'r2'\nepsilon = 0.1",
            "test:5: discriminator.penalty.r2.epsilon is not used here, only with kind = ",
        ),
        (
            "kind = 'dragon'",
            "test:4: discriminator.penalty.dragon.kind must be one of",
        ),
    ] {
        let text = format!("base = 'ring'\n\n[[discriminator.penalty]]\n{penalty}\n");
        let error = Config::from_toml(&text, "test").expect_err("does not fit");
        let error = error.to_string();
        assert!(error.contains(expected), "{error}\n{expected}");
    }
}
