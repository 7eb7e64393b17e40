//! C of y and dx as parts whose elements are reached by the same taps of the filter.
//!
//! y is one; dx is one for each pair of remainders of a pixel's row and column by the strides, each a convolution with
//! windows one after the other. No tap multiplies an inserted zero.

use super::{Form, Sizes, Window};

/// One part of the result.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub index: usize,
    /// Its pixels below each other and beside each other.
    pub out: [usize; 2],
    /// The first element in C, and the distances of images, rows and columns.
    pub place: [usize; 4],
    /// Rows and columns of taps that reach its pixels, and the taps of the parts before it.
    pub taps: [usize; 2],
    pub taps_before: usize,
    /// Row and column of the gathered image where the first window begins, and the distance of windows.
    pub from: [isize; 2],
    pub step: [usize; 2],
}

impl Sizes {
    /// How many there are.
    pub(super) fn parts(&self, form: Form) -> usize {
        match form {
            Form::Dx => self.window.stride.iter().product(),
            Form::Y | Form::Dw => 1,
        }
    }

    /// One of them.
    pub(super) fn part(&self, form: Form, index: usize) -> Part {
        let Window { stride, pad, out } = self.window;
        if form != Form::Dx {
            let [oh, ow] = out;
            return Part {
                index,
                out,
                place: [0, oh * ow * self.c_out, ow * self.c_out, self.c_out],
                taps: self.kernel,
                taps_before: 0,
                from: pad.map(|pad| -(pad as isize)),
                step: stride,
            };
        }
        let [h, w] = self.image;
        let [sh, sw] = stride;
        let [v, u] = [(0, index / sw), (1, index % sw)].map(|(d, phase)| self.phase(d, phase));
        Part {
            index,
            out: [v.count, u.count],
            place: [v.first * w + u.first, h * w, sh * w, sw].map(|pixels| pixels * self.c_in),
            taps: [v.taps, u.taps],
            taps_before: v.before * self.kernel[1] + v.taps * u.before,
            from: [v.from, u.from],
            step: [1, 1],
        }
    }

    /// The rows (d = 0) or columns of dx with one remainder.
    fn phase(&self, d: usize, phase: usize) -> Phase {
        let Window { stride, pad, .. } = self.window;
        let (s, pad, k, size) = (stride[d], pad[d], self.kernel[d], self.image[d]);
        let taps = |phase: usize| k.saturating_sub(phase).div_ceil(s);
        let first = (phase + s - pad % s) % s;
        let window = ((first + pad) / s) as isize;
        Phase {
            taps: taps(phase),
            before: (0..phase).map(taps).sum(),
            first,
            count: size.saturating_sub(first).div_ceil(s),
            from: window + 1 - taps(phase) as isize,
        }
    }

    /// Where tap `t` of a part of dx, of those that reach its pixels, lies in the filter.
    pub(super) fn tap(&self, part: &Part, t: usize) -> usize {
        let ([sh, sw], [taps_h, taps_w]) = (self.window.stride, part.taps);
        let row = part.index / sw + sh * (taps_h - 1 - t / taps_w);
        let column = part.index % sw + sw * (taps_w - 1 - t % taps_w);
        row * self.kernel[1] + column
    }
}

/// Along one dimension of dx: the pixels with one remainder by the stride.
struct Phase {
    /// Taps that reach them, and those of all phases before.
    taps: usize,
    before: usize,
    /// The first pixel, how many, and the window from which its first tap comes.
    first: usize,
    count: usize,
    from: isize,
}
