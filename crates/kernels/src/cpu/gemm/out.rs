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

/// A row of a place.
struct Row<'a> {
    /// Its first element in C.
    first: usize,
    c: &'a mut [f32],
    ab: &'a [f32],
}

impl Out<'_> {
    /// The rows of a place, and their sums.
    #[inline(always)]
    fn rows<'b>(&self, place: Place, sums: &'b [f32]) -> impl Iterator<Item = Row<'b>> {
        (0..place.rows).map(move |i| {
            let first = place.at + i * place.ld;
            Row {
                first,
                c: self.own(self.c, first, place.cols),
                ab: &sums[i * place.step..i * place.step + place.cols],
            }
        })
    }
}

multiversion! {
    // The epilogue is looked at once, not in each row: mostly there are few rows of few columns.
    fn finish(out: &Out, place: Place, sums: &[f32]) {
        let mut place = place;
        let is_whole = place.ld == place.cols && place.step == place.cols;
        if is_whole && !matches!(out.epilogue, Raw::Bias { .. }) {
            // One long row.
            place.cols *= place.rows;
            place.rows = 1;
        }
        match out.epilogue {
            Raw::Store => {
                for Row { c, ab, .. } in out.rows(place, sums) {
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
            }
            Raw::Accumulate => {
                for Row { c, ab, .. } in out.rows(place, sums) {
                    for (c, ab) in c.iter_mut().zip(ab) {
                        *c += ab;
                    }
                }
            }
            Raw::Bias { bias, below } => {
                let bias = out.bias(bias, place.column, place.cols);
                for Row { c, ab, .. } in out.rows(place, sums) {
                    biased(c, ab, |i| bias[i], below);
                }
            }
            Raw::BiasOne { bias, below } => {
                for Row { c, ab, .. } in out.rows(place, sums) {
                    biased(c, ab, |_| bias, below);
                }
            }
            Raw::Times { by } => {
                for Row { first, c, ab } in out.rows(place, sums) {
                    let by = out.other(by, first, ab.len());
                    for ((c, ab), by) in c.iter_mut().zip(ab).zip(by) {
                        *c = by * ab;
                    }
                }
            }
            Raw::Step { at, below } => {
                for Row { first, c, ab } in out.rows(place, sums) {
                    let at = out.other(at, first, ab.len());
                    if below == 0.0 {
                        for ((c, ab), at) in c.iter_mut().zip(ab).zip(at) {
                            *c = if *at > 0.0 { *ab } else { 0.0 };
                        }
                    } else {
                        for ((c, ab), at) in c.iter_mut().zip(ab).zip(at) {
                            *c = if *at > 0.0 { *ab } else { below * ab };
                        }
                    }
                }
            }
            Raw::Momentum { grad, param, lr, momentum } => {
                for Row { first, c, ab } in out.rows(place, sums) {
                    let param = out.own(param, first, ab.len());
                    if grad.is_null() {
                        for ((v, p), g) in c.iter_mut().zip(param).zip(ab) {
                            *v = momentum * *v - lr * g;
                            *p += *v;
                        }
                    } else {
                        let grad = out.other(grad, first, ab.len());
                        for (((v, p), ab), g) in c.iter_mut().zip(param).zip(ab).zip(grad) {
                            *v = momentum * *v - lr * (g + ab);
                            *p += *v;
                        }
                    }
                }
            }
            Raw::Adam { grad, square, param, adam } => {
                for Row { first, c, ab } in out.rows(place, sums) {
                    let (square, param) = (out.own(square, first, ab.len()), out.own(param, first, ab.len()));
                    let slots = c.iter_mut().zip(square).zip(param);
                    if grad.is_null() {
                        for (((m, s), p), g) in slots.zip(ab) {
                            adam.step(*g, m, s, p);
                        }
                    } else {
                        let grad = out.other(grad, first, ab.len());
                        for ((((m, s), p), ab), g) in slots.zip(ab).zip(grad) {
                            adam.step(g + ab, m, s, p);
                        }
                    }
                }
            }
        }
    }
}

/// c = ab + bias, and a rectifier.
#[inline(always)]
fn biased(c: &mut [f32], ab: &[f32], bias: impl Fn(usize) -> f32, below: Option<f32>) {
    let sums = c
        .iter_mut()
        .zip(ab)
        .enumerate()
        .map(|(i, (c, ab))| (c, ab + bias(i)));
    match below {
        None => sums.for_each(|(c, y)| *c = y),
        Some(0.0) => sums.for_each(|(c, y)| *c = if y <= 0.0 { 0.0 } else { y }),
        Some(below) => sums.for_each(|(c, y)| *c = if y > 0.0 { y } else { below * y }),
    }
}
