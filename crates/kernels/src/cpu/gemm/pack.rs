//! Operands, and their packed copies in the order in which the micro-kernel reads them.

use super::micro::Micro;
use std::ops::Range;

/// One of the two operands, as `lines` sums' worth of k numbers each: the rows of op(A), the columns of op(B).
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub data: &'a [f32],
    pub lines: usize,
    pub k: usize,
    /// Whether the lines lie side by side (stored \[k, lines\]) instead of one after the other (\[lines, k\]).
    pub side_by_side: bool,
}

/// Elements of a line of the cache.
pub(super) const LINE: usize = 16;
/// Sets of L2, and how many lines of one operand find room in each, whatever processor it is.
const SETS: usize = 1 << 10;
const WAYS: usize = 8;
/// Fewer elements than this stay in L2.
pub(super) const SMALL: usize = 1 << 18;

impl<'a> Operand<'a> {
    /// A single line, and lines of length one, lie both ways; side by side needs no transposition.
    pub fn new(data: &'a [f32], lines: usize, k: usize, side_by_side: bool) -> Self {
        let side_by_side = side_by_side || lines == 1 || k == 1;
        Self {
            data,
            lines,
            k,
            side_by_side,
        }
    }

    /// Whether some neighbouring lines, which lie side by side, come to more lines of the cache in a set of L2 than it has ways: at
    /// distances of a power of two they share few sets. A small operand stays there as a whole.
    pub fn crowds_l2(&self) -> bool {
        let distance = self.lines / LINE;
        let is_regular = self.side_by_side && self.lines.is_multiple_of(LINE);
        let sharing = if is_regular {
            1 << distance.trailing_zeros()
        } else {
            1
        };
        self.k.saturating_mul(sharing) > SETS * WAYS && self.k.saturating_mul(self.lines) >= SMALL
    }

    /// Copies some lines side by side: dst\[p * step + i\] = element p of line first + i, for i < count.
    pub fn pack(&self, micro: &Micro, first: usize, count: usize, step: usize, dst: &mut [f32]) {
        self.pack_steps(micro, first, count, 0..self.k, step, dst);
    }

    /// The same of some of their elements: dst\[p * step + i\] = element steps.start + p of line first + i.
    pub fn pack_steps(
        &self,
        micro: &Micro,
        first: usize,
        count: usize,
        steps: Range<usize>,
        step: usize,
        dst: &mut [f32],
    ) {
        let (k, depth) = (self.k, steps.len());
        if depth == 0 {
            return;
        }
        assert!(count <= step && first + count <= self.lines && dst.len() >= depth * step);
        assert!(steps.end <= k && self.data.len() == self.lines * k);
        if self.side_by_side {
            let rows = &self.data[steps.start * self.lines..steps.end * self.lines];
            match count {
                32 => self.copy::<32>(rows, first, step, dst),
                16 => self.copy::<16>(rows, first, step, dst),
                6 => self.copy::<6>(rows, first, step, dst),
                5 => self.copy::<5>(rows, first, step, dst),
                _ => {
                    let rows = rows.chunks_exact(self.lines);
                    for (to, from) in dst.chunks_exact_mut(step).zip(rows) {
                        to[..count].copy_from_slice(&from[first..first + count]);
                    }
                }
            }
            return;
        }
        for i in (0..count).step_by(16) {
            let rows = (count - i).min(16);
            let src = self.data[(first + i) * k + steps.start..].as_ptr();
            let dst = dst[i..].as_mut_ptr();
            // SAFETY: the source has `rows` lines of k elements from line first + i on, the destination as many rows as there
            // are steps, of `step` elements with `rows` of them from column i on (all asserted above); `micro` is one of
            // the instruction sets of this machine (`gemm_with`).
            unsafe { (micro.transpose)(src, k, rows, depth, dst, step) };
        }
    }

    /// The copy of COUNT lines that lie side by side: moves of known length instead of calls.
    fn copy<const COUNT: usize>(&self, rows: &[f32], first: usize, step: usize, dst: &mut [f32]) {
        let rows = rows.chunks_exact(self.lines);
        for (to, from) in dst.chunks_exact_mut(step).zip(rows) {
            if let (Some(to), Some(from)) =
                (to.first_chunk_mut::<COUNT>(), from[first..].first_chunk())
            {
                *to = *from;
            }
        }
    }
}
