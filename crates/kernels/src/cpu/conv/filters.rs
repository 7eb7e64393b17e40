//! dw: the product of transposed gathered rows with dy, a long sum over all windows.
//!
//! C is cut into blocks of rows and groups of strips of columns; where that makes few tasks, the sum is cut as well, and the
//! parts are added in their order. All of it depends on the sizes alone.

use super::patches::{BLOCK, LD, Patches, gather, strips};
use super::tile::{Lie, Tiles};
use super::{Form, Sizes};
use crate::cpu::gemm::Epilogue;
use crate::cpu::gemm::out::{Out, Place};
use crate::cpu::workspace::lines;
use std::ops::Range;

/// Rows of C in a block, at most.
const ROWS: usize = BLOCK;
/// Columns of C in a group, at most.
const COLUMNS: usize = 256;
/// Windows that are gathered at once.
const WINDOWS: usize = 128;
/// The sum is cut where there are fewer tasks than this,
const TASKS: usize = 16;
/// and no part of it is shorter than this.
const SHORTEST: usize = 256;
/// Elements of C whose parts are added by a task.
const ADDED: usize = 1 << 12;

/// How one call is cut.
pub(super) struct Cut {
    tiles: &'static Tiles,
    patches: Patches,
    m: usize,
    n: usize,
    windows: usize,
    /// Blocks of rows.
    blocks: usize,
    strips: usize,
    /// Strips in a group, and groups.
    group: usize,
    groups: usize,
    /// Parts of the sum.
    parts: usize,
}

impl Cut {
    pub fn new(tiles: &'static Tiles, sizes: Sizes) -> Cut {
        let window = sizes.window;
        let patches = Patches {
            image: sizes.image,
            channels: sizes.c_in,
            kernel: sizes.kernel,
            out: window.out,
            stride: window.stride,
            from: window.pad.map(|pad| -(pad as isize)),
        };
        let (m, n, windows) = (patches.k(), sizes.c_out, sizes.terms(Form::Dw));
        let blocks = m.div_ceil(ROWS / tiles.rows * tiles.rows);
        let strips = n.div_ceil(tiles.width);
        let group = (COLUMNS / tiles.width).min(strips);
        let groups = strips.div_ceil(group);
        let parts = (TASKS / (blocks * groups)).min(windows / SHORTEST).max(1);
        Cut {
            tiles,
            patches,
            m,
            n,
            windows,
            blocks,
            strips,
            group,
            groups,
            parts,
        }
    }

    /// How many numbers are multiplied.
    pub fn products(&self) -> usize {
        self.m * self.n * self.windows
    }

    /// Floats for the parts of C, where there are several, and for each thread's block, strip and sums.
    pub fn workspace(&self) -> [usize; 2] {
        let parts = match self.parts {
            1 => 0,
            parts => parts * self.m * self.n,
        };
        let [block, strip] = self.own();
        let sums = self.group * ROWS * self.tiles.width;
        [lines(parts), block + strip + lines(sums)]
    }

    fn own(&self) -> [usize; 2] {
        [WINDOWS * LD, self.group * WINDOWS * self.tiles.width]
    }

    pub fn run(
        &self,
        threads: usize,
        x: &[f32],
        dy: &[f32],
        c: &mut [f32],
        epilogue: Epilogue,
        workspace: &mut [f32],
    ) {
        let [parts, own] = self.workspace();
        let (parts, memory) = workspace.split_at_mut(parts);
        let out = Out::new(c, epilogue);
        let tasks = self.blocks * self.groups * self.parts;
        if self.parts == 1 {
            super::each_task(tasks, threads, memory, own, |task, memory| {
                self.run_task(task, x, dy, &out, memory);
            });
            return;
        }
        let to_parts = Out::new(parts, Epilogue::Store);
        super::each_task(tasks, threads, memory, own, |task, memory| {
            self.run_task(task, x, dy, &to_parts, memory);
        });
        self.add(threads, parts, &out, memory, own);
    }

    fn run_task(&self, task: usize, x: &[f32], dy: &[f32], out: &Out, memory: &mut [f32]) {
        let (part, task) = (
            task / (self.blocks * self.groups),
            task % (self.blocks * self.groups),
        );
        let (block, group) = (task / self.groups, task % self.groups);
        let share = |of: usize, i: usize, count: usize| of * i / count..of * (i + 1) / count;
        let rows = share(self.m, block, self.blocks);
        let windows = share(self.windows, part, self.parts);
        let group = group * self.group..self.strips.min((group + 1) * self.group);
        let [gathered, packed] = self.own();
        let (gathered, memory) = memory.split_at_mut(gathered);
        let (packed, sums) = memory.split_at_mut(packed);
        let (width, count) = (self.tiles.width, rows.len());
        let columns = |s: usize| s * width..self.n.min((s + 1) * width);
        let mut from = windows.start;
        loop {
            let some: Range<usize> = from..windows.end.min(from + WINDOWS);
            let k = some.len();
            gather(&self.patches, x, some.clone(), rows.clone(), gathered);
            let (first, last) = (columns(group.start), columns(group.end - 1));
            let dy = dy.get(from * self.n..).unwrap_or_default();
            strips(dy, self.n, k, first.start..last.end, packed, width);
            for (i, s) in group.clone().enumerate() {
                let columns = columns(s);
                let packed = &packed[i * k * width..];
                let sums = &mut sums[i * count * width..];
                let is_first = from == windows.start;
                self.tiles.multiply(
                    Lie::Beside,
                    count,
                    columns.len(),
                    k,
                    gathered,
                    packed,
                    sums,
                    is_first,
                );
            }
            from = some.end;
            if from >= windows.end {
                break;
            }
        }
        for (i, s) in group.enumerate() {
            let columns = columns(s);
            let place = Place {
                at: (part * self.m + rows.start) * self.n + columns.start,
                column: columns.start,
                ld: self.n,
                rows: count,
                cols: columns.len(),
                step: width,
            };
            // SAFETY: tasks have different rows or columns of C, or different parts of the sum, each with a C of its own.
            unsafe { out.finish(place, &sums[i * count * width..]) };
        }
    }

    /// Adds the parts in their order and sends the sums on.
    fn add(&self, threads: usize, parts: &[f32], out: &Out, memory: &mut [f32], own: usize) {
        let rows = (ADDED / self.n).clamp(1, own / self.n);
        let whole = self.m * self.n;
        super::each_task(
            self.m.div_ceil(rows),
            threads,
            memory,
            own,
            |task, memory| {
                let first = task * rows;
                let rows = rows.min(self.m - first);
                let range = first * self.n..(first + rows) * self.n;
                let sums = &mut memory[..range.len()];
                sums.copy_from_slice(&parts[range.clone()]);
                for part in 1..self.parts {
                    let more = &parts[part * whole..][range.clone()];
                    sums.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
                }
                let place = Place {
                    at: range.start,
                    column: 0,
                    ld: self.n,
                    rows,
                    cols: self.n,
                    step: self.n,
                };
                // SAFETY: tasks have different rows of C.
                unsafe { out.finish(place, sums) };
            },
        );
    }
}
