//! Which entries of P are not zero, row by row or column by column.

use super::Put;

/// A column of P and its row's dy, or a row and that dy, as bits.
pub(super) type Entry = [u32; 2];

/// The entries of P that are not zero, row by row or column by column.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    /// Where those of each row or column begin, and where the last ones end.
    pub starts: &'a [u32],
    pub entries: &'a [Entry],
}

impl<'a> Entries<'a> {
    /// By row: (column, dy), columns ascending. `starts`: a number more than there are rows, `entries`: one more than dy has.
    pub fn by_row(put: Put, starts: &'a mut [u32], entries: &'a mut [Entry]) -> Entries<'a> {
        let units = put.units.max(1);
        starts.fill(0);
        let mut count = 0;
        let rows = put.dy.chunks(units).zip(put.index.chunks(units));
        for ((dy, index), start) in rows.zip(&mut starts[1..]) {
            for (j, (&dy, &index)) in dy.iter().zip(index).enumerate() {
                let p = put.piece(index);
                // Written over by the next one if it is zero: which ones are is beyond prediction.
                entries[count] = [(j * put.pieces + p) as u32, dy.to_bits()];
                count += usize::from(dy != 0.0);
            }
            *start = count as u32;
        }
        Entries { starts, entries }
    }

    /// By column: (row, dy), rows ascending. `starts`: a number more than there are columns, `cursor`: as many as those,
    /// `entries`: as many as dy has.
    pub fn by_column(
        put: Put,
        starts: &'a mut [u32],
        cursor: &mut [u32],
        entries: &'a mut [Entry],
    ) -> Entries<'a> {
        starts.fill(0);
        let column = |j: usize, index: f32| j * put.pieces + put.piece(index);
        let rows = || {
            let units = put.units.max(1);
            put.dy.chunks(units).zip(put.index.chunks(units))
        };
        for (dy, index) in rows() {
            for (j, (&dy, &index)) in dy.iter().zip(index).enumerate() {
                starts[column(j, index) + 1] += u32::from(dy != 0.0);
            }
        }
        for j in 0..cursor.len() {
            starts[j + 1] += starts[j];
        }
        cursor.copy_from_slice(&starts[..cursor.len()]);
        for (row, (dy, index)) in rows().enumerate() {
            for (j, (&dy, &index)) in dy.iter().zip(index).enumerate() {
                if dy != 0.0 {
                    let slot = &mut cursor[column(j, index)];
                    entries[*slot as usize] = [row as u32, dy.to_bits()];
                    *slot += 1;
                }
            }
        }
        Entries { starts, entries }
    }
}
