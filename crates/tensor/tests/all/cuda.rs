//! The executor on a device: what lies there and what does not, what shares a launch, and what is refused.

use crate::common::{Case, Rng, devices, kernel};
use ganforge_kernels::cuda::{Device, Error as DeviceError, Precision};
use ganforge_ptxvm::Interpreter;
use ganforge_tensor::{Cpu, Cuda, Error, Executor, Feed, Graph, Keep, Plan, Reference, Store, Var};

/// Runs a graph's plan on each device, where it must have the bits of every value by itself; how many launches it is.
#[track_caller]
fn launches(record: impl for<'g> Fn(&mut Case<'g>)) -> usize {
    let g = Graph::new();
    let mut case = Case::new(&g, 5);
    record(&mut case);
    case.check_devices("joined", 2, Precision::F32);
    let plan = case.plan(Keep::Fetched);
    let mut cuda = Cuda::new(&devices()[0], Precision::F32).expect("f32 is always there");
    cuda.prepare(&plan).expect("lowered");
    cuda.launches(&plan).expect("prepared")
}

/// Factors whose product is [m, n].
fn factors<'g>(case: &mut Case<'g>, [m, n, k]: [usize; 3]) -> [Var<'g>; 2] {
    let mut rng = Rng::new(7);
    let a = case.param("a", [m, k], rng.reals(m * k));
    [a, case.input("b", [k, n], rng.reals(k * n))]
}

#[test]
fn a_factor_of_a_product_joins_its_launch() {
    for dims in [[20, 33, 200], [5, 7, 3], [40, 1, 9]] {
        let [m, n, _] = dims;
        let product = |finish: for<'g> fn(Var<'g>, Var<'g>) -> Var<'g>| {
            launches(|case| {
                let [a, b] = factors(case, dims);
                let other = case.input("c", [m, n], Rng::new(8).reals(m * n));
                case.fetches = vec![finish(a.matmul(b), other)];
            })
        };
        assert_eq!(product(|ab, c| ab * c), 1);
        assert_eq!(product(|ab, c| c * ab), 1);
        assert_eq!(product(|ab, c| c.step_mul(0.0, ab)), 1);
        assert_eq!(product(|ab, c| c.step_mul(0.2, ab)), 1);
        // The product itself is asked for its sign here, or is read twice.
        assert_eq!(product(|ab, c| ab.step_mul(0.0, c)), 2);
        assert_eq!(product(|ab, c| (ab * c).sum() + ab.sum()), 3);
    }
}

#[test]
fn a_fetched_product_is_written_by_itself() {
    let n = launches(|case| {
        let [a, b] = factors(case, [20, 33, 40]);
        let c = case.input("c", [20, 33], Rng::new(8).reals(660));
        let ab = a.matmul(b);
        case.fetches = vec![ab, ab * c];
    });
    assert_eq!(n, 2);
}

#[test]
fn a_product_does_not_wait_beyond_an_update_of_its_factor() {
    // c is there only after a has its new value.
    let n = launches(|case| {
        let [a, b] = factors(case, [20, 33, 40]);
        let ab = a.matmul(b);
        let a_new = a * 0.5;
        case.updates = vec![(a, a_new)];
        let c = a_new.sum().exp() + case.input("c", [20, 33], Rng::new(8).reals(660));
        case.fetches = vec![ab * c];
    });
    assert!(n >= 4, "{n} launches");
}

#[test]
fn dropout_joins_the_maxout_before_it() {
    let maxout = |keeps_mask: bool, fetches_maxima: bool| {
        launches(|case| {
            let x = case.input("x", [7, 65], Rng::new(9).reals(7 * 65));
            let index = x.arg_max(5);
            let (y, mask) = (
                x.take(index, 5),
                case.g.bernoulli("mask", [7, 13], 0.8, 1.25),
            );
            case.fetches = vec![y * mask, index];
            case.fetches.extend(keeps_mask.then_some(mask));
            case.fetches.extend(fetches_maxima.then_some(y));
        })
    };
    assert_eq!(maxout(false, false), 1);
    assert_eq!(maxout(true, false), 1);
    assert_eq!(maxout(true, true), 2);
}

#[test]
fn a_loss_is_summed_where_it_is_computed() {
    let loss = |n: usize, fetches_slope: bool, finish: for<'g> fn(Var<'g>) -> Var<'g>| {
        launches(|case| {
            let a = case.input("a", [n, 1], Rng::new(15).reals(n));
            case.fetches = vec![finish(a.softplus())];
            case.fetches.extend(fetches_slope.then_some(a.sigmoid()));
        })
    };
    for n in [2, 5, 100, 257, 1024] {
        let sum = loss(n, false, |y| y.sum_to([1]));
        assert_eq!(sum, 1, "{n} logits");
    }
    assert_eq!(loss(100, false, |y| y.sum() + y.sum()), 3);
    assert_eq!(loss(100, true, |y| y.sum()), 2);
    // Long sums are cut into parts, which a second launch adds.
    assert_eq!(loss(1025, false, |y| y.sum()), 1);
    assert_eq!(loss(4096, false, |y| y.sum()), 2);
    assert_eq!(loss(100, false, |y| y.reshape([10, 10]).sum_to([10])), 1);
    assert_eq!(loss(5000, true, |y| y.reshape([100, 50]).sum_to([50])), 2);
    assert_eq!(
        loss(5000, false, |y| y.reshape([100, 50]).sum_to([100, 1])),
        1
    );
    let beside = launches(|case| {
        let a = case.input("a", [100], Rng::new(16).reals(100));
        let y = a + 0.5;
        case.fetches = vec![y, y.square().sum()];
    });
    assert_eq!(beside, 1);
}

#[test]
fn sums_of_one_pass_are_one_launch() {
    let sums = |rows: usize, width: usize, count: usize| {
        launches(|case| {
            let shape = [rows, width];
            let mut rng = Rng::new(17);
            let x = case.input("x", shape, rng.reals(rows * width));
            let y = case.input("y", shape, rng.reals(rows * width));
            let each = [x, x * y, x.square() + y, (y - x).abs()];
            case.fetches = vec![x.exp() * y];
            case.fetches
                .extend(each[..count].iter().map(|v| v.sum_to([width])));
        })
    };
    for (rows, width) in [(3, 5), (40, 70), (100, 1), (2, 9)] {
        for count in 1..=4 {
            assert!(
                sums(rows, width, count) <= 2,
                "{count} sums of {rows} x {width}"
            );
        }
    }
    // Long ones are cut into parts, which one launch more adds, all of them.
    assert_eq!([1, 2, 4].map(|count| sums(4096, 3, count)), [3; 3]);
    assert_eq!([1, 2, 4].map(|count| sums(5000, 1, count)), [3; 3]);
}

#[test]
fn the_gradient_of_a_maxout_bias_is_summed_without_its_zeros() {
    let gradient = |batch: usize, units: usize| {
        launches(|case| {
            let mut rng = Rng::new(18);
            let dy = case.input("dy", [batch, units], rng.reals(batch * units));
            let x = case.input("x", [batch, units * 5], rng.reals(batch * units * 5));
            case.fetches = vec![dy.put(x.arg_max(5), 5).sum_to([units * 5])];
        })
    };
    for (batch, units) in [(1, 7), (100, 24), (9, 1), (1000, 13)] {
        assert_eq!(gradient(batch, units), 2, "[{batch}, {units}]");
    }
}

#[test]
fn random_numbers_and_dropout_have_kernels_of_their_own() {
    let n = launches(|case| {
        let x = case.input("x", [33, 5], Rng::new(17).reals(165));
        let g = case.g;
        case.fetches = vec![
            g.uniform("u", [7, 9], -2.0, 3.0),
            g.normal("n", [63], 0.5, 2.0),
            g.bernoulli("b", [3], 0.3, 2.0),
            g.bernoulli("ones", [6], 1.0, 1.0),
            x * g.bernoulli("m", [33, 5], 0.8, 1.25),
        ];
    });
    assert_eq!(n, 5);
}

#[test]
fn what_must_not_join_does_not() {
    // The product reads p, which what follows it writes.
    let n = launches(|case| {
        let mut rng = Rng::new(11);
        let p = case.param("p", [100, 100], rng.reals(10_000));
        let [b, c] = ["b", "c"].map(|name| case.input(name, [100, 100], rng.reals(10_000)));
        case.updates = vec![(p, p.matmul(b) * c)];
    });
    assert_eq!(n, 2);
    // The index is read by what has joined the product before the maxima are masked.
    launches(|case| {
        let mut rng = Rng::new(12);
        let x = case.input("x", [7, 65], rng.reals(7 * 65));
        let [a, b] = [("a", [7, 9]), ("b", [9, 13])]
            .map(|(name, dims)| case.input(name, dims, rng.reals(dims[0] * dims[1])));
        let index = x.arg_max(5);
        let y = x.take(index, 5);
        let t = a.matmul(b) * index;
        let mask = case.g.bernoulli("mask", [7, 13], 0.8, 1.25);
        case.fetches = vec![y * mask, t.sum()];
    });
    // One row of maxima for all rows of the mask.
    let n = launches(|case| {
        let x = case.input("x", [1, 65], Rng::new(13).reals(65));
        let mask = case.g.bernoulli("mask", [7, 13], 0.8, 1.25);
        case.fetches = vec![x.maxout(5) * mask];
    });
    assert_eq!(n, 2);
}

#[test]
fn values_lie_where_the_plan_says_where_there_is_no_memory_for_more() {
    let g = Graph::new();
    let (x, w) = (g.input("x", [64, 64]), g.param("w", [64, 64]));
    let y = (0..40).fold(x, |y, _| y.matmul(w).softplus());
    let plan = Plan::of(&g).fetch("y", y.sum()).compile();
    let plan = plan.expect("no fault");
    let (data, mut store) = (Rng::new(14).reals(4096), Store::new(1));
    let weights: Vec<f32> = data.iter().map(|x| 0.05 * x).collect();
    store.insert("w", [64, 64], weights).expect("fits");
    // Values by themselves with 1 KiB beside: no room for the parts of sums, which fail after them.
    let apart = (2 * 40 + 2) * 64 * 64 * 4 + 1024;
    let results = [2 << 30, apart, 300_000].map(|bytes| {
        let device = Device::new(Interpreter::new((9, 0), bytes));
        let mut cuda = Cuda::new(&device, Precision::F32).expect("small");
        let feeds = [Feed::new("x", [64, 64], &data)];
        cuda.run(&plan, &mut store, &feeds).expect("fits");
        cuda.fetch(&plan, &store, "y").expect("fetched").to_vec()
    });
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
}

/// All sums of one program are of its inputs, also where its other results lie on them.
#[test]
fn sums_of_a_program_are_of_what_its_results_overwrite() {
    let g = Graph::new();
    let mut case = Case::new(&g, 1);
    let mut rng = Rng::new(21);
    let w = case.param("w", [64, 9], rng.reals(64 * 9));
    let dw = case.input("dw", [64, 9], rng.reals(64 * 9));
    let w1 = w - dw * 0.5;
    case.updates = vec![(w, w1)];
    case.fetches = vec![w1.square().sum_axes(&[0]), w.sum_axes(&[0])];
    let plan = case.plan(Keep::Fetched);
    assert!(plan.calls.iter().any(|c| kernel(c) == "sums of a program"));
    assert!(plan.calls.iter().all(|c| kernel(c) != "copy"));
    case.check_devices("a parameter", 2, Precision::F32);
}

/// As above, of a value that dies, where there is no memory for each value by itself.
#[test]
fn sums_of_a_program_are_of_a_value_that_another_takes_the_place_of() {
    let g = Graph::new();
    let (a, b) = (g.input("a", [64, 64]), g.input("b", [64, 64]));
    let h = (0..40).fold(a, |h, _| h.matmul(b));
    let y = h.exp();
    let plan = Plan::of(&g).fetch("y", y);
    let plan = plan.fetch("squares", y.square().sum_axes(&[0]));
    let plan = plan.fetch("sum", h.sum_axes(&[0]));
    let plan = plan.compile().expect("no fault");
    assert!(plan.calls.iter().any(|c| kernel(c) == "sums of a program"));
    let mut rng = Rng::new(22);
    let (a, b) = (rng.reals(4096), rng.reals(4096));
    let b: Vec<f32> = b.iter().map(|b| 0.2 * b).collect();
    let results = [2 << 30, 300_000].map(|bytes| {
        let device = Device::new(Interpreter::new((9, 0), bytes));
        let mut cuda = Cuda::new(&device, Precision::F32).expect("small");
        let (mut store, shape) = (Store::new(1), [64, 64]);
        let feeds = [Feed::new("a", shape, &a), Feed::new("b", shape, &b)];
        cuda.run(&plan, &mut store, &feeds).expect("fits");
        ["y", "squares", "sum"].map(|name| {
            let value = cuda.fetch(&plan, &store, name);
            value.expect("fetched").to_vec()
        })
    });
    assert_eq!(results[0], results[1]);
}

#[test]
fn a_plan_that_runs_again_is_one_graph_whose_single_numbers_come_by_one_copy() {
    for device in devices() {
        let g = Graph::new();
        let (x, w) = (g.input("x", [5, 7]), g.param("w", [7]));
        let y = x * w;
        let plan = Plan::of(&g).fetch("sum", y.sum()).fetch("y", y.exp());
        let plan = plan.fetch("mean", x.mean()).update(w, w * 0.5);
        let plan = plan.compile().expect("no fault");
        let mut stores = [Store::new(1), Store::new(1)];
        for store in &mut stores {
            store.insert("w", [7], vec![0.5; 7]).expect("fits");
        }
        let mut cuda = Cuda::new(&device, Precision::F32).expect("f32 is always there");
        let (mut cpu, mut rng) = (Cpu::new(&plan), Rng::new(3));
        for _ in 0..4 {
            let x = rng.reals(35);
            let feeds = [Feed::new("x", [5, 7], &x)];
            cuda.run(&plan, &mut stores[0], &feeds).expect("runs");
            cpu.run(&plan, &mut stores[1], &feeds).expect("runs");
            for (name, bound) in [("sum", 1e-5), ("y", 0.0), ("mean", 1e-6)] {
                let there = cuda.fetch(&plan, &stores[0], name).expect("fetched");
                let here = cpu.fetch(&plan, &stores[1], name).expect("fetched");
                let far = |(a, b): (&f32, &f32)| (a - b).abs() > bound;
                assert!(
                    !there.iter().zip(here).any(far),
                    "{name}: {there:?}, {here:?}"
                );
            }
        }
    }
}

#[test]
fn parameters_of_one_rule_are_updated_by_one_launch() {
    let momentum = |reads_between: bool| {
        launches(|case| {
            let mut rng = Rng::new(10);
            for n in [1, 3, 700, 2] {
                let [p, v, dp] = ["p", "v", "g"]
                    .map(|name| case.param(&format!("{name}{n}"), [n], rng.reals(n)));
                let v_new = v * 0.5 - dp * 0.1;
                case.updates.extend([(v, v_new), (p, p + v_new)]);
                if reads_between && n == 3 {
                    case.fetches.push((p + v_new).exp().sum());
                }
            }
        })
    };
    assert_eq!(momentum(false), 1);
    assert_eq!(momentum(true), 2);
}

#[test]
fn a_store_that_was_changed_is_copied_again() {
    for device in devices() {
        let g = Graph::new();
        let p = g.param("p", [3]);
        let plan = Plan::of(&g).fetch("y", p.square()).update(p, p + 1.0);
        let plan = plan.compile().expect("no fault");
        let mut store = Store::new(1);
        store.insert("p", [3], vec![1.0, 2.0, 3.0]).expect("fits");
        let mut cuda = Cuda::new(&device, Precision::F32).expect("f32 is always there");
        let mut run = |store: &mut Store| {
            cuda.run(&plan, store, &[]).expect("runs");
            cuda.fetch(&plan, store, "y").expect("fetched").to_vec()
        };
        assert_eq!(run(&mut store), [1.0, 4.0, 9.0]);
        assert_eq!(run(&mut store), [4.0, 9.0, 16.0]);
        let mut other = store.clone();
        store.insert("p", [3], vec![0.0; 3]).expect("fits");
        assert_eq!(run(&mut store), [0.0; 3]);
        assert_eq!(store.get("p").expect("there").data, [1.0; 3]);
        assert_eq!(run(&mut other), [9.0, 16.0, 25.0]);
    }
}

#[test]
fn plans_that_are_gone_give_their_memory_back() {
    let device = Device::new(Interpreter::default());
    let mut cuda = Cuda::new(&device, Precision::F32).expect("f32 is always there");
    let g = Graph::new();
    let x = g.input("x", [100]);
    let plan = || {
        Plan::of(&g)
            .fetch("y", x.exp() * x)
            .compile()
            .expect("no fault")
    };
    let mut free = Vec::new();
    for _ in 0..3 {
        let plan = plan();
        let feeds = [Feed::new("x", [100], &[0.5; 100])];
        cuda.run(&plan, &mut Store::new(1), &feeds).expect("runs");
        free.push(device.free_bytes().expect("counted"));
    }
    assert!(free.iter().all(|f| *f == free[0]), "{free:?}");
    let all = 2 << 30;
    drop(cuda);
    assert_eq!(device.free_bytes(), Ok(all));
}

#[test]
fn exhausted_memory_says_what_was_asked_for_and_what_is_free() {
    let device = Device::new(Interpreter::new((9, 0), 10_000));
    let mut cuda = Cuda::new(&device, Precision::F32).expect("small");
    let g = Graph::new();
    let y = g.input("x", [3000]).exp();
    let plan = Plan::of(&g).fetch("y", y).compile().expect("no fault");
    let feeds = [Feed::new("x", [3000], &[0.0; 3000])];
    let error = cuda
        .run(&plan, &mut Store::new(1), &feeds)
        .expect_err("too large");
    assert!(
        matches!(
            error,
            Error::Device(DeviceError::Memory { asked: 12_000, .. })
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("asked for 12000 bytes"),
        "{error}"
    );
}

#[test]
fn indices_outside_of_their_table_are_errors() {
    for device in devices().into_iter().take(1) {
        let g = Graph::new();
        let (x, index) = (g.input("x", [2, 6]), g.input("i", [2, 2]));
        let fed = Plan::of(&g).fetch("y", x.take(index, 3));
        let fed = fed.compile().expect("no fault");
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 2.0, 3.0];
        let feeds = [
            Feed::new("x", [2, 6], &values),
            Feed::new("i", [2, 2], &[0.0, 1.0, 2.0, 3.0]),
        ];
        let mut cuda = Cuda::new(&device, Precision::F32).expect("f32 is always there");
        let there = cuda.run(&fed, &mut Store::new(1), &feeds);
        let here = Cpu::new(&fed).run(&fed, &mut Store::new(1), &feeds);
        assert_eq!(there, here);
        assert!(matches!(here, Err(Error::Index { position: 3, .. })));
        // Computed there, it traps.
        let computed = Plan::of(&g).fetch("y", x.take(index + 1.0, 3));
        let computed = computed.compile().expect("no fault");
        let error = cuda
            .run(&computed, &mut Store::new(1), &feeds)
            .expect_err("no such piece");
        assert!(error.to_string().contains("take_v1_f32"), "{error}");
    }
}

#[test]
fn precisions_are_within_their_rounding_and_need_tensor_cores() {
    let old = Device::new(Interpreter::new((7, 5), 1 << 20));
    let error = Cuda::new(&old, Precision::Tf32)
        .err()
        .expect("no tensor cores for it");
    assert!(
        error
            .to_string()
            .contains("compute capability 8.0, this device has 7.5"),
        "{error}"
    );
    let (m, n, k) = (40, 33, 50);
    let mut rng = Rng::new(4);
    let (a, b, bias) = (rng.reals(m * k), rng.reals(k * n), rng.reals(n));
    let g = Graph::new();
    let product = g.input("a", [m, k]).matmul(g.input("b", [k, n])) + g.input("bias", [n]);
    let plan = Plan::of(&g)
        .fetch("y", product.relu())
        .compile()
        .expect("no fault");
    let feeds = [
        Feed::new("a", [m, k], &a),
        Feed::new("b", [k, n], &b),
        Feed::new("bias", [n], &bias),
    ];
    let mut exact = Reference::new();
    exact.run(&plan, &mut Store::new(1), &feeds).expect("runs");
    let exact = exact.fetch(&plan, "y").expect("fetched");
    for device in devices()
        .into_iter()
        .filter(|d| d.about().capability >= (8, 0))
    {
        for (precision, bits) in [(Precision::Tf32, 11), (Precision::Bf16, 8)] {
            let mut cuda = Cuda::new(&device, precision).expect("capable");
            let mut store = Store::new(1);
            cuda.run(&plan, &mut store, &feeds).expect("runs");
            let got = cuda.fetch(&plan, &store, "y").expect("fetched");
            // Each factor below 1 is rounded by at most 2^-bits; f32 sums are far finer.
            let bound = k as f64 * 2.0 * 0.5f64.powi(bits) * 1.01;
            let worst = got
                .iter()
                .zip(exact)
                .map(|(g, e)| (f64::from(*g) - e).abs());
            let worst = worst.fold(0.0, f64::max);
            assert!(
                worst <= bound && worst > 1e-6,
                "{precision:?}: {worst} of {bound}"
            );
        }
    }
}

/// A maxout layer between two others, of sizes whose products go to tensor cores, some of them in parts.
#[test]
fn fused_and_unfused_products_on_tensor_cores_have_the_same_bits() {
    let g = Graph::new();
    let (mut rng, mut case) = (Rng::new(6), Case::new(&g, 3));
    case.store.control.set("mu", 0.5);
    case.store.control.set("lr", 0.25);
    let (batch, inputs, wide, pieces) = (20, 36, 195, 5);
    let x = case.input("x", [batch, inputs], rng.reals(batch * inputs));
    let mut param = |name: &str, m: usize, n: usize| {
        let scaled = rng.reals(m * n).iter().map(|x| 0.1 * x).collect();
        case.param(name, [m, n], scaled)
    };
    let (w0, w) = (param("w0", inputs, 150), param("w", 150, wide));
    let (v, v0) = (param("v", 150, wide), param("v0", inputs, 150));
    let h = x.matmul(w0).relu();
    let loss = h.matmul(w).maxout(pieces).square().sum();
    let grads = g.grad(loss, &[w0, w]).expect("reached");
    for (p, v, dp) in [(w0, v0, grads[0]), (w, v, grads[1])] {
        let v1 = v * g.scalar("mu") - dp * g.scalar("lr");
        case.updates.extend([(v, v1), (p, p + v1)]);
    }
    case.fetches = vec![loss];
    let plan = case.plan(Keep::Fetched);
    let kernels: Vec<&str> = plan.calls.iter().map(kernel).collect();
    for fused in ["maxout input gradient step", "maxout momentum", "momentum"] {
        assert!(kernels.contains(&fused), "{kernels:?}");
    }
    for precision in [Precision::Tf32, Precision::Bf16] {
        case.check_devices(precision.name(), 2, precision);
    }
}

#[test]
fn every_value_of_a_plan_that_keeps_all_can_be_read() {
    let g = Graph::new();
    let x = g.input("x", [4]);
    let (y, p) = (x.square(), g.param("p", [4]));
    let plan = Plan::of(&g)
        .fetch("z", (y * p).sum())
        .keep(Keep::All)
        .compile()
        .expect("no fault");
    let mut store = Store::new(1);
    store.insert("p", [4], vec![2.0; 4]).expect("fits");
    for device in devices() {
        let mut cuda = Cuda::new(&device, Precision::F32).expect("f32 is always there");
        assert_eq!(cuda.value(&plan, &store, y.id()), Ok(None));
        let feeds = [Feed::new("x", [4], &[1.0, 2.0, 3.0, 4.0])];
        cuda.run(&plan, &mut store, &feeds).expect("runs");
        let value = |node| cuda.value(&plan, &store, node).expect("read");
        assert_eq!(value(y.id()).as_deref(), Some(&[1.0, 4.0, 9.0, 16.0][..]));
        assert_eq!(value(p.id()).as_deref(), Some(&[2.0; 4][..]));
        assert_eq!(value(x.id()), None);
    }
}
