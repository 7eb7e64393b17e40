//! What a run is given: feeds, tensors of the store, indices; and what it hands out.

use ganforge_tensor::ops::Env;
use ganforge_tensor::{
    Cpu, Error, Executor, Feed, Graph, Keep, Plan, Reference, Shape, Store, Var,
};

use super::{assert_says, run_fails, site};

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
