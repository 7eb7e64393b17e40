//! The transforms of [`winograd`](super::winograd) and [`winograd_dw`](super::winograd_dw), for two taps and for three.

use super::grid::Cells;
use crate::cpu::isa::Isa;

/// Most points of a tile.
pub(super) const POINTS: usize = 36;
/// Results of a tile in each dimension.
pub(super) const RESULTS: usize = 4;

/// The transforms for one number of taps and one instruction set.
pub(super) struct Transforms {
    taps: usize,
    /// Elements of a vector.
    lanes: usize,
    /// By whether the tile is thin in its rows, and in its columns.
    of_cells: [[ToPoints<POINTS>; 2]; 2],
    /// A strip's row of each point, at `sums + p * plane`, becomes a row of each of 4 x 4 results, at `results + r * step`.
    /// Thin tiles, as of cells, have no last points.
    of_sums: [[OfSums; 2]; 2],
    /// `vectors` vectors of each tap, at `taps + t * from`, become as many of each point, at `to + p * plane`.
    of_filters:
        unsafe fn(taps: *const f32, from: usize, vectors: usize, to: *mut f32, plane: usize),
    /// As `of_cells`, of one row of points alone: the one of its index.
    of_cells_row: [[[ToPoints<POINTS>; 6]; 2]; 2],
    /// One row of points of 4 x 4 results: of each two vectors and point p at `to + p * plane`, of the next two `strip` further.
    of_results_row: [ToStrips; 6],
    /// `vectors` vectors of each point, at `points + p * len`, become as many of each tap, at `taps + t * len`.
    to_taps: unsafe fn(points: *const f32, len: usize, vectors: usize, taps: *mut f32),
}

/// From `vectors` vectors of each of N pixels to as many of each point: of point p at `to + p * plane`.
type ToPoints<const N: usize> =
    unsafe fn(pixels: &[*const f32; N], vectors: usize, to: *mut f32, plane: usize);

type OfSums = unsafe fn(sums: *const f32, plane: usize, results: *mut f32, step: usize);

type ToStrips = unsafe fn(
    pixels: &[*const f32; POINTS],
    vectors: usize,
    to: *mut f32,
    plane: usize,
    strip: usize,
);

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
        self.taps + RESULTS - 1
    }

    /// Points of a tile.
    pub fn points(&self) -> usize {
        self.size() * self.size()
    }

    /// The cells of a tile, of some channels each, to its points: of point p at `to[p * plane..]`. A thin tile has no last points.
    pub fn cells(&self, cells: &Cells, to: &mut [f32], plane: usize) {
        let (points, channels) = (self.points(), cells.channels());
        assert!(channels.is_multiple_of(self.lanes));
        assert!(plane >= channels && to.len() >= (points - 1) * plane + channels);
        let vectors = channels / self.lanes;
        let of_cells = of_kind(&self.of_cells, cells.is_thin());
        // SAFETY: the channels of each cell are there (`Cells`), and room for those of each point (asserted above); this
        // machine has the instruction set (`of`).
        unsafe { of_cells(cells.pointers(), vectors, to.as_mut_ptr(), plane) };
    }

    /// One row of the points of a tile: of point p at `to[p * plane..]`.
    pub fn row_of_cells(&self, row: usize, cells: &Cells, to: &mut [f32], plane: usize) {
        let channels = cells.channels();
        assert!(channels.is_multiple_of(self.lanes));
        assert!(row < self.size() && plane >= channels);
        assert!(to.len() >= (self.size() - 1) * plane + channels);
        let vectors = channels / self.lanes;
        let of_row = of_kind(&self.of_cells_row, cells.is_thin())[row];
        // SAFETY: as in `cells`.
        unsafe { of_row(cells.pointers(), vectors, to.as_mut_ptr(), plane) };
    }

    /// One row of the points of 4 x 4 results of some columns: of strip s and point p at `to[s * strip + p * plane..]`.
    pub fn row_of_results(
        &self,
        row: usize,
        results: &Cells,
        to: &mut [f32],
        plane: usize,
        strip: usize,
    ) {
        let columns = results.channels();
        assert!(columns.is_multiple_of(self.lanes));
        let width = 2 * self.lanes;
        let last = (columns.div_ceil(width) - 1) * strip + (self.size() - 1) * plane;
        assert!(row < self.size() && columns > 0 && to.len() >= last + width);
        let vectors = columns / self.lanes;
        let (pixels, to) = (results.pointers(), to.as_mut_ptr());
        // SAFETY: the columns of each result are there (`Cells`), and room for those of each point (asserted above); this
        // machine has the instruction set (`of`).
        unsafe { (self.of_results_row[row])(pixels, vectors, to, plane, strip) };
    }

    /// Planes of `len` sums, one for each point, to one for each tap.
    pub fn taps_of_points(&self, points: &[f32], len: usize, to: &mut [f32]) {
        assert!(len.is_multiple_of(self.lanes) && points.len() >= self.points() * len);
        assert!(to.len() >= self.taps * self.taps * len);
        // SAFETY: the planes of each point and room for those of each tap are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { (self.to_taps)(points.as_ptr(), len, len / self.lanes, to.as_mut_ptr()) };
    }

    /// The sums of a strip's row (of two vectors) at each point, of point p at `sums[p * plane..]`, to the rows of 4 x 4 results,
    /// of result r at `results[r * step..]`. A thin tile has no last points, and its last results are anything.
    pub fn sums(
        &self,
        is_thin: [bool; 2],
        sums: &[f32],
        plane: usize,
        results: &mut [f32],
        step: usize,
    ) {
        let (width, last) = (2 * self.lanes, RESULTS * RESULTS - 1);
        assert!(sums.len() >= (self.points() - 1) * plane + width);
        assert!(results.len() >= last * step + width);
        // SAFETY: the row of each point and room for 16 results are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe {
            of_kind(&self.of_sums, is_thin)(sums.as_ptr(), plane, results.as_mut_ptr(), step)
        };
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

/// What is for tiles that are thin in their rows or columns, or not.
fn of_kind<T: Copy>(kinds: &[[T; 2]; 2], [rows, columns]: [bool; 2]) -> T {
    kinds[usize::from(rows)][usize::from(columns)]
}

/// The transforms for a number of taps, whose last row of points is `$last`; thin tiles have `$thin` cells of a dimension.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! transforms_of {
    (@cell_rows $taps:literal, $last:literal, $rows:literal, $columns:literal) => {
        [
            cell_row::<$taps, $rows, $columns, 0>,
            cell_row::<$taps, $rows, $columns, 1>,
            cell_row::<$taps, $rows, $columns, 2>,
            cell_row::<$taps, $rows, $columns, 3>,
            cell_row::<$taps, $rows, $columns, 4>,
            cell_row::<$taps, $rows, $columns, $last>,
        ]
    };
    ($taps:literal, $all:literal, $thin:literal: $last:literal) => {
        Transforms {
            taps: $taps,
            lanes: LANES,
            of_cells: [
                [cells::<$taps, $all, $all>, cells::<$taps, $all, $thin>],
                [cells::<$taps, $thin, $all>, cells::<$taps, $thin, $thin>],
            ],
            of_sums: [
                [sums::<$taps, $all, $all>, sums::<$taps, $all, $thin>],
                [sums::<$taps, $thin, $all>, sums::<$taps, $thin, $thin>],
            ],
            of_filters: filters::<$taps>,
            of_cells_row: [
                [
                    transforms_of!(@cell_rows $taps, $last, $all, $all),
                    transforms_of!(@cell_rows $taps, $last, $all, $thin),
                ],
                [
                    transforms_of!(@cell_rows $taps, $last, $thin, $all),
                    transforms_of!(@cell_rows $taps, $last, $thin, $thin),
                ],
            ],
            of_results_row: [
                result_row::<$taps, 0>,
                result_row::<$taps, 1>,
                result_row::<$taps, 2>,
                result_row::<$taps, 3>,
                result_row::<$taps, 4>,
                result_row::<$taps, $last>,
            ],
            to_taps: taps::<$taps>,
        }
    };
}

/// The places of the points beside 0 and infinity: A and -A, B and -B.
const A: f32 = 0.75;
const B: f32 = 1.5;
/// The filters' shares of the points: 1 over the product of a place's distances from the others.
const OF_0: f32 = 1.0 / (A * A * B * B);
const OF_A: f32 = 1.0 / (2.0 * A * A * (A * A - B * B));
const OF_B: f32 = 1.0 / (2.0 * B * B * (B * B - A * A));

/// One column of a matrix.
#[inline(always)]
fn column<T: Copy, const ROWS: usize, const COLUMNS: usize>(
    x: &[[T; COLUMNS]; ROWS],
    j: usize,
) -> [T; ROWS] {
    x.each_ref().map(|row| row[j])
}

/// Defines the transforms for TAPS in such a module.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! transforms {
    ($features:literal) => {
        /// Points of neighbouring cells.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_cells([d0, d1, d2, d3, d4, d5]: [V; 6]) -> [V; 6] {
            let (a, b) = (splat(A), splat(B));
            let (aa, bb) = (splat(-A * A), splat(-B * B));
            let (product, sum) = (splat(A * A * B * B), splat(-A * A - B * B));
            let (even_a, odd_a) = (fma(bb, d2, d4), fma(bb, d1, d3));
            let (even_b, odd_b) = (fma(aa, d2, d4), fma(aa, d1, d3));
            [
                fma(product, d0, fma(sum, d2, d4)),
                fma(a, odd_a, even_a),
                fnma(a, odd_a, even_a),
                fma(b, odd_b, even_b),
                fnma(b, odd_b, even_b),
                fma(product, d1, fma(sum, d3, d5)),
            ]
        }

        /// The same of the `N` first ones: of four with two taps, with what makes the point at -B 0 for the fifth.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_some_cells<const N: usize>(mut d: [V; 6]) -> [V; 6] {
            if N == 4 {
                let even = fma(splat(A * A), d[2], mul(splat(B), d[3]));
                d[4] = fma(splat(-A * A * B), d[1], even);
            }
            of_cells(d)
        }

        /// Four results of points.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_points([m0, m1, m2, m3, m4, m5]: [V; 6]) -> [V; 4] {
            let (even_a, odd_a) = (add(m1, m2), sub(m1, m2));
            let (even_b, odd_b) = (add(m3, m4), sub(m3, m4));
            let by = |x: f32, p: V, y: f32, q: V| fma(splat(y), q, mul(splat(x), p));
            [
                add(m0, add(even_a, even_b)),
                by(A, odd_a, B, odd_b),
                by(A * A, even_a, B * B, even_b),
                add(m5, by(A * A * A, odd_a, B * B * B, odd_b)),
            ]
        }

        /// Points of taps.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_taps([g0, g1, g2]: [V; 3]) -> [V; 6] {
            let (even_a, odd_a) = (fma(splat(A * A), g2, g0), mul(splat(A), g1));
            let (even_b, odd_b) = (fma(splat(B * B), g2, g0), mul(splat(B), g1));
            [
                mul(splat(OF_0), g0),
                mul(splat(OF_A), add(even_a, odd_a)),
                mul(splat(OF_A), sub(even_a, odd_a)),
                mul(splat(OF_B), add(even_b, odd_b)),
                mul(splat(OF_B), sub(even_b, odd_b)),
                g2,
            ]
        }

        /// Points of the gradients of four results.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_results([z0, z1, z2, z3]: [V; 4]) -> [V; 6] {
            let (a, b, aa, bb) = (splat(A), splat(B), splat(A * A), splat(B * B));
            let (even_a, odd_a) = (fma(aa, z2, z0), fma(aa, z3, z1));
            let (even_b, odd_b) = (fma(bb, z2, z0), fma(bb, z3, z1));
            [
                z0,
                fma(a, odd_a, even_a),
                fnma(a, odd_a, even_a),
                fma(b, odd_b, even_b),
                fnma(b, odd_b, even_b),
                z3,
            ]
        }

        /// Taps of the sums at points.
        #[inline]
        #[target_feature(enable = $features)]
        fn taps_of([m0, m1, m2, m3, m4, m5]: [V; 6]) -> [V; 3] {
            let (even_a, odd_a) = (mul(splat(OF_A), add(m1, m2)), mul(splat(OF_A), sub(m1, m2)));
            let (even_b, odd_b) = (mul(splat(OF_B), add(m3, m4)), mul(splat(OF_B), sub(m3, m4)));
            [
                fma(splat(OF_0), m0, add(even_a, even_b)),
                fma(splat(A), odd_a, mul(splat(B), odd_b)),
                add(m5, fma(splat(A * A), even_a, mul(splat(B * B), even_b))),
            ]
        }

        #[target_feature(enable = $features)]
        unsafe fn cells<const TAPS: usize, const ROWS: usize, const COLUMNS: usize>(
            cells: &[*const f32; POINTS],
            vectors: usize,
            to: *mut f32,
            plane: usize,
        ) {
            for at in (0..vectors * LANES).step_by(LANES) {
                let mut x = [[zero(); 6]; 6];
                for i in 0..ROWS {
                    let mut row = [zero(); 6];
                    for j in 0..COLUMNS {
                        // SAFETY: this vector of the cell.
                        row[j] = unsafe { load(cells[i * (TAPS + 3) + j].add(at)) };
                    }
                    x[i] = of_some_cells::<COLUMNS>(row);
                }
                for j in 0..COLUMNS {
                    let points = of_some_cells::<ROWS>(column(&x, j));
                    for i in 0..ROWS {
                        // SAFETY: this vector of the point.
                        unsafe { store(to.add((i * (TAPS + 3) + j) * plane + at), points[i]) };
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn sums<const TAPS: usize, const ROWS: usize, const COLUMNS: usize>(
            sums: *const f32,
            plane: usize,
            results: *mut f32,
            step: usize,
        ) {
            for at in [0, LANES] {
                let mut x = [[zero(); 4]; 6];
                for i in 0..ROWS {
                    let mut row = [zero(); 6];
                    for j in 0..COLUMNS {
                        // SAFETY: this vector of the point.
                        row[j] = unsafe { load(sums.add((i * (TAPS + 3) + j) * plane + at)) };
                    }
                    x[i] = of_points(row);
                }
                for j in 0..4 {
                    let y = of_points(column(&x, j));
                    for i in 0..4 {
                        // SAFETY: this vector of the result.
                        unsafe { store(results.add((i * 4 + j) * step + at), y[i]) };
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
                let mut x = [[zero(); 6]; 3];
                for i in 0..TAPS {
                    let mut row = [zero(); 3];
                    for j in 0..TAPS {
                        // SAFETY: this vector of the tap.
                        row[j] = unsafe { load(taps.add((i * TAPS + j) * from + at)) };
                    }
                    x[i] = of_taps(row);
                }
                for j in 0..TAPS + 3 {
                    let points = of_taps(column(&x, j));
                    for i in 0..TAPS + 3 {
                        // SAFETY: this vector of the point.
                        unsafe { store(to.add((i * (TAPS + 3) + j) * plane + at), points[i]) };
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn cell_row<
            const TAPS: usize,
            const ROWS: usize,
            const COLUMNS: usize,
            const ROW: usize,
        >(
            cells: &[*const f32; POINTS],
            vectors: usize,
            to: *mut f32,
            plane: usize,
        ) {
            for at in (0..vectors * LANES).step_by(LANES) {
                let mut row = [zero(); 6];
                for j in 0..COLUMNS {
                    let mut x = [zero(); 6];
                    for i in 0..ROWS {
                        // SAFETY: this vector of the cell.
                        x[i] = unsafe { load(cells[i * (TAPS + 3) + j].add(at)) };
                    }
                    row[j] = of_some_cells::<ROWS>(x)[ROW];
                }
                let points = of_some_cells::<COLUMNS>(row);
                for j in 0..COLUMNS {
                    // SAFETY: this vector of the point.
                    unsafe { store(to.add(j * plane + at), points[j]) };
                }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn result_row<const TAPS: usize, const ROW: usize>(
            results: &[*const f32; POINTS],
            vectors: usize,
            to: *mut f32,
            plane: usize,
            strip: usize,
        ) {
            for v in 0..vectors {
                let at = v * LANES;
                let to = to.wrapping_add(v / 2 * strip + v % 2 * LANES);
                let mut row = [zero(); 4];
                for j in 0..4 {
                    let mut x = [zero(); 4];
                    for i in 0..4 {
                        // SAFETY: this vector of the result.
                        x[i] = unsafe { load(results[i * 4 + j].add(at)) };
                    }
                    row[j] = of_results(x)[ROW];
                }
                let points = of_results(row);
                for j in 0..TAPS + 3 {
                    // SAFETY: this vector of the point.
                    unsafe { store(to.add(j * plane), points[j]) };
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
                let mut x = [[zero(); 3]; 6];
                for i in 0..TAPS + 3 {
                    let mut row = [zero(); 6];
                    for j in 0..TAPS + 3 {
                        // SAFETY: this vector of the point.
                        row[j] = unsafe { load(points.add((i * (TAPS + 3) + j) * len + at)) };
                    }
                    x[i] = taps_of(row);
                }
                for j in 0..TAPS {
                    let y = taps_of(column(&x, j));
                    for i in 0..TAPS {
                        // SAFETY: this vector of the tap.
                        unsafe { store(to.add((i * TAPS + j) * len + at), y[i]) };
                    }
                }
            }
        }

        pub(super) static TRANSFORMS: [Transforms; 2] =
    [transforms_of!(2, 5, 4: 4), transforms_of!(3, 6, 6: 5)];
    };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512 {
    use super::{A, B, OF_0, OF_A, OF_B, POINTS, Transforms, column};
    use crate::cpu::simd::avx512::*;

    transforms!("avx512f");
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2 {
    use super::{A, B, OF_0, OF_A, OF_B, POINTS, Transforms, column};
    use crate::cpu::simd::avx2::*;

    transforms!("avx2,fma");
}
