//! Operands, and their packed copies in the order in which the micro-kernel reads them.

use super::micro::Micro;

/// One of the two operands, as `lines` sums' worth of k numbers each: the rows of op(A), the columns of op(B).
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub data: &'a [f32],
    pub lines: usize,
    pub k: usize,
    /// Whether the lines lie side by side (stored \[k, lines\]) instead of one after the other (\[lines, k\]).
    pub side_by_side: bool,
}

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

    /// Copies some lines side by side: dst\[p * step + i\] = element p of line first + i, for i < count.
    pub fn pack(&self, micro: &Micro, first: usize, count: usize, step: usize, dst: &mut [f32]) {
        let k = self.k;
        if k == 0 {
            return;
        }
        assert!(count <= step && first + count <= self.lines && dst.len() >= k * step);
        if self.side_by_side {
            match count {
                32 => self.copy::<32>(first, step, dst),
                16 => self.copy::<16>(first, step, dst),
                6 => self.copy::<6>(first, step, dst),
                5 => self.copy::<5>(first, step, dst),
                _ => {
                    let rows = self.data.chunks_exact(self.lines);
                    for (to, from) in dst.chunks_exact_mut(step).zip(rows) {
                        to[..count].copy_from_slice(&from[first..first + count]);
                    }
                }
            }
            return;
        }
        assert!(self.data.len() == self.lines * k);
        for i in (0..count).step_by(16) {
            let rows = (count - i).min(16);
            let (src, dst) = (self.data[(first + i) * k..].as_ptr(), dst[i..].as_mut_ptr());
            // SAFETY: the source has `rows` lines of k elements from line first + i on, the destination k rows of
            // `step` elements with `rows` of them from column i on (both asserted above); `micro` is one of the
            // instruction sets of this machine (`gemm_with`).
            unsafe { (micro.transpose)(src, k, rows, k, dst, step) };
        }
    }

    /// The copy of COUNT lines that lie side by side: moves of known length instead of calls.
    fn copy<const COUNT: usize>(&self, first: usize, step: usize, dst: &mut [f32]) {
        let rows = self.data.chunks_exact(self.lines);
        for (to, from) in dst.chunks_exact_mut(step).zip(rows) {
            if let (Some(to), Some(from)) =
                (to.first_chunk_mut::<COUNT>(), from[first..].first_chunk())
            {
                *to = *from;
            }
        }
    }
}
