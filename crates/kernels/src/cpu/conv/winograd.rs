//! y and dx with fewer multiplications, after Winograd: four results of a sum over two or three neighbouring cells take five
//! or six products instead of 8 or 12, in both dimensions 25 instead of 64 or 36 instead of 144.
//!
//! The cells are the coefficients of a polynomial d, the taps those of g. Points are its values at 0, a, -a, b, -b and, with three
//! taps, at infinity, for a = 3/4 and b = 3/2: of the places that four-byte numbers multiply without a rounding those with
//! small errors.
//!
//! ```text
//! cells:    d4 - (a²+b²) d2 + a²b² d0,  (d4 - b² d2) ± a (d3 - b² d1),  (d4 - a² d2) ± b (d3 - a² d1),  d5 - (a²+b²) d3 + a²b² d1
//! taps:     g0 / a²b²,  (g0 ± a g1 + a² g2) / 2a²(a²-b²),  (g0 ± b g1 + b² g2) / 2b²(b²-a²),  g2
//! results:  yj = Σ_p place(p)^j m_p, of the point at infinity in y3 alone, m_p the product at point p
//! ```
//!
//! A tile is 4 x 4 results. Of each of its points (5 x 5 or 6 x 6), a block of tiles is a matrix of tiles by channels, which
//! is multiplied by the filters' matrix of that point. With two taps a tile at the image's end that has fewer results is thin: it
//! has no fifth cell, d4 = b d3 + a² d2 - a² b d1 takes its place, and with that the point at -b is 0 and left out. A stride is taken apart as in `rows`: dx into one part for each pair of
//! remainders, y into one source for each, whose products add up. A filter that is no multiple of the stride gets zeros behind its
//! last tap, and points at which they leave nothing are left out.
//!
//! **Errors.** With K products in each point's sum the error of a result is at most 240 (K + 32) · 2^-24 · max|x| · Σ|w|, the sum
//! over the filter of its channel, and the same with dy for x in dx, with dy for w in dw: 240 is above the square of Σ_p of the
//! magnitudes of the three transforms' factors, in one dimension 15.42 at most. Random numbers have about twice to three times
//! the errors of the plain sum.
//!
//! This is of finite numbers. An infinite one, or a NaN, makes NaN of all results of its tile, and tiles reach over the image's end: of
//! a pixel that no window reads, too.
//!
//! source: Winograd 1980, Arithmetic complexity of computations; Lavin and Gray 2016, Fast algorithms for convolutional neural
//! networks; Barabasz et al. 2020, Error analysis and improving the accuracy of Winograd convolution for deep neural networks

mod pack;

use super::grid::{Grid, Order, Tile, common};
use super::parts::Part;
use super::patches::{BLOCK, LD};
use super::shared::Shared;
use super::tile::{Lie, Tiles};
use super::transforms::{RESULTS, Transforms};
use super::{Form, Sizes, Window};
use crate::cpu::gemm::Epilogue;
use crate::cpu::gemm::out::{Out, Place};
use crate::cpu::workspace::lines;
use std::ops::Range;

/// Tiles in a block and columns of C in a group, at most: the first of them that make so many tasks. Each group gathers the
/// tiles anew, so narrow ones are the last choice.
const CUTS: [([usize; 2], usize); 4] = [
    ([56, 256], 24),
    ([56, 128], 24),
    ([28, 128], 8),
    ([28, 64], 0),
];
/// With at most so many tiles each task has all of them, and packs the filters of its columns itself: nobody else needs them.
const FEW: usize = 72;
/// Columns of such a task.
const FEW_COLUMNS: usize = 64;

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
    /// Whether a task packs its filters itself.
    packs_own: bool,
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
        let mut cut = Cut {
            form,
            sizes,
            tiles,
            transforms: Transforms::of(tiles.isa(), taps)?,
            channels,
            n,
            strips: n.div_ceil(tiles.width),
            group: 0,
            groups: 0,
            block: 0,
            blocks: 0,
            packs_own: false,
        };
        // Multiplications of the other kernels, and of these with some more for the transforms.
        let direct = sizes.window.out[0] * sizes.window.out[1] * kh * kw;
        if 10 * direct < 12 * cut.tile_points() {
            return None;
        }
        let parts = (0..cut.parts()).map(|index| cut.part(index));
        let all_tiles = parts.map(|part| cut.order(&part).len()).max()?;
        let few = (all_tiles <= FEW).then_some(([FEW, FEW_COLUMNS], 0));
        cut.packs_own = few.is_some();
        for ([most, columns], tasks) in few.into_iter().chain(CUTS) {
            cut.block = most.next_multiple_of(tiles.rows);
            cut.blocks = all_tiles.div_ceil(cut.block);
            cut.group = (columns / tiles.width).min(cut.strips);
            cut.groups = cut.strips.div_ceil(cut.group);
            if cut.blocks * cut.parts() * cut.groups >= tasks {
                break;
            }
        }
        Some(cut)
    }

    /// Points of all tiles of an image, in all parts and sources, at which the filters are not 0.
    fn tile_points(&self) -> usize {
        let pairs = (0..self.parts()).flat_map(|p| (0..self.sources()).map(move |s| (p, s)));
        let points = pairs.map(|(part, source)| {
            let needed = self.transforms.needed(&self.sizes, part + source);
            self.order(&self.part(part)).points(needed)
        });
        points.sum()
    }

    /// How many numbers are multiplied.
    pub fn products(&self) -> usize {
        self.sizes.n * self.tile_points() * self.channels * self.n
    }

    /// Taps of each part, or source, in each dimension: two or three.
    pub fn taps(&self) -> usize {
        self.transforms.taps()
    }

    #[cfg(test)]
    pub fn packs_own(&self) -> bool {
        self.packs_own
    }

    fn points(&self) -> usize {
        self.transforms.points()
    }

    /// Whether the filters are 0 at a point: where a part or a source lacks the last tap.
    fn is_zero(&self, part: &Part, source: usize, point: usize) -> bool {
        let (size, remainder) = (self.transforms.size(), part.index + source);
        let needed = self.transforms.needed(&self.sizes, remainder);
        point / size >= needed[0] || point % size >= needed[1]
    }

    /// Sources that are gathered at once, and channels of each.
    fn gathered(&self) -> [usize; 2] {
        match BLOCK / self.channels {
            0 => {
                let times = self.channels.div_ceil(BLOCK);
                [1, (self.channels / 16).div_ceil(times) * 16]
            }
            sources => [sources, self.channels],
        }
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

    fn order(&self, part: &Part) -> Order {
        Order::new(self.sizes.n, part.out, self.taps())
    }

    /// Floats of the filters of one strip, of one part, of one point: those of a task, or those of all parts and sources.
    fn filters(&self) -> [usize; 3] {
        let [together, step] = self.gathered();
        let (parts, rows) = match self.packs_own {
            true => (1, together.min(self.sources()) * step),
            false => (self.parts(), self.sources() * self.channels),
        };
        let point = rows * self.tiles.width;
        let part = self.points() * point;
        [parts * part, part, point]
    }

    /// Floats of each thread's block (or the filters before they are transformed), results, sums, and own filters.
    fn own(&self) -> [usize; 4] {
        let width = self.tiles.width;
        let taps = self.taps() * self.taps() * self.channels * width;
        let block = self.points() * self.block * LD;
        let sums = self.group * width * self.points() * self.block;
        let filters = match self.packs_own {
            true => self.group * self.filters()[0],
            false => 0,
        };
        [taps.max(block), self.results(), sums, filters].map(lines)
    }

    /// Floats for the filters of all tasks, and for each thread.
    pub fn workspace(&self) -> [usize; 2] {
        let filters = match self.packs_own {
            true => 0,
            false => lines(self.strips * self.filters()[0]),
        };
        [filters, self.own().iter().sum()]
    }

    /// Floats of the results of a tile.
    fn results(&self) -> usize {
        RESULTS * RESULTS * self.group * self.tiles.width
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
        if !self.packs_own {
            let [strip, part, _] = self.filters();
            let packs = self.strips * self.parts();
            let packed = Shared::new(&mut filters[..self.strips * strip]);
            super::each_task(packs, threads, memory, own, |task, memory| {
                // SAFETY: each task has a part of its own.
                let to = unsafe { packed.part(task * part, part) };
                let (strip, part) = (task / self.parts(), task % self.parts());
                let all = (0..self.sources(), 0..self.channels);
                self.pack(w, strip, part, all, memory, to);
            });
        }
        let (filters, out) = (&*filters, Out::new(c, epilogue));
        let tasks = self.blocks * self.parts() * self.groups;
        super::each_task(tasks, threads, memory, own, |task, memory| {
            self.run_task(task, images, w, filters, &out, memory);
        });
    }

    /// Parts of the same images come one after the other.
    fn task(&self, task: usize) -> (Part, Range<usize>, Range<usize>) {
        let (rest, group) = (task / self.groups, task % self.groups);
        let part = self.part(rest % self.parts());
        let (block, tiles) = (rest / self.parts(), self.order(&part).len());
        let tiles = tiles * block / self.blocks..tiles * (block + 1) / self.blocks;
        let strips = group * self.group..self.strips.min((group + 1) * self.group);
        (part, tiles, strips)
    }

    fn run_task(
        &self,
        task: usize,
        images: &[f32],
        w: &[f32],
        filters: &[f32],
        out: &Out,
        memory: &mut [f32],
    ) {
        let (part, tiles, strips) = self.task(task);
        if tiles.is_empty() {
            return;
        }
        let [block, results, sums, _] = self.own();
        let (block, memory) = memory.split_at_mut(block);
        let (results, memory) = memory.split_at_mut(results);
        let (sums, own) = memory.split_at_mut(sums);
        let [of_strip, of_part, _] = self.filters();
        let [together, step] = self.gathered();
        for source in (0..self.sources()).step_by(together) {
            let sources = source..self.sources().min(source + together);
            for first in (0..self.channels).step_by(step) {
                let gathered = (sources.clone(), first..self.channels.min(first + step));
                let filters = if self.packs_own {
                    for (s, to) in strips.clone().zip(own.chunks_exact_mut(of_strip)) {
                        self.pack(w, s, part.index, gathered.clone(), block, to);
                    }
                    &*own
                } else {
                    let row = source * self.channels + first;
                    let before = part.index * of_part + row * self.tiles.width;
                    &filters[strips.start * of_strip + before..]
                };
                for (i, source) in sources.clone().enumerate() {
                    let to = &mut block[i * gathered.1.len()..];
                    self.gather(&part, source, tiles.clone(), gathered.1.clone(), images, to);
                }
                self.multiply(
                    &part,
                    tiles.clone(),
                    gathered,
                    strips.clone(),
                    block,
                    filters,
                    sums,
                );
            }
        }
        self.finish(&part, tiles, strips, out, sums, results);
    }

    /// Adds, at each point, the products of what is gathered of some sources and channels with their filters of some strips.
    #[expect(clippy::too_many_arguments, reason = "a product's sizes and operands")]
    fn multiply(
        &self,
        part: &Part,
        tiles: Range<usize>,
        (sources, channels): (Range<usize>, Range<usize>),
        strips: Range<usize>,
        block: &[f32],
        filters: &[f32],
        sums: &mut [f32],
    ) {
        let (points, width, len) = (self.points(), self.tiles.width, channels.len());
        let (plane, [of_strip, _, of_point]) = (tiles.len() * width, self.filters());
        let (order, last) = (self.order(part), self.transforms.size() - 1);
        for point in 0..points {
            let is_last = [point / (last + 1) == last, point % (last + 1) == last];
            let having = common(&tiles, order.having(is_last));
            if having.is_empty() {
                continue;
            }
            let (skipped, having) = (having.start - tiles.start, having.len());
            self.each_run(part, sources.clone(), point, |run, is_zero| {
                let k = if is_zero { 0 } else { run.len() * len };
                let row = (run.start - sources.start) * len;
                let a = &block[(point * self.block + skipped) * LD + row..];
                let (lie, is_first) = (Lie::Below, run.start == 0 && channels.start == 0);
                for (i, s) in strips.clone().enumerate() {
                    let b = &filters[i * of_strip + point * of_point + row * width..];
                    let first = (i * points + point) * plane + skipped * width;
                    let sums = &mut sums[first..][..having * width];
                    let cols = (self.n - s * width).min(width);
                    self.tiles
                        .multiply(lie, having, cols, k, a, b, sums, is_first);
                }
            });
        }
    }

    /// Sources in turn at all of which a point's filters are 0, or at none of which.
    fn each_run(
        &self,
        part: &Part,
        sources: Range<usize>,
        point: usize,
        mut f: impl FnMut(Range<usize>, bool),
    ) {
        let mut from = sources.start;
        while from < sources.end {
            let is_zero = self.is_zero(part, from, point);
            let others = |s: &usize| self.is_zero(part, *s, point) != is_zero;
            let to = (from..sources.end).find(others).unwrap_or(sources.end);
            f(from..to, is_zero);
            from = to;
        }
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
        grid.each(tiles, &channels, images, |i, cells| {
            self.transforms.cells(cells, &mut to[i * LD..], plane);
        });
    }

    /// Where the tiles of a part lie on a source.
    fn grid(&self, part: &Part, source: usize) -> Grid {
        let Window { stride, out, .. } = self.sizes.window;
        let (image, step) = match self.form {
            Form::Dx => (out, [1, 1]),
            _ => (self.sizes.image, stride),
        };
        let remainder = [source / stride[1], source % stride[1]];
        Grid {
            image,
            channels: self.channels,
            step,
            first: [0, 1].map(|d| part.from[d] + remainder[d] as isize),
            order: self.order(part),
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
        results: &mut [f32],
    ) {
        let (width, points) = (self.tiles.width, self.points());
        let (plane, step) = (tiles.len() * width, strips.len() * width);
        let columns = strips.start * width..self.n.min(strips.end * width);
        let ([oh, ow], order) = (part.out, self.order(part));
        let [first, image, row, column] = part.place;
        // Row u of the pixels of a tile, where there is one.
        let place = |tile: &Tile, u: usize| {
            let (r, q) = (RESULTS * tile.at[0] + u, RESULTS * tile.at[1]);
            (r < oh).then(|| Place {
                at: first + tile.image * image + r * row + q * column + columns.start,
                column: columns.start,
                ld: column,
                rows: RESULTS.min(ow - q),
                cols: columns.len(),
                step,
            })
        };
        let mut next = order.tile(tiles.start);
        for (i, index) in tiles.clone().enumerate() {
            let tile = next;
            if index + 1 < tiles.end {
                next = order.tile(index + 1);
                (0..RESULTS)
                    .filter_map(|u| place(&next, u))
                    .for_each(|next| out.fetch(next));
            }
            for j in 0..strips.len() {
                let sums = &sums[j * points * plane + i * width..];
                let results = &mut results[j * width..];
                self.transforms
                    .sums(tile.is_thin, sums, plane, results, step);
            }
            let rows = results.chunks_exact(RESULTS * step).take(RESULTS);
            for (u, results) in rows.enumerate() {
                if let Some(place) = place(&tile, u) {
                    // SAFETY: tasks have different tiles of C, or different columns.
                    unsafe { out.finish(place, results) };
                }
            }
        }
    }
}
