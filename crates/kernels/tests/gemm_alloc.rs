//! A product, or a convolution, allocates nothing once its workspace has grown.

use ganforge_kernels::cpu::Workspace;
use ganforge_kernels::cpu::conv::{self, Algorithm, Form, Sizes, Window, conv};
use ganforge_kernels::cpu::gemm::{self, Epilogue, Isa, Shape3, gemm, isa};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread's allocations count: not those of the test harness, nor of threads that begin or end.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Transposition of a and b, then m, k, n.
const SHAPES: [(bool, bool, usize, usize, usize); 7] = [
    (false, false, 100, 1200, 784),
    (false, true, 100, 784, 1200),
    (true, false, 784, 200, 1200),
    (true, true, 100, 300, 240),
    (false, false, 200, 240, 1),
    (false, true, 200, 1, 240),
    (false, false, 20, 20, 20),
];

/// Size, kernel, stride and channels of convolutions: few channels, gathered, plain, and after Winograd.
const CONVOLUTIONS: [(usize, usize, usize, usize, usize); 6] = [
    (16, 3, 1, 3, 40),
    (16, 5, 2, 20, 30),
    (8, 1, 1, 20, 30),
    (8, 8, 1, 20, 30),
    (16, 3, 1, 32, 32),
    (16, 4, 2, 32, 32),
];

fn sizes((size, kernel, stride, c_in, c_out): (usize, usize, usize, usize, usize)) -> Sizes {
    let (image, kernel, stride) = ([size; 2], [kernel; 2], [stride; 2]);
    Sizes {
        n: 8,
        image,
        c_in,
        kernel,
        c_out,
        window: match kernel == image {
            true => Window::valid(image, kernel, stride),
            false => Window::same(image, kernel, stride),
        },
    }
}

/// Allocations in five rounds over all shapes.
fn allocations(workspace: &mut Workspace) -> usize {
    let (a, b) = (vec![1.0; 1 << 20], vec![1.0; 1 << 20]);
    let mut c = vec![0.0; 1 << 20];
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..5 {
        for (ta, tb, m, k, n) in SHAPES {
            let dims = Shape3 { m, k, n };
            let (a, b, c) = (&a[..m * k], &b[..k * n], &mut c[..m * n]);
            gemm(ta, tb, dims, a, b, c, Epilogue::Accumulate, workspace);
        }
        for sizes in CONVOLUTIONS.map(sizes) {
            for form in Form::ALL {
                let operands = sizes.operands(form);
                let (a, b, c) = (&a[..operands[0]], &b[..operands[1]], &mut c[..operands[2]]);
                for algorithm in [Algorithm::Fastest, Algorithm::Direct] {
                    let epilogue = Epilogue::Accumulate;
                    conv(form, sizes, algorithm, a, b, c, epilogue, workspace);
                }
            }
        }
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[test]
fn product_does_not_allocate_after_reserve_or_a_first_round() {
    if isa() == Isa::Portable {
        return testkit::skip("avx2", "the portable product allocates");
    }
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.expect("a thread pool");
        pool.broadcast(|_| COUNTS.set(true));
        pool.install(|| {
            let mut workspace = Workspace::default();
            for (ta, tb, m, k, n) in SHAPES {
                let needed = gemm::workspace(ta, tb, Shape3 { m, k, n });
                workspace.reserve(needed);
            }
            for sizes in CONVOLUTIONS.map(sizes) {
                for form in Form::ALL {
                    workspace.reserve(conv::workspace(form, sizes));
                }
            }
            assert_eq!(
                allocations(&mut workspace),
                0,
                "{threads} threads, reserved"
            );
            let mut workspace = Workspace::default();
            assert!(allocations(&mut workspace) > 0, "the counter counts");
            assert_eq!(allocations(&mut workspace), 0, "{threads} threads, grown");
        });
        pool.broadcast(|_| COUNTS.set(false));
    }
}
