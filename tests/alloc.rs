//! After the first step training allocates nothing.

use std::alloc::System;

use ganforge::gan::config::Config;
use ganforge::gan::data::Images;
use ganforge::gan::trainer::Trainer;
use ganforge::kernels::cpu::gemm;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The paper's nets made narrower; every kind of layer, and an odd batch.
const SMALLER: [&str; 7] = [
    "train.batch=30",
    "generator.layer.h0.units=120",
    "generator.layer.h1.units=130",
    "discriminator.layer.h0.units=48",
    "discriminator.layer.h1.units=40",
    "optimizer.momentum.last=3",
    "generator.layer.h1.max_col_norm=1.9",
];

/// Allocations and reallocations in 25 steps after the first `kinds`; an epoch has 10.
fn allocations(config: &Config, kinds: usize) -> usize {
    let bytes: Vec<u8> = (0..310 * 784).map(|i| (i * 7919 % 256) as u8).collect();
    let mut trainer = Trainer::new(config, &Images::from_bytes(784, bytes)).expect("a trainer");
    for _ in 0..kinds {
        trainer.step().expect("a step");
    }
    rayon::broadcast(|_| ()); // a thread that starts late allocates what it keeps for itself
    let before = COUNTED.stats();
    for _ in 0..25 {
        trainer.step().expect("a step");
    }
    let change = COUNTED.stats() - before;
    change.allocations + change.reallocations
}

/// One test alone in this program: the allocator counts for all threads.
#[test]
fn steps_after_the_first_allocate_nothing() {
    if gemm::isa() == gemm::Isa::Portable {
        return testkit::skip("avx2", "the portable product allocates");
    }
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool").install(|| {
            for update in ["simultaneous", "alternating"] {
                let preset = Config::preset("mnist").and_then(|c| c.with(&SMALLER));
                let config = preset.and_then(|c| c.with(&[format!("train.update={update}")]));
                let config = config.expect("a configuration");
                let count = allocations(&config, 1);
                assert_eq!(count, 0, "{update} on {threads} threads");
                let penalties =
                    r#"discriminator.penalty=[{kind="r1", every=2}, {kind="l2", every=3}]"#;
                let lazy = config.with(&[penalties]).expect("a configuration");
                // Steps with both, with none and with either.
                let count = allocations(&lazy, 4);
                assert_eq!(count, 0, "lazy penalties, {update} on {threads} threads");
            }
        });
    }
}
