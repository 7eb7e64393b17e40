//! Every GPU kernel, as the PTX that ships, against the CPU: bit for bit where it computes the same way, else within the
//! bound of its sums.
//!
//! They run in the interpreter and, where there is one, on a GPU; counts, and launches that fail, in the interpreter alone. It
//! stops at the first access out of bounds, uninitialised read, data race or divergent barrier, so that each
//! of these tests is also a test that the kernel does nothing of the kind at that size. Outputs begin unwritten, and
//! reading them back fails where an element was missed.

mod control;
mod conv;
mod device;
mod elementwise;
mod layout;
mod matmul;
mod matvec;
mod maxout;
mod parzen;
mod peak;
mod pool;
mod random;
mod reduce;
mod rows;
mod tensor_cores;

use device::{Arg, Device, Pointer, everywhere, everywhere_from};
use ganforge_kernels::cpu::rng::{self, RandomStream};
use ganforge_ptxvm::Launch;
use ganforge_tensor::{Cpu, Executor, Feed, Graph, Keep, Plan, Reference, Shape, Store, Var};

/// Half an ulp of 1, the rounding error of one f32 operation.
const U: f64 = 1.0 / 16_777_216.0;

/// Launches for `n` threads in blocks of 256.
fn threads(n: usize) -> Launch {
    Launch::new(n.div_ceil(256).max(1) as u32, 256)
}

/// Numbers in [-1, 1).
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let stream = RandomStream {
        key: seed,
        stream: 5,
        counter: 0,
    };
    let mut x = vec![0.0; n];
    rng::uniform(stream, 0, -1.0, 1.0, &mut x);
    x
}

/// Whole numbers below `below`, as floats.
fn indices(n: usize, below: usize, seed: u64) -> Vec<f32> {
    let scale = below as f32 / 2.0;
    let index = |x: f32| ((x + 1.0) * scale).floor().min(below as f32 - 1.0);
    numbers(n, seed).into_iter().map(index).collect()
}

type Formula<'a> = &'a dyn for<'g> Fn(&'g Graph, &[Var<'g>]) -> Var<'g>;

/// The formula of the inputs (shape, values) in f64 by plain loops, and in f32 by the CPU's executor.
fn on_cpu(inputs: &[(&[usize], &[f32])], formula: Formula) -> (Vec<f64>, Vec<f32>) {
    let g = Graph::new();
    let names: Vec<String> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
    let shapes: Vec<Shape> = inputs.iter().map(|x| Shape::new(x.0)).collect();
    let x: Vec<Var> = names
        .iter()
        .zip(&shapes)
        .map(|(n, s)| g.input(n, *s))
        .collect();
    let plan = Plan::of(&g).fetch("y", formula(&g, &x)).keep(Keep::All);
    let plan = plan.compile().expect("a valid formula");
    let feeds = names.iter().zip(&shapes).zip(inputs);
    let feeds: Vec<Feed> = feeds.map(|((n, s), x)| Feed::new(n, *s, x.1)).collect();
    let (mut reference, mut cpu) = (Reference::new(), Cpu::new(&plan));
    let mut store = Store::new(1);
    reference
        .run(&plan, &mut store, &feeds)
        .expect("everything is fed");
    cpu.run(&plan, &mut store, &feeds)
        .expect("everything is fed");
    let exact = reference.fetch(&plan, "y").expect("fetched").to_vec();
    let f32s = cpu.fetch(&plan, &store, "y").expect("fetched").to_vec();
    (exact, f32s)
}

/// Equal bits, or both not a number.
#[track_caller]
fn assert_same(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
        let same = g.to_bits() == e.to_bits() || g.is_nan() && e.is_nan();
        assert!(same, "{what}: at {i}: {g:e}, expected {e:e}");
    }
}

/// |got - exact| <= terms · u · magnitude + ulps of the result. `magnitude`: the same sums of absolute values.
#[track_caller]
fn assert_near(what: &str, got: &[f32], exact: &[f64], terms: usize, magnitude: &[f64]) {
    assert_eq!(got.len(), exact.len(), "{what}");
    for (i, (&g, &e)) in got.iter().zip(exact).enumerate() {
        let bound = terms as f64 * U * magnitude[i] + 2.0 * U * e.abs() + 1e-40;
        let error = (f64::from(g) - e).abs();
        assert!(
            error <= bound,
            "{what}: at {i}: {g:e}, exactly {e:e}: {error:e} > {bound:e}"
        );
    }
}

fn absolute(x: &[f32]) -> Vec<f32> {
    x.iter().map(|x| x.abs()).collect()
}

/// A struct of 4-byte words, passed by value.
fn words(values: &[u32]) -> Arg {
    Arg::Bytes(values.iter().flat_map(|v| v.to_le_bytes()).collect())
}
