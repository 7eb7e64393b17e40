//! A program that runs out of memory ends with its message and exit code, even where nothing at all can be allocated any more.

#![cfg(unix)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's memory, until there is none.
struct Limited;

static IS_USED_UP: AtomicBool = AtomicBool::new(false);

// SAFETY: null is what an allocator returns where it has nothing; all else is the system's.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match IS_USED_UP.load(Ordering::Relaxed) {
            true => std::ptr::null_mut(),
            // SAFETY: the caller's promise is that of the system's allocator.
            false => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as for `alloc`; the block is the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static MEMORY: Limited = Limited;

const PART: &str = "GANFORGE_TEST_PART";

/// Runs this test again in a process of its own, which does that part.
fn part(name: &str) -> Output {
    let this = std::env::current_exe().expect("this program");
    let mut again = Command::new(this);
    again.args(["--exact", "failed_allocations_end_with_the_message"]);
    again.env(PART, name).env("RUST_BACKTRACE", "0");
    again.output().expect("it runs")
}

#[test]
fn failed_allocations_end_with_the_message() {
    match std::env::var(PART).as_deref() {
        Ok("allocate") => {
            ganforge_kernels::signals::end_at_abort("error: out of memory\n", 3);
            IS_USED_UP.store(true, Ordering::Relaxed);
            drop(std::hint::black_box(vec![1u8; 1000]));
        }
        // As std panics where a thread that begins gets no memory.
        Ok("thread") => {
            ganforge_kernels::signals::end_at_abort("error: out of memory\n", 3);
            let thread =
                std::thread::spawn(|| panic!("failed to allocate an alternative stack: .."));
            let _ = thread.join();
        }
        Ok("allocate after a panic elsewhere") => {
            ganforge_kernels::signals::end_at_abort("error: out of memory\n", 3);
            let _ = std::thread::spawn(|| panic!("elsewhere")).join();
            IS_USED_UP.store(true, Ordering::Relaxed);
            drop(std::hint::black_box(vec![1u8; 1000]));
        }
        Ok("panic") => {
            struct Again;
            impl Drop for Again {
                fn drop(&mut self) {
                    panic!("again");
                }
            }
            ganforge_kernels::signals::end_at_abort("error: out of memory\n", 3);
            let _again = Again;
            panic!("once");
        }
        _ => {
            for name in ["allocate", "allocate after a panic elsewhere", "thread"] {
                let done = part(name);
                let said = String::from_utf8_lossy(&done.stderr);
                assert_eq!(done.status.code(), Some(3), "{name}: {said}");
                assert!(said.ends_with("error: out of memory\n"), "{name}: {said}");
            }
            // A panic within a panic is no lack of memory.
            let done = part("panic");
            let said = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), None, "{said}");
            assert!(!said.contains("out of memory"), "{said}");
        }
    }
}
