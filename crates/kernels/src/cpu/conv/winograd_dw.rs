//! dw with fewer multiplications: the sums of [`winograd`](super::winograd) turned around.
//!
//! The gradient in the taps is a sum over tiles of products at the same points, of the same points of cells:
//!
//! ```text
//! results:  z0,  (z0 + a² z2) ± a (z1 + a² z3),  (z0 + b² z2) ± b (z1 + b² z3),  z3          z = dy0, dy1, dy2, dy3
//! taps:     gk = Σ_p place(p)^k m_p / (the point's divisor), of the point at infinity in g2 alone
//! ```
//!
//! A task is one row of points of a block of input channels with a group of output channels, for a part of the tiles where
//! there are few tasks: all by the sizes alone. What they leave is added in its order and transformed in the end. With so few
//! tiles that they are gathered at once, a task has all rows of points and transforms them itself. With a stride the points of
//! dy, which all sources are multiplied by, are computed beforehand.

use super::Sizes;
use super::grid::{Grid, Order, common};
use super::patches::LD;
use super::shared::Shared;
use super::tile::{Lie, Tiles};
use super::transforms::{POINTS, RESULTS, Transforms};
use crate::cpu::gemm::Epilogue;
use crate::cpu::gemm::out::{Out, Place};
use crate::cpu::workspace::lines;
use std::ops::Range;

/// Input channels in a block, and output channels in a group, at most.
const MOST: [usize; 2] = [128, 256];
/// The same of tasks with all rows of points.
const FEW: [usize; 2] = [128, 64];
/// Tiles that are gathered at once.
const TILES: usize = 64;
/// The tiles are shared out where there are fewer tasks than this,
const TASKS: usize = 16;
/// and no part has fewer than this.
const FEWEST: usize = 64;
/// Elements of a point that are added and transformed at once.
const ADDED: usize = 1 << 12;

/// How one call is cut.
pub(super) struct Cut {
    sizes: Sizes,
    kernels: &'static Tiles,
    transforms: &'static Transforms,
    /// Remainders of rows and columns by the strides.
    sources: usize,
    order: Order,
    tiles: usize,
    blocks: usize,
    strips: usize,
    group: usize,
    groups: usize,
    /// Whether a task has all rows of points.
    is_whole: bool,
    /// Parts of the tiles that are summed apart.
    parts: usize,
}

/// Points of the tiles of an image, in all sources, that are needed.
fn points(transforms: &Transforms, sizes: &Sizes, order: &Order) -> usize {
    let sources = sizes.window.stride.iter().product();
    let of_source = |source| order.points(transforms.needed(sizes, source));
    (0..sources).map(of_source).sum()
}

impl Cut {
    /// `None` where other kernels are faster, or where there are none for it.
    pub fn new(kernels: &'static Tiles, sizes: Sizes) -> Option<Cut> {
        // Without a tile nothing would clear the sums.
        if sizes.n == 0 {
            return None;
        }
        let ([kh, kw], [sh, sw]) = (sizes.kernel, sizes.window.stride);
        let taps = kh.div_ceil(sh);
        let fits = kw.div_ceil(sw) == taps && matches!(taps, 2 | 3);
        let are_vectors = [sizes.c_in, sizes.c_out]
            .iter()
            .all(|c| *c >= 32 && c.is_multiple_of(16));
        if !fits || !are_vectors {
            return None;
        }
        let transforms = Transforms::of(kernels.isa(), taps)?;
        let order = Order::new(sizes.n, sizes.window.out, taps);
        let direct = kh * kw * sizes.window.out[0] * sizes.window.out[1];
        // Transforms take a third of the time.
        if 2 * direct < 3 * points(transforms, &sizes, &order) {
            return None;
        }
        let tiles = order.len();
        let is_whole = tiles <= TILES;
        let [channels, columns] = if is_whole { FEW } else { MOST };
        let blocks = sizes.c_in.div_ceil(channels);
        let strips = sizes.c_out.div_ceil(kernels.width);
        let group = (columns / kernels.width).min(strips);
        let groups = strips.div_ceil(group);
        let tasks = sh * sw * transforms.size() * blocks * groups;
        Some(Cut {
            sizes,
            kernels,
            transforms,
            sources: sh * sw,
            order,
            tiles,
            blocks,
            strips,
            group,
            groups,
            is_whole,
            parts: (TASKS / tasks).min(tiles / FEWEST).max(1),
        })
    }

    /// Taps of each part, or source, in each dimension: two or three.
    pub fn taps(&self) -> usize {
        self.transforms.taps()
    }

    #[cfg(test)]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    #[cfg(test)]
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// How many numbers are multiplied.
    pub fn products(&self) -> usize {
        points(self.transforms, &self.sizes, &self.order) * self.sizes.n * self.plane()
    }

    /// Points of a tile in each dimension.
    fn size(&self) -> usize {
        self.transforms.size()
    }

    /// Elements of a point.
    fn plane(&self) -> usize {
        self.sizes.c_in * self.sizes.c_out
    }

    /// Floats for each thread's cells, results, sums, and taps of a strip.
    fn own(&self) -> [usize; 4] {
        let (columns, size) = (self.group * self.kernels.width, self.size());
        let taps = self.taps() * self.taps();
        let packed = match self.shares_results() {
            true => 0,
            false => self.packed(),
        };
        let [sums, taps] = match self.is_whole {
            true => [
                size * size * FEW[0] * columns,
                taps * FEW[0] * self.kernels.width,
            ],
            false => [size * MOST[0] * columns, 0],
        };
        [size * TILES * LD, packed, sums, taps]
    }

    /// Whether several tasks read the same points of dy.
    fn shares_results(&self) -> bool {
        self.sources > 1 && !self.is_whole
    }

    /// Floats of a row of points of dy, of a group and of the tiles that are gathered at once.
    fn packed(&self) -> usize {
        self.size() * TILES * self.group * self.kernels.width
    }

    /// Floats of all points of dy, where they are computed beforehand.
    fn shared(&self) -> usize {
        let rows = self.groups * self.size() * self.parts * self.pieces();
        if self.shares_results() {
            rows * self.packed()
        } else {
            0
        }
    }

    /// How many times tiles are gathered, in a part.
    fn pieces(&self) -> usize {
        self.tiles.div_ceil(self.parts).div_ceil(TILES)
    }

    fn part_tiles(&self, part: usize) -> Range<usize> {
        self.tiles * part / self.parts..self.tiles * (part + 1) / self.parts
    }

    /// The tiles that a part gathers at once, at one time.
    fn piece(&self, part: usize, piece: usize) -> Range<usize> {
        let tiles = self.part_tiles(part);
        let from = tiles.start + piece * TILES;
        from.min(tiles.end)..tiles.end.min(from + TILES)
    }

    /// Rows of a point that are added at once.
    fn added(&self) -> usize {
        (ADDED / self.sizes.c_out).max(1)
    }

    /// Floats for all points of all parts, and for each thread.
    pub fn workspace(&self) -> [usize; 2] {
        if self.is_whole {
            return [0, lines(self.own().iter().sum())];
        }
        let points = self.parts * self.sources * self.size() * self.size() * self.plane();
        let adding = (POINTS + self.taps() * self.taps()) * self.added() * self.sizes.c_out;
        let own = lines(adding.max(self.own().iter().sum()));
        [lines(points) + lines(self.shared()), own]
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
        let [points, own] = self.workspace();
        let (points, memory) = workspace.split_at_mut(points);
        if self.is_whole {
            let (out, tasks) = (
                Out::new(c, epilogue),
                self.sources * self.blocks * self.groups,
            );
            return super::each_task(tasks, threads, memory, own, |task, memory| {
                self.run_whole(task, x, dy, &out, memory);
            });
        }
        let (points, packed) = points.split_at_mut(points.len() - lines(self.shared()));
        if self.shares_results() {
            let len = self.packed();
            let pieces = packed.len() / len;
            let packed = Shared::new(packed);
            super::each_task(pieces, threads, memory, own, |task, _| {
                // SAFETY: each task has a piece of its own.
                self.pack_results(task, dy, unsafe { packed.part(task * len, len) });
            });
        }
        let packed = &*packed;
        let tasks = self.parts * self.sources * self.size() * self.blocks * self.groups;
        let to_points = Out::new(points, Epilogue::Store);
        super::each_task(tasks, threads, memory, own, |task, memory| {
            self.run_task(task, x, dy, packed, &to_points, memory);
        });
        let (points, out) = (&*points, Out::new(c, epilogue));
        let blocks = self.sizes.c_in.div_ceil(self.added());
        super::each_task(
            self.sources * blocks,
            threads,
            memory,
            own,
            |task, memory| {
                let first = task % blocks * self.added();
                let rows = first..self.sizes.c_in.min(first + self.added());
                self.add(task / blocks, rows, points, &out, memory);
            },
        );
    }

    /// Input channels of a block and strips of a group.
    fn channels_and_strips(&self, block: usize, group: usize) -> [Range<usize>; 2] {
        let sixteenth = |of: usize| self.sizes.c_in / 16 * of / self.blocks * 16;
        let strips = group * self.group..self.strips.min((group + 1) * self.group);
        [sixteenth(block)..sixteenth(block + 1), strips]
    }

    /// Columns of a strip.
    fn columns(&self, strip: usize) -> Range<usize> {
        let width = self.kernels.width;
        strip * width..self.sizes.c_out.min((strip + 1) * width)
    }

    /// One row of points, sent to `out`, which has all points of all sources and parts.
    fn run_task(
        &self,
        task: usize,
        x: &[f32],
        dy: &[f32],
        shared: &[f32],
        out: &Out,
        memory: &mut [f32],
    ) {
        let (rest, group) = (task / self.groups, task % self.groups);
        let (rest, block) = (rest / self.blocks, rest % self.blocks);
        let (rest, row) = (rest / self.size(), rest % self.size());
        let (part, source) = (rest / self.sources, rest % self.sources);
        // Where a source has a tap less, its last points are not needed.
        let needed = self.transforms.needed(&self.sizes, source);
        if row >= needed[0] {
            return;
        }
        let [channels, strips] = self.channels_and_strips(block, group);
        let (width, c_out, size) = (self.kernels.width, self.sizes.c_out, self.size());
        let [block, packed, sums, _] = self.own();
        let (memory, sums) = memory[..block + packed + sums].split_at_mut(block + packed);
        let shared = match self.shares_results() {
            true => &shared[self.first_piece(part, group, row) * self.packed()..],
            false => &[],
        };
        let plane = channels.len() * width;
        let at = |point: usize, j: usize| (point * strips.len() + j) * plane;
        let piece = (channels.clone(), strips.clone(), part);
        self.multiply(source, row, piece, [x, dy, shared], memory, sums, at);
        for point in 0..needed[1] {
            for (j, s) in strips.clone().enumerate() {
                let of_all = (part * self.sources + source) * size * size + row * size + point;
                let columns = self.columns(s);
                let place = Place {
                    at: of_all * self.plane() + channels.start * c_out + columns.start,
                    column: columns.start,
                    ld: c_out,
                    rows: channels.len(),
                    cols: columns.len(),
                    step: width,
                };
                // SAFETY: tasks have different points, rows or columns.
                unsafe { out.finish(place, &sums[at(point, j)..]) };
            }
        }
    }

    /// All points of a source for some channels and strips, and from them the taps, sent to C.
    fn run_whole(&self, task: usize, x: &[f32], dy: &[f32], out: &Out, memory: &mut [f32]) {
        let (rest, group) = (task / self.groups, task % self.groups);
        let (source, block) = (rest / self.blocks, rest % self.blocks);
        let [channels, strips] = self.channels_and_strips(block, group);
        let [block, packed, sums, _] = self.own();
        let (memory, rest) = memory.split_at_mut(block + packed);
        let (sums, taps) = rest.split_at_mut(sums);
        let (size, points) = (self.size(), self.transforms.points());
        let plane = channels.len() * self.kernels.width;
        for row in 0..self.transforms.needed(&self.sizes, source)[0] {
            let at = |point: usize, j: usize| (j * points + row * size + point) * plane;
            let piece = (channels.clone(), strips.clone(), 0);
            self.multiply(source, row, piece, [x, dy, &[]], memory, sums, at);
        }
        for (j, s) in strips.enumerate() {
            let taps = &mut taps[..self.taps() * self.taps() * plane];
            let sums = &sums[j * points * plane..];
            self.transforms.taps_of_points(sums, plane, taps);
            let columns = self.columns(s);
            self.send(
                source,
                channels.clone(),
                columns,
                taps,
                self.kernels.width,
                out,
            );
        }
    }

    /// The first piece of a part's points of dy, of one group and row, among all.
    fn first_piece(&self, part: usize, group: usize, row: usize) -> usize {
        ((part * self.groups + group) * self.size() + row) * self.pieces()
    }

    /// A row of points of dy for a group and some tiles: those that a part gathers at once.
    fn pack_results(&self, task: usize, dy: &[f32], to: &mut [f32]) {
        let (rest, piece) = (task / self.pieces(), task % self.pieces());
        let (rest, row) = (rest / self.size(), rest % self.size());
        let (part, group) = (rest / self.groups, rest % self.groups);
        let [_, strips] = self.channels_and_strips(0, group);
        self.row_of_results(row, strips, self.piece(part, piece), dy, to);
    }

    /// A row of points of dy for some strips and tiles, strip by strip for each point.
    fn row_of_results(
        &self,
        row: usize,
        strips: Range<usize>,
        tiles: Range<usize>,
        dy: &[f32],
        to: &mut [f32],
    ) {
        let (width, k) = (self.kernels.width, tiles.len());
        let results = Grid {
            image: self.sizes.window.out,
            channels: self.sizes.c_out,
            step: [1, 1],
            first: [0, 0],
            order: self.order,
            size: RESULTS,
        };
        let all = self.columns(strips.start).start..self.columns(strips.end - 1).end;
        let plane = strips.len() * k * width;
        results.each(tiles, &all, dy, |i, pixels| {
            let to = &mut to[i * width..];
            self.transforms
                .row_of_results(row, pixels, to, plane, k * width);
        });
    }

    /// Sums over a part's tiles at one row of points of a source, for some input channels and strips: those of a point and strip
    /// `j` at `sums[at(point, j)..]`. `shared` are the points of dy, where they were computed beforehand.
    #[expect(clippy::too_many_arguments, reason = "a product's sizes and operands")]
    fn multiply(
        &self,
        source: usize,
        row: usize,
        (channels, strips, part): (Range<usize>, Range<usize>, usize),
        [x, dy, shared]: [&[f32]; 3],
        memory: &mut [f32],
        sums: &mut [f32],
        at: impl Fn(usize, usize) -> usize,
    ) {
        let Sizes { c_in, window, .. } = self.sizes;
        let (width, needed) = (
            self.kernels.width,
            self.transforms.needed(&self.sizes, source),
        );
        let remainder = [source / window.stride[1], source % window.stride[1]];
        let cells = Grid {
            image: self.sizes.image,
            channels: c_in,
            step: window.stride,
            first: [0, 1].map(|d| remainder[d] as isize - window.pad[d] as isize),
            order: self.order,
            size: self.size(),
        };
        let (block, packed) = memory.split_at_mut(self.own()[0]);
        let (count, last) = (channels.len(), self.size() - 1);
        for piece in 0..self.pieces() {
            let some = self.piece(part, piece);
            if some.is_empty() {
                break;
            }
            let k = some.len();
            let row_has = common(&some, self.order.having([row == last, false]));
            if !row_has.is_empty() {
                let skipped = row_has.start - some.start;
                cells.each(row_has.clone(), &channels, x, |i, cells| {
                    let to = &mut block[(skipped + i) * LD..];
                    self.transforms.row_of_cells(row, cells, to, TILES * LD);
                });
            }
            let packed = if self.shares_results() {
                &shared[piece * self.packed()..]
            } else {
                self.row_of_results(row, strips.clone(), some.clone(), dy, packed);
                &*packed
            };
            let plane = strips.len() * k * width;
            for point in 0..needed[1] {
                let has = common(&row_has, self.order.having([row == last, point == last]));
                let (skipped, k_has) = (has.start - some.start, has.len());
                for (j, s) in strips.clone().enumerate() {
                    let a = &block[(point * TILES + skipped) * LD..];
                    let b = &packed[point * plane + (j * k + skipped) * width..];
                    let sums = &mut sums[at(point, j)..];
                    let (lie, cols) = (Lie::Beside, self.columns(s).len());
                    self.kernels
                        .multiply(lie, count, cols, k_has, a, b, sums, piece == 0);
                }
            }
        }
    }

    /// Adds the parts of some input channels of a source in their order, and sends their taps to C.
    fn add(
        &self,
        source: usize,
        rows: Range<usize>,
        points: &[f32],
        out: &Out,
        memory: &mut [f32],
    ) {
        let c_out = self.sizes.c_out;
        let (all, len) = (self.size() * self.size(), rows.len() * c_out);
        let (sums, taps) = memory.split_at_mut(POINTS * len);
        for point in 0..all {
            let sums = &mut sums[point * len..][..len];
            for part in 0..self.parts {
                let plane = (part * self.sources + source) * all + point;
                let more = &points[plane * self.plane() + rows.start * c_out..][..len];
                match part {
                    0 => sums.copy_from_slice(more),
                    _ => sums.iter_mut().zip(more).for_each(|(sum, x)| *sum += x),
                }
            }
        }
        let taps = &mut taps[..self.taps() * self.taps() * len];
        self.transforms.taps_of_points(sums, len, taps);
        self.send(source, rows, 0..c_out, taps, c_out, out);
    }

    /// Sends some input and output channels of a source's taps, in rows at a distance of `step`, to C.
    fn send(
        &self,
        source: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        taps: &[f32],
        step: usize,
        out: &Out,
    ) {
        let Sizes {
            kernel: [kh, kw],
            c_in,
            c_out,
            window,
            ..
        } = self.sizes;
        let [sh, sw] = window.stride;
        for (t, sums) in taps.chunks_exact(rows.len() * step).enumerate() {
            let u = source / sw + sh * (t / self.taps());
            let v = source % sw + sw * (t % self.taps());
            if u >= kh || v >= kw {
                continue;
            }
            let place = Place {
                at: ((u * kw + v) * c_in + rows.start) * c_out + columns.start,
                column: columns.start,
                ld: c_out,
                rows: rows.len(),
                cols: columns.len(),
                step,
            };
            // SAFETY: tasks have different taps, rows or columns of C.
            unsafe { out.finish(place, sums) };
        }
    }
}
