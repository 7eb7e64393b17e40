//! y and dx: products of gathered rows with filters that are packed once.
//!
//! C is cut into blocks of rows and groups of strips of columns, by its sizes alone; each is a task. Its thread gathers a
//! block of some columns of the rows, multiplies it by all strips of the group, and so on along the sum; the sums wait
//! in the thread's own memory, and go through the epilogue in the end.

use super::parts::Part;
use super::patches::{BLOCK, LD, Patches, gather, strips};
use super::tile::{Lie, Tiles};
use super::{Form, Sizes};
use crate::cpu::gemm::out::{Out, Place};
use crate::cpu::gemm::{Epilogue, lay_side_by_side};
use crate::cpu::workspace::lines;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of C in a block, about: its sums and what is gathered for it stay in L2.
const ROWS: usize = 112;
/// Columns of C in a group, at most.
const COLUMNS: usize = 256;
/// With fewer tasks than this, groups have half as many.
const FEW: usize = 32;

/// How one call is cut.
pub(super) struct Cut {
    form: Form,
    sizes: Sizes,
    tiles: &'static Tiles,
    /// Columns of C.
    n: usize,
    /// Length of the sums over all parts.
    k: usize,
    strips: usize,
    /// Strips in a group, and groups.
    group: usize,
    groups: usize,
    /// Rows of a block.
    rows: usize,
    /// Blocks of each part.
    blocks: usize,
}

impl Cut {
    pub fn new(tiles: &'static Tiles, form: Form, sizes: Sizes) -> Cut {
        let n = sizes.columns(form);
        let channels = sizes.gathered_channels(form);
        let strips = n.div_ceil(tiles.width);
        let mut cut = Cut {
            form,
            sizes,
            tiles,
            n,
            k: sizes.kernel[0] * sizes.kernel[1] * channels,
            strips,
            group: strips,
            groups: 1,
            rows: ROWS / tiles.rows * tiles.rows,
            blocks: 0,
        };
        let rows = (0..cut.parts()).map(|i| cut.part_rows(&cut.part(i)));
        cut.blocks = rows.max().map_or(0, |rows| rows.div_ceil(cut.rows));
        let columns = match cut.blocks * cut.parts() * n.div_ceil(COLUMNS) {
            0..FEW => COLUMNS / 2,
            _ => COLUMNS,
        };
        cut.group = (columns / tiles.width).min(strips);
        cut.groups = strips.div_ceil(cut.group);
        cut
    }

    fn parts(&self) -> usize {
        self.sizes.parts(self.form)
    }

    fn part(&self, index: usize) -> Part {
        self.sizes.part(self.form, index)
    }

    /// The rows of a part that are gathered.
    fn patches(&self, part: &Part) -> Patches {
        Patches {
            image: match self.form {
                Form::Dx => self.sizes.window.out,
                _ => self.sizes.image,
            },
            channels: self.sizes.gathered_channels(self.form),
            kernel: part.taps,
            out: part.out,
            stride: part.step,
            from: part.from,
        }
    }

    /// Length of the sums of a part.
    fn part_k(&self, part: &Part) -> usize {
        part.taps[0] * part.taps[1] * self.sizes.gathered_channels(self.form)
    }

    fn part_rows(&self, part: &Part) -> usize {
        self.sizes.n * part.out[0] * part.out[1]
    }

    /// The part, the rows and the strips of a task. Parts of the same images come one after the other.
    fn task(&self, task: usize) -> (Part, Range<usize>, Range<usize>) {
        let (rest, group) = (task / self.groups, task % self.groups);
        let (index, block) = (rest % self.parts(), rest / self.parts());
        let part = self.part(index);
        let rows = self.part_rows(&part);
        let rows = rows * block / self.blocks..rows * (block + 1) / self.blocks;
        let strips = group * self.group..self.strips.min((group + 1) * self.group);
        (part, rows, strips)
    }

    /// How many numbers are multiplied.
    pub fn products(&self) -> usize {
        let parts = (0..self.parts()).map(|i| self.part(i));
        let of_part = |part: Part| self.part_rows(&part) * self.part_k(&part);
        self.n * parts.map(of_part).sum::<usize>()
    }

    /// Floats for the packed filters, and for each thread's block and sums.
    pub fn workspace(&self) -> [usize; 2] {
        let filters = self.strips * self.k * self.tiles.width;
        let columns = self.group * self.tiles.width;
        [
            lines(filters),
            self.block_len() + lines(self.rows * columns),
        ]
    }

    fn block_len(&self) -> usize {
        self.rows * LD
    }

    pub fn run(
        &self,
        threads: usize,
        images: &[f32],
        w: &[f32],
        c: &mut [f32],
        epilogue: Epilogue,
        workspace: &mut [f32],
    ) {
        let [filters, own] = self.workspace();
        let (filters, memory) = workspace.split_at_mut(filters);
        self.pack(threads, w, filters);
        let (filters, out) = (&*filters, Out::new(c, epilogue));
        let tasks = self.blocks * self.parts() * self.groups;
        super::each_task(tasks, threads, memory, own, |task, memory| {
            self.run_task(task, images, filters, &out, memory);
        });
    }

    fn run_task(
        &self,
        task: usize,
        images: &[f32],
        filters: &[f32],
        out: &Out,
        memory: &mut [f32],
    ) {
        let (part, rows, strips) = self.task(task);
        if rows.is_empty() {
            return;
        }
        let (block, sums) = memory.split_at_mut(self.block_len());
        let (k, width, count) = (self.part_k(&part), self.tiles.width, rows.len());
        let (patches, taps) = (self.patches(&part), part.taps_before);
        let filters_before = taps * self.sizes.gathered_channels(self.form);
        // Blocks of nearly equal length, of whole vectors.
        let length = k.div_ceil(k.div_ceil(BLOCK).max(1)).next_multiple_of(16);
        let mut from = 0;
        loop {
            let ks = from..k.min(from + length);
            gather(&patches, images, rows.clone(), ks.clone(), block);
            for (i, s) in strips.clone().enumerate() {
                let b = &filters[(s * self.k + filters_before + from) * width..];
                let sums = &mut sums[i * count * width..];
                let cols = (self.n - s * width).min(width);
                let (lie, len) = (Lie::Below, ks.len());
                self.tiles
                    .multiply(lie, count, cols, len, block, b, sums, from == 0);
            }
            from = ks.end;
            if from >= k {
                break;
            }
        }
        for (i, s) in strips.enumerate() {
            let columns = s * width..self.n.min((s + 1) * width);
            let sums = &sums[i * count * width..];
            self.finish(&part, rows.clone(), columns, out, sums);
        }
    }

    /// Sends the sums of some columns of some of a part's rows to C.
    fn finish(
        &self,
        part: &Part,
        rows: Range<usize>,
        columns: Range<usize>,
        out: &Out,
        sums: &[f32],
    ) {
        let step = self.tiles.width;
        let ([oh, ow], [first, image, row, column]) = (part.out, part.place);
        // Rows that lie at one distance: all, or those of one row of an image.
        let is_even = row == ow * column && image == oh * row;
        let mut at = rows.start;
        while at < rows.end {
            let count = match is_even {
                true => rows.len(),
                false => (ow - at % ow).min(rows.end - at),
            };
            let pixel = first + at / (oh * ow) * image + at / ow % oh * row + at % ow * column;
            let place = Place {
                at: pixel + columns.start,
                column: columns.start,
                ld: column,
                rows: count,
                cols: columns.len(),
                step,
            };
            // SAFETY: tasks have different rows of C, or different columns.
            unsafe { out.finish(place, &sums[(at - rows.start) * step..]) };
            at += count;
        }
    }

    /// Packs the filters: strip by strip, in the order in which a part's rows are gathered.
    fn pack(&self, threads: usize, w: &[f32], to: &mut [f32]) {
        let (width, n) = (self.tiles.width, self.n);
        let pack = |(s, to): (usize, &mut [f32])| {
            let first = s * width;
            let cols = (n - first).min(width);
            match self.form {
                Form::Y => strips(w, n, self.k, first..first + cols, to, width),
                _ => self.pack_turned(w, first, cols, to),
            }
        };
        let len = (self.k * width).max(1);
        match threads {
            1 => to.chunks_exact_mut(len).enumerate().for_each(pack),
            _ => to.par_chunks_exact_mut(len).enumerate().for_each(pack),
        }
    }

    /// The filters of dx for some input channels: of each tap the transposed matrix.
    fn pack_turned(&self, w: &[f32], first: usize, cols: usize, to: &mut [f32]) {
        let Sizes { c_in, c_out, .. } = self.sizes;
        let width = self.tiles.width;
        if cols < width {
            to.fill(0.0);
        }
        for part in (0..self.parts()).map(|index| self.part(index)) {
            for t in 0..part.taps[0] * part.taps[1] {
                let tap = self.sizes.tap(&part, t);
                let from = &w[(tap * c_in + first) * c_out..][..cols * c_out];
                let to = &mut to[(part.taps_before + t) * c_out * width..][..c_out * width];
                lay_side_by_side(from, cols, 0..c_out, to, width);
            }
        }
    }
}
