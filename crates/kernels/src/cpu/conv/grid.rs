//! Tiles of cells of the kernels after Winograd, their order, and what a source or a part needs of their points.

use super::Sizes;
use super::patches::BLOCK;
use super::transforms::{POINTS, RESULTS, Transforms};
use std::marker::PhantomData;
use std::ops::Range;

/// Taps that a remainder of rows and columns by the strides has in each dimension.
pub(super) fn needed(sizes: &Sizes, remainder: usize) -> [usize; 2] {
    let stride = sizes.window.stride;
    let remainder = [remainder / stride[1], remainder % stride[1]];
    [0, 1].map(|d| {
        sizes.kernel[d]
            .saturating_sub(remainder[d])
            .div_ceil(stride[d])
    })
}

impl Transforms {
    /// Points, in each dimension, at which the filters of a remainder are not all 0.
    pub fn needed(&self, sizes: &Sizes, remainder: usize) -> [usize; 2] {
        // The one at infinity is the last tap.
        needed(sizes, remainder).map(|taps| match (self.taps(), taps) {
            (3, 0..3) => self.size() - 1,
            _ => self.size(),
        })
    }
}

/// A tile of 4 x 4 results, or of 3 where it is thin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub image: usize,
    /// The tiles of the image above it and left of it.
    pub at: [usize; 2],
    /// Whether it has three rows, or columns, of results: it does without the last point then.
    pub is_thin: [bool; 2],
}

/// The order of the tiles of all images: those that are thin in their rows alone, those that are not thin, those that are thin
/// in their columns alone, those that are thin in both. So the tiles that have a point are neighbours.
#[derive(Clone, Copy)]
pub(super) struct Order {
    images: usize,
    /// Tiles of four results in each dimension of an image, and tiles of three behind them: one or none.
    full: [usize; 2],
    thin: [usize; 2],
}

impl Order {
    /// Of images of so many results; thin tiles are for two taps.
    pub fn new(images: usize, results: [usize; 2], taps: usize) -> Order {
        let is_thin = |results: usize| taps == 2 && !results.is_multiple_of(RESULTS);
        let thin = results.map(|results| usize::from(is_thin(results)));
        let all = results.map(|results| results.div_ceil(RESULTS));
        let full = [all[0] - thin[0], all[1] - thin[1]];
        Order { images, full, thin }
    }

    /// Where each of the four kinds ends.
    fn ends(&self) -> [usize; 4] {
        let ([h, w], [thin_h, thin_w]) = (self.full, self.thin);
        let mut end = 0;
        [thin_h * w, h * w, h * thin_w, thin_h * thin_w].map(|of_image| {
            end += self.images * of_image;
            end
        })
    }

    /// How many tiles.
    pub fn len(&self) -> usize {
        self.ends()[3]
    }

    /// Numbers that are multiplied for an image, where a filter has so many points in each dimension.
    pub fn points(&self, [h, w]: [usize; 2]) -> usize {
        let along =
            |d: usize, points: usize| self.full[d] * points + self.thin[d] * points.min(RESULTS);
        along(0, h) * along(1, w)
    }

    /// One of the tiles.
    #[inline(always)]
    pub fn tile(&self, index: usize) -> Tile {
        let ends = self.ends();
        let kind = ends.iter().filter(|end| **end <= index).count();
        let is_thin = [matches!(kind, 0 | 3), matches!(kind, 2 | 3)];
        let of_kind = index - if kind == 0 { 0 } else { ends[kind - 1] };
        let size = |d: usize| if is_thin[d] { 1 } else { self.full[d] };
        let (row, j) = (of_kind / size(1), of_kind % size(1));
        let (image, i) = (row / size(0), row % size(0));
        let at = |d: usize, t: usize| if is_thin[d] { self.full[d] } else { t };
        Tile {
            image,
            at: [at(0, i), at(1, j)],
            is_thin,
        }
    }

    /// The tiles that have the points which are `last`, or not, in their row or column.
    pub fn having(&self, last: [bool; 2]) -> Range<usize> {
        let [rows, full, columns, all] = self.ends();
        match last {
            [false, false] => 0..all,
            [false, true] => 0..full,
            [true, false] => rows..columns,
            [true, true] => rows..full,
        }
    }
}

/// What two ranges share: an empty one inside of the first, if nothing.
pub(super) fn common(a: &Range<usize>, b: Range<usize>) -> Range<usize> {
    let start = b.start.clamp(a.start, a.end);
    start..b.end.clamp(start, a.end)
}

/// Tiles of cells, one every four cells, of images with a distance of `step` pixels between cells.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub image: [usize; 2],
    pub channels: usize,
    pub step: [usize; 2],
    /// The pixel that is the first cell of the first tile.
    pub first: [isize; 2],
    pub order: Order,
    /// Cells of a tile in each dimension.
    pub size: usize,
}

/// Some channels of each cell of a tile.
pub(super) struct Cells<'a> {
    /// `channels` readable floats each.
    cells: [*const f32; POINTS],
    channels: usize,
    is_thin: [bool; 2],
    borrow: PhantomData<&'a [f32]>,
}

static ZEROS: [f32; BLOCK] = [0.0; BLOCK];

impl Cells<'_> {
    /// Of no tile.
    pub fn none() -> Self {
        Cells {
            cells: [ZEROS.as_ptr(); POINTS],
            channels: 0,
            is_thin: [false; 2],
            borrow: PhantomData,
        }
    }

    /// Where each cell's channels are; behind the last cell, zeros.
    pub fn pointers(&self) -> &[*const f32; POINTS] {
        &self.cells
    }

    /// How many channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Whether the tile is thin in its rows and columns.
    pub fn is_thin(&self) -> [bool; 2] {
        self.is_thin
    }

    /// Fetches what will be transformed.
    pub fn fetch(&self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        for cell in self.cells {
            for line in (0..self.channels).step_by(16) {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                // SAFETY: a prefetch reads nothing that the program sees; every x86-64 has it.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(cell.wrapping_add(line).cast()) };
            }
        }
    }
}

impl Grid {
    /// The pixel of the first cell of a tile in one dimension, and which of its cells lie in the image.
    fn inside(&self, d: usize, t: usize) -> (isize, Range<usize>) {
        let (step, size) = (self.step[d] as isize, self.size as isize);
        let first = RESULTS as isize * t as isize * step + self.first[d];
        // Of the cells, those before pixel `end`.
        let before = |end: isize| ((end - first + step - 1).max(0) / step).min(size) as usize;
        (first, before(0)..before(self.image[d] as isize))
    }

    /// Some channels of the cells of a tile; zeros outside of the image.
    ///
    /// They are written where they will be read: to copy what was just written in other pieces, the processor waits for it.
    pub fn find<'a>(
        &self,
        tile: usize,
        channels: &Range<usize>,
        images: &'a [f32],
        to: &mut Cells<'a>,
    ) {
        let [h, w] = self.image;
        let Tile { image, at, is_thin } = self.order.tile(tile);
        let ((top, rows), (left, columns)) = (self.inside(0, at[0]), self.inside(1, at[1]));
        assert!(channels.len() <= BLOCK && channels.end <= self.channels);
        assert!(images.len() >= (image + 1) * h * w * self.channels);
        (to.channels, to.is_thin) = (channels.len(), is_thin);
        to.cells = [ZEROS.as_ptr(); POINTS];
        for u in rows {
            let row = (image * h) as isize + top + (u * self.step[0]) as isize;
            let cells = &mut to.cells[u * self.size..];
            for v in columns.clone() {
                let pixel = row * w as isize + left + (v * self.step[1]) as isize;
                let at = pixel as usize * self.channels + channels.start;
                // The pixel is in the image (`inside`), and has these channels: asserted above.
                cells[v] = images.as_ptr().wrapping_add(at);
            }
        }
    }

    /// The cells of some tiles in turn, each fetched while the one before it is worked on.
    pub fn each(
        &self,
        tiles: Range<usize>,
        channels: &Range<usize>,
        images: &[f32],
        mut f: impl FnMut(usize, &Cells),
    ) {
        let (mut even, mut odd) = (Cells::none(), Cells::none());
        self.find(tiles.start, channels, images, &mut even);
        for (i, tile) in tiles.clone().enumerate() {
            let (now, next) = match i % 2 {
                0 => (&even, &mut odd),
                _ => (&odd, &mut even),
            };
            if tile + 1 < tiles.end {
                self.find(tile + 1, channels, images, next);
                next.fetch();
            }
            f(i, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each tile once, and those with a point are all that are not too thin for it.
    #[test]
    fn tiles_that_have_a_point_are_neighbours() {
        for results in [[7, 7], [7, 8], [4, 9], [2, 3], [1, 13], [8, 4]] {
            for taps in [2, 3] {
                let order = Order::new(3, results, taps);
                let tiles: Vec<Tile> = (0..order.len()).map(|t| order.tile(t)).collect();
                let all = results.map(|results| results.div_ceil(RESULTS));
                assert_eq!(tiles.len(), 3 * all[0] * all[1]);
                for (n, i, j) in (0..3).flat_map(|n| {
                    (0..all[0]).flat_map(move |i| (0..all[1]).map(move |j| (n, i, j)))
                }) {
                    let found = tiles.iter().filter(|t| t.image == n && t.at == [i, j]);
                    let found: Vec<&Tile> = found.collect();
                    let thin = |d: usize, t: usize| taps == 2 && RESULTS * (t + 1) > results[d];
                    assert!(matches!(found[..], [t] if t.is_thin == [thin(0, i), thin(1, j)]));
                }
                for last in [[false, false], [false, true], [true, false], [true, true]] {
                    let having = order.having(last);
                    for (index, tile) in tiles.iter().enumerate() {
                        let has = (0..2).all(|d| !(last[d] && tile.is_thin[d]));
                        assert_eq!(
                            having.contains(&index),
                            has,
                            "{results:?} {last:?} {tile:?}"
                        );
                    }
                }
                let [size, of_images] = [taps + RESULTS - 1, order.points([5, 5]) * 3];
                let points = |tile: &Tile| {
                    let along = tile.is_thin.map(|is_thin| if is_thin { 4 } else { 5 });
                    along[0] * along[1]
                };
                assert!(size == 6 || tiles.iter().map(points).sum::<usize>() == of_images);
            }
        }
    }

    #[test]
    fn cells_outside_of_the_image_are_zeros() {
        for (first, step, size) in [
            ([-1, -2], [2, 1], 5),
            ([0, 1], [1, 3], 6),
            ([-7, 3], [1, 1], 5),
        ] {
            let (image, channels) = ([9, 5], 3);
            let images: Vec<f32> = (1..=2 * 9 * 5 * 3).map(|v| v as f32).collect();
            let order = Order::new(2, [7, 6], 2);
            let grid = Grid {
                image,
                channels,
                step,
                first,
                order,
                size,
            };
            for t in 0..order.len() {
                let (tile, mut cells) = (order.tile(t), Cells::none());
                grid.find(t, &(1..3), &images, &mut cells);
                for (k, &cell) in cells.pointers()[..size * size].iter().enumerate() {
                    let [y, x] = [0, 1].map(|d| {
                        let cell = [k / size, k % size][d];
                        (RESULTS * tile.at[d] + cell) as isize * step[d] as isize + first[d]
                    });
                    let is_inside = (0..9).contains(&y) && (0..5).contains(&x);
                    // SAFETY: two channels of the cell, or zeros.
                    let found = unsafe { [*cell, *cell.add(1)] };
                    let at =
                        |c: isize| (((tile.image as isize * 9 + y) * 5 + x) * 3 + c + 1) as f32;
                    let expected = if is_inside { [at(1), at(2)] } else { [0.0; 2] };
                    assert_eq!(found, expected, "{first:?} {tile:?} {k}");
                }
            }
        }
    }
}
