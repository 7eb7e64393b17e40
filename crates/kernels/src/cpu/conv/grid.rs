//! Tiles of cells of the kernels after Winograd, and what a source or a part needs of their points.

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

/// Tiles of cells, one every four cells, of images with a distance of `step` pixels between cells.
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

/// Some channels of each cell of a tile.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    /// `channels` readable floats each.
    cells: [*const f32; POINTS],
    channels: usize,
    borrow: PhantomData<&'a [f32]>,
}

impl Cells<'_> {
    /// Where each cell's channels are; behind the last cell, zeros.
    pub fn pointers(&self) -> &[*const f32; POINTS] {
        &self.cells
    }

    /// How many channels.
    pub fn channels(&self) -> usize {
        self.channels
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
    /// Some channels of the cells of a tile; zeros outside of the image.
    pub fn cells<'a>(&self, tile: usize, channels: &Range<usize>, images: &'a [f32]) -> Cells<'a> {
        static ZEROS: [f32; BLOCK] = [0.0; BLOCK];
        let ([h, w], [th, tw]) = (self.image, self.tiles);
        let (n, ti, tj) = (tile / (th * tw), tile / tw % th, tile % tw);
        let start = |d: usize, t: usize| (RESULTS * t * self.step[d]) as isize + self.first[d];
        let (top, left) = (start(0, ti), start(1, tj));
        assert!(channels.len() <= BLOCK && channels.end <= self.channels);
        assert!(images.len() >= (n + 1) * h * w * self.channels);
        let mut cells = [ZEROS.as_ptr(); POINTS];
        for u in 0..self.size {
            let row = top + (u * self.step[0]) as isize;
            if row < 0 || row as usize >= h {
                continue;
            }
            let line = (n * h + row as usize) * w;
            for v in 0..self.size {
                let column = left + (v * self.step[1]) as isize;
                if column >= 0 && (column as usize) < w {
                    let at = (line + column as usize) * self.channels + channels.start;
                    // The pixel is in image n, and has these channels: asserted above.
                    cells[u * self.size + v] = images.as_ptr().wrapping_add(at);
                }
            }
        }
        Cells {
            cells,
            channels: channels.len(),
            borrow: PhantomData,
        }
    }
}
