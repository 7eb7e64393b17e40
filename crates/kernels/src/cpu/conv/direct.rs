//! The sums as they are written, row by row of C: what other kernels are compared with, in tests and ladders.

use super::{Form, Sizes};

/// Calls `f(p, q)` for what a row of C is summed over: of y the pixel p of x under each tap q of the window; of dx the pixel p of
/// dy that each tap q comes from; of dw the pixel p of x under its tap and the pixel q of dy of each window.
#[inline(always)]
fn pairs(form: Form, s: &Sizes, row: usize, mut f: impl FnMut(usize, usize)) {
    let ([h, w], [kh, kw], [oh, ow]) = (s.image, s.kernel, s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    match form {
        Form::Y => {
            let (image, i, j) = (row / (oh * ow), row / ow % oh, row % ow);
            for (u, r) in (0..kh).filter_map(|u| Some((u, inside(i, u, sh, ph, h)?))) {
                for (v, q) in (0..kw).filter_map(|v| Some((v, inside(j, v, sw, pw, w)?))) {
                    f((image * h + r) * w + q, u * kw + v);
                }
            }
        }
        Form::Dx => {
            let (image, r, q) = (row / (h * w), row / w % h, row % w);
            for (u, i) in (0..kh).filter_map(|u| Some((u, over(r + ph, u, sh, oh)?))) {
                for (v, j) in (0..kw).filter_map(|v| Some((v, over(q + pw, v, sw, ow)?))) {
                    f((image * oh + i) * ow + j, u * kw + v);
                }
            }
        }
        Form::Dw => {
            let (u, v) = (row / s.c_in / kw, row / s.c_in % kw);
            for image in 0..s.n {
                for (i, r) in (0..oh).filter_map(|i| Some((i, inside(i, u, sh, ph, h)?))) {
                    for (j, q) in (0..ow).filter_map(|j| Some((j, inside(j, v, sw, pw, w)?))) {
                        f((image * h + r) * w + q, (image * oh + i) * ow + j);
                    }
                }
            }
        }
    }
}

/// The row of an image that row `u` of window `i` lies on, or `None` outside.
fn inside(i: usize, u: usize, stride: usize, pad: usize, size: usize) -> Option<usize> {
    (i * stride + u).checked_sub(pad).filter(|r| *r < size)
}

/// The window whose row u lies on row r, counted from the first zero before the image, or `None`.
fn over(r: usize, u: usize, stride: usize, out: usize) -> Option<usize> {
    let i = r.checked_sub(u)?;
    (i.is_multiple_of(stride) && i / stride < out).then_some(i / stride)
}

/// Calls `f(a, b, step)` for each term of a row of C: an element of the first operand, and that of the second one which it is
/// multiplied by in the first column; of the next columns it is `step` further on.
#[inline(always)]
pub(crate) fn terms(form: Form, s: &Sizes, row: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (c_in, c_out) = (s.c_in, s.c_out);
    pairs(form, s, row, |p, q| match form {
        Form::Y => (0..c_in).for_each(|c| f(p * c_in + c, (q * c_in + c) * c_out, 1)),
        Form::Dx => (0..c_out).for_each(|o| f(p * c_out + o, q * c_in * c_out + o, c_out)),
        Form::Dw => f(p * c_in + row % c_in, q * c_out, 1),
    });
}

/// C, by loops whose innermost one goes over neighbours in memory.
pub(crate) fn run(form: Form, s: &Sizes, a: &[f32], b: &[f32], c: &mut [f32]) {
    let (c_in, c_out) = (s.c_in, s.c_out);
    for (row, sums) in c.chunks_exact_mut(s.columns(form).max(1)).enumerate() {
        sums.fill(0.0);
        pairs(form, s, row, |p, q| match form {
            Form::Y => {
                let filters = b[q * c_in * c_out..].chunks_exact(c_out);
                for (x, filter) in a[p * c_in..][..c_in].iter().zip(filters) {
                    add_times(sums, *x, filter);
                }
            }
            Form::Dx => {
                let (dy, filters) = (&a[p * c_out..][..c_out], &b[q * c_in * c_out..]);
                for (sum, filter) in sums.iter_mut().zip(filters.chunks_exact(c_out)) {
                    *sum = dy.iter().zip(filter).fold(*sum, |sum, (a, b)| sum + a * b);
                }
            }
            Form::Dw => add_times(sums, a[p * c_in + row % c_in], &b[q * c_out..][..c_out]),
        });
    }
}

fn add_times(sums: &mut [f32], a: f32, b: &[f32]) {
    for (sum, b) in sums.iter_mut().zip(b) {
        *sum += a * b;
    }
}
