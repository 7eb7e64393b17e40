//! The path for machines without AVX2: `matrixmultiply` on fixed blocks of rows, then the epilogue element by element.
//!
//! The only path that allocates on each call: `matrixmultiply` brings its own packing buffers.

use super::Epilogue;
use super::out::{Place, apply};
use super::pack::Operand;
use rayon::prelude::*;

/// Rows of C in a block; fixed, so that the bits do not depend on the number of threads.
const BLOCK: usize = 128;

pub(super) fn gemm(a: Operand, b: Operand, c: &mut [f32], mut epilogue: Epilogue, ab: &mut [f32]) {
    if matches!(epilogue, Epilogue::Store) {
        return store(a, b, c);
    }
    store(a, b, ab);
    let n = b.lines;
    let whole = Place {
        at: 0,
        column: 0,
        ld: n,
        rows: a.lines,
        cols: n,
        step: n,
    };
    apply(&mut epilogue, whole, ab, c);
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
