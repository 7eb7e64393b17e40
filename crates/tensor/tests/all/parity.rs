//! Every op in f32 against the same op in f64, on the samples of its file and on awkward sizes.
//!
//! The bound. Let u = 2^-24. An op that sums K products x_i (`Op::terms`) may err by
//! C · K · u · Σ|x_i| with C = 1, which holds for any order of the additions (Higham 2002, section
//! 3.1), and by 1 ulp of the result for the last rounding; Σ|x_i| is the op itself in f64 on the
//! absolute values of its inputs. Any op may err by the few ulps that it states (`OpDef::ULPS`).
//! What only moves values, and random numbers, must be equal.

use std::collections::BTreeSet;

use crate::common::devices;
use ganforge_kernels::cpu;
use ganforge_kernels::cuda::{Device, Precision};
use ganforge_tensor::gradcheck::draw;
use ganforge_tensor::ops::{
    self, Divisor, In, Kind, Moments, Op, OpDef, PoolArgMax, PoolPut, PoolTake, Range, Window,
};
use ganforge_tensor::{Cpu, Cuda, Executor, Feed, Graph, Keep, Plan, Reference, Shape, Store, Var};

const SEED: u64 = 29;
const C: f64 = 1.0;
const U: f64 = 1.0 / 16_777_216.0;

type Formula = Box<dyn for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g>>;

/// An op on inputs.
struct Case {
    inputs: Vec<In>,
    formula: Formula,
}

fn case(
    inputs: &[(&[usize], Range)],
    formula: impl for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g> + 'static,
) -> Case {
    let input = |&(dims, range): &(&[usize], Range)| ops::input(dims, range);
    Case {
        inputs: inputs.iter().map(input).collect(),
        formula: Box::new(formula),
    }
}

/// Whether the op sums, so that its error is bounded by the magnitudes of its inputs.
fn sums(op: &Op, shapes: &[Shape]) -> bool {
    op.terms(shapes) > 1 || matches!(op, Op::AddScalar(_))
}

/// The spacing of f32 at `x`.
fn ulp(x: f64) -> f64 {
    let exponent = x.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    2f64.powi(exponent as i32 - 23)
}

/// What the reference says of the case on `feeds`.
fn reference(plan: &Plan, feeds: &[(String, Shape, Vec<f32>)]) -> Vec<f64> {
    let feeds: Vec<Feed> = feeds.iter().map(|f| Feed::new(&f.0, f.1, &f.2)).collect();
    let mut reference = Reference::new();
    reference
        .run(plan, &mut Store::new(SEED), &feeds)
        .expect("everything is fed");
    reference.fetch(plan, "y").expect("fetched").to_vec()
}

/// The result on the CPU and on each device, with their names.
fn results(
    plan: &Plan,
    feeds: &[(String, Shape, Vec<f32>)],
    devices: &[Device],
) -> Vec<(String, Vec<f32>)> {
    let feeds: Vec<Feed> = feeds.iter().map(|f| Feed::new(&f.0, f.1, &f.2)).collect();
    let (mut cpu, mut store) = (Cpu::new(plan), Store::new(SEED));
    cpu.run(plan, &mut store, &feeds)
        .expect("everything is fed");
    let got = cpu.fetch(plan, &store, "y").expect("fetched").to_vec();
    let mut all = vec![("the CPU".to_string(), got)];
    for device in devices {
        let mut cuda = Cuda::new(device, Precision::F32).expect("f32 is always there");
        let done = cuda.run(plan, &mut store, &feeds);
        let name = device.about().name;
        done.unwrap_or_else(|error| panic!("{name}: {error}\n{plan}"));
        all.push((
            name,
            cuda.fetch(plan, &store, "y").expect("fetched").to_vec(),
        ));
    }
    all
}

/// Runs a case on all executors; the name of its op.
fn check(case: &Case, on: &[Device]) -> &'static str {
    let g = Graph::new();
    let inputs = case.inputs.iter().enumerate();
    let feeds: Vec<(String, Shape, Vec<f32>)> = inputs
        .map(|(i, x)| (format!("x{i}"), x.shape, draw(x, SEED + i as u64)))
        .collect();
    let x: Vec<Var> = feeds.iter().map(|f| g.input(&f.0, f.1)).collect();
    let y = (case.formula)(&g, &x);
    let op = y.node().op;
    let shapes: Vec<Shape> = x.iter().map(|v| v.shape()).collect();
    let what = format!(
        "{} {} on {shapes:?}, seed {SEED}",
        op.name(),
        op.attributes()
    );
    let plan = |keep| {
        let plan = Plan::of(&g).fetch("y", y).keep(keep).compile();
        plan.unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    let all = plan(Keep::All);
    let exact = reference(&all, &feeds);
    let mut magnitudes = feeds.clone();
    magnitudes
        .iter_mut()
        .for_each(|f| f.2.iter_mut().for_each(|v| *v = v.abs()));
    let magnitude = sums(&op, &shapes).then(|| reference(&all, &magnitudes));
    for (keep, (executor, got)) in [all, plan(Keep::Fetched)].into_iter().flat_map(|plan| {
        results(&plan, &feeds, on)
            .into_iter()
            .map(move |r| (plan.keep, r))
    }) {
        assert_eq!(got.len(), exact.len(), "{what}");
        for (i, (&got, &exact)) in got.iter().zip(&exact).enumerate() {
            let error = (f64::from(got) - exact).abs();
            let of_sum = magnitude
                .as_ref()
                .map_or(0.0, |m| C * op.terms(&shapes) as f64 * U * m[i]);
            let bound = of_sum + op.ulps() * ulp(exact);
            // NaN is not within any bound.
            let within = error <= bound;
            assert!(
                within,
                "{what}, Keep::{keep:?} on {executor}: at {i}: {got:e}, exactly {exact:e}: {:.2} ulps, {:.2} allowed",
                error / ulp(exact),
                bound / ulp(exact),
            );
        }
    }
    op.name()
}

/// Sizes around the chunks (512) and tasks (16384) of programs, and beyond.
const SHAPES: [&[usize]; 13] = [
    &[],
    &[0],
    &[2, 0, 3],
    &[1],
    &[1, 1, 1, 1],
    &[3, 13],
    &[511],
    &[2, 256],
    &[19, 3, 9],
    &[16_383],
    &[128, 129],
    &[16_385],
    &[40_009],
];

const R: Range = Range::Real(-1.0, 1.0);

/// Each op that works element by element, on all of [`SHAPES`].
fn element_wise() -> Vec<Case> {
    let mut cases = Vec::new();
    for sample in ops::samples() {
        for dims in SHAPES {
            let op = sample.op;
            let inputs: Vec<(&[usize], Range)> =
                sample.inputs.iter().map(|i| (dims, i.range)).collect();
            match op.kind() {
                Kind::Elementwise => cases.push(case(&inputs, move |g, x| g.record(op, x))),
                Kind::Generator => cases.push(case(&[], move |g, _| match op {
                    Op::Uniform(_) => g.uniform("u", dims, -1.0, 3.0),
                    Op::Normal(_) => g.normal("n", dims, 0.5, 2.0),
                    Op::Bernoulli(_) => g.bernoulli("b", dims, 0.3, 1.25),
                    Op::Constant(_) => g.constant(0.1, dims),
                    _ => panic!("{} has no awkward sizes in this test", op.name()),
                })),
                _ => {}
            }
        }
    }
    cases
}

fn products() -> Vec<Case> {
    let sizes = [
        (0, 3, 2),
        (2, 0, 3),
        (3, 2, 0),
        (1, 1, 1),
        (1, 997, 1),
        (1, 5, 1009),
        (1009, 5, 1),
        (1, 131, 257),
        (17, 1, 33),
        (97, 101, 103),
        (127, 131, 137),
        (211, 784, 61),
    ];
    let mut cases = Vec::new();
    for (m, k, n) in sizes {
        for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
            let a = if ta { [k, m] } else { [m, k] };
            let b = if tb { [n, k] } else { [k, n] };
            let inputs: [(&[usize], Range); 2] = [(&a, R), (&b, R)];
            cases.push(case(&inputs, move |_, x| x[0].matmul_with(ta, tb, x[1])));
        }
    }
    cases
}

/// Images, c_in, kernel, c_out, and where it is applied.
type Convolution = ([usize; 3], usize, [usize; 2], usize, Window);

fn convolutions() -> Vec<Case> {
    let same = |image, kernel, stride| Window::same(image, kernel, stride);
    let sizes: [Convolution; 16] = [
        ([0, 5, 5], 3, [3, 3], 4, same([5, 5], [3, 3], [1, 1])),
        ([2, 5, 5], 0, [3, 3], 4, same([5, 5], [3, 3], [1, 1])),
        ([2, 5, 5], 3, [3, 3], 0, same([5, 5], [3, 3], [1, 1])),
        ([1, 1, 1], 1, [1, 1], 1, same([1, 1], [1, 1], [1, 1])),
        ([3, 13, 11], 1, [5, 5], 33, same([13, 11], [5, 5], [2, 2])),
        ([2, 12, 14], 3, [4, 4], 17, same([12, 14], [4, 4], [2, 2])),
        ([2, 9, 9], 16, [3, 3], 31, same([9, 9], [3, 3], [1, 1])),
        ([1, 9, 7], 5, [7, 1], 9, same([9, 7], [7, 1], [1, 3])),
        ([1, 7, 9], 5, [1, 7], 9, same([7, 9], [1, 7], [3, 1])),
        (
            [3, 4, 4],
            33,
            [4, 4],
            1,
            Window::valid([4, 4], [4, 4], [1, 1]),
        ),
        ([2, 8, 8], 7, [1, 1], 40, same([8, 8], [1, 1], [1, 1])),
        ([2, 9, 8], 7, [1, 1], 13, same([9, 8], [1, 1], [2, 3])),
        (
            [1, 3, 2],
            2,
            [2, 3],
            3,
            Window::padded([3, 2], [2, 3], [1, 2], [9, 11]),
        ),
        (
            [1, 17, 19],
            2,
            [6, 7],
            3,
            Window::padded([17, 19], [6, 7], [3, 2], [5, 0]),
        ),
        (
            [1, 6, 6],
            4,
            [3, 5],
            6,
            Window {
                stride: [1, 1],
                pad: [2, 0],
                out: [6, 6],
            },
        ),
        (
            [1, 6, 7],
            4,
            [3, 5],
            6,
            Window {
                stride: [2, 1],
                pad: [0, 4],
                out: [3, 7],
            },
        ),
    ];
    let mut cases = Vec::new();
    for ([n, h, w], c_in, [kh, kw], c_out, window) in sizes {
        let (x, filters) = ([n, h, w, c_in], [kh, kw, c_in, c_out]);
        let dy = [n, window.out[0], window.out[1], c_out];
        let inputs: [(&[usize], Range); 2] = [(&x, R), (&filters, R)];
        cases.push(case(&inputs, move |_, x| x[0].conv2d(x[1], window)));
        let inputs: [(&[usize], Range); 2] = [(&dy, R), (&filters, R)];
        cases.push(case(&inputs, move |_, x| {
            x[0].conv2d_dx(x[1], window, [h, w])
        }));
        let inputs: [(&[usize], Range); 2] = [(&x, R), (&dy, R)];
        cases.push(case(&inputs, move |_, x| {
            x[0].conv2d_dw(x[1], window, [kh, kw])
        }));
    }
    cases
}

/// Pairs of which the second broadcasts to the first.
const BROADCASTS: [(&[usize], &[usize]); 17] = [
    (&[0, 3], &[3]),
    (&[0, 3], &[1, 1]),
    (&[1], &[]),
    (&[1, 1, 1], &[1, 1]),
    (&[257, 1, 3], &[1, 1]),
    (&[7, 11, 13, 17], &[11, 1, 17]),
    (&[7, 11, 13, 17], &[7, 1, 13, 1]),
    (&[7, 11, 13, 17], &[1, 11, 1, 1]),
    (&[7, 11, 13, 17], &[7, 1, 1, 17]),
    (&[131, 307], &[307]),
    (&[131, 307], &[131, 1]),
    (&[40_009], &[]),
    (&[40_009, 2], &[2]),
    (&[2, 40_009], &[2, 1]),
    (&[601, 311], &[311]),
    (&[601, 311], &[601, 1]),
    (&[601, 311], &[]),
];

fn movements() -> Vec<Case> {
    let mut cases = Vec::new();
    for (large, small) in BROADCASTS {
        cases.push(case(&[(large, R)], move |_, x| x[0].sum_to(small)));
        cases.push(case(&[(small, R)], move |_, x| x[0].broadcast_to(large)));
        let moments = Moments {
            shape: Shape::new(small),
        };
        if moments.shape(&[Shape::new(large)]).is_ok() {
            cases.push(case(&[(large, R)], move |g, x| g.record(moments, x)));
        }
    }
    let perms: [(&[usize], &[usize]); 9] = [
        (&[], &[]),
        (&[1], &[0]),
        (&[0, 3], &[1, 0]),
        (&[7, 1, 5], &[2, 1, 0]),
        (&[307, 131], &[1, 0]),
        (&[2, 40_009], &[1, 0]),
        (&[7, 11, 13, 5], &[3, 1, 0, 2]),
        (&[7, 11, 13, 5], &[0, 2, 1, 3]),
        (&[41, 3, 31, 17], &[2, 3, 0, 1]),
    ];
    for (dims, perm) in perms {
        cases.push(case(&[(dims, R)], move |_, x| x[0].transpose(perm)));
    }
    // A box, where it begins, and what it is cut from or placed in.
    let boxes: [(&[usize], &[usize], &[usize]); 8] = [
        (&[], &[], &[]),
        (&[0], &[3], &[3]),
        (&[1], &[6], &[7]),
        (&[2, 0, 3], &[1, 0, 0], &[3, 5, 3]),
        (&[5, 7], &[0, 0], &[5, 7]),
        (&[131, 11], &[3, 0], &[137, 311]),
        (&[3, 5, 7, 11], &[1, 0, 2, 1], &[5, 5, 11, 13]),
        (&[39_989], &[13], &[40_009]),
    ];
    for (inner, start, outer) in boxes {
        cases.push(case(&[(outer, R)], move |_, x| x[0].slice(start, inner)));
        cases.push(case(&[(inner, R)], move |_, x| x[0].pad(start, outer)));
    }
    let joined: [(&[usize], &[usize], usize); 7] = [
        (&[0], &[3], 0),
        (&[1, 1], &[1, 1], 1),
        (&[3, 0], &[3, 5], 1),
        (&[7, 11, 13], &[7, 2, 13], 1),
        (&[131, 307], &[131, 1], 1),
        (&[131, 307], &[29, 307], 0),
        (&[39_989], &[20], 0),
    ];
    for (a, b, axis) in joined {
        cases.push(case(&[(a, R), (b, R)], move |_, x| x[0].concat(x[1], axis)));
    }
    for (dims, to) in [
        (&[][..], &[1, 1][..]),
        (&[0, 3], &[7, 0]),
        (&[40_009], &[1, 40_009, 1]),
    ] {
        cases.push(case(&[(dims, R)], move |_, x| x[0].reshape(to)));
        cases.push(case(&[(dims, R)], move |_, x| x[0].detach()));
    }
    cases
}

fn choices() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, units, pieces) in [
        (0, 3, 2),
        (3, 0, 5),
        (1, 1, 1),
        (3, 13, 7),
        (1, 8009, 5),
        (101, 240, 5),
        (40_009, 1, 2),
    ] {
        let (wide, narrow) = ([rows, units * pieces], [rows, units]);
        let index = Range::Index(pieces);
        cases.push(case(&[(&wide, Range::Distinct)], move |_, x| {
            x[0].arg_max(pieces)
        }));
        cases.push(case(&[(&wide, R), (&narrow, index)], move |_, x| {
            x[0].take(x[1], pieces)
        }));
        cases.push(case(&[(&narrow, R), (&narrow, index)], move |_, x| {
            x[0].put(x[1], pieces)
        }));
    }
    for (rows, width, count) in [
        (1, 1, 1),
        (7, 0, 3),
        (7, 5, 0),
        (3, 1, 997),
        (131, 307, 151),
        (1009, 97, 601),
    ] {
        let (table, some, list) = ([rows, width], [count, width], [count]);
        let index = Range::Index(rows);
        cases.push(case(&[(&table, R), (&list, index)], |_, x| {
            x[0].gather_rows(x[1])
        }));
        cases.push(case(&[(&some, R), (&list, index)], move |_, x| {
            x[0].scatter_rows(x[1], rows)
        }));
    }
    cases
}

fn images() -> Vec<Case> {
    let mut cases = Vec::new();
    let axes: [&[usize]; 4] = [&[0], &[2, 1], &[1, 2, 3], &[]];
    for (dims, axes) in [&[5, 7, 3, 0][..], &[0, 3], &[1, 1, 1, 1], &[3, 1, 40, 37]]
        .into_iter()
        .flat_map(|dims| axes.map(|axes| (dims, axes)))
    {
        let axes: Vec<usize> = axes.iter().filter(|a| **a < dims.len()).copied().collect();
        cases.push(case(&[(dims, R)], move |_, x| x[0].flip(&axes)));
    }
    for (image, size) in [
        ([0, 3, 2, 5], [7, 1]),
        ([2, 3, 2, 0], [7, 1]),
        ([1, 1, 1, 1], [1, 9]),
        ([1, 9, 1, 1], [1, 1]),
        ([2, 7, 11, 3], [7, 11]),
        ([1, 17, 13, 5], [5, 40]),
        ([3, 4, 29, 33], [31, 7]),
    ] {
        let [n, h, w, c] = image;
        let other = [n, size[0], size[1], c];
        cases.push(case(&[(&image, R)], move |_, x| x[0].resize_bilinear(size)));
        cases.push(case(&[(&other, R)], move |_, x| {
            x[0].resize_bilinear_adjoint([h, w])
        }));
    }
    for (image, kernel, window) in [
        ([0, 4, 4, 3], [2, 2], Window::valid([4, 4], [2, 2], [2, 2])),
        ([2, 4, 4, 0], [2, 2], Window::valid([4, 4], [2, 2], [2, 2])),
        ([1, 1, 1, 1], [1, 1], Window::valid([1, 1], [1, 1], [1, 1])),
        ([1, 1, 1, 1], [7, 5], Window::same([1, 1], [7, 5], [1, 1])),
        (
            [2, 13, 11, 3],
            [3, 3],
            Window::padded([13, 11], [3, 3], [2, 2], [1, 1]),
        ),
        ([1, 9, 17, 1], [2, 5], Window::same([9, 17], [2, 5], [3, 1])),
        ([1, 8, 6, 70], [8, 6], Window::valid([8, 6], [8, 6], [1, 1])),
        (
            [3, 12, 14, 29],
            [4, 1],
            Window::valid([12, 14], [4, 1], [3, 2]),
        ),
    ] {
        let ([n, h, w, c], [oh, ow]) = (image, window.out);
        let result = [n, oh, ow, c];
        for divisor in [Divisor::One, Divisor::Kernel, Divisor::Inside] {
            cases.push(case(&[(&image, R)], move |_, x| {
                x[0].pool(kernel, window, divisor)
            }));
            cases.push(case(&[(&result, R)], move |_, x| {
                x[0].unpool(kernel, window, divisor, [h, w])
            }));
        }
        let index = Range::Index(kernel[0] * kernel[1]);
        cases.push(case(&[(&image, Range::Distinct)], move |g, x| {
            g.record(PoolArgMax { kernel, window }, x)
        }));
        cases.push(case(&[(&image, R), (&result, index)], move |g, x| {
            g.record(PoolTake { kernel, window }, x)
        }));
        cases.push(case(&[(&result, R), (&result, index)], move |g, x| {
            let image = [h, w];
            g.record(
                PoolPut {
                    kernel,
                    window,
                    image,
                },
                x,
            )
        }));
    }
    cases
}

#[test]
fn every_sample_of_every_op() {
    let on = devices();
    for sample in ops::samples() {
        // Leaves compute nothing.
        if sample.op.kind() != Kind::Leaf {
            let inputs = sample.inputs.to_vec();
            let case = Case {
                inputs,
                formula: Box::new(move |g, x| g.record(sample.op, x)),
            };
            // A device refuses what goes to other ranks.
            let meets = matches!(
                sample.op,
                Op::AllReduce(_) | Op::AllGather(_) | Op::OwnShard(_)
            );
            check(&case, if meets { &[] } else { &on });
        }
    }
}

#[test]
fn every_op_on_awkward_sizes() {
    let on = devices();
    let mut seen = BTreeSet::from(["input", "param", "scalar"]);
    // Plain copies, and a vector of ranks.
    seen.extend(["all_reduce", "all_gather", "own_shard"]);
    for cases in [
        element_wise(),
        products(),
        convolutions(),
        movements(),
        choices(),
        images(),
    ] {
        seen.extend(cases.iter().map(|case| {
            // The interpreter takes its time.
            let elements: usize = case.inputs.iter().map(|i| i.shape.elements()).sum();
            check(case, &on[usize::from(elements > 9000)..])
        }));
    }
    let missing: Vec<&&str> = ops::NAMES.iter().filter(|n| !seen.contains(*n)).collect();
    assert!(missing.is_empty(), "no awkward sizes for {missing:?}");
}

/// A program finds out once which instruction set its kernels use: each set takes a program of its own.
#[test]
fn both_hold_with_every_instruction_set() {
    let this = std::env::current_exe().expect("a test program");
    for other in cpu::Isa::ALL.into_iter().filter(|i| *i != cpu::isa()) {
        if !other.is_available() {
            testkit::skip(other.name(), "not on this processor");
            continue;
        }
        let mut command = std::process::Command::new(&this);
        let command = command
            .arg("parity::every_")
            .env(cpu::ISA_VARIABLE, other.name());
        let done = command.output().expect("the test program runs");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(
            done.status.success() && said.contains(" 2 passed"),
            "{}: {said}",
            other.name()
        );
    }
}

#[test]
fn leaves_are_what_was_given() {
    let g = Graph::new();
    let values = [g.input("x", [3]), g.param("p", [3]), g.scalar("lr")];
    let data = [[1.5f32, -0.0, 1e-40], [0.1, 2.0, f32::MAX]];
    let plan = Plan::of(&g)
        .fetch("x", values[0])
        .fetch("p", values[1])
        .fetch("lr", values[2]);
    let plan = plan.compile().expect("no fault");
    let mut store = Store::new(0);
    store.insert("p", [3], data[1].to_vec()).expect("fits");
    store.control.set("lr", 0.1);
    let (mut cpu, mut reference) = (Cpu::new(&plan), Reference::new());
    let feeds = [Feed::new("x", [3], &data[0])];
    cpu.run(&plan, &mut store, &feeds)
        .expect("everything is given");
    reference
        .run(&plan, &mut store, &feeds)
        .expect("everything is given");
    for (name, expected) in [("x", &data[0][..]), ("p", &data[1]), ("lr", &[0.1])] {
        assert_eq!(cpu.fetch(&plan, &store, name), Some(expected));
        let widened: Vec<f64> = expected.iter().map(|&v| f64::from(v)).collect();
        assert_eq!(reference.fetch(&plan, name), Some(&widened[..]));
    }
}
