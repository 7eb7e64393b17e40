//! y and dx with fewer multiplications, after Winograd: two results of a sum over two or three neighbouring cells take three
//! or four products instead of four or six, in both dimensions 9 instead of 16 or 16 instead of 36.
//!
//! ```text
//! two taps:    y0 = d0 g0 + d1 g1,  y1 = d1 g0 + d2 g1
//!              m = (d0 - d1) g0,  d1 (g0 + g1),  (d2 - d1) g1                       y0 = m0 + m1,       y1 = m1 + m2
//! three taps:  y0 = d0 g0 + d1 g1 + d2 g2,  y1 = d1 g0 + d2 g1 + d3 g2
//!              m = (d0 - d2) g0,  (d1 + d2) (g0 + g1 + g2)/2,  (d2 - d1) (g0 - g1 + g2)/2,  (d1 - d3) g2
//!                                                                                   y0 = m0 + m1 + m2,  y1 = m1 - m2 - m3
//! ```
//!
//! A tile is 2 x 2 results. Of each of its points (3 x 3 or 4 x 4), a block of tiles is a matrix of tiles by channels, which
//! is multiplied by the filters' matrix of that point. A stride is taken apart as in `rows`: dx into one part for each pair of
//! remainders, y into one source for each, whose products add up. A filter that is no multiple of the stride gets zeros,
//! and points at which they leave nothing are left out.
//!
//! A point's cells are differences and sums of 4 cells, so at most 4 max|x|; its filters, taken over the points of a result, sum
//! up to at most 4 Σ|w|. So the error of a sum of K products at each point, with some roundings more for the transforms, is at
//! most 16 (K + 12) · 2^-24 · max|x| · Σ|w|, and the same with dy for x in dx, with dy for w in dw.
//!
//! source: Winograd 1980, Arithmetic complexity of computations; Lavin and Gray 2016, Fast algorithms for convolutional neural
//! networks

use super::parts::Part;
use super::patches::{BLOCK, LD};
use super::tile::{Lie, Tiles};
use super::transforms::{POINTS, Transforms, fetch};
use super::{Form, Sizes, Window};
use crate::cpu::gemm::out::{Out, Place};
use crate::cpu::gemm::{Epilogue, lay_side_by_side};
use crate::cpu::workspace::lines;
use std::ops::Range;

/// Channels that are gathered at once.
const CHANNELS: usize = 64;
/// Columns of C in a group, at most.
const COLUMNS: usize = 128;
/// Tiles in a block, about, for two taps and for three.
const TILES: [usize; 2] = [98, 56];

/// How one call is cut.
pub(super) struct Cut {
    form: Form,
    sizes: Sizes,
    tiles: &'static Tiles,
    transforms: &'static Transforms,
    /// Channels of what is gathered, and of the result.
    channels: usize,
    n: usize,
    strips: usize,
    group: usize,
    groups: usize,
    /// Tiles of a block.
    block: usize,
    /// Blocks of each part.
    blocks: usize,
}

/// Tiles below each other and beside each other: of 2 x 2 pixels of a part.
fn tiles_of(part: &Part) -> [usize; 2] {
    part.out.map(|pixels| pixels.div_ceil(2))
}

impl Cut {
    /// `None` where other kernels are faster, or where there are none for it.
    pub fn new(tiles: &'static Tiles, form: Form, sizes: Sizes) -> Option<Cut> {
        let (n, channels) = (sizes.columns(form), sizes.gathered_channels(form));
        let [kh, kw] = sizes.kernel;
        let [sh, sw] = sizes.window.stride;
        let taps = kh.div_ceil(sh);
        let fits = kw.div_ceil(sw) == taps && matches!(taps, 2 | 3);
        let is_worth_it = channels >= 32 && n >= 32 && channels.is_multiple_of(16);
        if form == Form::Dw || !fits || !is_worth_it {
            return None;
        }
        let strips = n.div_ceil(tiles.width);
        let group = (COLUMNS / tiles.width).min(strips);
        let mut cut = Cut {
            form,
            sizes,
            tiles,
            transforms: Transforms::of(tiles.isa(), taps)?,
            channels,
            n,
            strips,
            group,
            groups: strips.div_ceil(group),
            block: TILES[taps - 2] / tiles.rows * tiles.rows,
            blocks: 0,
        };
        let parts = (0..cut.parts()).map(|index| cut.part(index));
        // Multiplications of the other kernels, and of these with a tenth for the transforms.
        let direct = sizes.window.out[0] * sizes.window.out[1] * kh * kw;
        let points: usize = parts
            .clone()
            .flat_map(|part| (0..cut.sources()).map(move |source| (part, source)))
            .map(|(part, source)| {
                let [h, w] = needed(sizes.kernel, [sh, sw], part.index + source);
                tiles_of(&part)[0] * tiles_of(&part)[1] * (h + 1) * (w + 1)
            })
            .sum();
        if 10 * direct < 11 * points {
            return None;
        }
        let blocks = |part: Part| cut.part_tiles(&part).div_ceil(cut.block);
        cut.blocks = parts.map(blocks).max()?;
        Some(cut)
    }

    /// Taps of each part, or source, in each dimension: two or three.
    pub fn taps(&self) -> usize {
        self.transforms.taps()
    }

    fn points(&self) -> usize {
        self.transforms.points()
    }

    /// Whether the filters are 0 at a point: where a part or a source has a tap less, whose place is the first one in dx and
    /// the last one in y.
    fn is_zero(&self, part: &Part, source: usize, point: usize) -> bool {
        let (kernel, stride) = (self.sizes.kernel, self.sizes.window.stride);
        let taps = needed(kernel, stride, part.index + source);
        let zero = match self.form {
            Form::Dx => 0,
            _ => self.taps(),
        };
        let at = [
            point / self.transforms.size(),
            point % self.transforms.size(),
        ];
        (0..2).any(|d| taps[d] < self.taps() && at[d] == zero)
    }

    fn parts(&self) -> usize {
        self.sizes.parts(self.form)
    }

    fn sources(&self) -> usize {
        match self.form {
            Form::Dx => 1,
            _ => self.sizes.window.stride.iter().product(),
        }
    }

    fn part(&self, index: usize) -> Part {
        self.sizes.part(self.form, index)
    }

    fn part_tiles(&self, part: &Part) -> usize {
        self.sizes.n * tiles_of(part)[0] * tiles_of(part)[1]
    }

    /// Floats of the filters of one strip, of one part, of one point.
    fn filters(&self) -> [usize; 3] {
        let point = self.sources() * self.channels * self.tiles.width;
        let part = self.points() * point;
        [self.parts() * part, part, point]
    }

    /// Floats for the filters, for those before they are transformed, and for each thread's block and sums.
    pub fn workspace(&self) -> [usize; 2] {
        let taps = self.taps() * self.taps() * self.channels * self.tiles.width;
        let block = self.points() * self.block * LD;
        let sums = self.group * self.points() * self.block * self.tiles.width;
        [
            lines(self.strips * self.filters()[0]),
            // A thread packs filters before it gathers blocks.
            taps.max(block + sums),
        ]
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
        let [strip, part, _] = self.filters();
        let packs = self.strips * self.parts();
        let packed = Shared::new(&mut filters[..self.strips * strip]);
        super::each_task(packs, threads, memory, own, |task, memory| {
            // SAFETY: each task has a part of its own.
            let to = unsafe { packed.part(task * part, part) };
            self.pack(w, task / self.parts(), task % self.parts(), memory, to);
        });
        let (filters, out) = (&*filters, Out::new(c, epilogue));
        let tasks = self.blocks * self.parts() * self.groups;
        super::each_task(tasks, threads, memory, own, |task, memory| {
            self.run_task(task, images, filters, &out, memory);
        });
    }

    /// The filters of one strip and part, transformed: a matrix of channels by columns for each point.
    fn pack(&self, w: &[f32], strip: usize, part: usize, memory: &mut [f32], to: &mut [f32]) {
        let (width, rows) = (self.tiles.width, self.channels);
        let first = strip * width;
        let cols = (self.n - first).min(width);
        let [_, _, point] = self.filters();
        let plane = rows * width;
        let taps = &mut memory[..self.taps() * self.taps() * plane];
        for source in 0..self.sources() {
            let remainder = part + source;
            let [sh, sw] = self.sizes.window.stride;
            let [rh, rw] = [remainder / sw, remainder % sw];
            for (t, taps) in taps.chunks_exact_mut(plane).enumerate() {
                let (i, j) = (t / self.taps(), t % self.taps());
                let tap = match self.form {
                    // y: cell i of a source is reached by this row of the filter.
                    Form::Y => [rh + sh * i, rw + sw * j],
                    // dx: the other way round.
                    _ => [
                        rh + sh * (self.taps() - 1 - i),
                        rw + sw * (self.taps() - 1 - j),
                    ],
                };
                self.tap(w, tap, first, cols, taps);
            }
            let to = &mut to[source * plane..];
            self.transforms.filters(taps, plane, to, point);
        }
    }

    /// One tap of the filters: channels by some columns, or zeros.
    fn tap(&self, w: &[f32], [u, v]: [usize; 2], first: usize, cols: usize, to: &mut [f32]) {
        let Sizes {
            kernel: [kh, kw],
            c_in,
            c_out,
            ..
        } = self.sizes;
        let width = self.tiles.width;
        if u >= kh || v >= kw {
            return to.fill(0.0);
        }
        let w = &w[(u * kw + v) * c_in * c_out..][..c_in * c_out];
        match self.form {
            Form::Y => super::patches::strips(w, c_out, c_in, first..first + cols, to, width),
            _ => {
                if cols < width {
                    to.fill(0.0);
                }
                let from = &w[first * c_out..(first + cols) * c_out];
                lay_side_by_side(from, cols, c_out, to, width);
            }
        }
    }

    /// Parts of the same images come one after the other.
    fn task(&self, task: usize) -> (Part, Range<usize>, Range<usize>) {
        let (rest, group) = (task / self.groups, task % self.groups);
        let part = self.part(rest % self.parts());
        let (block, tiles) = (rest / self.parts(), self.part_tiles(&part));
        let tiles = tiles * block / self.blocks..tiles * (block + 1) / self.blocks;
        let strips = group * self.group..self.strips.min((group + 1) * self.group);
        (part, tiles, strips)
    }

    fn run_task(
        &self,
        task: usize,
        images: &[f32],
        filters: &[f32],
        out: &Out,
        memory: &mut [f32],
    ) {
        let (part, tiles, strips) = self.task(task);
        if tiles.is_empty() {
            return;
        }
        let (points, width, count) = (self.points(), self.tiles.width, tiles.len());
        let (block, sums) = memory.split_at_mut(points * self.block * LD);
        let plane = count * width;
        let [of_strip, of_part, of_point] = self.filters();
        for source in 0..self.sources() {
            for first in (0..self.channels).step_by(CHANNELS) {
                let channels = first..self.channels.min(first + CHANNELS);
                let k = channels.len();
                self.gather(&part, source, tiles.clone(), channels, images, block);
                let is_first = source == 0 && first == 0;
                for point in 0..points {
                    let k = match self.is_zero(&part, source, point) {
                        true if is_first => 0,
                        true => continue,
                        false => k,
                    };
                    let a = &block[point * self.block * LD..];
                    for (i, s) in strips.clone().enumerate() {
                        let row = source * self.channels + first;
                        let at =
                            s * of_strip + part.index * of_part + point * of_point + row * width;
                        let sums = &mut sums[(i * points + point) * plane..][..plane];
                        let cols = (self.n - s * width).min(width);
                        self.tiles.multiply(
                            Lie::Below,
                            count,
                            cols,
                            k,
                            a,
                            &filters[at..],
                            sums,
                            is_first,
                        );
                    }
                }
            }
        }
        self.finish(&part, tiles, strips, out, sums);
    }

    /// The transformed cells of some tiles: of point p, tile i and channel c at `to[(p * block + i) * LD + c]`.
    fn gather(
        &self,
        part: &Part,
        source: usize,
        tiles: Range<usize>,
        channels: Range<usize>,
        images: &[f32],
        to: &mut [f32],
    ) {
        let (plane, grid) = (self.block * LD, self.grid(part, source));
        let mut next = grid.cells(tiles.start, &channels, images);
        for (i, tile) in tiles.clone().enumerate() {
            let cells = next;
            if tile + 1 < tiles.end {
                next = grid.cells(tile + 1, &channels, images);
                fetch(&next);
            }
            self.transforms.cells(&cells, &mut to[i * LD..], plane);
        }
    }

    /// Where the tiles of a part lie on a source.
    fn grid(&self, part: &Part, source: usize) -> Grid {
        let Window { stride, out, .. } = self.sizes.window;
        let (image, step) = match self.form {
            Form::Dx => (out, [1, 1]),
            _ => (self.sizes.image, stride),
        };
        let remainder = [source / stride[1], source % stride[1]];
        // Taps that a part of dx lacks are zeros before the others.
        let lacking = |d: usize| match self.form {
            Form::Dx => self.taps() - part.taps[d],
            _ => 0,
        };
        Grid {
            image,
            channels: self.channels,
            step,
            first: [0, 1].map(|d| part.from[d] + remainder[d] as isize - lacking(d) as isize),
            tiles: tiles_of(part),
            size: self.transforms.size(),
        }
    }

    /// Sends the results of some tiles to C.
    fn finish(
        &self,
        part: &Part,
        tiles: Range<usize>,
        strips: Range<usize>,
        out: &Out,
        sums: &[f32],
    ) {
        let (width, points) = (self.tiles.width, self.points());
        let plane = tiles.len() * width;
        let ([oh, ow], [th, tw]) = (part.out, tiles_of(part));
        let [first, image, row, column] = part.place;
        let mut results = [0.0; 4 * Tiles::MOST_COLUMNS];
        for (i, tile) in tiles.enumerate() {
            let (n, r, q) = (tile / (th * tw), 2 * (tile / tw % th), 2 * (tile % tw));
            for (j, s) in strips.clone().enumerate() {
                let sums = &sums[j * points * plane + i * width..];
                self.transforms.sums(sums, plane, &mut results);
                let columns = s * width..self.n.min((s + 1) * width);
                for u in 0..2.min(oh - r) {
                    let place = Place {
                        at: first + n * image + (r + u) * row + q * column + columns.start,
                        column: columns.start,
                        ld: column,
                        rows: 2.min(ow - q),
                        cols: columns.len(),
                        step: width,
                    };
                    // SAFETY: tasks have different tiles of C, or different columns.
                    unsafe { out.finish(place, &results[u * 2 * width..]) };
                }
            }
        }
    }
}

/// Taps that a remainder of rows and columns by the strides has in each dimension.
pub(super) fn needed(kernel: [usize; 2], stride: [usize; 2], remainder: usize) -> [usize; 2] {
    let remainder = [remainder / stride[1], remainder % stride[1]];
    [0, 1].map(|d| kernel[d].saturating_sub(remainder[d]).div_ceil(stride[d]))
}

/// Tiles of cells, one every two cells, of images with a distance of `step` pixels between cells.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub image: [usize; 2],
    pub channels: usize,
    pub step: [usize; 2],
    /// The pixel that is the first cell of the first tile.
    pub first: [isize; 2],
    /// Tiles below each other and beside each other.
    pub tiles: [usize; 2],
    /// Cells of a tile in each dimension.
    pub size: usize,
}

impl Grid {
    /// Some channels of the cells of a tile; zeros outside of the image.
    pub fn cells<'a>(
        &self,
        tile: usize,
        channels: &Range<usize>,
        images: &'a [f32],
    ) -> [&'a [f32]; POINTS] {
        static ZEROS: [f32; BLOCK] = [0.0; BLOCK];
        let ([h, w], [th, tw]) = (self.image, self.tiles);
        let (n, ti, tj) = (tile / (th * tw), tile / tw % th, tile % tw);
        let start = |d: usize, t: usize| (2 * t * self.step[d]) as isize + self.first[d];
        let (top, left) = (start(0, ti), start(1, tj));
        let mut cells = [&ZEROS[..channels.len()]; POINTS];
        for u in 0..self.size {
            let row = top + (u * self.step[0]) as isize;
            if row < 0 || row as usize >= h {
                continue;
            }
            for v in 0..self.size {
                let column = left + (v * self.step[1]) as isize;
                if column >= 0 && (column as usize) < w {
                    let pixel = (n * h + row as usize) * w + column as usize;
                    let at = pixel * self.channels + channels.start;
                    cells[u * self.size + v] = &images[at..at + channels.len()];
                }
            }
        }
        cells
    }
}

/// Memory of which several threads write different parts.
struct Shared<'a> {
    start: *mut f32,
    len: usize,
    borrow: std::marker::PhantomData<&'a mut f32>,
}

// SAFETY: the pointer is an exclusive borrow; `part` makes its callers promise that parts are disjoint.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn new(memory: &'a mut [f32]) -> Shared<'a> {
        Shared {
            start: memory.as_mut_ptr(),
            len: memory.len(),
            borrow: std::marker::PhantomData,
        }
    }

    /// # Safety
    /// No two parts that are used at the same time overlap.
    #[expect(clippy::mut_from_ref, reason = "the caller's promise")]
    unsafe fn part(&self, at: usize, len: usize) -> &mut [f32] {
        assert!(at <= self.len && len <= self.len - at);
        // SAFETY: within the memory; the caller vouches for the rest.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
