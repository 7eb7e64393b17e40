//! Which entries of P are not zero, row by row or column by column.

use super::Put;
use crate::cpu::gemm;

/// Buffers that persist between calls: they grow, and never shrink.
#[derive(Default)]
pub struct Scratch {
    /// Where the entries of each row or column begin, and where the last ones end.
    pub(super) starts: Vec<u32>,
    /// (column, dy) by row, or (row, dy) by column.
    pub(super) entries: Vec<(u32, f32)>,
    cursor: Vec<u32>,
    pub(super) packed: Vec<f32>,
    pub(super) tiles: Vec<f32>,
    pub(super) gemm: gemm::Scratch,
}

impl Scratch {
    /// Lists the entries of P that are not zero by row: (column, dy), columns ascending.
    pub(super) fn by_row(&mut self, put: Put) {
        self.starts.clear();
        self.entries.clear();
        self.entries.reserve(put.dy.len());
        self.starts.push(0);
        for (dy, index) in put
            .dy
            .chunks(put.units.max(1))
            .zip(put.index.chunks(put.units.max(1)))
        {
            for (j, (&dy, &index)) in dy.iter().zip(index).enumerate() {
                if dy != 0.0 {
                    let p = (index as usize).min(put.pieces - 1);
                    self.entries.push(((j * put.pieces + p) as u32, dy));
                }
            }
            self.starts.push(self.entries.len() as u32);
        }
        self.starts.resize(put.batch + 1, 0);
    }

    /// Lists the entries of P that are not zero by column: (row, dy), rows ascending.
    pub(super) fn by_column(&mut self, put: Put) {
        let n = put.columns();
        self.starts.clear();
        self.starts.resize(n + 1, 0);
        let column = |at: usize| {
            let p = (put.index[at] as usize).min(put.pieces - 1);
            at % put.units * put.pieces + p
        };
        for (at, &dy) in put.dy.iter().enumerate() {
            if dy != 0.0 {
                self.starts[column(at) + 1] += 1;
            }
        }
        for j in 0..n {
            self.starts[j + 1] += self.starts[j];
        }
        self.cursor.clear();
        self.cursor.extend_from_slice(&self.starts[..n]);
        // The buffer grows to its largest use at once: how many are zero differs from step to step.
        self.entries.clear();
        self.entries.resize(put.dy.len(), (0, 0.0));
        for (at, &dy) in put.dy.iter().enumerate() {
            if dy != 0.0 {
                let slot = &mut self.cursor[column(at)];
                self.entries[*slot as usize] = ((at / put.units) as u32, dy);
                *slot += 1;
            }
        }
    }
}
