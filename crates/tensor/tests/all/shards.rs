//! Shards of a minibatch and the ranks that hold them: the same bits, the right gradients.

use std::sync::Arc;

use crate::common::devices;
use ganforge_comm::{Communicator, Threads};
use ganforge_kernels::cuda::Precision;
use ganforge_tensor::ops::{AllReduce, Op, OwnShard};
use ganforge_tensor::plan::{Kernel, Shards};
use ganforge_tensor::{
    Cpu, Cuda, Error, Executor, Feed, Graph, Keep, Plan, Reference, Result, Store, Var,
};

/// Examples of the whole minibatch.
const BATCH: usize = 16;
/// Shards of it.
const SHARDS: usize = 4;
const WIDTH: usize = 5;
/// Units of the first layer: its weights are exchanged by themselves, the others with what is as small.
const UNITS: usize = 4000;

/// A training step of one shard: a net with dropout and noise, normalised over all shards, and its parameters' new values.
struct Step<'g> {
    noise: Var<'g>,
    loss: Var<'g>,
    updates: Vec<(Var<'g>, Var<'g>)>,
}

fn step(g: &Graph) -> Step<'_> {
    let b = BATCH / SHARDS;
    let x = g.input("x", [b, WIDTH]);
    let (w, u) = (g.param("w", [WIDTH, UNITS]), g.param("u", [UNITS, 1]));
    let noise = g.normal("z", [b, WIDTH], 0.0, 0.1);
    let h = normalised((x + noise).matmul(w)).relu() * g.bernoulli("mask", [b, UNITS], 0.5, 2.0);
    let loss = h.matmul(u).square().mean();
    let grads = g.grad(loss, &[w, u]).expect("reached");
    let sums: Vec<Var> = grads.into_iter().map(Var::all_reduce).collect();
    let lr = 1e-5 / SHARDS as f64;
    let updates = [w, u]
        .into_iter()
        .zip(sums)
        .map(|(p, sum)| (p, p - sum * lr));
    Step {
        noise,
        loss: loss.mean_over(SHARDS),
        updates: updates.collect(),
    }
}

/// x minus its mean over the whole minibatch, over its standard deviation, from what each shard has of its own.
fn normalised(x: Var<'_>) -> Var<'_> {
    let c = x.shape().dims()[1];
    let [mean, var] = x.moments(&[0]);
    let all = mean.concat(var, 1).all_gather(SHARDS);
    let (means, vars) = (
        all.slice([0, 0], [SHARDS, c]),
        all.slice([0, c], [SHARDS, c]),
    );
    let mean = means.mean_axes(&[0]);
    let var = vars.mean_axes(&[0]) + (means - mean).square().mean_axes(&[0]);
    (x - mean) * (var + 0.01).rsqrt()
}

fn plan(step: &Step, shards: Shards, keep: Keep) -> Plan {
    let mut builder = Plan::of(step.loss.graph()).keep(keep).shards(shards);
    builder = builder.fetch("noise", step.noise).fetch("loss", step.loss);
    for (param, value) in &step.updates {
        builder = builder.update(*param, *value);
    }
    builder.compile().expect("no fault")
}

fn x() -> Vec<f32> {
    let value = |i: usize| ((i * 7919 % 1000) as f32 / 500.0 - 1.0).powi(3);
    (0..BATCH * WIDTH).map(value).collect()
}

fn store() -> Store {
    let mut store = Store::new(3);
    for (name, shape) in [("w", [WIDTH, UNITS]), ("u", [UNITS, 1])] {
        let n = shape[0] * shape[1];
        let values: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
        store.insert(name, shape, values).expect("fits");
    }
    store
}

/// What a rank has after five steps, with its noise and its loss of each.
fn train(comm: Arc<dyn Communicator>, keep: Keep) -> Result<(Store, Vec<f32>, Vec<f32>)> {
    let g = Graph::new();
    let shards = Shards::of_rank(comm.rank(), comm.size(), SHARDS)?;
    let plan = plan(&step(&g), shards.clone(), keep);
    let per_shard = BATCH / SHARDS;
    let rows = shards.own.start * per_shard..shards.own.end * per_shard;
    let x = x()[rows.start * WIDTH..rows.end * WIDTH].to_vec();
    let (mut store, mut cpu) = (store(), Cpu::new(&plan).among(comm));
    let (mut noise, mut losses) = (Vec::new(), Vec::new());
    for step in 0..5 {
        store.control.step = step;
        cpu.run(
            &plan,
            &mut store,
            &[Feed::new("x", [rows.len(), WIDTH], &x)],
        )?;
        noise.extend_from_slice(cpu.fetch(&plan, &store, "noise").expect("fetched"));
        losses.extend_from_slice(cpu.fetch(&plan, &store, "loss").expect("fetched"));
    }
    Ok((store, noise, losses))
}

/// What each of so many ranks has.
fn ranks(n: usize, keep: Keep) -> Vec<(Store, Vec<f32>, Vec<f32>)> {
    let threads = Threads::of(n).into_iter();
    let threads: Vec<_> = threads
        .map(|comm| std::thread::spawn(move || train(Arc::new(comm), keep)))
        .collect();
    let join = |t: std::thread::JoinHandle<_>| t.join().expect("no panic");
    threads
        .into_iter()
        .map(|t| join(t).expect("trained"))
        .collect()
}

#[test]
fn one_two_and_four_ranks_have_the_same_bits() {
    let one = ranks(1, Keep::Fetched).remove(0);
    assert!(one.2.iter().all(|loss| loss.is_finite()));
    assert_ne!(one.0, store(), "it has learnt");
    for (n, keep) in [
        (1, Keep::All),
        (2, Keep::Fetched),
        (4, Keep::Fetched),
        (4, Keep::All),
    ] {
        let all = ranks(n, keep);
        for (rank, (store, _, losses)) in all.iter().enumerate() {
            assert!(*store == one.0, "rank {rank} of {n}, Keep::{keep:?}");
            assert_eq!(*losses, one.2, "rank {rank} of {n}");
        }
        // Of each step the ranks' rows, one below the other, are those of one rank.
        let of_step = |step: usize| {
            let rows = all.iter().flat_map(|(_, noise, _)| {
                let n = noise.len() / 5;
                noise[step * n..(step + 1) * n].to_vec()
            });
            rows.collect::<Vec<f32>>()
        };
        let noise: Vec<f32> = (0..5).flat_map(of_step).collect();
        assert_eq!(noise, one.1);
    }
}

#[test]
fn what_is_drawn_does_not_depend_on_the_shards() {
    let g = Graph::new();
    let whole = g
        .normal("z", [BATCH, WIDTH], 0.0, 0.1)
        .evaluate(&[])
        .expect("drawn");
    let g = Graph::new();
    let shards = Shards {
        own: 2..4,
        of: SHARDS,
    };
    let z = g.normal("z", [BATCH / SHARDS, WIDTH], 0.0, 0.1);
    let plan = Plan::of(&g).shards(shards).fetch("z", z).compile();
    let mut plan = plan.expect("no fault");
    plan.ranks = 1; // nothing is said to others
    let mut reference = Reference::new();
    reference.run(&plan, &mut Store::new(0), &[]).expect("run");
    let half = BATCH * WIDTH / 2;
    assert_eq!(reference.fetch(&plan, "z"), Some(&whole[half..]));
}

/// Σ of a formula of normalised examples over the whole minibatch and its gradients in x: from shards, and without.
fn in_f64(shards: usize, x: &[f64]) -> [Vec<f64>; 3] {
    let g = Graph::new();
    let rows = BATCH / shards;
    let input = g.input("x", [rows, WIDTH]);
    let y = match shards {
        1 => {
            let [mean, var] = input.moments(&[0]);
            (input - mean) * (var + 0.01).rsqrt()
        }
        _ => normalised(input),
    };
    let formula = (y.tanh() * y).sum();
    let slope = g.grad(formula, &[input]).expect("reached")[0];
    let second = (slope.square() * (input + 2.0)).sum();
    let curve = g.grad(second, &[input]).expect("reached")[0];
    let [total, square] = [formula, second].map(|v| match shards {
        1 => v,
        _ => v.all_reduce(),
    });
    let plan = Plan::of(&g)
        .shards(Shards {
            own: 0..shards,
            of: shards,
        })
        .fetch("formula", total)
        .fetch("square", square)
        .fetch("slope", slope)
        .fetch("curve", curve)
        .compile()
        .expect("no fault");
    let mut reference = Reference::new();
    let env = ganforge_tensor::ops::Env::default();
    reference
        .evaluate(&plan, env, |_| x.to_vec())
        .expect("evaluated");
    let value = |name| reference.fetch(&plan, name).expect("fetched").to_vec();
    let sums = [value("formula"), value("square")].concat();
    [sums, value("slope"), value("curve")]
}

/// Statistics of the whole minibatch from those of its shards, by all_gather: both derivatives are those of the formula that
/// sees all examples, and of differences.
#[test]
fn derivatives_through_all_gather_are_those_of_the_whole_minibatch() {
    let x: Vec<f64> = x().iter().map(|&x| f64::from(x)).collect();
    let (from_shards, whole) = (in_f64(SHARDS, &x), in_f64(1, &x));
    for (a, b) in from_shards.iter().flatten().zip(whole.iter().flatten()) {
        assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} and {b}");
    }
    let h = 1e-6;
    for at in [0, 7, 33, BATCH * WIDTH - 1] {
        let moved = |by: f64| {
            let mut x = x.clone();
            x[at] += by;
            in_f64(SHARDS, &x)[0].clone()
        };
        let (up, down) = (moved(h), moved(-h));
        for (order, derivative) in from_shards[1..].iter().enumerate() {
            let numeric = (up[order] - down[order]) / (2.0 * h);
            let error = (numeric - derivative[at]).abs() / numeric.abs().max(1e-2);
            assert!(
                error < 1e-5,
                "order {}, at {at}: {numeric}, {}",
                order + 1,
                derivative[at]
            );
        }
    }
}

/// Σ_i L_i with L_i = i-th shard's mean of x · (sum over shards of x): each shard's x is in every shard's loss.
#[test]
fn the_gradient_of_a_sum_over_shards_has_the_losses_of_all_shards() {
    let g = Graph::new();
    let x = g.input("x", [1]);
    let loss = (x * x.all_reduce()).sum();
    let dx = g.grad(loss, &[x]).expect("reached")[0];
    let plan = Plan::of(&g)
        .shards(Shards { own: 0..4, of: 4 })
        .fetch("dx", dx);
    let plan = plan.compile().expect("no fault");
    let mut reference = Reference::new();
    let env = ganforge_tensor::ops::Env::default();
    let leaf = |_: &str| vec![1.0, 2.0, 3.0, 5.0];
    reference.evaluate(&plan, env, leaf).expect("evaluated");
    // Σ_i L_i = (Σ x)², of which the derivative is 2 Σ x, the same on all shards.
    assert_eq!(reference.fetch(&plan, "dx"), Some(&[22.0][..]));
}

/// As many rows of it as there are shards, however many ranks hold them, and nothing is sent.
#[test]
fn what_all_shards_have_is_gathered_from_each() {
    let g = Graph::new();
    let w = g.param("w", [3]);
    let all = w.all_gather(SHARDS);
    let mut store = Store::new(0);
    store
        .insert("w", [3], vec![1.0, 2.0, 3.0])
        .expect("a tensor");
    for ranks in [1, 2, 4] {
        let shards = Shards::of_rank(0, ranks, SHARDS).expect("fits");
        let plan = Plan::of(&g).shards(shards).fetch("all", all).compile();
        let mut plan = plan.expect("no fault");
        plan.ranks = 1; // nothing is said to others
        let mut cpu = Cpu::new(&plan);
        cpu.run(&plan, &mut store, &[]).expect("run");
        let expected = [1.0, 2.0, 3.0].repeat(SHARDS);
        assert_eq!(
            cpu.fetch(&plan, &store, "all"),
            Some(&expected[..]),
            "{ranks}"
        );
    }
}

#[test]
fn ranks_meet_in_the_same_order_and_gradients_in_one_exchange() {
    let meets = |rank| {
        let g = Graph::new();
        let shards = Shards::of_rank(rank, 2, SHARDS).expect("fits");
        let plan = plan(&step(&g), shards, Keep::Fetched);
        let is_met = |k: &Kernel| matches!(k, Kernel::Op(Op::AllReduce(_) | Op::AllGather(_)));
        let calls = plan
            .calls
            .iter()
            .enumerate()
            .filter(|(_, c)| is_met(&c.kernel));
        let calls = calls.map(|(i, c)| (i, c.kernel.to_string(), c.outs[0].shape));
        calls.collect::<Vec<_>>()
    };
    let found = meets(0);
    assert_eq!(found, meets(1));
    let names: Vec<&str> = found.iter().map(|c| c.1.as_str()).collect();
    assert_eq!(names[0], "all_gather", "{names:?}");
    assert_eq!(&names[names.len() - 3..], ["all_reduce"; 3], "{names:?}");
    let places: Vec<usize> = found[found.len() - 3..].iter().map(|c| c.0).collect();
    let first = places[0];
    assert_eq!(places, [first, first + 1, first + 2]);
}

#[test]
fn what_shards_cannot_do_is_refused() {
    let g = Graph::new();
    let (x, w) = (g.input("x", [2]), g.param("w", [2]));
    let shards = Shards { own: 0..2, of: 4 };
    let plan = Plan::of(&g)
        .shards(shards.clone())
        .update(w, w - x)
        .compile();
    let said = plan.map(drop).unwrap_err().to_string();
    assert_eq!(
        said,
        "update of w: its value differs between shards: no sum over all of them"
    );
    let plan = Plan::of(&g)
        .shards(shards)
        .fetch("sum", x.all_reduce())
        .compile();
    let (plan, mut store) = (plan.expect("no fault"), Store::new(0));
    let feeds = [Feed::new("x", [4], &[0.0; 4])];
    let run = Cpu::new(&plan).run(&plan, &mut store, &feeds);
    let expected = Error::Ranks { plan: 2, ranks: 1 };
    assert_eq!(run, Err(expected.clone()));
    assert_eq!(
        Reference::new().run(&plan, &mut store, &feeds),
        Err(expected)
    );
    for (rank, ranks, of) in [(0, 3, 6), (0, 8, 4), (2, 2, 4), (0, 0, 4)] {
        let refused = Shards::of_rank(rank, ranks, of);
        assert_eq!(refused, Err(Error::Shards { rank, ranks, of }));
    }
    // No rank's part: too few, across two parts, not there, none.
    for (own, of) in [(0..3, 4), (1..3, 4), (4..6, 4), (2..2, 4), (0..0, 0)] {
        let shards = Shards { own, of };
        let plan = Plan::of(&g).shards(shards.clone()).fetch("x", x).compile();
        let refused = matches!(plan.map(drop), Err(Error::Shards { .. }));
        assert!(refused, "{shards:?}");
    }
    let of = 1 << 16;
    let shards = |ranks| Shards::of_rank(0, ranks, of).expect("fits");
    let plan = |ranks| Plan::of(&g).shards(shards(ranks)).fetch("x", x).compile();
    let expected = Error::TooManyShards {
        own: 2048,
        most: 1024,
    };
    assert_eq!(plan(32).map(drop), Err(expected));
    assert_eq!(plan(64).map(drop), Ok(()));
    assert_eq!(
        plan(32).map(drop).unwrap_err().to_string(),
        "a rank would have 2048 shards, and can have 1024: there must be fewer shards (train.shards), or more ranks"
    );
    for own in [
        OwnShard { shards: 0, own: 0 },
        OwnShard { shards: 2, own: 2 },
    ] {
        let g = Graph::new();
        g.record(own, &[]);
        assert!(
            g.fault()
                .is_some_and(|f| f.to_string().contains("own_shard"))
        );
    }
    let g = Graph::new();
    g.input("x", []).all_gather(2);
    let fault = g.fault().expect("refused").to_string();
    assert!(fault.contains("a number has no rows to gather"), "{fault}");
}

/// As many as the plan has in all, whether a rank holds one of them, several or all.
#[test]
fn what_was_recorded_for_another_number_of_shards_is_refused() {
    let g = Graph::new();
    let x = g.input("x", [2]);
    for (op, y) in [
        ("all_gather", x.all_gather(2)),
        ("own_shard", x * g.own_shard(2)),
    ] {
        let compiled = |ranks, of| {
            let shards = Shards::of_rank(0, ranks, of).expect("fits");
            let plan = Plan::of(&g).shards(shards).fetch("y", y).compile();
            plan.map(drop)
        };
        assert_eq!(compiled(1, 2), Ok(()));
        assert_eq!(compiled(2, 2), Ok(()));
        for ranks in [1, 2, 4] {
            let said = compiled(ranks, 4).expect_err("refused").to_string();
            let (before, after) = (format!("{op} at "), " is of 2 shards, and the plan of 4");
            assert!(said.starts_with(&before) && said.ends_with(after), "{said}");
        }
    }
    // By itself, too, and only where it is asked for.
    let all = x.all_gather(2);
    let said = Plan::of(&g).fetch("all", all).compile().map(drop);
    let said = said.expect_err("refused").to_string();
    assert!(
        said.ends_with(" is of 2 shards, and the plan of 1"),
        "{said}"
    );
    assert_eq!(Plan::of(&g).fetch("x", x).compile().map(drop), Ok(()));
}

#[test]
fn devices_refuse_them_by_their_name() {
    let g = Graph::new();
    let x = g.input("x", [2]);
    for (op, y) in [
        ("all_reduce", x.all_reduce()),
        ("all_gather", x.all_gather(1)),
        ("own_shard", g.own_shard(2)),
    ] {
        let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
        let is_fed = plan.inputs.len();
        for device in devices() {
            let mut cuda = Cuda::new(&device, Precision::F32).expect("f32 is always there");
            let feeds = [Feed::new("x", [2], &[1.0, 2.0])];
            let run = cuda.run(&plan, &mut Store::new(0), &feeds[..is_fed]);
            assert_eq!(run, Err(Error::NoKernel { op }));
        }
    }
    assert_eq!(Op::from(AllReduce).name(), "all_reduce");
}
