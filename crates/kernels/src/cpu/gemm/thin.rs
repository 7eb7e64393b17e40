//! Matrix products too thin for tiles: a single column, or k = 1.

use super::epilogue::rectified;
use super::micro::Micro;
use super::{Epilogue, Isa, Shape3};
use crate::cpu::multiversion::{multiversion, with_fma};
use crate::cpu::par;

/// Rows whose sums wait for the epilogue together.
const ROWS: usize = 16;
/// Processors find a stream in rows of as many elements by themselves.
const LONG: usize = 512;
/// Multiply-adds per parallel task.
const TASK: usize = 1 << 17;

/// C[m,1] = A · b where the rows of A lie one after the other.
///
/// Each element is a dot product in 16 interleaved chains, added in pairs: an order that depends on k alone.
pub(super) fn column(
    micro: &Micro,
    dims: Shape3,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue,
) {
    let k = dims.k;
    let column = Column {
        micro,
        a,
        b,
        fetches: k < LONG && a.len() > 2 * micro.half_l2,
    };
    match epilogue {
        Epilogue::Store => column.each(c, |_, ab, c| *c = ab),
        Epilogue::Accumulate => column.each(c, |_, ab, c| *c += ab),
        Epilogue::Bias { bias, below } => column.each(c, |_, ab, c| {
            *c = rectified(ab + bias[0], below);
        }),
        Epilogue::Times { by } => column.each(c, |i, ab, c| *c = by[i] * ab),
        Epilogue::Step { at, below } => column.each(c, |i, ab, c| {
            let other = if below == 0.0 { 0.0 } else { below * ab };
            *c = if at[i] > 0.0 { ab } else { other };
        }),
        // An update of a single column is too little work for a second thread.
        Epilogue::Momentum {
            grad,
            param,
            lr,
            momentum,
        } => column.each_of(0, c, |i, ab, v| {
            let g = grad.map_or(ab, |grad| grad[i] + ab);
            *v = momentum * *v - lr * g;
            param[i] += *v;
        }),
        Epilogue::Adam {
            grad,
            square,
            param,
            adam,
        } => column.each_of(0, c, |i, ab, m| {
            let g = grad.map_or(ab, |grad| grad[i] + ab);
            adam.step(g, m, &mut square[i], &mut param[i]);
        }),
    }
}

/// The factors of a product with a single column.
struct Column<'a> {
    micro: &'a Micro,
    a: &'a [f32],
    b: &'a [f32],
    /// Whether rows are fetched in advance.
    fetches: bool,
}

impl Column<'_> {
    /// Calls `finish` with each row, its sum and its element of C.
    fn each(&self, c: &mut [f32], finish: impl Fn(usize, f32, &mut f32) + Sync) {
        let rows = (TASK / self.b.len().max(1)).max(1);
        par::chunks_mut(c, rows, |first, c| self.each_of(first, c, &finish));
    }

    /// The same of the rows from `first` on, by the calling thread.
    #[inline]
    fn each_of(&self, first: usize, c: &mut [f32], mut finish: impl FnMut(usize, f32, &mut f32)) {
        for (i, c) in c.chunks_mut(ROWS).enumerate() {
            let first = first + i * ROWS;
            let mut sums = [0.0; ROWS];
            let sums = &mut sums[..c.len()];
            self.dots(first, sums);
            for ((i, c), sum) in (first..).zip(c).zip(sums) {
                finish(i, *sum, c);
            }
        }
    }

    /// The sums of some rows.
    fn dots(&self, first: usize, out: &mut [f32]) {
        let (k, b) = (self.b.len(), self.b.as_ptr());
        let rows = &self.a[first * k..(first + out.len()) * k];
        // SAFETY: as many rows of k elements as sums are asked for, and k elements of b; `micro` is one of the instruction
        // sets of this machine (`gemm_in`).
        unsafe { (self.micro.dots)(rows.as_ptr(), b, k, out, self.fetches) }
    }
}

/// C[m,n] = a · bᵀ with a single term in each sum, then a factor: bit for bit a chain of one fused multiply-add from zero.
/// `false` where the epilogue is another.
pub(super) fn outer(isa: Isa, a: &[f32], b: &[f32], c: &mut [f32], epilogue: &Epilogue) -> bool {
    let n = b.len();
    // `finish` gets a row, and where it begins in C.
    let each = |c: &mut [f32], finish: &(dyn Fn(usize, &mut [f32]) + Sync)| {
        par::chunks_mut(c, (TASK / n).max(1) * n, |start, c| {
            for (i, row) in c.chunks_exact_mut(n).enumerate() {
                scaled(isa, a[start / n + i], b, row);
                finish(start + i * n, row);
            }
        });
    };
    match epilogue {
        Epilogue::Store => each(c, &|_, _| {}),
        Epilogue::Times { by } => each(c, &|at, row| times(row, &by[at..at + n])),
        Epilogue::Step { at: of, below } => each(c, &|at, row| step(row, &of[at..at + n], *below)),
        _ => return false,
    }
    true
}

multiversion! {
    fn times(row: &mut [f32], by: &[f32]) {
        for (c, by) in row.iter_mut().zip(by) {
            *c *= by;
        }
    }

    fn step(row: &mut [f32], at: &[f32], below: f32) {
        for (c, at) in row.iter_mut().zip(at) {
            let other = if below == 0.0 { 0.0 } else { below * *c };
            *c = if *at > 0.0 { *c } else { other };
        }
    }
}

with_fma! {
    fn scaled(x: f32, b: &[f32], row: &mut [f32]) {
        for (c, b) in row.iter_mut().zip(b) {
            *c = x.mul_add(*b, 0.0);
        }
    }
}
