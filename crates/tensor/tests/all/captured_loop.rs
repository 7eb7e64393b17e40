//! Several iterations per host synchronisation: the bits of single runs, any inputs and results, and what is refused.

use std::sync::Arc;

use crate::common::{Rng, devices};
use ganforge_kernels::cuda::{Device, Precision};
use ganforge_ptxvm::Interpreter;
use ganforge_tensor::exec::cuda::{CapturedLoop, Examples, Source};
use ganforge_tensor::ops::Window;
use ganforge_tensor::{Control, Cuda, Error, Executor, Feed, Graph, Plan, Shape, Store, Var};

const ROWS: usize = 40;
const BATCH: usize = 5;

/// The control block of a step: what follows a schedule.
fn control(step: u64) -> Control {
    let mut store = Store::new(11);
    store.control.step = step;
    store.control.set("lr", 0.5 / (1.0 + step as f32));
    store.control.set("mu", 0.5 + 0.01 * step as f32);
    store.control
}

fn cuda(device: &Device) -> Cuda {
    Cuda::new(device, Precision::F32).expect("f32 is always there")
}

/// What the graph's inputs take their rows from: name, shape of an example, values as they are fed, source.
type Input<'a> = (&'a str, Shape, Vec<f32>, Source<'a>);

fn bytes<'a>(name: &'a str, shape: &'a [usize], values: &'a [u8]) -> Input<'a> {
    let fed = values.iter().map(|&b| f32::from(b) / 255.0).collect();
    (name, shape.into(), fed, Source::bytes(name, shape, values))
}

/// Pixels from -1 to 1, or at any scale.
fn scaled<'a>(name: &'a str, shape: &'a [usize], values: &'a [u8], scale: (f32, f32)) -> Input<'a> {
    let fed = values.iter();
    let fed = fed.map(|&b| f32::from(b) / 255.0 * scale.0 + scale.1);
    let source = Source::scaled_bytes(name, shape, values, scale);
    (name, shape.into(), fed.collect(), source)
}

fn floats<'a>(name: &'a str, shape: &'a [usize], values: &'a [f32]) -> Input<'a> {
    let source = Source::floats(name, shape, values);
    (name, shape.into(), values.to_vec(), source)
}

fn indices<'a>(name: &'a str, shape: &'a [usize], values: &'a [u32]) -> Input<'a> {
    let fed = values.iter().map(|&i| i as f32).collect();
    (
        name,
        shape.into(),
        fed,
        Source::indices(name, shape, values),
    )
}

/// Runs twelve iterations, each by itself and several at once: same results, same tensors.
fn assert_same_as_single_runs(plan: &Plan, store: &Store, inputs: &[Input]) {
    // As many as a replay of many, more, and fewer; then again from the beginning of the order.
    let parts = [(0u64, 8u64), (8, 3), (11, 1)];
    let order: Vec<u32> = (0..ROWS as u32).map(|i| i * 7 % ROWS as u32).collect();
    let row_of = |step: u64| step as usize * BATCH % ROWS;
    for device in devices() {
        let mut single = cuda(&device);
        let (mut expected, mut results) = (store.clone(), Vec::new());
        for step in 0..12 {
            expected.control = control(step);
            let rows = &order[row_of(step)..][..BATCH];
            let batches: Vec<(Shape, Vec<f32>)> = inputs
                .iter()
                .map(|(_, example, fed, _)| {
                    let dims = [&[BATCH], example.dims()].concat();
                    let (n, rows) = (example.elements(), rows.iter());
                    let batch = rows.flat_map(|&r| &fed[r as usize * n..][..n]);
                    (Shape::new(&dims), batch.copied().collect())
                })
                .collect();
            let feeds = inputs.iter().zip(&batches);
            let feeds: Vec<Feed> = feeds.map(|(i, b)| Feed::new(i.0, b.0, &b.1)).collect();
            single.run(plan, &mut expected, &feeds).expect("runs");
            let fetch = |name| single.fetch(plan, &expected, name).expect("fetched")[0];
            results.extend(plan.fetches.iter().map(|f| fetch(&f.name)));
        }
        let sources: Vec<Source> = inputs.iter().map(|i| i.3).collect();
        let examples = Arc::new(Examples::new(&device, &sources).expect("fits"));
        if !inputs.is_empty() {
            examples.set_order(&order).expect("fits");
        }
        let mut cuda = cuda(&device);
        let mut steps = CapturedLoop::new(&mut cuda, plan, &examples, 11).expect("captured");
        cuda.upload(store).expect("fits");
        let mut got = Vec::new();
        for (first, n) in parts {
            let controls: Vec<Control> = (first..first + n).map(control).collect();
            let row = if inputs.is_empty() { 0 } else { row_of(first) };
            got.extend(steps.run(&mut cuda, &controls, row).expect("runs"));
        }
        let mut after = store.clone();
        cuda.download(&mut after).expect("there");
        assert_eq!(got, results);
        assert_eq!(got.len(), 12 * plan.fetches.len());
        for entry in expected.iter() {
            assert_eq!(after.get(&entry.name), Some(entry), "{}", entry.name);
        }
        assert!(after != *store, "nothing was learnt");
    }
}

/// Logistic regression with dropout and momentum on rows of a table.
fn regression(g: &Graph) -> (Plan, Store) {
    let x = g.input("x", [BATCH, 7]) * g.bernoulli("mask", [BATCH, 7], 0.8, 1.25);
    let (w, v) = (g.param("w", [7, 3]), g.param("v", [7, 3]));
    let loss = x.matmul(w).softplus().mean() + w.square().sum() * 0.1;
    let dw = g.grad(loss, &[w]).expect("reached")[0];
    let v_new = v * g.scalar("mu") - dw * g.scalar("lr");
    let plan = Plan::of(g)
        .fetch("loss", loss)
        .fetch("norm", w.square().sum());
    let plan = plan.update(v, v_new).update(w, w + v_new).compile();
    let mut store = Store::new(11);
    let w = Rng::new(3).reals(21);
    store.insert("w", [7, 3], w).expect("fits");
    store.insert("v", [7, 3], vec![0.0; 21]).expect("fits");
    (plan.expect("no fault"), store)
}

#[test]
fn several_iterations_at_once_have_the_bits_of_single_runs() {
    let g = Graph::new();
    let (plan, store) = regression(&g);
    let pixels: Vec<u8> = (0..ROWS * 7).map(|i| (i * 37 % 256) as u8).collect();
    assert_same_as_single_runs(&plan, &store, &[bytes("x", &[7], &pixels)]);
    let values = Rng::new(4).reals(ROWS * 7);
    assert_same_as_single_runs(&plan, &store, &[floats("x", &[7], &values)]);
}

#[test]
fn inputs_of_any_rank_and_type_and_many_results() {
    let g = Graph::new();
    let (images, labels) = (
        g.input("images", [BATCH, 4, 4, 1]),
        g.input("labels", [BATCH]),
    );
    let (pair, weight) = (g.input("pair", [BATCH, 2]), g.input("weight", [BATCH, 1]));
    // A logit of image and label, as a projection discriminator has it, and a one-hot code of two more labels.
    let (embedding, w) = (g.param("embedding", [3, 16]), g.param("w", [8, 1]));
    let logit = images.reshape([BATCH, 16]) * embedding.gather_rows(labels);
    let one_hot = g.constant(1.0, [BATCH, 2]).put(pair, 4);
    let logit = logit.sum_to([BATCH, 1]) + one_hot.matmul(w);
    let loss = (logit.softplus() * weight).mean();
    let params = [embedding, w];
    let grads = g.grad(loss, &params).expect("reached");
    let mut plan = Plan::of(&g).fetch("loss", loss);
    for class in 0..40 {
        let mean = (logit - labels.reshape([BATCH, 1]) * f64::from(class))
            .square()
            .mean();
        plan = plan.fetch(&format!("monitor {class}"), mean);
    }
    for (param, grad) in params.into_iter().zip(grads) {
        plan = plan.update(param, param - grad * g.scalar("lr"));
    }
    let plan = plan.compile().expect("no fault");
    let mut store = Store::new(11);
    let mut rng = Rng::new(3);
    store
        .insert("embedding", [3, 16], rng.reals(48))
        .expect("fits");
    store.insert("w", [8, 1], rng.reals(8)).expect("fits");
    let pixels: Vec<u8> = (0..ROWS * 16).map(|i| (i * 37 % 256) as u8).collect();
    let numbers = |n: usize, below: u32| (0..n as u32).map(move |i| i * i % 7 % below);
    let (labels, pairs): (Vec<u32>, Vec<u32>) =
        (numbers(ROWS, 3).collect(), numbers(ROWS * 2, 4).collect());
    let weights = rng.reals(ROWS);
    // In another order than the plan's.
    let inputs = [
        indices("labels", &[], &labels),
        floats("weight", &[1], &weights),
        bytes("images", &[4, 4, 1], &pixels),
        indices("pair", &[2], &pairs),
    ];
    assert_same_as_single_runs(&plan, &store, &inputs);
}

/// A convolutional net with momentum on pictures of bytes, each with its label and a mask of another scale.
#[test]
fn pictures_with_labels_through_convolutions() {
    let g = Graph::new();
    let (images, labels) = (
        g.input("images", [BATCH, 6, 5, 3]),
        g.input("labels", [BATCH]),
    );
    let shapes: [(&str, Shape); 4] = [
        ("w0", [3, 3, 3, 4].into()),
        ("b0", [4].into()),
        ("w1", [4, 4, 4, 2].into()),
        ("class", [3, 18].into()),
    ];
    let params = shapes.map(|(name, shape)| g.param(name, shape));
    let [w0, b0, w1, class] = params;
    let mask = g.input("mask", [BATCH, 6, 5, 1]);
    let images = images * mask;
    let hidden = (images.conv2d(w0, Window::same([6, 5], [3, 3], [1, 1])) + b0).relu();
    let features = hidden.conv2d(w1, Window::same([6, 5], [4, 4], [2, 2]));
    let logit = (features.reshape([BATCH, 18]) * class.gather_rows(labels)).sum_to([BATCH, 1]);
    let loss = logit.softplus().mean();
    let grads = g.grad(loss, &params).expect("reached");
    let mut plan = Plan::of(&g).fetch("loss", loss);
    let mut store = Store::new(11);
    let mut rng = Rng::new(3);
    for (((name, shape), param), grad) in shapes.into_iter().zip(params).zip(grads) {
        let v_name = format!("{name}.v");
        let v = g.param(&v_name, shape);
        let v_new = v * g.scalar("mu") - grad * g.scalar("lr");
        plan = plan.update(v, v_new).update(param, param + v_new);
        let n = shape.elements();
        store.insert(name, shape, rng.reals(n)).expect("fits");
        store.insert(&v_name, shape, vec![0.0; n]).expect("fits");
    }
    let plan = plan.compile().expect("no fault");
    let pixels: Vec<u8> = (0..ROWS * 90).map(|i| (i * 37 % 256) as u8).collect();
    let classes: Vec<u32> = (0..ROWS as u32).map(|i| i * i % 7 % 3).collect();
    let masks: Vec<u8> = pixels.iter().take(ROWS * 30).map(|p| p / 3).collect();
    let inputs = [
        scaled("images", &[6, 5, 3], &pixels, (2.0, -1.0)),
        indices("labels", &[], &classes),
        scaled("mask", &[6, 5, 1], &masks, (3.3, 0.1)),
    ];
    assert_same_as_single_runs(&plan, &store, &inputs);
}

#[test]
fn iterations_without_inputs_and_results() {
    let g = Graph::new();
    let w = g.param("w", [9]);
    let plan = Plan::of(&g).update(w, w * g.scalar("mu") + g.normal("noise", [9], 0.0, 1.0));
    let plan = plan.compile().expect("no fault");
    let mut store = Store::new(11);
    store.insert("w", [9], vec![1.0; 9]).expect("fits");
    assert_same_as_single_runs(&plan, &store, &[]);
}

#[test]
fn more_than_a_replay_of_many_is_the_same_iterations() {
    let g = Graph::new();
    let (plan, store) = regression(&g);
    let device = Device::new(Interpreter::default());
    let values = Rng::new(8).reals(200 * 7);
    let source = Source::floats("x", &[7], &values);
    let examples = Arc::new(Examples::new(&device, &[source]).expect("fits"));
    let controls: Vec<Control> = (0..33).map(control).collect();
    let runs = [vec![33], vec![1; 33]].map(|parts| {
        let mut cuda = cuda(&device);
        let mut steps = CapturedLoop::new(&mut cuda, &plan, &examples, 33).expect("captured");
        cuda.upload(&store).expect("fits");
        let (mut results, mut at) = (Vec::new(), 0);
        for n in parts {
            let controls = &controls[at..at + n];
            results.extend(steps.run(&mut cuda, controls, at * BATCH).expect("runs"));
            at += n;
        }
        let mut after = store.clone();
        cuda.download(&mut after).expect("there");
        (results, after)
    });
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0].0.len(), 66);
}

#[test]
fn an_iteration_begins_before_the_one_before_has_ended() {
    let g = Graph::new();
    let (plan, _) = regression(&g);
    let (device, mut cuda) = interpreter();
    let values = Rng::new(8).reals(200 * 7);
    let source = Source::floats("x", &[7], &values);
    let examples = Arc::new(Examples::new(&device, &[source]).expect("fits"));
    let steps = CapturedLoop::new(&mut cuda, &plan, &examples, 10).expect("captured");
    let ((one, chain), (many, long, each)) = (steps.launches(), steps.launches_at_once());
    assert_eq!((many, each), (10 * one, 10));
    // Begin, the examples and the mask of the next one are not on the chain; nor is the end.
    assert!(
        long <= chain + 9 * (chain - 3),
        "{chain} in one, {long} in ten"
    );
}

#[test]
fn iterations_that_just_fit_run_where_the_plan_says() {
    let g = Graph::new();
    let (x, w) = (g.input("x", [BATCH, 64]), g.param("w", [64, 64]));
    let y = (0..12).fold(x, |y, _| y.matmul(w).softplus());
    let plan = Plan::of(&g).fetch("y", y.mean()).update(w, w * 0.5);
    let plan = plan.compile().expect("no fault");
    let mut store = Store::new(1);
    let weights = Rng::new(14).reals(4096);
    store.insert("w", [64, 64], weights).expect("fits");
    let values = Rng::new(8).reals(64 * 3 * BATCH);
    let run = |bytes: usize| -> Result<(Vec<f32>, usize), Error> {
        let device = Device::new(Interpreter::new((9, 0), bytes));
        let mut cuda = cuda(&device);
        let source = Source::floats("x", &[64], &values);
        let examples = Arc::new(Examples::new(&device, &[source])?);
        let mut steps = CapturedLoop::new(&mut cuda, &plan, &examples, 3)?;
        cuda.upload(&store)?;
        let controls: Vec<Control> = (0..3).map(control).collect();
        let results = steps.run(&mut cuda, &controls, 0)?;
        Ok((results, device.free_bytes()?))
    };
    let all = 1 << 24;
    let (results, free) = run(all).expect("fits");
    // Less and less room: the same bits, until it does not fit in any way.
    let mut fitted = 0;
    for less in (0..).map(|i| 4_000 * i) {
        match run(all - free - less) {
            Ok((again, _)) => assert_eq!(again, results),
            Err(error) => {
                assert!(error.to_string().contains("memory exhausted"), "{error}");
                break;
            }
        }
        fitted = less;
    }
    assert!(fitted >= 20_000, "{fitted} bytes less at most");
}

fn interpreter() -> (Device, Cuda) {
    let device = Device::new(Interpreter::default());
    let cuda = cuda(&device);
    (device, cuda)
}

#[track_caller]
fn assert_refused<T, E: Into<Error>>(result: Result<T, E>, what: &str) {
    let error: Error = result.err().expect("refused").into();
    let message = error.to_string();
    assert!(message.contains(what), "{message}");
}

#[test]
fn sources_that_do_not_fit_each_other_are_refused() {
    let (device, _) = interpreter();
    let refused = |sources: &[Source], what: &str| {
        assert_refused(Examples::new(&device, sources), what);
    };
    let x = Source::floats("x", &[4], &[0.5; 40]);
    refused(
        &[Source::bytes("x", &[2, 2], &[0; 6])],
        "x: 6 values, expected examples [2, 2]",
    );
    refused(&[Source::bytes("x", &[0], &[])], "x: 0 values");
    refused(
        &[x, Source::indices("y", &[], &[1; 9])],
        "y: 9 examples, but x: 10",
    );
    refused(&[x, x], "two sources for x");
    refused(
        &[Source::indices("y", &[], &[1, (1 << 24) + 1])],
        "y: index 16777217 at place 1",
    );
    let examples = Examples::new(&device, &[x]).expect("fits");
    assert_eq!(examples.count(), 10);
    assert_refused(
        examples.set_order(&[0; 11]),
        "an order of 11 for 10 examples",
    );
    assert_refused(examples.set_order(&[0; 9]), "an order of 9 for 10 examples");
    assert_refused(examples.set_order(&[10; 10]), "example 10 of 10");
}

#[test]
fn plans_that_cannot_be_captured_are_refused() {
    let (device, mut cuda) = interpreter();
    let sources = [
        Source::floats("x", &[4], &[0.5; 40]),
        Source::indices("label", &[], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ];
    let examples = Arc::new(Examples::new(&device, &sources).expect("fits"));
    let mut refused = |record: for<'g> fn(&'g Graph) -> Var<'g>, what: &str| {
        let g = Graph::new();
        let plan = Plan::of(&g)
            .fetch("y", record(&g))
            .compile()
            .expect("no fault");
        assert_refused(CapturedLoop::new(&mut cuda, &plan, &examples, 3), what);
    };
    refused(
        |g| g.input("x", [2, 4]).square(),
        "y of [2, 4] is not a scalar",
    );
    refused(
        |g| g.input("z", [2]).sum(),
        "input z has no source; there are: x, label",
    );
    refused(
        |g| g.input("x", [2, 5]).sum(),
        "input x of [2, 5], its source has examples of [4]",
    );
    refused(
        |g| g.input("label", []).sum(),
        "input label of [], its source has examples of []",
    );
    refused(
        |g| g.input("x", [2, 4]).sum() * g.input("label", [3]).sum(),
        "2 rows of x, but 3 of label",
    );
    refused(
        |g| {
            g.param("table", [9, 2])
                .gather_rows(g.input("label", [2]))
                .sum()
        },
        "gather_rows: index 9 at position 9 is outside 0..9",
    );
}

#[test]
fn runs_that_do_not_fit_their_loop_are_refused() {
    let (device, mut cuda) = interpreter();
    let source = Source::floats("x", &[4], &[0.5; 40]);
    let examples = Arc::new(Examples::new(&device, &[source]).expect("fits"));
    let g = Graph::new();
    let plan = Plan::of(&g).fetch("y", g.input("x", [2, 4]).sum() * g.scalar("lr"));
    let plan = plan.compile().expect("no fault");
    let mut steps = CapturedLoop::new(&mut cuda, &plan, &examples, 3).expect("captured");
    let controls: Vec<Control> = (0..4).map(control).collect();
    assert_eq!(
        steps.run(&mut cuda, &controls[..3], 4).expect("runs").len(),
        3
    );
    assert_refused(
        steps.run(&mut cuda, &controls, 0),
        "4 iterations, expected 1 to 3",
    );
    assert_refused(
        steps.run(&mut cuda, &[], 0),
        "0 iterations, expected 1 to 3",
    );
    assert_refused(
        steps.run(&mut cuda, &controls[..3], 5),
        "6 examples from place 5 of the order on, there are 10",
    );
    let [first, _, third, ..] = &controls[..] else {
        unreachable!("four steps")
    };
    assert_refused(
        steps.run(&mut cuda, &[first.clone(), third.clone()], 0),
        "steps that do not follow one another",
    );
    assert_refused(
        steps.run(&mut cuda, &[Store::new(11).control], 0),
        "the control block has no scalar lr",
    );
    let mut other = Cuda::new(&device, Precision::F32).expect("f32 is always there");
    assert_refused(steps.run(&mut other, &controls[..3], 0), "another executor");
}
