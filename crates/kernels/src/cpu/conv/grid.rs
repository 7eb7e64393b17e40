//! Tiles of cells of the kernels after Winograd, and what a source or a part needs of their points.

use super::Sizes;
use super::patches::BLOCK;
use super::transforms::{POINTS, RESULTS, Transforms};
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
        let start = |d: usize, t: usize| (RESULTS * t * self.step[d]) as isize + self.first[d];
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
