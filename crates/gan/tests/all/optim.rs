//! The update rules as they are recorded, planned and run, against PyTorch's and against their formulas in f64.

use std::path::Path;

use ganforge_gan::config::{Config, Rule};
use ganforge_gan::files::{Array, ArrayData, read_npz};
use ganforge_gan::init;
use ganforge_gan::nn::Build;
use ganforge_gan::optim::{self, Schedule};
use ganforge_gan::tensors::Initial;
use ganforge_tensor::plan::{Kernel, Stage};
use ganforge_tensor::{Cpu, Executor, Feed, Graph, Keep, Plan, Shape};

const ROWS: usize = 3;
const COLUMNS: usize = 4;
const N: usize = ROWS * COLUMNS;

/// Where a step's gradient comes from: fed as it is, or the product of a column of ones with a row, into which SGD is fused.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gradient {
    Fed,
    Product,
}

fn config(options: &[&str]) -> Config {
    Config::preset("tiny")
        .and_then(|c| c.with(options))
        .expect("valid")
}

/// A parameter `w`, 0 at first, and its moving average, if any, after each step along `grads`; an epoch has two steps.
fn run(config: &Config, grads: &[Vec<f32>], gradient: Gradient) -> Vec<(Vec<f32>, Vec<f32>)> {
    let graph = Graph::new();
    let shape = match gradient {
        Gradient::Fed => Shape::from([ROWS, COLUMNS]),
        Gradient::Product => Shape::from([1, N]),
    };
    let fed = graph.input("g", shape);
    let mut build = Build::new(&graph);
    build.at("G", "h0");
    let limit = config.generator.layers[0]
        .affine()
        .unwrap()
        .weights
        .max_col_norm;
    build.weights("w", shape, [ROWS, COLUMNS], Initial::Constant(0.0), limit);
    let grad = match gradient {
        Gradient::Fed => fed,
        Gradient::Product => graph.constant(1.0, [1, 1]).matmul_with(true, false, fed),
    };
    if config.train.average.is_some() {
        optim::average(&mut build, "G");
    }
    optim::update(&mut build, &config.optimizer, "G", 0, &[grad]);
    let mut plan = Plan::of(&graph).keep(Keep::Fetched);
    for (old, (_, new)) in build.updates(|_| true) {
        plan = plan.update(old, new);
    }
    let plan = plan.compile().expect("no fault");
    let is_fused =
        |k: &Kernel| matches!(k, Kernel::Product(p) if p.epilogue.stages() == [Stage::Momentum]);
    let fused = plan.calls.iter().filter(|c| is_fused(&c.kernel)).count();
    let is_sgd = matches!(config.optimizer.rule, Rule::Sgd(s) if !s.momentum.nesterov)
        && config.optimizer.weight_decay.is_none();
    assert_eq!(
        fused == 1,
        is_sgd && gradient == Gradient::Product,
        "{plan}"
    );

    let mut store = init::values(build.tensors(), 0, &[]).expect("declared in order");
    let schedule = Schedule::of(config);
    let mut cpu = Cpu::new(&plan);
    let mut after = Vec::new();
    for (t, g) in grads.iter().enumerate() {
        schedule.set(&mut store.control, t as u64, 1 + t / 2);
        cpu.run(&plan, &mut store, &[Feed::new("g", shape, g)])
            .expect("runs");
        let value = |name: &str| store.get(name).map_or(Vec::new(), |e| e.data.to_vec());
        after.push((value("G.h0.w"), value("G.h0.w.average")));
    }
    after
}

/// Each element is within 2e-6 of the way that it has gone: f32 rounds each of a few numbers to 6e-8 of it.
fn assert_follows(what: &str, found: &[Vec<f32>], expected: &[Vec<f64>]) {
    let (mut way, mut before) = (vec![0.0; N], vec![0.0; N]);
    for (t, (found, expected)) in found.iter().zip(expected).enumerate() {
        for i in 0..N {
            way[i] += f64::abs(expected[i] - before[i]);
            before[i] = expected[i];
            let error = (f64::from(found[i]) - expected[i]).abs();
            assert!(
                error <= 2e-6 * way[i],
                "{what}: element {i} after step {t} is {:e}, expected {:e}",
                found[i],
                expected[i]
            );
        }
    }
}

const CONSTANT: [&str; 2] = ["optimizer.lr_decay=1", "optimizer.lr_min=0"];

#[test]
fn parameters_go_where_pytorchs_optimisers_lead_them() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/optim.npz");
    let arrays = read_npz(&file).expect("the file of make_optim.py");
    let array = |name: &str| -> &Array {
        let found = arrays.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    };
    let ArrayData::F32(grads) = &array("grads").data else {
        panic!("grads are f32");
    };
    let grads: Vec<Vec<f32>> = grads.chunks(N).map(<[f32]>::to_vec).collect();
    let sgd = ["optimizer.lr=0.1", "optimizer.momentum.first=1"];
    let cases: [(&str, &[&str]); 10] = [
        (
            "sgd",
            &["optimizer.momentum.start=0", "optimizer.momentum.end=0"],
        ),
        (
            "momentum",
            &["optimizer.momentum.start=0.7", "optimizer.momentum.end=0.7"],
        ),
        ("adam", &["optimizer.kind=adam", "optimizer.lr=0.001"]),
        (
            "adam_of_gans",
            &[
                "optimizer.kind=adam",
                "optimizer.lr=0.0002",
                "optimizer.beta1=0.5",
                "optimizer.eps=1e-7",
            ],
        ),
        (
            "adam_other",
            &[
                "optimizer.kind=adam",
                "optimizer.lr=0.01",
                "optimizer.beta1=0",
                "optimizer.beta2=0.9",
                "optimizer.eps=1e-3",
            ],
        ),
        (
            "nesterov",
            &[
                "optimizer.momentum.start=0.7",
                "optimizer.momentum.end=0.7",
                "optimizer.momentum.nesterov=true",
            ],
        ),
        (
            "decay",
            &[
                "optimizer.momentum.start=0.7",
                "optimizer.momentum.end=0.7",
                "optimizer.weight_decay=0.2",
            ],
        ),
        (
            "adam_decay",
            &[
                "optimizer.kind=adam",
                "optimizer.lr=0.001",
                "optimizer.weight_decay=0.2",
            ],
        ),
        (
            "rms_prop",
            &["optimizer.kind=rms_prop", "optimizer.lr=0.01"],
        ),
        (
            "rms_prop_decay",
            &[
                "optimizer.kind=rms_prop",
                "optimizer.lr=0.01",
                "optimizer.weight_decay=0.2",
            ],
        ),
    ];
    for (case, options) in cases {
        let more = if case.starts_with("adam") || case.starts_with("rms") {
            &[][..]
        } else {
            &sgd
        };
        let config = config(&[&CONSTANT, more, options].concat());
        let ArrayData::F64(expected) = &array(case).data else {
            panic!("{case} is f64");
        };
        let expected: Vec<Vec<f64>> = expected.chunks(N).map(<[f64]>::to_vec).collect();
        for gradient in [Gradient::Fed, Gradient::Product] {
            let after = run(&config, &grads, gradient);
            let found: Vec<Vec<f32>> = after.into_iter().map(|a| a.0).collect();
            assert_follows(&format!("{case}, {gradient:?}"), &found, &expected);
        }
    }
}

/// Gradients of sizes from 1 to 1e-9, most of them near 1e-8.
fn gradients(steps: usize) -> Vec<Vec<f32>> {
    let sizes = [
        1.0, 0.1, 1e-3, 1e-6, 5e-8, 3e-8, 2e-8, 1e-8, 1e-8, 8e-9, 4e-9, 1e-9,
    ];
    let one = |t: usize, i: usize| (sizes[i] * ((5 * t + 3 * i + 1) as f64).sin()) as f32;
    (0..steps)
        .map(|t| (0..N).map(|i| one(t, i)).collect())
        .collect()
}

/// w <- w · min(‖w_j‖, c) / max(‖w_j‖, 1e-7) in each column j.
fn cut(w: &mut [f64], c: f64) {
    for j in 0..COLUMNS {
        let column = || (0..ROWS).map(|i| i * COLUMNS + j);
        let norm = column().map(|i| w[i] * w[i]).sum::<f64>().sqrt();
        column().for_each(|i| w[i] *= norm.min(c) / norm.max(1e-7));
    }
}

#[test]
fn momentum_with_all_its_options_is_its_formula() {
    let options = [
        "optimizer.lr=0.2",
        "optimizer.lr_decay=1.5",
        "optimizer.lr_min=0.03",
        "optimizer.momentum={ start = 0.5, end = 0.9, first = 1, last = 3 }",
        "generator.layer.h0.max_col_norm=0.05",
        "train.average=0.15",
    ];
    let grads = gradients(8);
    let (mut w, mut v, mut average) = (vec![0f64; N], vec![0f64; N], vec![0f64; N]);
    let (mut expected, mut averages) = (Vec::new(), Vec::new());
    let momenta = [0.5, 0.5, 0.7, 0.7, 0.9, 0.9, 0.9, 0.9]; // two steps each of four epochs
    let rates = [
        0.2,
        0.2 / 1.5,
        0.2 / 2.25,
        0.2 / 3.375,
        0.2 / 5.0625,
        0.03,
        0.03,
        0.03,
    ];
    let decays = [1.0 / 10.0, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15]; // (1 + t) / (10 + t) at t = 1 is 0.18
    for (t, g) in grads.iter().enumerate() {
        for i in 0..N {
            average[i] = decays[t] * average[i] + (1.0 - decays[t]) * w[i];
            v[i] = momenta[t] * v[i] - rates[t] * f64::from(g[i]);
            w[i] += v[i];
        }
        cut(&mut w, 0.05);
        expected.push(w.clone());
        averages.push(average.clone());
    }
    let after = run(&config(&options), &grads, Gradient::Fed);
    let (found, found_averages): (Vec<_>, Vec<_>) = after.into_iter().unzip();
    assert_follows("w", &found, &expected);
    assert_follows("its average", &found_averages, &averages);
}

#[test]
fn adam_with_all_its_options_is_its_formula() {
    let grads = gradients(8);
    for (beta1, beta2, eps) in [
        (0.9, 0.999, 1e-8),
        (0.5, 0.99, 1e-8),
        (0.0, 0.9, 1e-6),
        (0.8, 0.0, 1e-4),
    ] {
        let rule = [
            format!("optimizer.beta1={beta1}"),
            format!("optimizer.beta2={beta2}"),
            format!("optimizer.eps={eps:?}"),
        ];
        let mut options = vec![
            "optimizer.kind=adam",
            "optimizer.lr=0.01",
            "optimizer.lr_decay=1.25",
            "optimizer.lr_min=0.004",
        ];
        options.extend(rule.iter().map(String::as_str));
        let (mut w, mut m, mut s) = (vec![0f64; N], vec![0f64; N], vec![0f64; N]);
        let mut expected = Vec::new();
        for (t, g) in grads.iter().enumerate() {
            let lr = (0.01 / 1.25f64.powi(t as i32)).max(0.004);
            let (c1, c2) = (
                1.0 - f64::powi(beta1, t as i32 + 1),
                1.0 - f64::powi(beta2, t as i32 + 1),
            );
            for i in 0..N {
                let g = f64::from(g[i]);
                m[i] = beta1 * m[i] + (1.0 - beta1) * g;
                s[i] = beta2 * s[i] + (1.0 - beta2) * g * g;
                w[i] -= lr * (m[i] / c1) / ((s[i] / c2).sqrt() + eps);
            }
            expected.push(w.clone());
        }
        let after = run(&config(&options), &grads, Gradient::Fed);
        let found: Vec<Vec<f32>> = after.into_iter().map(|a| a.0).collect();
        assert_follows(&format!("{beta1}, {beta2}, {eps}"), &found, &expected);
    }
}
