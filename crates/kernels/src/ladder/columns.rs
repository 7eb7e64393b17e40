//! The matrix of all windows: a row for each window, a column for each cell of it, which other libraries call `im2col`. No kernel
//! in use writes it.

use crate::cpu::conv::Sizes;
use crate::cpu::par;

/// Rows that a task writes.
const ROWS: usize = 128;

/// `[n·oh·ow, kh·kw·c_in]`, 0 outside of the images.
pub(super) fn write(s: &Sizes, x: &[f32], to: &mut [f32]) {
    let ([h, w], [kh, kw], [oh, ow]) = (s.image, s.kernel, s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    let (run, row) = (kw * s.c_in, kh * kw * s.c_in);
    par::chunks_mut(to, ROWS * row, |start, to| {
        for (i, to) in to.chunks_exact_mut(row).enumerate() {
            let window = start / row + i;
            let (image, i, j) = (window / (oh * ow), window / ow % oh, window % ow);
            for (u, to) in to.chunks_exact_mut(run).enumerate() {
                let Some(r) = (i * sh + u).checked_sub(ph).filter(|r| *r < h) else {
                    to.fill(0.0);
                    continue;
                };
                // Of the run of cells those that lie in the image.
                let (left, right) = (j * sw, j * sw + kw);
                let (begin, end) = (left.max(pw), right.min(pw + w).max(left.max(pw)));
                let inside = (begin - left) * s.c_in..(end - left).min(kw) * s.c_in;
                to.fill(0.0);
                if inside.start < inside.end {
                    let from = ((image * h + r) * w + begin - pw) * s.c_in;
                    to[inside.clone()].copy_from_slice(&x[from..from + inside.len()]);
                }
            }
        }
    });
}

/// x = the sum of each pixel's cells in all windows.
pub(super) fn add_up(s: &Sizes, windows: &[f32], x: &mut [f32]) {
    let ([h, w], [kh, kw], [oh, ow]) = (s.image, s.kernel, s.window.out);
    let ([sh, sw], [ph, pw]) = (s.window.stride, s.window.pad);
    let (size, row) = (h * w * s.c_in, kh * kw * s.c_in);
    par::chunks_mut(x, size, |start, x| {
        x.fill(0.0);
        let first = start / size * oh * ow;
        for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
            let window = &windows[(first + i * ow + j) * row..][..row];
            for (tap, cell) in window.chunks_exact(s.c_in).enumerate() {
                let (r, q) = (i * sh + tap / kw, j * sw + tap % kw);
                if (ph..ph + h).contains(&r) && (pw..pw + w).contains(&q) {
                    let pixel = &mut x[((r - ph) * w + q - pw) * s.c_in..][..s.c_in];
                    pixel.iter_mut().zip(cell).for_each(|(x, c)| *x += c);
                }
            }
        }
    });
}
