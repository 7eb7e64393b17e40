//! The filters at their points.

use super::Cut;
use crate::cpu::conv::grid::needed;
use crate::cpu::conv::patches::strips;
use crate::cpu::conv::{Form, Sizes};
use crate::cpu::gemm::lay_side_by_side;
use std::ops::Range;

impl Cut {
    /// Filters of one strip and part, transformed: a matrix of some sources' channels by columns for each point.
    pub(super) fn pack(
        &self,
        w: &[f32],
        strip: usize,
        part: usize,
        (sources, channels): (Range<usize>, Range<usize>),
        memory: &mut [f32],
        to: &mut [f32],
    ) {
        let [_, _, point] = self.filters();
        let plane = channels.len() * self.tiles.width;
        let taps = &mut memory[..self.taps() * self.taps() * plane];
        for (i, source) in sources.enumerate() {
            for (t, taps) in taps.chunks_exact_mut(plane).enumerate() {
                self.tap(w, part + source, t, strip, channels.clone(), taps);
            }
            self.transforms
                .filters(taps, plane, &mut to[i * plane..], point);
        }
    }

    /// Tap t of a part or source: some channels by the columns of a strip, or zeros.
    fn tap(
        &self,
        w: &[f32],
        remainder: usize,
        t: usize,
        strip: usize,
        channels: Range<usize>,
        to: &mut [f32],
    ) {
        let Sizes {
            kernel: [_, kw],
            c_in,
            c_out,
            window,
            ..
        } = self.sizes;
        let (width, [sh, sw]) = (self.tiles.width, window.stride);
        let columns = strip * width..self.n.min((strip + 1) * width);
        let has = needed(&self.sizes, remainder);
        let [i, j] = [t / self.taps(), t % self.taps()];
        if i >= has[0] || j >= has[1] {
            return to.fill(0.0);
        }
        // y: cell i of a source is reached by this row of the filter; dx: the other way round.
        let [i, j] = match self.form {
            Form::Y => [i, j],
            _ => [has[0] - 1 - i, has[1] - 1 - j],
        };
        let (u, v) = (remainder / sw + sh * i, remainder % sw + sw * j);
        let w = &w[(u * kw + v) * c_in * c_out..][..c_in * c_out];
        match self.form {
            Form::Y => {
                let w = &w[channels.start * c_out..];
                strips(w, c_out, channels.len(), columns, to, width);
            }
            _ => {
                if columns.len() < width {
                    to.fill(0.0);
                }
                let from = &w[columns.start * c_out..columns.end * c_out];
                lay_side_by_side(from, columns.len(), channels, to, width);
            }
        }
    }
}
