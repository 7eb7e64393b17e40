//! Gradients, updates and fetches that cannot be.

use ganforge_tensor::{Error, Graph, Plan, Var};

use super::{assert_says, site};

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
    assert_eq!(error.to_string(), "fetch y: the name is already used");
}
