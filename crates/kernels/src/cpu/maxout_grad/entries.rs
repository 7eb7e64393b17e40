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
        let units = put.units.max(1);
        self.starts.clear();
        self.starts.push(0);
        self.entries.clear();
        self.entries.resize(put.dy.len() + 1, (0, 0.0));
        let mut count = 0;
        for (dy, index) in put.dy.chunks(units).zip(put.index.chunks(units)) {
            for (j, (&dy, &index)) in dy.iter().zip(index).enumerate() {
                let p = (index as usize).min(put.pieces - 1);
                // Written over by the next one if it is zero: which ones are is beyond prediction.
                self.entries[count] = ((j * put.pieces + p) as u32, dy);
                count += usize::from(dy != 0.0);
            }
            self.starts.push(count as u32);
        }
        self.starts.resize(put.batch + 1, 0);
    }

    /// Lists the entries of P that are not zero by column: (row, dy), rows ascending.
    pub(super) fn by_column(&mut self, put: Put) {
        let n = put.columns();
        self.starts.clear();
        self.starts.resize(n + 1, 0);
        let column = |j: usize, index: f32| {
            let p = (index as usize).min(put.pieces - 1);
            j * put.pieces + p
        };
        let rows = || {
            let units = put.units.max(1);
            put.dy.chunks(units).zip(put.index.chunks(units))
        };
        for (dy, index) in rows() {
            for (j, (&dy, &index)) in dy.iter().zip(index).enumerate() {
                self.starts[column(j, index) + 1] += u32::from(dy != 0.0);
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
        for (row, (dy, index)) in rows().enumerate() {
            for (j, (&dy, &index)) in dy.iter().zip(index).enumerate() {
                if dy != 0.0 {
                    let slot = &mut self.cursor[column(j, index)];
                    self.entries[*slot as usize] = (row as u32, dy);
                    *slot += 1;
                }
            }
        }
    }
}
