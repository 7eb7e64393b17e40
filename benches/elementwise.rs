//! Throughput of the kernels that are not matrix products, at the size of a hidden layer (100 x 1200) and at 1 M.
//!
//! Element-wise and random kernels run on one thread, as a caller's chunk does; `sum_to` and `maxout` spread over the
//! pool. Elements are input elements. Run with `cargo bench --manifest-path benches/Cargo.toml --bench elementwise`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ganforge_kernels::cpu::rng::RandomStream;
use ganforge_kernels::cpu::{elementwise, maxout, reduce, rng};
use std::hint::black_box;

const SIZES: [(&str, usize, usize); 2] = [("100x1200", 100, 1200), ("1M", 1000, 1000)];
const STREAM: RandomStream = RandomStream {
    key: 1,
    stream: 2,
    counter: 3,
};

fn bench(
    c: &mut Criterion,
    name: &str,
    run: impl Fn(usize, usize, &[f32], &mut [f32], &mut [f32]),
) {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(20)
        .measurement_time(std::time::Duration::from_secs(1));
    group.warm_up_time(std::time::Duration::from_millis(300));
    for (label, rows, columns) in SIZES {
        let n = rows * columns;
        let mut x = vec![0.0; n];
        rng::normal(STREAM, 0, 0.0, 2.0, &mut x);
        let (mut y, mut z) = (vec![0.0; n], vec![0.0; n]);
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::from_parameter(label), |b| {
            b.iter(|| run(rows, columns, black_box(&x), &mut y, &mut z));
        });
    }
    group.finish();
}

fn kernels(c: &mut Criterion) {
    bench(c, "add", |_, _, x, y, z| elementwise::add(x, z, y));
    bench(c, "relu", |_, _, x, y, _| elementwise::relu(x, y));
    bench(c, "exp", |_, _, x, y, _| elementwise::exp(x, y));
    bench(c, "log", |_, _, x, y, _| elementwise::log(x, y));
    bench(c, "tanh", |_, _, x, y, _| elementwise::tanh(x, y));
    bench(c, "sigmoid", |_, _, x, y, _| elementwise::sigmoid(x, y));
    bench(c, "softplus", |_, _, x, y, _| elementwise::softplus(x, y));
    bench(c, "bernoulli", |_, _, _, y, _| {
        rng::bernoulli(STREAM, 0, 0.5, 2.0, y)
    });
    bench(c, "uniform", |_, _, _, y, _| {
        rng::uniform(STREAM, 0, -1.7, 1.7, y)
    });
    bench(c, "normal", |_, _, _, y, _| {
        rng::normal(STREAM, 0, 0.0, 1.0, y)
    });
    bench(c, "sum_to columns", |b, n, x, y, _| {
        reduce::sum_to(x, &[b, n], &mut y[..n], &[n])
    });
    bench(c, "sum_to rows", |b, n, x, y, _| {
        reduce::sum_to(x, &[b, n], &mut y[..b], &[b, 1])
    });
    bench(c, "sum_to scalar", |b, n, x, y, _| {
        reduce::sum_to(x, &[b, n], &mut y[..1], &[])
    });
    bench(c, "maxout 5", |b, n, x, y, z| {
        let units = b * n / 5;
        maxout::maxout(5, x, &mut y[..units], &mut z[..units]);
    });
    bench(c, "maxout_bias 5", |b, n, x, y, z| {
        let units = b * n / 5;
        maxout::maxout_bias(5, x, &x[..n], n, &mut y[..units], &mut z[..units]);
    });
    bench(c, "maxout 2", |b, n, x, y, z| {
        let units = b * n / 2;
        maxout::maxout(2, x, &mut y[..units], &mut z[..units]);
    });
}

criterion_group!(benches, kernels);
criterion_main!(benches);
