//! The ladders of `ganforge bench kernels` in criterion: the same kernels on the same work, each verified first.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench ladders -- "matmul/NN 100x1200"` keeps those whose names contain it.

use criterion::{BenchmarkId, Criterion, Throughput};
use ganforge_kernels::ladder::{Ladder, Work};
use std::time::Duration;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    for work in Work::all() {
        let mut ladder = Ladder::on_cpu(work);
        ladder.verify().expect("every rung is right");
        let mut group = criterion.benchmark_group(format!("{}/{work}", work.family()));
        group.throughput(Throughput::Elements(work.flops()));
        for rung in &mut ladder.rungs {
            let id = BenchmarkId::from_parameter(&rung.name);
            group.bench_function(id, |b| {
                b.iter(|| rung.run(1).expect("the CPU does not fail"))
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
