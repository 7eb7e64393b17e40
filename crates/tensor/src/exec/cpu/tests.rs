//! Sums over ranks by themselves or packed: the same bits, and room that is made once.

use super::*;
use crate::graph::{Graph, Var};
use crate::ops::Window;
use crate::plan::Shards;
use ganforge_comm::Threads;

const SHARDS: usize = 4;
const STEPS: u64 = 3;

/// What a step updates.
type Updates<'g> = Vec<(Var<'g>, Var<'g>)>;

fn updates<'g>(loss: Var<'g>, params: &[Var<'g>]) -> Updates<'g> {
    let grads = loss.graph().grad(loss, params).expect("reached");
    // One behind another, so that they are one exchange.
    let sums: Vec<Var> = grads.into_iter().map(Var::all_reduce).collect();
    let step = |(param, sum): (&Var<'g>, Var<'g>)| (*param, *param - sum * 0.01);
    params.iter().zip(sums).map(step).collect()
}

/// Of 2^14 + 2^6, 2^12 and 2^6 weights: at two ranks the first is a large one.
fn mlp(g: &Graph) -> Updates<'_> {
    let x = g.input("x", [2, 257]);
    let (w, v) = (g.param("w", [257, 64]), g.param("v", [64, 64]));
    let u = g.param("u", [64, 1]);
    let y = x.matmul(w).tanh().matmul(v).tanh().matmul(u);
    updates(y.square().mean(), &[w, v, u])
}

/// Of 2^15, 9 · 2^4 and 2^4 weights: at two and four ranks the first is a large one.
fn convolutions(g: &Graph) -> Updates<'_> {
    let x = g.input("x", [2, 8, 8, 1]);
    let f = g.param("f", [3, 3, 1, 16]);
    let (w, b) = (g.param("w", [1024, 32]), g.param("b", [16]));
    let h = (x.conv2d(f, Window::same([8, 8], [3, 3], [1, 1])) + b).tanh();
    let y = h.reshape([2, 1024]).matmul(w);
    updates(y.square().mean(), &[f, w, b])
}

/// What one rank's store holds after some steps, with what is packed.
fn rank(
    comm: Threads,
    large_part: usize,
    step: for<'g> fn(&'g Graph) -> Updates<'g>,
) -> (Store, usize) {
    let g = Graph::new();
    let of = Shards::of_rank(comm.rank(), comm.size(), SHARDS).expect("fits");
    let updates = step(&g);
    let mut store = Store::new(0);
    for (param, _) in &updates {
        let values = (0..param.shape().elements()).map(|i| (i as f32 * 0.7).sin() * 0.1);
        let name = g.inner().label(param.id());
        let inserted = store.insert(&name, param.shape(), values.collect::<Vec<f32>>());
        inserted.expect("fits");
    }
    let mut builder = Plan::of(&g).shards(of.clone());
    for (param, value) in updates {
        builder = builder.update(param, value);
    }
    let plan = builder.compile().expect("no fault");
    let input = &plan.inputs[0];
    let n = input.shape.elements();
    let values = of.own.start * n / of.own.len()..of.own.end * n / of.own.len();
    let x: Vec<f32> = values.map(|i| (i as f32 * 1.3).cos()).collect();
    let mut cpu = Cpu::new(&plan).among(Arc::new(comm));
    cpu.large_part = large_part;
    let mut room = None;
    for step in 0..STEPS {
        store.control.step = step;
        let feeds = [Feed::new("x", input.shape, &x)];
        cpu.run(&plan, &mut store, &feeds).expect("run");
        let now = [&cpu.packed, &cpu.scratch].map(|v| (v.as_ptr(), v.capacity()));
        assert_eq!(*room.get_or_insert(now), now, "step {step} allocates");
    }
    (store, cpu.packed.len())
}

/// What each of `n` ranks has.
fn ranks(
    n: usize,
    large_part: usize,
    step: for<'g> fn(&'g Graph) -> Updates<'g>,
) -> Vec<(Store, usize)> {
    std::thread::scope(|scope| {
        let start = |comm| scope.spawn(move || rank(comm, large_part, step));
        let threads: Vec<_> = Threads::of(n).into_iter().map(start).collect();
        let join = threads.into_iter().map(|t| t.join().expect("no panic"));
        join.collect()
    })
}

#[test]
fn sums_have_the_same_bits_packed_or_not() {
    type Step = for<'g> fn(&'g Graph) -> Updates<'g>;
    let mlp = (
        mlp as Step,
        257 * 64 + 64 * 64 + 64,
        [4096 + 64, 257 * 64 + 4096 + 64],
    );
    let convolutions = (
        convolutions as Step,
        9 * 16 + 32 * 1024 + 16,
        [9 * 16 + 16; 2],
    );
    for (step, all, usual) in [mlp, convolutions] {
        let alone = ranks(1, LARGE_PART, step).remove(0).0;
        for (n, usual) in [2, 4].into_iter().zip(usual) {
            for (large_part, packed) in [(0, 0), (usize::MAX, all), (LARGE_PART, usual)] {
                for (store, found) in ranks(n, large_part, step) {
                    assert_eq!(found, packed, "{n} ranks, parts of {large_part}");
                    assert!(store == alone, "{n} ranks, parts of {large_part}");
                }
            }
        }
    }
}
