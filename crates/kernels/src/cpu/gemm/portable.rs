//! The path for machines without AVX2: `matrixmultiply` on fixed blocks of rows, then the epilogue element by element.
//!
//! The only path that allocates on each call: `matrixmultiply` brings its own packing buffers.

use super::pack::Operand;
use super::{Epilogue, Scratch};
use rayon::prelude::*;

/// Rows of C in a block; fixed, so that the bits do not depend on the number of threads.
const BLOCK: usize = 128;

pub(super) fn gemm(
    a: Operand,
    b: Operand,
    c: &mut [f32],
    epilogue: Epilogue,
    scratch: &mut Scratch,
) {
    if matches!(epilogue, Epilogue::Store) {
        return store(a, b, c);
    }
    scratch.grow_ab(c.len());
    let ab = &mut scratch.ab[..c.len()];
    store(a, b, ab);
    apply(epilogue, ab, c, b.lines);
}

/// c = a · b
fn store(a: Operand, b: Operand, c: &mut [f32]) {
    let n = b.lines;
    c.par_chunks_mut(BLOCK * n)
        .enumerate()
        .for_each(|(i, c)| block(a, i * BLOCK, b, c));
}

/// The rows of a · b from `first` on that fit `c`.
fn block(a: Operand, first: usize, b: Operand, c: &mut [f32]) {
    let (k, n) = (a.k, b.lines);
    let rows = c.len() / n;
    if k == 0 {
        return c.fill(0.0);
    }
    assert!(first + rows <= a.lines && a.data.len() == a.lines * k && b.data.len() == n * k);
    // Distances of neighbouring lines, and of neighbours in a line.
    let strides = |x: &Operand| match x.side_by_side {
        true => (1, x.lines as isize),
        false => (k as isize, 1),
    };
    let ((a_line, a_step), (b_line, b_step)) = (strides(&a), strides(&b));
    let (from, b) = (a.data[first * a_line as usize..].as_ptr(), b.data.as_ptr());
    let (to, ld) = (c.as_mut_ptr(), n as isize);
    // SAFETY: rows lines of `a` from `first` on and n lines of `b`, k steps each, as asserted; c has rows × n elements
    // and is not read, as beta is 0.
    unsafe {
        matrixmultiply::sgemm(
            rows, k, n, 1.0, from, a_line, a_step, b, b_step, b_line, 0.0, to, ld, 1,
        );
    }
}

/// The epilogue, as its documentation says it.
fn apply(epilogue: Epilogue, ab: &mut [f32], c: &mut [f32], n: usize) {
    match epilogue {
        Epilogue::Store => c.copy_from_slice(ab),
        Epilogue::Accumulate => {
            for (c, ab) in c.iter_mut().zip(ab) {
                *c += *ab;
            }
        }
        Epilogue::Bias { bias, relu } => {
            for (c, ab) in c.chunks_exact_mut(n).zip(ab.chunks_exact(n)) {
                for ((c, ab), bias) in c.iter_mut().zip(ab).zip(bias) {
                    let x = ab + bias;
                    *c = if relu && x <= 0.0 { 0.0 } else { x };
                }
            }
        }
        Epilogue::Momentum {
            param,
            lr,
            momentum,
        } => {
            for ((v, p), g) in c.iter_mut().zip(param).zip(ab) {
                *v = momentum * *v - lr * *g;
                *p += *v;
            }
        }
        Epilogue::MomentumAccumulate {
            grad,
            param,
            lr,
            momentum,
        } => {
            for (ab, grad) in ab.iter_mut().zip(grad) {
                *ab += *grad;
            }
            let rest = Epilogue::Momentum {
                param,
                lr,
                momentum,
            };
            apply(rest, ab, c, n);
        }
    }
}
