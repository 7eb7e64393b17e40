//! Fixed partitions over rayon: the start of a chunk depends only on the length, never on the number of threads.
//!
//! Nothing here allocates when it is called from a thread of a rayon pool.

use rayon::prelude::*;

/// Number of elements from which the whole-array kernels spread their work over the pool.
pub const PARALLEL_FROM: usize = 1 << 16;

/// Whether work over `elements` elements is worth spreading over the current pool.
///
/// The answer changes only who does the work; no kernel lets it change a result.
pub fn worth_splitting(elements: usize) -> bool {
    elements >= PARALLEL_FROM && rayon::current_num_threads() > 1
}

/// Calls `f(start, chunk)` on consecutive chunks of `chunk` elements of `out` (the last may be shorter).
///
/// `start` is the index of the chunk's first element. Runs in place when there is one chunk or one thread.
/// Panics if `chunk` is 0.
pub fn chunks_mut(out: &mut [f32], chunk: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    assert!(chunk > 0, "par::chunks_mut: chunk is 0");
    if out.len() <= chunk || rayon::current_num_threads() == 1 {
        for (i, part) in out.chunks_mut(chunk).enumerate() {
            f(i * chunk, part);
        }
    } else {
        out.par_chunks_mut(chunk)
            .enumerate()
            .for_each(|(i, part)| f(i * chunk, part));
    }
}

/// Calls `f(i, a_i, b_i)` on the i-th chunks of two outputs: `chunk_a` elements of `a`, `chunk_b` of `b`.
///
/// Both must have the same number of chunks. Runs in place when there is one chunk or one thread.
/// Panics if a chunk size is 0 or the numbers of chunks differ.
pub fn chunks_mut2(
    a: &mut [f32],
    chunk_a: usize,
    b: &mut [f32],
    chunk_b: usize,
    f: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    assert!(chunk_a > 0 && chunk_b > 0, "par::chunks_mut2: a chunk is 0");
    assert_eq!(
        a.len().div_ceil(chunk_a),
        b.len().div_ceil(chunk_b),
        "par::chunks_mut2: numbers of chunks differ"
    );
    if a.len() <= chunk_a || rayon::current_num_threads() == 1 {
        for (i, (pa, pb)) in a.chunks_mut(chunk_a).zip(b.chunks_mut(chunk_b)).enumerate() {
            f(i, pa, pb);
        }
    } else {
        a.par_chunks_mut(chunk_a)
            .zip(b.par_chunks_mut(chunk_b))
            .enumerate()
            .for_each(|(i, (pa, pb))| f(i, pa, pb));
    }
}

/// Runs both closures, at the same time where the current pool has more than one thread.
pub fn join(left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    if rayon::current_num_threads() == 1 {
        left();
        right();
    } else {
        rayon::join(left, right);
    }
}

/// Threads that work will probably be shared among. Outside of a pool the global one is not started to find out: that panics
/// where memory for its threads is short.
pub(super) fn expected_threads() -> usize {
    match rayon::current_thread_index() {
        Some(_) => rayon::current_num_threads(),
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    }

    #[test]
    fn chunks_cover_every_element_once_with_their_start() {
        for threads in 1..=3 {
            for n in [0, 1, 6, 7, 8, 50] {
                let mut out = vec![f32::NAN; n];
                pool(threads).install(|| {
                    chunks_mut(&mut out, 7, |start, part| {
                        assert!(part.len() <= 7 && start.is_multiple_of(7));
                        for (i, v) in part.iter_mut().enumerate() {
                            *v = (start + i) as f32;
                        }
                    })
                });
                assert!(out.iter().enumerate().all(|(i, &v)| v == i as f32));
            }
        }
    }

    #[test]
    fn paired_chunks_share_their_index() {
        for threads in 1..=3 {
            let (mut a, mut b) = (vec![f32::NAN; 11], vec![f32::NAN; 31]);
            pool(threads).install(|| {
                chunks_mut2(&mut a, 2, &mut b, 6, |i, pa, pb| {
                    pa.fill(i as f32);
                    pb.fill(i as f32);
                })
            });
            assert!(a.iter().enumerate().all(|(i, &v)| v == (i / 2) as f32));
            assert!(b.iter().enumerate().all(|(i, &v)| v == (i / 6) as f32));
        }
    }

    #[test]
    fn join_runs_both() {
        let (mut a, mut b) = (0, 0);
        join(|| a = 1, || b = 2);
        assert_eq!((a, b), (1, 2));
    }

    #[test]
    #[should_panic(expected = "numbers of chunks differ")]
    fn paired_chunks_must_match() {
        chunks_mut2(&mut [0.0; 4], 2, &mut [0.0; 9], 3, |_, _, _| {});
    }
}
