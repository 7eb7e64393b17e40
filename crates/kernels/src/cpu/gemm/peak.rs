//! The machine's peak, the reference for matrix products.

use super::{Isa, isa};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// Steps of one run, about 10 ms.
const STEPS: u64 = 1 << 21;
const RUNS: usize = 5;

/// Peak of multiply-adds in GFLOP/s (1e9 per second, 2 per element): a loop of independent FMAs in registers with the
/// instruction set that the kernels use, on `threads` threads at once; the best of several short runs.
///
/// # Panics
///
/// If the operating system refuses the threads.
pub fn measured_peak_gflops(threads: usize) -> f64 {
    let threads = threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads for measuring the peak");
    let barrier = Barrier::new(threads);
    let run = || {
        let begin = Instant::now();
        let flops = pool.broadcast(|_| {
            barrier.wait();
            run_fmas(STEPS)
        });
        flops.into_iter().sum::<f64>() / begin.elapsed().as_secs_f64() / 1e9
    };
    (0..RUNS).map(|_| run()).fold(0.0, f64::max)
}

/// Runs that many steps and returns the number of floating-point operations done.
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn run_fmas(steps: u64) -> f64 {
    match isa() {
        Isa::Portable => scalar(steps),
        // SAFETY: `isa` found AVX2 and FMA.
        Isa::Avx2 => unsafe { avx2(steps) },
        // SAFETY: `isa` found AVX-512F.
        Isa::Avx512 => unsafe { avx512(steps) },
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn run_fmas(steps: u64) -> f64 {
    debug_assert_eq!(isa(), Isa::Portable);
    scalar(steps)
}

/// Enough independent sums to hide the latency of an FMA, few enough for the registers.
const SUMS: usize = 12;

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx512f")]
fn avx512(steps: u64) -> f64 {
    use std::arch::x86_64::*;
    let x = _mm512_set1_ps(black_box(0.5));
    let mut sums = [x; SUMS];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, x, x);
        }
    }
    let total = sums.into_iter().fold(x, |s, y| _mm512_add_ps(s, y));
    black_box(_mm512_reduce_add_ps(total));
    (steps * 2 * 16 * SUMS as u64) as f64
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2,fma")]
fn avx2(steps: u64) -> f64 {
    use std::arch::x86_64::*;
    let x = _mm256_set1_ps(black_box(0.5));
    let mut sums = [x; SUMS];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, x, x);
        }
    }
    let total = sums.into_iter().fold(x, |s, y| _mm256_add_ps(s, y));
    black_box(_mm256_cvtss_f32(total));
    (steps * 2 * 8 * SUMS as u64) as f64
}

/// Multiplications and additions as the compiler vectorises them.
fn scalar(steps: u64) -> f64 {
    let x = black_box(0.5f32);
    let mut sums = [x; 4 * SUMS];
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = *sum * x + x;
        }
    }
    black_box(sums);
    (steps * 2 * 4 * SUMS as u64) as f64
}
