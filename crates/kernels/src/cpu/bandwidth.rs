//! The machine's memory bandwidth, the reference for kernels that only move data.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

const RUNS: usize = 7;
/// Each run passes over the arrays until about this many bytes have moved.
const MOVED: usize = 256 << 20;
/// Smallest working set: three arrays of a page per thread.
const SMALLEST: usize = 3 * 4096;

/// Bandwidth in GB/s (1e9 bytes per second) of c = a + b over a working set of `bytes` bytes (a, b and c together) on
/// `threads` threads, each of which has its own part: two numbers read and one written per addition; the best of
/// several short runs.
///
/// What fits into a cache streams from there: measure with the size of the work that is to be compared.
///
/// # Panics
///
/// If the operating system refuses the threads.
pub fn measured_bandwidth_gbs(threads: usize, bytes: usize) -> f64 {
    let threads = threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads for measuring the bandwidth");
    let elements = (bytes / threads).max(SMALLEST) / 12;
    let passes = (MOVED / threads / (12 * elements)).max(1);
    let barrier = Barrier::new(threads);
    let runs = pool.broadcast(|_| {
        let (a, b) = (vec![1.0f32; elements], vec![2.0f32; elements]);
        let mut c = vec![0.0f32; elements];
        let mut fastest = f64::INFINITY;
        for _ in 0..RUNS {
            barrier.wait();
            let begin = Instant::now();
            for _ in 0..passes {
                add(black_box(&a), black_box(&b), &mut c);
                black_box(&mut c);
            }
            barrier.wait(); // all threads have moved their part when the time is taken
            fastest = fastest.min(begin.elapsed().as_secs_f64());
        }
        fastest
    });
    let seconds = runs.into_iter().fold(0.0, f64::max);
    (12 * elements * passes * threads) as f64 / seconds / 1e9
}

fn add(a: &[f32], b: &[f32], c: &mut [f32]) {
    for ((c, a), b) in c.iter_mut().zip(a).zip(b) {
        *c = a + b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_size_has_a_bandwidth() {
        for (threads, bytes) in [(1, 0), (2, 1 << 20), (3, 12_345_678)] {
            let gbs = measured_bandwidth_gbs(threads, bytes);
            assert!(
                gbs.is_finite() && gbs > 0.0,
                "{threads} threads, {bytes} bytes: {gbs}"
            );
        }
    }
}
