//! Every error, with what its message says; and that nothing a caller can write panics.

use ganforge_tensor::ops::{Add, Env, MatMul};
use ganforge_tensor::{
    Cpu, Error, Executor, Feed, Graph, Keep, MAX_RANK, Plan, Reference, Shape, Store, Var,
};

/// `tests/errors.rs:<line of the call>`, as messages end.
#[track_caller]
fn site(lines_above: u32) -> String {
    let line = std::panic::Location::caller().line() - lines_above;
    format!("tests/errors.rs:{line}:")
}

#[track_caller]
fn assert_says(error: &Error, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
}

/// What compiling a plan that fetches `y` says.
fn fault<'g>(g: &'g Graph, y: Var<'g>) -> Error {
    match Plan::of(g).fetch("y", y).compile() {
        Ok(_) => panic!("the plan compiles"),
        Err(error) => error,
    }
}

/// Runs `plan` on both executors, which must fail alike and leave the store as it was.
#[track_caller]
fn run_fails(plan: &Plan, store: &Store, feeds: &[Feed]) -> Error {
    let (mut of_cpu, mut of_reference) = (store.clone(), store.clone());
    let cpu = Cpu::new(plan).run(plan, &mut of_cpu, feeds);
    let reference = Reference::new().run(plan, &mut of_reference, feeds);
    let error = cpu.expect_err("the run fails");
    assert_eq!(reference.expect_err("the run fails"), error);
    assert!(of_cpu == *store && of_reference == *store);
    error
}

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
            "matmul: inner sizes differ, 3 and 4: [2, 3] · [4, 5] in D/h0 (",
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
        ("slice: the slice [1, 1] from [2, 0] leaves", |x| {
            x.slice([2, 0], [1, 1])
        }),
        ("slice: the slice [2] from [0] has another rank", |x| {
            x.slice([0], [2])
        }),
        ("leaves the input", |x| x.slice([1 << 59, 0], [1, 1])),
        ("slice: the slice [invalid] from [0, 0] has", |x| {
            x.slice([0, 0], [1; 5])
        }),
        ("slice: the slice [1, 3] from [2, 0] leaves", |x| {
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
        ("concat: cannot join along dimension 2", |x| x.concat(x, 2)),
        ("concat: cannot join along dimension 0", |x| {
            x.concat(x.transpose(&[]), 0)
        }),
        ("arg_max: the last size is no multiple of 0", |x| {
            x.maxout(0)
        }),
        ("arg_max: the last size is no multiple of 2", |x| {
            x.maxout(2)
        }),
        ("arg_max: the last size is no multiple of 1", |x| {
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
        ("clip: the bounds 1..0 are no interval", |x| {
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
        assert_says(&error, &[message, "in top (", "tests/errors.rs:"]);
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
    assert_eq!(Cpu::new(&plan).value(&plan, &Store::new(0), node), None);
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

#[test]
fn a_gradient_that_is_not_there_is_refused() {
    let g = Graph::new();
    let (p, q) = (g.param("p", [2]), g.param("q", [2]));
    let y = (p * 2.0).sum();
    let error = g.grad(y, &[p, q]).expect_err("q is not reached");
    let here = site(1);
    let reached = matches!(error, Error::NotReached { .. });
    assert!(reached);
    assert_says(
        &error,
        &[&format!("grad: {} does not depend on q", y.label()), &here],
    );
    // Declared after y, behind a step that stops gradients, and through an index.
    let late = g.param("late", [2]);
    assert!(matches!(g.grad(y, &[late]), Err(Error::NotReached { .. })));
    assert!(matches!(
        g.grad(p.sign().sum(), &[p]),
        Err(Error::NotReached { .. })
    ));
    let index = g.input("index", [3]);
    let rows = p.reshape([2, 1]).gather_rows(index).sum();
    assert!(matches!(
        g.grad(rows, &[index]),
        Err(Error::NotReached { .. })
    ));
    assert_eq!(g.fault(), None);
}

#[test]
fn only_a_single_number_is_differentiated() {
    let g = Graph::new();
    let p = g.param("p", [2, 3]);
    let error = g.grad(p.relu(), &[p]).expect_err("six numbers");
    let here = site(1);
    assert!(matches!(error, Error::NotScalar { .. }));
    assert_says(
        &error,
        &[
            "expected a scalar to differentiate, got %1 of shape [2, 3] (",
            &here,
        ],
    );
    let none = g.input("none", [0]);
    assert!(matches!(
        g.grad(none, &[none]),
        Err(Error::NotScalar { .. })
    ));
    assert!(g.grad(p.sum().reshape([1, 1]), &[p]).is_ok());
}

#[test]
fn updates_and_fetches_are_checked() {
    let g = Graph::new();
    let (x, p, q) = (g.input("x", [2]), g.param("p", [2]), g.param("q", [3]));
    let compile = |updates: &[(Var, Var)]| {
        let ids = |v: &Var| g.vars().find(|w| w.id() == v.id()).expect("of this graph");
        let add = |b: ganforge_tensor::plan::Builder<'_>| b.compile().err().expect("refused");
        let mut builder = Plan::of(&g);
        for (param, value) in updates {
            builder = builder.update(ids(param), ids(value));
        }
        add(builder)
    };
    let cases = [
        (compile(&[(x, p)]), "update of x: input is not a parameter"),
        (
            compile(&[(p, q)]),
            "update of p: its shape is [2], the value's [3]",
        ),
        (
            compile(&[(p, x), (p, x)]),
            "update of p: it is updated twice",
        ),
    ];
    for (error, message) in cases {
        assert!(matches!(error, Error::Update { .. }));
        assert_eq!(error.to_string(), message);
    }
    let error = Plan::of(&g)
        .fetch("y", x)
        .fetch("y", p)
        .compile()
        .err()
        .expect("refused");
    assert!(matches!(error, Error::Fetch { .. }));
    assert_eq!(error.to_string(), "fetch y: the name is used twice");
}

#[test]
fn feeds_are_checked() {
    let g = Graph::new();
    let (x, p) = (g.input("x", [2]), g.param("p", [2]));
    let here = site(1);
    g.input("unused", [1]);
    let mut store = Store::new(0);
    store.insert("p", [2], vec![1.0; 2]).expect("fits");
    let plan = Plan::of(&g).update(p, p * x).compile().expect("no fault");
    let values = [1.0f32; 3];
    let fails = |feeds: &[Feed]| run_fails(&plan, &store, feeds);
    let unfed = fails(&[]);
    assert!(matches!(unfed, Error::Unfed { .. }));
    assert_says(
        &unfed,
        &["input x of shape [2] is not fed (declared at", &here],
    );
    let unknown = fails(&[
        Feed::new("x", [2], &values[..2]),
        Feed::new("unused", [1], &values[..1]),
    ]);
    assert!(matches!(unknown, Error::UnknownFeed { .. }));
    assert_says(
        &unknown,
        &["fed unused, but the plan has no such input (it has: x)"],
    );
    let wrong = [
        (
            Feed::new("x", [3], &values),
            "input x: expected shape [2], fed [3] with 3 values",
        ),
        (
            Feed::new("x", [2], &values),
            "input x: expected shape [2], fed [2] with 3 values",
        ),
        (
            Feed::new("x", [2], &[]),
            "input x: expected shape [2], fed [2] with 0 values",
        ),
        (
            Feed::new("x", [2; 9], &values),
            "input x: expected shape [2], fed [invalid] with 3 values",
        ),
    ];
    for (feed, message) in wrong {
        let error = fails(&[feed]);
        assert!(matches!(error, Error::FeedShape { .. }));
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn the_store_is_checked() {
    let g = Graph::new();
    let y = g.param("p", [2]) * g.scalar("lr");
    let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
    let mut store = Store::new(0);
    let missing = run_fails(&plan, &store, &[]);
    assert!(matches!(missing, Error::MissingParam { .. }));
    assert_says(&missing, &["the store has no p, which the plan reads"]);
    store.insert("p", [3], vec![0.0; 3]).expect("fits");
    let other = run_fails(&plan, &store, &[]);
    assert!(matches!(other, Error::ParamShape { .. }));
    assert_says(
        &other,
        &["p: the graph declares shape [2], the store holds [3]"],
    );
    store.insert("p", [2], vec![0.0; 2]).expect("fits");
    let scalar = run_fails(&plan, &store, &[]);
    assert!(matches!(scalar, Error::MissingScalar { .. }));
    assert_says(&scalar, &["the control block has no scalar lr"]);
    store.control.set("lr", 1.0);
    assert!(Cpu::new(&plan).run(&plan, &mut store, &[]).is_ok());
    for (shape, data) in [
        (Shape::new(&[2]), vec![0.0; 3]),
        (Shape::new(&[1; 5]), vec![]),
    ] {
        assert!(matches!(
            store.insert("p", shape, data),
            Err(Error::ParamShape { .. })
        ));
    }
    assert_eq!(
        store.get("p").map(|p| p.shape.dims().to_vec()),
        Some(vec![2])
    );
}

#[test]
fn indices_outside_of_their_table_are_errors_on_any_number_of_threads() {
    type Formula = for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>;
    // Large enough that the kernels would spread over threads.
    let (rows, width) = (300, 500);
    let cases: [(&str, usize, Formula); 4] = [
        ("gather_rows", 300, |x, i| x.gather_rows(i)),
        ("scatter_rows", 7, |x, i| x.scatter_rows(i, 7)),
        ("take", 500, |x, i| x.take(i.reshape([300, 1]), 500)),
        ("put", 4, |x, i| {
            x.slice([0, 0], [300, 1]).put(i.reshape([300, 1]), 4)
        }),
    ];
    let x = vec![1.0f32; rows * width];
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        for (name, bound, formula) in cases {
            for bad in [bound as f32, -1.0, 0.5, f32::NAN, f32::INFINITY] {
                let g = Graph::new();
                // The index is computed, so that nothing can be checked beforehand.
                let index = g.input("i", [rows]) * 1.0;
                let y = formula(g.input("x", [rows, width]), index);
                let here = site(1);
                let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
                let mut indices = vec![0.0; rows];
                (indices[17], indices[20]) = (bad, -5.0);
                let feeds = [
                    Feed::new("x", [rows, width], &x),
                    Feed::new("i", [rows], &indices),
                ];
                let mut store = Store::new(0);
                let cpu = pool.install(|| Cpu::new(&plan).run(&plan, &mut store, &feeds));
                let reference = Reference::new().run(&plan, &mut store, &feeds);
                for error in [cpu, reference].map(|r| r.expect_err("out of range")) {
                    assert!(matches!(error, Error::Index { .. }));
                    let message =
                        format!("{name}: index {bad} at position 17 is outside 0..{bound}");
                    assert_says(&error, &[&message]);
                    // Recorded by the formula, some lines above.
                    assert_says(&error, &[&here[..here.find(':').expect("a line") + 1]]);
                }
            }
        }
    }
}

#[test]
fn the_reference_checks_the_leaves_it_is_given() {
    let g = Graph::new();
    let y = g.input("x", [2]).sum();
    let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
    let error = Reference::new().evaluate(&plan, Env::default(), |_| vec![0.0; 3]);
    assert_eq!(
        error.expect_err("three values").to_string(),
        "input x: expected shape [2], fed 3 values"
    );
}

#[test]
fn empty_tensors_are_values_like_others() {
    let g = Graph::new();
    let (x, w) = (g.input("x", [0, 3]), g.param("w", [3, 2]));
    let y = (x.matmul(w) + g.param("b", [2])).relu();
    let dw = g.grad(y.square().sum(), &[w]).expect("reached")[0];
    let values = [
        ("dw", dw),
        ("mean", y.mean()),
        ("means", y.mean_axes(&[0])),
        ("maxout", y.maxout(2).sum()),
        ("rows", y.concat(g.constant(1.0, [1, 2]), 0)),
        ("none", y.rows(0, 0).transpose(&[])),
    ];
    let mut store = Store::new(0);
    store.insert("w", [3, 2], vec![1.0; 6]).expect("fits");
    store.insert("b", [2], vec![1.0; 2]).expect("fits");
    for keep in [Keep::All, Keep::Fetched] {
        let mut builder = Plan::of(&g).keep(keep);
        for (name, value) in values {
            builder = builder.fetch(name, value);
        }
        let plan = builder.compile().expect("no fault");
        let (mut cpu, mut reference) = (Cpu::new(&plan), Reference::new());
        let feeds = [Feed::new("x", [0, 3], &[])];
        cpu.run(&plan, &mut store, &feeds)
            .expect("everything is fed");
        reference
            .run(&plan, &mut store, &feeds)
            .expect("everything is fed");
        for (name, _) in values {
            let (a, b) = (cpu.fetch(&plan, &store, name), reference.fetch(&plan, name));
            let (a, b) = (a.expect("fetched"), b.expect("fetched"));
            assert_eq!(a.len(), b.len(), "{name}");
            let same = |(a, b): (&f32, &f64)| f64::from(*a) == *b || (a.is_nan() && b.is_nan());
            assert!(a.iter().zip(b).all(same), "{name}: {a:?} and {b:?}");
        }
        assert_eq!(cpu.fetch(&plan, &store, "dw"), Some(&[0.0; 6][..]));
        // As everywhere else, the mean of nothing is 0 / 0.
        assert!(cpu.fetch(&plan, &store, "mean").expect("fetched")[0].is_nan());
    }
}

#[test]
fn what_was_not_asked_for_is_none() {
    let g = Graph::new();
    let y = g.constant(1.0, [2]).sum();
    let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
    let empty = Plan::of(&g).compile().expect("a plan of nothing");
    let (mut store, mut cpu) = (Store::new(0), Cpu::default());
    assert_eq!(cpu.fetch(&plan, &store, "y"), None);
    cpu.run(&empty, &mut store, &[]).expect("nothing to do");
    cpu.run(&plan, &mut store, &[]).expect("nothing to feed");
    assert_eq!(cpu.fetch(&plan, &store, "y"), Some(&[2.0][..]));
    assert_eq!(cpu.fetch(&plan, &store, "z"), None);
    assert_eq!(Reference::new().fetch(&plan, "y"), None);
}
