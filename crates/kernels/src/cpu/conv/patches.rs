//! The rows that a convolution multiplies: windows of images, gathered block by block and never written as a whole.

use crate::cpu::multiversion::multiversion;
use std::ops::Range;

/// Most elements of a row in a block.
pub(super) const BLOCK: usize = 256;
/// The distance of two rows in a block: longer than a row, so that a copy may end with a whole vector, and of an odd
/// number of cache lines, so that rows do not crowd into few sets of the cache.
pub(super) const LD: usize = BLOCK + CHUNK;
/// Floats that are copied at once.
const CHUNK: usize = 16;

/// The matrix with a row for each window, images, rows and columns in turn, and a column for each cell of a window, its
/// channels in turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patches {
    /// Rows and columns of an image.
    pub image: [usize; 2],
    pub channels: usize,
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Windows below each other and beside each other.
    pub out: [usize; 2],
    /// From one to the next.
    pub stride: [usize; 2],
    /// Row and column where the first one begins.
    pub from: [isize; 2],
}

impl Patches {
    /// Columns of the matrix.
    pub fn k(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.channels
    }
}

multiversion! {
    /// to\[i * LD + p\] = element (rows.start + i, ks.start + p) of the matrix, 0 outside of the images; up to the next multiple
    /// of 16 something is written behind each row.
    pub(super) fn gather(patches: &Patches, x: &[f32], rows: Range<usize>, ks: Range<usize>, to: &mut [f32]) {
        let Patches { image: [h, w], channels, kernel: [_, kw], out: [oh, ow], stride, from } = *patches;
        assert!(ks.end <= patches.k() && ks.len() <= BLOCK && to.len() >= rows.len() * LD);
        if rows.is_empty() || ks.is_empty() {
            return;
        }
        // A window is kh runs, each of cells that lie side by side.
        let run = kw * channels;
        let (first_run, first_at) = (ks.start / run, ks.start % run);
        let (mut image, mut i, mut j) = (rows.start / (oh * ow), rows.start / ow % oh, rows.start % ow);
        for to in to.chunks_exact_mut(LD).take(rows.len()) {
            let top = (i * stride[0]) as isize + from[0];
            let left = (j * stride[1]) as isize + from[1];
            let inside = left >= 0 && left as usize + kw <= w;
            let (mut u, mut at, mut done) = (first_run, first_at, 0);
            while done < ks.len() {
                let len = (run - at).min(ks.len() - done);
                let row = top + u as isize;
                if row < 0 || row as usize >= h {
                    zeros(to, done, len);
                } else {
                    let line = (image * h + row as usize) * w;
                    if inside {
                        copy(x, (line + left as usize) * channels + at, to, done, len);
                    } else {
                        // Cells of the run that lie in the image, in floats from its start.
                        let begin = left.min(0).unsigned_abs().min(kw) * channels;
                        let end = ((w as isize - left).clamp(0, kw as isize) as usize * channels).max(begin);
                        let (begin, end) = (begin.clamp(at, at + len), end.clamp(at, at + len));
                        zeros(to, done, begin - at);
                        if begin < end {
                            let source = (line * channels) as isize + left * channels as isize + begin as isize;
                            copy(x, source as usize, to, done + begin - at, end - begin);
                        }
                        zeros(to, done + end - at, at + len - end);
                    }
                }
                done += len;
                (u, at) = (u + 1, 0);
            }
            j += 1;
            if j == ow {
                (i, j) = (i + 1, 0);
                if i == oh {
                    (image, i) = (image + 1, 0);
                }
            }
        }
    }

    /// Strips of `width` columns of k rows, one strip after the other: to\[(s * k + p) * width + i\] is in row p and column
    /// columns.start + s * width + i, 0 from columns.end on. Rows of `from` have `ld` elements.
    pub(super) fn strips(from: &[f32], ld: usize, k: usize, columns: Range<usize>, to: &mut [f32], width: usize) {
        let whole = columns.len() / width;
        for p in 0..k {
            let from = &from[p * ld + columns.start..p * ld + columns.end];
            for (s, from) in from.chunks_exact(width).enumerate() {
                let to = &mut to[(s * k + p) * width..(s * k + p + 1) * width];
                match width {
                    32 => some::<32>(from, to),
                    16 => some::<16>(from, to),
                    _ => to.copy_from_slice(from),
                }
            }
            let rest = &from[whole * width..];
            if !rest.is_empty() {
                let to = &mut to[(whole * k + p) * width..(whole * k + p + 1) * width];
                to[..rest.len()].copy_from_slice(rest);
                to[rest.len()..].fill(0.0);
            }
        }
    }
}

/// Moves of known length instead of calls.
#[inline(always)]
fn some<const N: usize>(from: &[f32], to: &mut [f32]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
}

/// to\[at..at + len\] = x\[from..from + len\]; in whole vectors, of which the last may write beyond, where both have room.
#[inline(always)]
fn copy(x: &[f32], from: usize, to: &mut [f32], at: usize, len: usize) {
    let whole = len.next_multiple_of(CHUNK);
    match (x.get(from..from + whole), to.get_mut(at..at + whole)) {
        (Some(x), Some(to)) => {
            for (to, x) in to.chunks_exact_mut(CHUNK).zip(x.chunks_exact(CHUNK)) {
                if let (Some(to), Some(x)) = (to.first_chunk_mut::<CHUNK>(), x.first_chunk()) {
                    *to = *x;
                }
            }
        }
        _ => to[at..at + len].copy_from_slice(&x[from..from + len]),
    }
}

/// to\[at..at + len\] = 0, in whole vectors where there is room.
#[inline(always)]
fn zeros(to: &mut [f32], at: usize, len: usize) {
    let whole = len.next_multiple_of(CHUNK);
    match to.get_mut(at..at + whole) {
        Some(to) => {
            for to in to.chunks_exact_mut(CHUNK) {
                if let Some(to) = to.first_chunk_mut::<CHUNK>() {
                    *to = [0.0; CHUNK];
                }
            }
        }
        None => to[at..at + len].fill(0.0),
    }
}
