//! Where sums go: through the epilogue into rows of C.

use crate::cpu::gemm::Epilogue;
use crate::cpu::multiversion::multiversion;
use std::marker::PhantomData;

/// C and its epilogue, for several threads that write different elements.
pub(super) struct Out<'a> {
    c: *mut f32,
    len: usize,
    after: After<'a>,
    borrow: PhantomData<&'a mut f32>,
}

/// [`Epilogue`] with what is written as pointers.
#[derive(Clone, Copy)]
enum After<'a> {
    Store,
    Accumulate,
    Bias {
        bias: &'a [f32],
        relu: bool,
    },
    Times {
        by: &'a [f32],
    },
    Step {
        at: &'a [f32],
        below: f32,
    },
    Momentum {
        grad: Option<&'a [f32]>,
        param: *mut f32,
        lr: f32,
        momentum: f32,
    },
}

// SAFETY: the pointers are exclusive borrows for as long as the value lives; `finish` makes its callers promise that no two
// threads write the same elements.
unsafe impl Send for Out<'_> {}
// SAFETY: as above.
unsafe impl Sync for Out<'_> {}

/// Some neighbouring columns of rows of C, and their sums.
#[derive(Clone, Copy)]
pub(super) struct Place {
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
    /// `epilogue` must have been checked against C.
    pub fn new(c: &'a mut [f32], epilogue: Epilogue<'a>) -> Out<'a> {
        let after = match epilogue {
            Epilogue::Store => After::Store,
            Epilogue::Accumulate => After::Accumulate,
            Epilogue::Bias { bias, relu } => After::Bias { bias, relu },
            Epilogue::Times { by } => After::Times { by },
            Epilogue::Step { at, below } => After::Step { at, below },
            Epilogue::Momentum {
                grad,
                param,
                lr,
                momentum,
            } => {
                assert_eq!(param.len(), c.len(), "conv: param and C differ in length");
                After::Momentum {
                    grad,
                    param: param.as_mut_ptr(),
                    lr,
                    momentum,
                }
            }
        };
        Out {
            c: c.as_mut_ptr(),
            len: c.len(),
            after,
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

    #[inline(always)]
    fn part<'b>(&self, of: *mut f32, at: usize, len: usize) -> &'b mut [f32] {
        assert!(at <= self.len && len <= self.len - at);
        // SAFETY: within C, or within the parameter, which is as long (`new`); nobody else has these elements (`Out::finish`).
        unsafe { std::slice::from_raw_parts_mut(of.add(at), len) }
    }
}

multiversion! {
    fn finish(out: &Out, place: Place, sums: &[f32]) {
        let Place { at, column, ld, rows, cols, step } = place;
        for i in 0..rows {
            let first = at + i * ld;
            let range = first..first + cols;
            let ab = &sums[i * step..i * step + cols];
            let c = out.part(out.c, first, cols);
            match out.after {
                After::Store => {
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
                After::Accumulate => {
                    for (c, ab) in c.iter_mut().zip(ab) {
                        *c += ab;
                    }
                }
                After::Bias { bias, relu } => {
                    let bias = &bias[column..column + cols];
                    for ((c, ab), bias) in c.iter_mut().zip(ab).zip(bias) {
                        let y = ab + bias;
                        *c = if relu && y <= 0.0 { 0.0 } else { y };
                    }
                }
                After::Times { by } => {
                    for ((c, ab), by) in c.iter_mut().zip(ab).zip(&by[range]) {
                        *c = by * ab;
                    }
                }
                After::Step { at, below } => {
                    for ((c, ab), at) in c.iter_mut().zip(ab).zip(&at[range]) {
                        let other = if below == 0.0 { 0.0 } else { below * ab };
                        *c = if *at > 0.0 { *ab } else { other };
                    }
                }
                After::Momentum { grad, param, lr, momentum } => {
                    let param = out.part(param, first, cols);
                    match grad {
                        None => {
                            for ((v, p), g) in c.iter_mut().zip(param).zip(ab) {
                                *v = momentum * *v - lr * g;
                                *p += *v;
                            }
                        }
                        Some(grad) => {
                            for (((v, p), ab), g) in c.iter_mut().zip(param).zip(ab).zip(&grad[range]) {
                                *v = momentum * *v - lr * (g + ab);
                                *p += *v;
                            }
                        }
                    }
                }
            }
        }
    }
}
