//! Where sums go that wait in memory: through the epilogue into rows of C.

use super::Epilogue;
use super::epilogue::Raw;
use crate::cpu::multiversion::multiversion;
use std::marker::PhantomData;

/// Floats of a line of the cache.
const LINE: usize = 16;

/// C and its epilogue, for several threads that write different elements.
pub(in crate::cpu) struct Out<'a> {
    c: *mut f32,
    len: usize,
    /// Elements of a bias.
    columns: usize,
    epilogue: Raw,
    borrow: PhantomData<&'a mut f32>,
}

// SAFETY: the pointers are borrows for as long as the value lives; `finish` makes its callers promise that no two threads
// write the same elements.
unsafe impl Send for Out<'_> {}
// SAFETY: as above.
unsafe impl Sync for Out<'_> {}

/// Some neighbouring columns of rows of C, and their sums.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Place {
    /// The first element, in C and in all that the epilogue has beside a bias.
    pub at: usize,
    /// Its column.
    pub column: usize,
    /// From one row to the next.
    pub ld: usize,
    pub rows: usize,
    pub cols: usize,
    /// The distance of two rows of sums.
    pub step: usize,
}

impl<'a> Out<'a> {
    /// `epilogue` must have been checked against C: this looks at the length of what it has, not at its shape.
    pub fn new(c: &'a mut [f32], mut epilogue: Epilogue<'a>) -> Out<'a> {
        Out::of(c, &mut epilogue)
    }

    fn of(c: &'a mut [f32], epilogue: &mut Epilogue<'_>) -> Out<'a> {
        let (len, columns) = (c.len(), epilogue.bias_len());
        epilogue.check(1, columns.unwrap_or(len));
        Out {
            c: c.as_mut_ptr(),
            len,
            columns: columns.unwrap_or(0),
            epilogue: epilogue.raw(false),
            borrow: PhantomData,
        }
    }

    /// Sends sums to their place. The last row's sums may be as short as `place.cols`.
    ///
    /// # Safety
    /// No other thread does anything with these elements of C meanwhile.
    pub unsafe fn finish(&self, place: Place, sums: &[f32]) {
        finish(self, place, sums);
    }

    /// Brings a place that will be written to the cache.
    pub fn fetch(&self, place: Place) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        for i in 0..place.rows {
            let row = self.c.wrapping_add(place.at + i * place.ld);
            for line in (0..place.cols).step_by(LINE) {
                use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
                // SAFETY: a prefetch reads nothing that the program sees; every x86-64 has it.
                unsafe { _mm_prefetch::<_MM_HINT_ET0>(row.wrapping_add(line).cast()) };
            }
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = place;
    }

    /// Elements of C that this thread alone has, or of a parameter as long as C.
    #[inline(always)]
    fn own<'b>(&self, of: *mut f32, at: usize, len: usize) -> &'b mut [f32] {
        assert!(at <= self.len && len <= self.len - at);
        // SAFETY: within C, or within the parameter, which is as long (`of`); nobody else has these elements (`finish`).
        unsafe { std::slice::from_raw_parts_mut(of.add(at), len) }
    }

    /// Elements of another operand of the epilogue.
    #[inline(always)]
    fn other<'b>(&self, of: *const f32, at: usize, len: usize) -> &'b [f32] {
        assert!(at <= self.len && len <= self.len - at);
        // SAFETY: the operand is as long as C (`of`), and nobody writes it.
        unsafe { std::slice::from_raw_parts(of.add(at), len) }
    }

    #[inline(always)]
    fn bias<'b>(&self, bias: *const f32, at: usize, len: usize) -> &'b [f32] {
        assert!(at <= self.columns && len <= self.columns - at);
        // SAFETY: the bias has this many elements (`of`), and nobody writes it.
        unsafe { std::slice::from_raw_parts(bias.add(at), len) }
    }
}

/// Sends sums through the epilogue of C to their place; all by the calling thread.
pub(in crate::cpu) fn apply(epilogue: &mut Epilogue, place: Place, sums: &[f32], c: &mut [f32]) {
    // SAFETY: C and what the epilogue writes are borrowed by this call alone.
    unsafe { Out::of(c, epilogue).finish(place, sums) }
}

multiversion! {
    fn finish(out: &Out, place: Place, sums: &[f32]) {
        let Place { at, column, mut ld, mut rows, mut cols, mut step } = place;
        if let Raw::Bias { bias, relu } = out.epilogue && ld == cols && step == cols {
            let (c, bias) = (out.own(out.c, at, rows * cols), out.bias(bias, column, cols));
            for (c, ab) in c.chunks_exact_mut(cols).zip(sums.chunks_exact(cols)) {
                for ((c, ab), bias) in c.iter_mut().zip(ab).zip(bias) {
                    let y = ab + bias;
                    *c = if relu && y <= 0.0 { 0.0 } else { y };
                }
            }
            return;
        }
        if ld == cols && step == cols {
            // One long row.
            (rows, cols) = (1, rows * cols);
            (ld, step) = (cols, cols);
        }
        for i in 0..rows {
            let first = at + i * ld;
            let ab = &sums[i * step..i * step + cols];
            let c = out.own(out.c, first, cols);
            match out.epilogue {
                Raw::Store => {
                    // Moves of known length instead of a call.
                    let (c, c_rest) = c.as_chunks_mut::<16>();
                    let (ab, ab_rest) = ab.as_chunks::<16>();
                    for (c, ab) in c.iter_mut().zip(ab) {
                        *c = *ab;
                    }
                    for (c, ab) in c_rest.iter_mut().zip(ab_rest) {
                        *c = *ab;
                    }
                }
                Raw::Accumulate => {
                    for (c, ab) in c.iter_mut().zip(ab) {
                        *c += ab;
                    }
                }
                Raw::Bias { bias, relu } => {
                    let bias = out.bias(bias, column, cols);
                    for ((c, ab), bias) in c.iter_mut().zip(ab).zip(bias) {
                        let y = ab + bias;
                        *c = if relu && y <= 0.0 { 0.0 } else { y };
                    }
                }
                Raw::BiasOne { bias, relu } => {
                    for (c, ab) in c.iter_mut().zip(ab) {
                        let y = ab + bias;
                        *c = if relu && y <= 0.0 { 0.0 } else { y };
                    }
                }
                Raw::Times { by } => {
                    let by = out.other(by, first, cols);
                    for ((c, ab), by) in c.iter_mut().zip(ab).zip(by) {
                        *c = by * ab;
                    }
                }
                Raw::Step { at, below } => {
                    let at = out.other(at, first, cols);
                    for ((c, ab), at) in c.iter_mut().zip(ab).zip(at) {
                        let other = if below == 0.0 { 0.0 } else { below * ab };
                        *c = if *at > 0.0 { *ab } else { other };
                    }
                }
                Raw::Momentum { grad, param, lr, momentum } => {
                    let param = out.own(param, first, cols);
                    if grad.is_null() {
                        for ((v, p), g) in c.iter_mut().zip(param).zip(ab) {
                            *v = momentum * *v - lr * g;
                            *p += *v;
                        }
                    } else {
                        let grad = out.other(grad, first, cols);
                        for (((v, p), ab), g) in c.iter_mut().zip(param).zip(ab).zip(grad) {
                            *v = momentum * *v - lr * (g + ab);
                            *p += *v;
                        }
                    }
                }
            }
        }
    }
}
