//! The sums as they are written: one row of C after the other, by plain loops.

use super::{Form, Sizes};

/// C.
pub(crate) fn run(form: Form, sizes: &Sizes, a: &[f32], b: &[f32], c: &mut [f32]) {
    let columns = sizes.columns(form).max(1);
    for (row, sums) in c.chunks_exact_mut(columns).enumerate() {
        sums.fill(0.0);
        match form {
            Form::Y => y(sizes, a, b, row, sums),
            Form::Dx => dx(sizes, a, b, row, sums),
            Form::Dw => dw(sizes, a, b, row, sums),
        }
    }
}

/// The row of an image that row `u` of window `i` lies on, or `None` outside.
fn inside(i: usize, u: usize, stride: usize, pad: usize, size: usize) -> Option<usize> {
    (i * stride + u).checked_sub(pad).filter(|r| *r < size)
}

/// One pixel of y.
fn y(s: &Sizes, x: &[f32], w: &[f32], row: usize, sums: &mut [f32]) {
    let ([h, width], [kh, kw], [oh, ow]) = (s.image, s.kernel, s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    let (image, i, j) = (row / (oh * ow), row / ow % oh, row % ow);
    for u in 0..kh {
        let Some(r) = inside(i, u, sh, ph, h) else {
            continue;
        };
        for v in 0..kw {
            let Some(q) = inside(j, v, sw, pw, width) else {
                continue;
            };
            let pixel = (image * h + r) * width + q;
            for ci in 0..s.c_in {
                let filter = &w[((u * kw + v) * s.c_in + ci) * s.c_out..][..s.c_out];
                add_times(sums, x[pixel * s.c_in + ci], filter);
            }
        }
    }
}

/// One pixel of dx.
fn dx(s: &Sizes, dy: &[f32], w: &[f32], row: usize, sums: &mut [f32]) {
    let ([h, width], [kh, kw], [oh, ow]) = (s.image, s.kernel, s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    let (image, r, q) = (row / (h * width), row / width % h, row % width);
    // The window whose line u lies on line r, if there is one.
    let window = |r: usize, u: usize, stride: usize, out: usize| {
        let i = r.checked_sub(u)?;
        (i.is_multiple_of(stride) && i / stride < out).then_some(i / stride)
    };
    for u in 0..kh {
        let Some(i) = window(r + ph, u, sh, oh) else {
            continue;
        };
        for v in 0..kw {
            let Some(j) = window(q + pw, v, sw, ow) else {
                continue;
            };
            let dy = &dy[((image * oh + i) * ow + j) * s.c_out..][..s.c_out];
            for (ci, sum) in sums.iter_mut().enumerate() {
                let filter = &w[((u * kw + v) * s.c_in + ci) * s.c_out..][..s.c_out];
                *sum = dy.iter().zip(filter).fold(*sum, |sum, (a, b)| sum + a * b);
            }
        }
    }
}

/// One input channel of one tap of dw.
fn dw(s: &Sizes, x: &[f32], dy: &[f32], row: usize, sums: &mut [f32]) {
    let ([h, width], kw, [oh, ow]) = (s.image, s.kernel[1], s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    let (u, v, ci) = (row / s.c_in / kw, row / s.c_in % kw, row % s.c_in);
    for image in 0..s.n {
        for i in 0..oh {
            let Some(r) = inside(i, u, sh, ph, h) else {
                continue;
            };
            for j in 0..ow {
                let Some(q) = inside(j, v, sw, pw, width) else {
                    continue;
                };
                let at = ((image * h + r) * width + q) * s.c_in + ci;
                let dy = &dy[((image * oh + i) * ow + j) * s.c_out..][..s.c_out];
                add_times(sums, x[at], dy);
            }
        }
    }
}

fn add_times(sums: &mut [f32], a: f32, b: &[f32]) {
    for (sum, b) in sums.iter_mut().zip(b) {
        *sum += a * b;
    }
}
