//! What is wrong with a formula: found as it is recorded, said when it is compiled.

use ganforge_tensor::ops::{Add, MatMul};
use ganforge_tensor::{Cpu, Error, Executor, Graph, MAX_RANK, Plan, Reference, Store, Var};

use super::{assert_says, fault, site};

#[test]
fn shapes_that_do_not_fit_are_reported_by_compile() {
    let g = Graph::new();
    let y = {
        let _d = g.scope("D");
        let _h0 = g.scope("h0");
        let (x, w) = (g.input("x", [2, 3]), g.param("w", [4, 5]));
        x.matmul(w)
    };
    let here = site(2);
    // The first fault stays, whatever follows from it.
    let z = (y + g.input("z", [7])).maxout(3).sum();
    let error = fault(&g, z);
    assert!(matches!(error, Error::Shape { .. }));
    assert_says(
        &error,
        &[
            "matmul: inner dimensions differ, 3 and 4: [2, 3] · [4, 5] in D/h0 (",
            &here,
        ],
    );
    assert_eq!(g.grad(z, &[z]).err(), Some(error));
}

#[test]
fn operators_blame_their_caller() {
    let g = Graph::new();
    let (a, b) = (g.input("a", [2, 3]), g.input("b", [2]));
    let y = a - b;
    let here = site(1);
    assert_says(
        &fault(&g, y),
        &[
            "sub: shapes do not broadcast together: [2, 3] · [2] in top",
            &here,
        ],
    );
}

#[test]
fn every_shape_rule_refuses_what_does_not_fit() {
    type Formula = for<'g> fn(Var<'g>) -> Var<'g>;
    let cases: [(&str, Formula); 30] = [
        ("reshape: [4] has another number", |x| x.reshape([4])),
        (
            "broadcast_to: the input does not broadcast to [3, 3]",
            |x| x.broadcast_to([3, 3]),
        ),
        ("sum_to: [2] does not broadcast", |x| x.sum_to([2])),
        ("sum_to: [1, 2, 3] does not broadcast", |x| x.sum_axes(&[2])),
        ("transpose: not a permutation", |x| x.transpose(&[0, 0])),
        ("transpose: not a permutation", |x| x.transpose(&[0, 1, 2])),
        ("transpose: not a permutation", |x| x.transpose(&[9; 9])),
        ("slice: the slice [1, 1] from [2, 0] exceeds", |x| {
            x.slice([2, 0], [1, 1])
        }),
        ("slice: the slice [2] from [0] has another rank", |x| {
            x.slice([0], [2])
        }),
        ("exceeds the input", |x| x.slice([1 << 59, 0], [1, 1])),
        ("slice: the slice [invalid] from [0, 0] has", |x| {
            x.slice([0, 0], [1; 5])
        }),
        ("slice: the slice [1, 3] from [2, 0] exceeds", |x| {
            x.rows(2, 3)
        }),
        ("slice: the slice [1] from [0] has another rank", |x| {
            x.sum().rows(0, 1)
        }),
        ("pad: the input does not fit in [2, 3] at [0, 1]", |x| {
            x.pad([0, 1], [2, 3])
        }),
        ("pad: the target [8] at [1] has another rank", |x| {
            x.pad([1], [8])
        }),
        ("concat: cannot concatenate along dimension 2", |x| {
            x.concat(x, 2)
        }),
        ("concat: cannot concatenate along dimension 0", |x| {
            x.concat(x.transpose(&[]), 0)
        }),
        ("arg_max: the last dimension is not a multiple of 0", |x| {
            x.maxout(0)
        }),
        ("arg_max: the last dimension is not a multiple of 2", |x| {
            x.maxout(2)
        }),
        ("arg_max: the last dimension is not a multiple of 1", |x| {
            x.sum().maxout(1)
        }),
        ("take: expected indices of shape [2, 1]", |x| x.take(x, 3)),
        ("put: values and indices differ", |x| x.put(x.sum(), 2)),
        ("put: expected at least one dimension", |x| x.put(x, 0)),
        ("put: too many elements", |x| x.put(x, usize::MAX)),
        ("gather_rows: expected a matrix and a list", |x| {
            x.gather_rows(x)
        }),
        ("scatter_rows: expected a matrix and one index", |x| {
            x.scatter_rows(x, 4)
        }),
        ("scatter_rows: too many elements", |x| {
            let list = x.graph().input("list", [2]);
            x.scatter_rows(list, usize::MAX)
        }),
        ("clip: the bounds 1..0 are not an interval", |x| {
            x.clip(1.0, 0.0)
        }),
        ("clip_mul: the bounds NaN..1 are", |x| {
            x.clip_mul(f64::NAN, 1.0, x)
        }),
        ("matmul: expected two matrices", |x| x.matmul(x.sum())),
    ];
    for (message, formula) in cases {
        let g = Graph::new();
        let error = fault(&g, formula(g.input("x", [2, 3])));
        assert_says(
            &error,
            &[message, "in top (", "tests/all/errors/recording.rs:"],
        );
    }
}

#[test]
fn sizes_that_no_tensor_can_have_are_faults() {
    let huge = 1usize << 40;
    let g = Graph::new();
    let x = g.input("x", [1; MAX_RANK + 1]);
    let here = site(1);
    assert_says(
        &fault(&g, x),
        &["input: more than 4 dimensions, or too many elements", &here],
    );
    type Formula = fn(&Graph) -> Var<'_>;
    let cases: [Formula; 8] = [
        |g| g.param("p", [usize::MAX, 2]),
        |g| g.constant(0.0, [usize::MAX]),
        |g| g.uniform("u", [1; 5], 0.0, 1.0),
        |g| g.normal("n", [1; 5], 0.0, 1.0),
        |g| g.bernoulli("b", [1; 5], 0.5, 1.0),
        |g| {
            g.input("a", [1 << 40, 1])
                .matmul(g.input("b", [1, 1 << 40]))
        },
        |g| g.input("a", [1 << 40, 1]) * g.input("b", [1 << 40]),
        |g| g.input("a", [1 << 59]).concat(g.input("b", [1 << 59]), 0),
    ];
    for formula in cases {
        let g = Graph::new();
        assert!(matches!(fault(&g, formula(&g)), Error::Shape { .. }));
    }
    // Large but possible: what it costs can be said without running it.
    let g = Graph::new();
    let y = g.input("a", [huge, 1]).matmul(g.input("b", [1, 1 << 19]));
    let plan = Plan::of(&g)
        .fetch("y", y.matmul_with(true, false, y))
        .compile();
    assert!(plan.expect("fits").cost().flops > 1 << 60);
}

#[test]
fn a_variable_of_another_graph_is_a_fault() {
    let (g, other) = (Graph::new(), Graph::new());
    let _d = g.scope("D");
    let (x, stranger) = (g.input("x", [2]), other.input("s", [2]));
    let y = x.concat(stranger, 0);
    let here = site(1);
    let error = fault(&g, y);
    assert!(matches!(error, Error::Foreign { .. }));
    assert_says(
        &error,
        &["concat: s belongs to another graph, in D (", &here],
    );
    assert_eq!(y.shape().dims(), [4]);
    assert_eq!(other.fault(), None);
}

#[test]
fn a_variable_of_another_graph_is_no_gradient_fetch_or_update() {
    let (g, other) = (Graph::new(), Graph::new());
    let p = g.param("p", [2]);
    let strangers = [other.param("q", [2]), other.param("r", [2])];
    let y = p.square().sum();
    let error = g
        .grad(y, &[p, strangers[1]])
        .expect_err("r is of another graph");
    let here = site(2);
    assert_says(&error, &["grad: r belongs to another graph", &here]);
    assert!(matches!(
        g.grad(strangers[0].sum(), &[p]),
        Err(Error::Foreign { .. })
    ));
    assert_says(
        &fault(&g, strangers[0]),
        &["fetch: q belongs to another graph"],
    );
    for (param, value) in [(strangers[0], p), (p, strangers[0])] {
        let error = Plan::of(&g).update(param, value).compile().err();
        let error = error.expect("q is of another graph");
        assert_says(&error, &["update: q belongs to another graph", &site(2)]);
    }
    // None of this is a fault of the graph itself.
    assert_eq!(g.fault(), None);
    // What is asked about a node of another graph has an answer.
    let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
    let node = (0..9)
        .map(|_| other.scalar("z") * 2.0)
        .last()
        .expect("nine")
        .id();
    assert!(!plan.is_live(node) && plan.label(node).starts_with('%'));
    assert_eq!(plan.describe(node), plan.label(node));
    let value = Cpu::new(&plan)
        .value(&plan, &Store::new(0), node)
        .map(|v| v.is_none());
    assert_eq!(value, Ok(true));
    assert_eq!(Reference::new().value(node), None);
}

#[test]
fn an_op_takes_its_number_of_inputs() {
    let g = Graph::new();
    let x = g.input("x", [2, 2]);
    let y = g.record(Add, &[x]);
    let here = site(1);
    assert_says(
        &fault(&g, y),
        &["add: expected 2 inputs: [2, 2] in top", &here],
    );
    let g = Graph::new();
    let x = g.input("x", [2, 2]);
    assert!(matches!(
        fault(
            &g,
            g.record(
                MatMul {
                    ta: false,
                    tb: false
                },
                &[x; 9]
            )
        ),
        Error::Shape { .. }
    ));
}

#[test]
fn a_name_belongs_to_one_leaf() {
    let g = Graph::new();
    g.input("x", [2]);
    assert_eq!(g.input("x", [2]).id(), g.input("x", [2]).id());
    let x = g.input("x", [3]);
    let here = site(1);
    let error = fault(&g, x);
    assert!(matches!(error, Error::Redeclared { .. }));
    assert_says(
        &error,
        &["x: declared twice: input [2] and input [3] (", &here],
    );
    let g = Graph::new();
    g.param("lr", []);
    assert_says(
        &fault(&g, g.scalar("lr")),
        &["lr: declared twice: param [] and scalar []"],
    );
    let g = Graph::new();
    g.normal("z", [2], 0.0, 1.0);
    assert_says(
        &fault(&g, g.normal("z", [2], 0.0, 2.0)),
        &["z: declared twice: normal [2]"],
    );
}

#[test]
fn two_streams_of_one_number_are_refused() {
    // A known collision of 32-bit FNV-1a.
    let g = Graph::new();
    g.uniform("costarring", [1], 0.0, 1.0);
    let error = fault(&g, g.uniform("liquid", [1], 0.0, 1.0));
    assert_says(
        &error,
        &["liquid: declared twice: stream number", "costarring"],
    );
}
