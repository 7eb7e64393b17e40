//! The transforms of [`winograd`](super::winograd) and [`winograd_dw`](super::winograd_dw), for two taps and for three.

use crate::cpu::isa::Isa;

/// Most points of a tile.
pub(super) const POINTS: usize = 16;

/// The transforms for one number of taps and one instruction set.
pub(super) struct Transforms {
    taps: usize,
    /// Elements of a vector.
    lanes: usize,
    of_cells: ToPoints<POINTS>,
    /// A strip's row of each point, at `sums + p * plane`, becomes a row of each of 2 x 2 results, one after the other.
    of_sums: unsafe fn(sums: *const f32, plane: usize, results: *mut f32),
    /// `vectors` vectors of each tap, at `taps + t * from`, become as many of each point, at `to + p * plane`.
    of_filters:
        unsafe fn(taps: *const f32, from: usize, vectors: usize, to: *mut f32, plane: usize),
    /// As `of_cells`, of one row of points alone: the one of its index.
    of_cells_row: [ToPoints<POINTS>; 4],
    /// One row of points of 2 x 2 results.
    of_results_row: [ToPoints<4>; 4],
    /// `vectors` vectors of each point, at `points + p * len`, become as many of each tap, at `taps + t * len`.
    to_taps: unsafe fn(points: *const f32, len: usize, vectors: usize, taps: *mut f32),
}

/// From `vectors` vectors of each of N pixels to as many of each point: of point p at `to + p * plane`.
type ToPoints<const N: usize> =
    unsafe fn(pixels: &[*const f32; N], vectors: usize, to: *mut f32, plane: usize);

impl Transforms {
    /// Those of an instruction set that this machine has, for two taps or three; `None` where there are none.
    pub fn of(isa: Isa, taps: usize) -> Option<&'static Transforms> {
        assert!(isa.is_available(), "conv: this machine has no {isa:?}");
        let of_taps: &'static [Transforms; 2] = match isa {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Isa::Avx512 => &avx512::TRANSFORMS,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Isa::Avx2 => &avx2::TRANSFORMS,
            _ => return None,
        };
        of_taps.get(taps.checked_sub(2)?)
    }

    /// In each dimension.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Points of a tile in each dimension: cells, too.
    pub fn size(&self) -> usize {
        self.taps + 1
    }

    /// Points of a tile.
    pub fn points(&self) -> usize {
        self.size() * self.size()
    }

    /// The cells of a tile, of some channels each, to its points: of point p at `to[p * plane..]`.
    pub fn cells(&self, cells: &[&[f32]; POINTS], to: &mut [f32], plane: usize) {
        let (points, channels) = (self.points(), cells[0].len());
        assert!(cells.iter().all(|c| c.len() == channels) && channels.is_multiple_of(self.lanes));
        assert!(plane >= channels && to.len() >= (points - 1) * plane + channels);
        let (vectors, cells) = (channels / self.lanes, cells.map(<[f32]>::as_ptr));
        // SAFETY: the channels of each cell and room for those of each point are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { (self.of_cells)(&cells, vectors, to.as_mut_ptr(), plane) };
    }

    /// One row of the points of a tile: of point p at `to[p * plane..]`.
    pub fn row_of_cells(&self, row: usize, cells: &[&[f32]; POINTS], to: &mut [f32], plane: usize) {
        let channels = cells[0].len();
        assert!(cells.iter().all(|c| c.len() == channels) && channels.is_multiple_of(self.lanes));
        assert!(row <= self.taps && plane >= channels && to.len() >= self.taps * plane + channels);
        let (vectors, cells) = (channels / self.lanes, cells.map(<[f32]>::as_ptr));
        // SAFETY: as in `cells`.
        unsafe { (self.of_cells_row[row])(&cells, vectors, to.as_mut_ptr(), plane) };
    }

    /// One row of the points of 2 x 2 results of some columns: of point p at `to[p * plane..]`.
    pub fn row_of_results(&self, row: usize, results: &[&[f32]; 4], to: &mut [f32], plane: usize) {
        let columns = results[0].len();
        assert!(results.iter().all(|r| r.len() == columns) && columns.is_multiple_of(self.lanes));
        assert!(row <= self.taps && plane >= columns && to.len() >= self.taps * plane + columns);
        let (vectors, results) = (columns / self.lanes, results.map(<[f32]>::as_ptr));
        // SAFETY: the columns of each result and room for those of each point are there (asserted above); this machine has
        // the instruction set (`of`).
        unsafe { (self.of_results_row[row])(&results, vectors, to.as_mut_ptr(), plane) };
    }

    /// Planes of `len` sums, one for each point, to one for each tap.
    pub fn taps_of_points(&self, points: &[f32], len: usize, to: &mut [f32]) {
        assert!(len.is_multiple_of(self.lanes) && points.len() >= self.points() * len);
        assert!(to.len() >= self.taps * self.taps * len);
        // SAFETY: the planes of each point and room for those of each tap are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { (self.to_taps)(points.as_ptr(), len, len / self.lanes, to.as_mut_ptr()) };
    }

    /// The sums of a strip's row (of two vectors) at each point, of point p at `sums[p * plane..]`, to the rows of 2 x 2 results.
    pub fn sums(&self, sums: &[f32], plane: usize, results: &mut [f32]) {
        let width = 2 * self.lanes;
        assert!(sums.len() >= (self.points() - 1) * plane + width && results.len() >= 4 * width);
        // SAFETY: the row of each point and room for four results are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { (self.of_sums)(sums.as_ptr(), plane, results.as_mut_ptr()) };
    }

    /// Planes of filters, one for each tap, to one for each point, of point p at `to[p * plane..]`.
    pub fn filters(&self, from: &[f32], len: usize, to: &mut [f32], plane: usize) {
        let (points, taps) = (self.points(), self.taps * self.taps);
        assert!(len.is_multiple_of(self.lanes) && from.len() >= taps * len);
        assert!(plane >= len && to.len() >= (points - 1) * plane + len);
        let (from, to, vectors) = (from.as_ptr(), to.as_mut_ptr(), len / self.lanes);
        // SAFETY: the planes of each tap and room for those of each point are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { (self.of_filters)(from, len, vectors, to, plane) };
    }
}

/// Fetches what will be transformed.
pub(super) fn fetch(cells: &[&[f32]; POINTS]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for cell in cells {
        for line in cell.chunks(16) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch reads nothing that the program sees; every x86-64 has it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = cells;
}

/// The transforms for a number of taps, whose last row of points is `$last`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! transforms_of {
    ($taps:literal: $last:literal) => {
        Transforms {
            taps: $taps,
            lanes: LANES,
            of_cells: cells::<$taps>,
            of_sums: sums::<$taps>,
            of_filters: filters::<$taps>,
            of_cells_row: [
                cell_row::<$taps, 0>,
                cell_row::<$taps, 1>,
                cell_row::<$taps, 2>,
                cell_row::<$taps, $last>,
            ],
            of_results_row: [
                result_row::<$taps, 0>,
                result_row::<$taps, 1>,
                result_row::<$taps, 2>,
                result_row::<$taps, $last>,
            ],
            to_taps: taps::<$taps>,
        }
    };
}

/// Defines the transforms for TAPS in such a module.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! transforms {
    ($features:literal) => {
        /// Points of neighbouring cells.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_cells<const TAPS: usize>([a, b, c, d]: [V; 4]) -> [V; 4] {
            match TAPS {
                2 => [sub(a, b), b, sub(c, b), d],
                _ => [sub(a, c), add(b, c), sub(c, b), sub(b, d)],
            }
        }

        /// Two results of points.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_points<const TAPS: usize>([a, b, c, d]: [V; 4]) -> [V; 2] {
            match TAPS {
                2 => [add(a, b), add(b, c)],
                _ => [add(add(a, b), c), sub(sub(b, c), d)],
            }
        }

        /// Points of taps.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_taps<const TAPS: usize>([a, b, c]: [V; 3]) -> [V; 4] {
            match TAPS {
                2 => [a, add(a, b), b, c],
                _ => {
                    let (half, outer) = (splat(0.5), add(a, c));
                    [a, mul(half, add(outer, b)), mul(half, sub(outer, b)), c]
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn cells<const TAPS: usize>(
            cells: &[*const f32; POINTS],
            vectors: usize,
            to: *mut f32,
            plane: usize,
        ) {
            for at in (0..vectors * LANES).step_by(LANES) {
                let mut x = [[zero(); 4]; 4];
                for i in 0..=TAPS {
                    let mut row = [zero(); 4];
                    for j in 0..=TAPS {
                        // SAFETY: this vector of the cell.
                        row[j] = unsafe { load(cells[i * (TAPS + 1) + j].add(at)) };
                    }
                    x[i] = of_cells::<TAPS>(row);
                }
                for j in 0..=TAPS {
                    let points = of_cells::<TAPS>([x[0][j], x[1][j], x[2][j], x[3][j]]);
                    for i in 0..=TAPS {
                        // SAFETY: this vector of the point.
                        unsafe { store(to.add((i * (TAPS + 1) + j) * plane + at), points[i]) };
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn sums<const TAPS: usize>(sums: *const f32, plane: usize, results: *mut f32) {
            for at in [0, LANES] {
                let mut x = [[zero(); 2]; 4];
                for i in 0..=TAPS {
                    let mut row = [zero(); 4];
                    for j in 0..=TAPS {
                        // SAFETY: this vector of the point.
                        row[j] = unsafe { load(sums.add((i * (TAPS + 1) + j) * plane + at)) };
                    }
                    x[i] = of_points::<TAPS>(row);
                }
                for j in 0..2 {
                    let y = of_points::<TAPS>([x[0][j], x[1][j], x[2][j], x[3][j]]);
                    for i in 0..2 {
                        // SAFETY: this vector of the result.
                        unsafe { store(results.add((i * 2 + j) * 2 * LANES + at), y[i]) };
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn filters<const TAPS: usize>(
            taps: *const f32,
            from: usize,
            vectors: usize,
            to: *mut f32,
            plane: usize,
        ) {
            for at in (0..vectors * LANES).step_by(LANES) {
                let mut x = [[zero(); 4]; 3];
                for i in 0..TAPS {
                    let mut row = [zero(); 3];
                    for j in 0..TAPS {
                        // SAFETY: this vector of the tap.
                        row[j] = unsafe { load(taps.add((i * TAPS + j) * from + at)) };
                    }
                    x[i] = of_taps::<TAPS>(row);
                }
                for j in 0..=TAPS {
                    let points = of_taps::<TAPS>([x[0][j], x[1][j], x[2][j]]);
                    for i in 0..=TAPS {
                        // SAFETY: this vector of the point.
                        unsafe { store(to.add((i * (TAPS + 1) + j) * plane + at), points[i]) };
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn cell_row<const TAPS: usize, const ROW: usize>(
            cells: &[*const f32; POINTS],
            vectors: usize,
            to: *mut f32,
            plane: usize,
        ) {
            for at in (0..vectors * LANES).step_by(LANES) {
                let mut row = [zero(); 4];
                for j in 0..=TAPS {
                    let mut x = [zero(); 4];
                    for i in 0..=TAPS {
                        // SAFETY: this vector of the cell.
                        x[i] = unsafe { load(cells[i * (TAPS + 1) + j].add(at)) };
                    }
                    row[j] = of_cells::<TAPS>(x)[ROW];
                }
                let points = of_cells::<TAPS>(row);
                for j in 0..=TAPS {
                    // SAFETY: this vector of the point.
                    unsafe { store(to.add(j * plane + at), points[j]) };
                }
            }
        }

        /// Points of the gradients of two results, with the signs of the cells' points for g.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_results<const TAPS: usize>([a, b]: [V; 2]) -> [V; 4] {
            match TAPS {
                2 => [a, add(a, b), b, b],
                _ => [a, add(a, b), sub(a, b), sub(zero(), b)],
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn result_row<const TAPS: usize, const ROW: usize>(
            results: &[*const f32; 4],
            vectors: usize,
            to: *mut f32,
            plane: usize,
        ) {
            for at in (0..vectors * LANES).step_by(LANES) {
                let mut row = [zero(); 2];
                for j in 0..2 {
                    // SAFETY: this vector of two results.
                    let x = unsafe { [load(results[j].add(at)), load(results[2 + j].add(at))] };
                    row[j] = of_results::<TAPS>(x)[ROW];
                }
                let points = of_results::<TAPS>(row);
                for j in 0..=TAPS {
                    // SAFETY: this vector of the point.
                    unsafe { store(to.add(j * plane + at), points[j]) };
                }
            }
        }

        /// Taps of the sums at points.
        #[inline]
        #[target_feature(enable = $features)]
        fn taps_of<const TAPS: usize>([a, b, c, d]: [V; 4]) -> [V; 3] {
            match TAPS {
                2 => [add(a, b), add(b, c), d],
                _ => {
                    let half = splat(0.5);
                    let even = mul(half, add(b, c));
                    [add(a, even), mul(half, sub(b, c)), add(even, d)]
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn taps<const TAPS: usize>(
            points: *const f32,
            len: usize,
            vectors: usize,
            to: *mut f32,
        ) {
            for at in (0..vectors * LANES).step_by(LANES) {
                let mut x = [[zero(); 3]; 4];
                for i in 0..=TAPS {
                    let mut row = [zero(); 4];
                    for j in 0..=TAPS {
                        // SAFETY: this vector of the point.
                        row[j] = unsafe { load(points.add((i * (TAPS + 1) + j) * len + at)) };
                    }
                    x[i] = taps_of::<TAPS>(row);
                }
                for j in 0..TAPS {
                    let y = taps_of::<TAPS>([x[0][j], x[1][j], x[2][j], x[3][j]]);
                    for i in 0..TAPS {
                        // SAFETY: this vector of the tap.
                        unsafe { store(to.add((i * TAPS + j) * len + at), y[i]) };
                    }
                }
            }
        }

        pub(super) static TRANSFORMS: [Transforms; 2] =
    [transforms_of!(2: 2), transforms_of!(3: 3)];
    };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512 {
    use super::{POINTS, Transforms};
    use crate::cpu::simd::avx512::*;

    transforms!("avx512f");
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2 {
    use super::{POINTS, Transforms};
    use crate::cpu::simd::avx2::*;

    transforms!("avx2,fma");
}
