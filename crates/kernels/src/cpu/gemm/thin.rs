//! Matrix products too thin for tiles: a single column, or k = 1.

use super::epilogue::rectified;
use super::micro::Micro;
use super::{Epilogue, Isa, Shape3};
use crate::cpu::multiversion::{multiversion, with_fma};
use crate::cpu::par;

/// Rows whose sums wait for the epilogue together.
const ROWS: usize = 16;
/// Multiply-adds per parallel task.
const TASK: usize = 1 << 17;

/// C[m,1] = A · b where the rows of A lie one after the other.
///
/// Each element is a dot product in 64 interleaved chains, added in pairs: an order that depends on k alone.
pub(super) fn column(
    micro: &Micro,
    dims: Shape3,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue,
) {
    let k = dims.k;
    let dots = |first: usize, out: &mut [f32]| {
        let rows = &a[first * k..(first + out.len()) * k];
        assert_eq!((rows.len(), b.len()), (out.len() * k, k));
        // SAFETY: as many rows of k elements as sums are asked for, and as many elements of b; `micro` is one of the
        // instruction sets of this machine (`gemm_in`).
        unsafe { (micro.dots)(rows.as_ptr(), b.as_ptr(), k, out) }
    };
    let ab = |i: usize| {
        let mut one = [0.0];
        dots(i, &mut one);
        one[0]
    };
    let each = |c: &mut [f32], finish: &(dyn Fn(usize, f32, &mut f32) + Sync)| {
        let rows = (TASK / k.max(1)).max(1);
        par::chunks_mut(c, rows, |first, c| {
            for (i, c) in c.chunks_mut(ROWS).enumerate() {
                let first = first + i * ROWS;
                let mut sums = [0.0; ROWS];
                let sums = &mut sums[..c.len()];
                dots(first, sums);
                for ((i, c), sum) in (first..).zip(c).zip(sums) {
                    finish(i, *sum, c);
                }
            }
        });
    };
    match epilogue {
        Epilogue::Store => each(c, &|_, ab, c| *c = ab),
        Epilogue::Accumulate => each(c, &|_, ab, c| *c += ab),
        Epilogue::Bias { bias, below } => each(c, &|_, ab, c| {
            *c = rectified(ab + bias[0], below);
        }),
        Epilogue::Times { by } => each(c, &|i, ab, c| *c = by[i] * ab),
        Epilogue::Step { at, below } => each(c, &|i, ab, c| {
            let other = if below == 0.0 { 0.0 } else { below * ab };
            *c = if at[i] > 0.0 { ab } else { other };
        }),
        Epilogue::Momentum {
            grad,
            param,
            lr,
            momentum,
        } => {
            // An update of a single column is too little work for a second thread.
            for (i, (v, p)) in c.iter_mut().zip(param).enumerate() {
                let g = grad.map_or(ab(i), |grad| grad[i] + ab(i));
                *v = momentum * *v - lr * g;
                *p += *v;
            }
        }
        Epilogue::Adam {
            grad,
            square,
            param,
            adam,
        } => {
            for (i, ((m, s), p)) in c.iter_mut().zip(square).zip(param).enumerate() {
                adam.step(grad.map_or(ab(i), |grad| grad[i] + ab(i)), m, s, p);
            }
        }
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
