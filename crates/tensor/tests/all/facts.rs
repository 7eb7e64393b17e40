//! Facts at the corners of ops, of naming, and of what is printed.

use std::collections::HashMap;

use ganforge_tensor::{
    Cpu, Executor, Feed, Graph, Keep, Plan, Reference, Shape, Store, Var, stream_number,
};

/// The values of `fetches`, found equal on both executors up to rounding.
fn run(fetches: &[Var], feeds: &[Feed]) -> Vec<Vec<f32>> {
    run_with(&Store::new(9), fetches, feeds)
}

fn run_with(store: &Store, fetches: &[Var], feeds: &[Feed]) -> Vec<Vec<f32>> {
    let mut builder = Plan::of(fetches[0].graph());
    for (i, value) in fetches.iter().enumerate() {
        builder = builder.fetch(&i.to_string(), *value);
    }
    let plan = builder.compile().expect("no fault");
    let (mut cpu, mut reference) = (Cpu::new(&plan), Reference::new());
    let mut store = store.clone();
    cpu.run(&plan, &mut store, feeds)
        .expect("everything is fed");
    reference
        .run(&plan, &mut store, feeds)
        .expect("everything is fed");
    let value = |i: usize| {
        let found = cpu
            .fetch(&plan, &store, &i.to_string())
            .expect("fetched")
            .to_vec();
        let exact = reference.fetch(&plan, &i.to_string()).expect("fetched");
        for (a, b) in found.iter().zip(exact) {
            let close = (f64::from(*a) - b).abs() <= 1e-6 * b.abs();
            assert!(close || (a.is_nan() && b.is_nan()), "{a:e} and {b:e}");
        }
        found
    };
    (0..fetches.len()).map(value).collect()
}

/// y and dL/dx at `x`, where L = Σ y.
fn with_slope(x: &[f32], formula: impl for<'g> Fn(Var<'g>) -> Var<'g>) -> [Vec<f32>; 2] {
    let g = Graph::new();
    let input = g.input("x", [x.len()]);
    let y = formula(input);
    let dx = g.grad(y.sum(), &[input]).expect("reached")[0];
    let values = run(&[y, dx], &[Feed::new("x", [x.len()], x)]);
    values.try_into().expect("two values")
}

#[test]
fn relu_vjp_is_zero_at_zero() {
    let [y, dx] = with_slope(&[-1.0, -0.0, 0.0, 1e-30, 2.0], |x| x.relu());
    assert_eq!(y, [0.0, 0.0, 0.0, 1e-30, 2.0]);
    assert_eq!(dx, [0.0, 0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn leaky_relu_has_the_lower_slope_at_zero() {
    let [y, dx] = with_slope(&[-2.0, 0.0, 2.0], |x| x.leaky_relu(0.25));
    assert_eq!((y, dx), (vec![-0.5, 0.0, 2.0], vec![0.25, 0.25, 1.0]));
}

#[test]
fn abs_vjp_is_zero_at_zero() {
    let [y, dx] = with_slope(&[-2.0, 0.0, 2.0], |x| x.abs());
    assert_eq!((y, dx), (vec![2.0, 0.0, 2.0], vec![-1.0, 0.0, 1.0]));
}

#[test]
fn the_first_piece_wins_a_tie_and_gets_the_gradient() {
    let [y, dx] = with_slope(&[1.0, 1.0, 0.0, -2.0, -1.0, -1.0], |x| x.maxout(3));
    assert_eq!(y, [1.0, -1.0]);
    assert_eq!(dx, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    let [y, dx] = with_slope(&[0.0, f32::NAN, 5.0], |x| x.maxout(3));
    assert!(y[0].is_nan());
    assert_eq!(dx, [0.0, 1.0, 0.0]);
}

#[test]
fn clip_passes_the_gradient_up_to_its_bounds() {
    let [y, dx] = with_slope(&[-1.0, -0.5, 0.0, 1.0, 1.5], |x| x.clip(-0.5, 1.0));
    assert_eq!(y, [-0.5, -0.5, 0.0, 1.0, 1.0]);
    assert_eq!(dx, [0.0, 1.0, 1.0, 1.0, 0.0]);
}

#[test]
fn softplus_keeps_its_tails() {
    let [y, dx] = with_slope(&[-80.0, 80.0, 0.0], |x| x.softplus());
    assert!(y[0] > 0.0 && dx[0] > 0.0);
    assert_eq!((y[1], dx[1], dx[2]), (80.0, 1.0, 0.5));
}

#[test]
fn no_gradient_passes_a_detached_value() {
    let [y, dx] = with_slope(&[3.0, -2.0], |x| x * x.detach());
    assert_eq!((y, dx), (vec![9.0, 4.0], vec![3.0, -2.0]));
}

#[test]
fn a_value_read_twice_gets_both_shares() {
    let [_, dx] = with_slope(&[2.0, 3.0], |x| x * x + x);
    assert_eq!(dx, [5.0, 7.0]);
}

#[test]
fn a_rows_mean_is_that_of_its_elements() {
    let g = Graph::new();
    let x = g.input("x", [2, 3]);
    let feeds = [Feed::new("x", [2, 3], &[1.0, 2.0, 3.0, 5.0, 7.0, 9.0])];
    let values = [
        x.mean(),
        x.mean_axes(&[1]),
        x.mean_axes(&[0]),
        x.sum_axes(&[0, 1]),
    ];
    let found = run(&values, &feeds);
    assert_eq!(
        found,
        [vec![4.5], vec![2.0, 7.0], vec![3.0, 4.5, 6.0], vec![27.0]]
    );
    assert_eq!(values[3].shape().dims(), [1, 1]);
}

/// ⟨A x, y⟩ = ⟨x, Aᵀ y⟩, exactly: the values are small whole numbers.
fn adjoint(
    x_dims: &[usize],
    y_dims: &[usize],
    forward: impl for<'g> Fn(Var<'g>) -> Var<'g>,
    back: impl for<'g> Fn(Var<'g>) -> Var<'g>,
) {
    let g = Graph::new();
    let (x, y) = (g.input("x", x_dims), g.input("y", y_dims));
    let pair = [(forward(x) * y).sum(), (x * back(y)).sum()];
    let ramp = |shape: Shape, by: usize| -> Vec<f32> {
        (0..shape.elements())
            .map(|i| (i * by % 7) as f32 - 3.0)
            .collect()
    };
    let (a, b) = (ramp(x.shape(), 3), ramp(y.shape(), 5));
    let found = run(
        &pair,
        &[Feed::new("x", x_dims, &a), Feed::new("y", y_dims, &b)],
    );
    assert_eq!(found[0], found[1], "{x_dims:?} to {y_dims:?}");
}

#[test]
fn sum_and_broadcast_are_adjoint() {
    let pairs: [(&[usize], &[usize]); 6] = [
        (&[], &[5]),
        (&[3], &[5, 3]),
        (&[5, 1], &[5, 3]),
        (&[3, 1], &[2, 3, 4]),
        (&[2, 1, 1, 3], &[2, 5, 2, 3]),
        (&[1, 1], &[1, 1, 1]),
    ];
    for (small, large) in pairs {
        adjoint(small, large, |x| x.broadcast_to(large), |y| y.sum_to(small));
    }
}

#[test]
fn slice_and_pad_are_adjoint() {
    let boxes: [(&[usize], &[usize], &[usize]); 3] = [
        (&[3], &[2], &[7]),
        (&[2, 3], &[1, 0], &[4, 3]),
        (&[1, 2, 2, 1], &[0, 1, 0, 2], &[2, 3, 2, 3]),
    ];
    for (inner, start, outer) in boxes {
        adjoint(
            outer,
            inner,
            |x| x.slice(start, inner),
            |y| y.pad(start, outer),
        );
    }
}

#[test]
fn gather_and_scatter_are_adjoint() {
    let index = [4.0, 0.0, 4.0];
    let g = Graph::new();
    let (x, y, i) = (
        g.input("x", [5, 2]),
        g.input("y", [3, 2]),
        g.input("i", [3]),
    );
    let pair = [
        (x.gather_rows(i) * y).sum(),
        (x * y.scatter_rows(i, 5)).sum(),
    ];
    let (a, b) = (
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0.0],
        [1.0, -1.0, 2.0, 0.0, 3.0, 1.0],
    );
    let feeds = [
        Feed::new("x", [5, 2], &a),
        Feed::new("y", [3, 2], &b),
        Feed::new("i", [3], &index),
    ];
    let found = run(&pair, &feeds);
    assert_eq!(found[0], found[1]);
}

#[test]
fn a_stream_is_its_name() {
    let g = Graph::new();
    let z = g.normal("z", [4, 5], 0.0, 1.0);
    assert_eq!(z.id(), g.normal("z", [4, 5], 0.0, 1.0).id());
    let other = g.normal("z2", [4, 5], 0.0, 1.0);
    assert_ne!(z.id(), other.id());
    let found = run(&[z, other], &[]);
    assert!(found[0].iter().zip(&found[1]).all(|(a, b)| a != b));
    assert_ne!(stream_number("z"), stream_number("z2"));
}

#[test]
fn a_random_op_draws_the_same_whatever_else_there_is() {
    let alone = {
        let g = Graph::new();
        run(
            &[
                g.uniform("u", [1000], 0.0, 1.0),
                g.bernoulli("b", [1000], 0.5, 1.0),
            ],
            &[],
        )
    };
    let g = Graph::new();
    let before = g.normal("n", [7, 3], 0.0, 1.0).sum();
    let b = g.bernoulli("b", [1000], 0.5, 1.0);
    // Computed in one pass with others, and in another order.
    let mixed = (g.uniform("w", [1000], 0.0, 1.0) + b).tanh() + before;
    let u = g.uniform("u", [1000], 0.0, 1.0);
    let found = run(&[u, b, mixed * u], &[]);
    assert_eq!(found[..2], alone);
}

#[test]
fn each_key_and_each_step_draws_anew() {
    let draw = |key: u64, step: u64| {
        let g = Graph::new();
        let mut store = Store::new(key);
        store.control.step = step;
        run_with(&store, &[g.uniform("u", [64], 0.0, 1.0)], &[])
    };
    let drawn: Vec<_> = [(1, 0), (1, 1), (2, 0), (1 << 40, 0), (1, 1 << 40)]
        .map(|(k, s)| draw(k, s))
        .into();
    for (i, a) in drawn.iter().enumerate() {
        assert_eq!(drawn.iter().filter(|b| *b == a).count(), 1, "draw {i}");
    }
    assert_eq!(draw(1, 1), drawn[1]);
}

#[test]
fn recording_declares_a_leaf_once() {
    let g = Graph::new();
    let x = g.input("x", [2]);
    assert_eq!((g.input("x", [2]).id(), g.len()), (x.id(), 1));
    assert_eq!(g.scalar("lr").id(), g.scalar("lr").id());
    // A constant has no name: each one is its own.
    assert_ne!(g.constant(1.0, []).id(), g.constant(1.0, []).id());
    assert_eq!(
        g.vars().map(|v| v.label()).collect::<Vec<_>>(),
        ["x", "lr", "%2", "%3"]
    );
}

#[test]
fn the_listing_reads_as_formulas() {
    let g = Graph::new();
    let x = g.input("x", [4, 3]);
    let logits = {
        let _d = g.scope("D");
        let _h0 = g.scope("h0");
        let y = (x.matmul(g.param("D.h0.w", [3, 6])) + g.param("D.h0.b", [6])).maxout(3);
        y * g.bernoulli("mask", [4, 2], 0.5, 2.0)
    };
    let _loss = logits.softplus().mean();
    let lines: Vec<String> = g.to_string().lines().map(squeeze).collect();
    assert_eq!(
        lines,
        [
            "%0 [4, 3] = input(x) # top",
            "%1 [3, 6] = param(D.h0.w) # D/h0",
            "%2 [4, 6] = matmul(x, D.h0.w) # D/h0",
            "%3 [6] = param(D.h0.b) # D/h0",
            "%4 [4, 6] = broadcast_to(D.h0.b, [4, 6]) # D/h0",
            "%5 [4, 6] = add(%2, %4) # D/h0",
            "%6 [4, 2] = arg_max(%5, 3 pieces) # D/h0",
            "%7 [4, 2] = take(%5, %6, 3 pieces) # D/h0",
            "%8 [4, 2] = bernoulli(mask, p 0.5, value 2) # D/h0",
            "%9 [4, 2] = mul(%7, mask) # D/h0",
            "%10 [4, 2] = softplus(%9) # top",
            "%11 [] = sum_to(%10, []) # top",
            "%12 [] = mul_scalar(%11, 0.125) # top",
        ]
    );
}

#[test]
fn a_plan_lists_its_kernels_and_buffers() {
    let g = Graph::new();
    let (x, w) = (g.input("x", [4, 3]), g.param("w", [3, 2]));
    let y = x.matmul(w).tanh().square();
    let dw = g.grad(y.sum(), &[w]).expect("reached")[0];
    let v = g.param("v", [3, 2]);
    let v1 = v * g.scalar("mu") - dw * g.scalar("lr");
    let plan = Plan::of(&g).fetch("y", y).update(v, v1).update(w, w + v1);
    let plan = plan.compile().expect("no fault");
    let lines: Vec<String> = plan.to_string().lines().map(squeeze).collect();
    assert_eq!(
        lines,
        [
            "0 b0 [4, 2] matmul(x, w) # top",
            "1 b1 [] constant() # top",
            "2 b0, b2 [4, 2] tanh+square+mul+mul_scalar+square+neg+add_scalar+mul(b0, b1) # top",
            "3 v, w [3, 2] matmul+momentum(x, b2, lr, mu) # top",
            "3 buffers, 68 B",
        ]
    );
    let site = plan.describe(y.id());
    assert!(
        site.starts_with("%4 [4, 2] = square(%3) in top (crates/tensor/tests/all/facts.rs:"),
        "{site}"
    );
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn gradients_are_recorded_where_their_ops_are() {
    let g = Graph::new();
    let (x, w) = (g.input("x", [2, 2]), g.param("w", [2, 2]));
    let y = {
        let _g = g.scope("G");
        x.matmul(w)
    };
    let loss = y.sum();
    let dw = g.grad(loss, &[w]).expect("reached")[0];
    let listing = g.to_string();
    let last = listing.lines().last().map(squeeze).expect("nodes");
    assert_eq!(
        last,
        format!("{} [2, 2] = matmul(x, %5, Aᵀ) # G", dw.label())
    );
    assert_eq!(dw.node().site, y.node().site);
    // What is recorded afterwards is the caller's own again.
    assert_ne!((dw * 2.0).node().site, y.node().site);
}

#[test]
fn only_what_is_asked_for_is_computed() {
    let g = Graph::new();
    let x = g.input("x", [3]);
    let (y, unread) = (x * 2.0, g.input("unread", [5]).exp().sum());
    let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
    assert!(plan.is_live(y.id()) && !plan.is_live(unread.id()));
    assert_eq!((plan.calls.len(), plan.inputs.len()), (1, 1));
    assert_eq!(
        run(&[y], &[Feed::new("x", [3], &[1.0, 2.0, 3.0])]),
        [[2.0, 4.0, 6.0]]
    );
}

#[test]
fn a_study_plan_shows_every_value() {
    let g = Graph::new();
    let x = g.input("x", [3]);
    let h = x * 2.0;
    let y = h.relu().sum();
    let plan = Plan::of(&g)
        .fetch("y", y)
        .keep(Keep::All)
        .compile()
        .expect("no fault");
    let (mut cpu, mut store) = (Cpu::new(&plan), Store::new(0));
    cpu.run(&plan, &mut store, &[Feed::new("x", [3], &[1.0, -2.0, 3.0])])
        .expect("fed");
    let value = |node| cpu.value(&plan, &store, node).expect("no device");
    assert_eq!(value(h.id()).as_deref(), Some(&[2.0, -4.0, 6.0][..]));
    assert_eq!(value(y.id()).as_deref(), Some(&[8.0][..]));
}

#[test]
fn one_executor_serves_plans_in_turn() {
    let g = Graph::new();
    let x = g.input("x", [3]);
    let plans: HashMap<&str, Plan> = [("double", x * 2.0), ("sum", x.exp().log().sum())]
        .map(|(name, y)| {
            (
                name,
                Plan::of(&g).fetch("y", y).compile().expect("no fault"),
            )
        })
        .into();
    let (mut cpu, mut store) = (Cpu::default(), Store::new(0));
    for (name, expected) in [
        ("double", &[2.0, 4.0, 6.0][..]),
        ("sum", &[6.0]),
        ("double", &[2.0, 4.0, 6.0]),
    ] {
        let plan = &plans[name];
        cpu.run(plan, &mut store, &[Feed::new("x", [3], &[1.0, 2.0, 3.0])])
            .expect("fed");
        assert_eq!(cpu.fetch(plan, &store, "y"), Some(expected));
    }
}
