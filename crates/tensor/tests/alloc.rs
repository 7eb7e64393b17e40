//! A training step allocates nothing after the first, on any thread of the pool.

#[path = "all/common/mod.rs"]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::gan::Training;
use ganforge_tensor::{Cpu, Keep};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The allocations of steps 2..=10, all threads together.
fn allocations(threads: usize, keep: Keep) -> [usize; 9] {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool");
    pool.install(|| {
        let mut training = Training::new(keep);
        let mut cpu = Cpu::new(&training.plan);
        training.step(&mut cpu);
        std::array::from_fn(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            training.step(&mut cpu);
            ALLOCATIONS.load(Ordering::Relaxed) - before
        })
    })
}

// One test, so that no other one allocates meanwhile.
#[test]
fn steps_after_the_first_allocate_nothing() {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    drop(std::hint::black_box(vec![0u8; 64]));
    assert!(
        ALLOCATIONS.load(Ordering::Relaxed) > before,
        "allocations are counted"
    );
    for threads in [1, 2] {
        for keep in [Keep::Fetched, Keep::All] {
            assert_eq!(
                allocations(threads, keep),
                [0; 9],
                "{threads} threads, Keep::{keep:?}"
            );
        }
    }
}
