//! Products of a gathered block with a strip of the other operand, tile by tile in registers.
//!
//! Strips and sums have rows as wide as a tile, with zeros or anything behind the last column: no tile has an edge in its
//! columns. A tile goes on with the sums that an earlier block left: over all blocks every sum is one chain of fused
//! multiply-adds, however the work is cut.

use super::patches::LD;
use super::thin;
use super::winograd::POINTS;
use crate::cpu::isa::Isa;

/// How the rows of C lie in a gathered block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// One below the other: a row of the block is a row of C, its elements the steps.
    Below,
    /// Side by side: a row of the block is a step.
    Beside,
}

/// The kernels of one instruction set.
pub(super) struct Tiles {
    isa: Isa,
    /// Most rows of a tile.
    pub rows: usize,
    /// Columns of a strip.
    pub width: usize,
    /// Columns of a vector.
    lanes: usize,
    /// `kernels[lie][rows - 1][vectors - 1]`
    kernels: [&'static [[Kernel; 2]]; 2],
    /// By columns: the dot products of one row, and of several.
    dots: &'static [(Dots, Dots, usize)],
    /// For two taps, and for three.
    transforms: &'static [Transforms; 2],
}

/// From `vectors` vectors of each of N pixels to as many of each point: of point p at `to + p * plane`.
type ToPoints<const N: usize> =
    unsafe fn(pixels: &[*const f32; N], vectors: usize, to: *mut f32, plane: usize);

/// The transforms of [`winograd`](super::winograd) for one number of taps.
struct Transforms {
    /// The points of the cells of a tile.
    cells: ToPoints<POINTS>,
    /// A strip's row of each point, at `sums + p * plane`, becomes a row of each of 2 x 2 results, one after the other.
    sums: unsafe fn(sums: *const f32, plane: usize, results: *mut f32),
    /// `vectors` vectors of each tap, at `taps + t * from`, become as many of each point, at `to + p * plane`.
    filters: unsafe fn(taps: *const f32, from: usize, vectors: usize, to: *mut f32, plane: usize),
    /// As `cells`, of one row of points alone: the one of its index.
    cell_rows: [ToPoints<POINTS>; 4],
    /// One row of points of 2 x 2 results.
    result_rows: [ToPoints<4>; 4],
    /// `vectors` vectors of each point, at `points + p * len`, become as many of each tap, at `taps + t * len`.
    taps: unsafe fn(points: *const f32, len: usize, vectors: usize, taps: *mut f32),
}

/// Sums of 16 chains each, at `lanes + (i * columns + j) * 16`: row i of A, of k elements, at `a + i * LD`, column j of B at
/// `b + j * ld`. k is a multiple of 16.
type Dots = unsafe fn(k: usize, a: *const f32, b: *const f32, ld: usize, lanes: *mut f32);

/// k steps of a tile: element (row i, step p) of A is at `a`, by [`Lie`]; row p of B at `b + p * width`; row i of the sums at
/// `c + i * width`, which hold the sums so far unless this is the first block.
type Kernel = unsafe fn(k: usize, a: *const f32, b: *const f32, c: *mut f32, is_first: bool);

impl Tiles {
    /// Those of an instruction set that this machine has.
    pub fn of(isa: Isa) -> &'static Tiles {
        assert!(isa.is_available(), "conv: this machine has no {isa:?}");
        match isa {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Isa::Avx512 => &avx512::TILES,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Isa::Avx2 => &avx2::TILES,
            _ => &PORTABLE,
        }
    }

    /// Columns of the widest strip.
    pub const MOST_COLUMNS: usize = 32;

    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The cells of a tile, of some channels each, to its points: of point p at `to[p * plane..]`.
    pub fn transform_cells(
        &self,
        taps: usize,
        cells: &[&[f32]; POINTS],
        to: &mut [f32],
        plane: usize,
    ) {
        let (points, channels) = ((taps + 1) * (taps + 1), cells[0].len());
        assert!(cells.iter().all(|c| c.len() == channels) && channels.is_multiple_of(self.lanes));
        assert!(plane >= channels && to.len() >= (points - 1) * plane + channels);
        let (vectors, cells) = (channels / self.lanes, cells.map(<[f32]>::as_ptr));
        let kernel = self.transforms[taps - 2].cells;
        // SAFETY: the channels of each cell and room for those of each point are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { kernel(&cells, vectors, to.as_mut_ptr(), plane) };
    }

    /// One row of the points of a tile: of point p at `to[p * plane..]`.
    pub fn row_of_cells(
        &self,
        taps: usize,
        row: usize,
        cells: &[&[f32]; POINTS],
        to: &mut [f32],
        plane: usize,
    ) {
        let channels = cells[0].len();
        assert!(cells.iter().all(|c| c.len() == channels) && channels.is_multiple_of(self.lanes));
        assert!(row <= taps && plane >= channels && to.len() >= taps * plane + channels);
        let (vectors, cells) = (channels / self.lanes, cells.map(<[f32]>::as_ptr));
        let kernel = self.transforms[taps - 2].cell_rows[row];
        // SAFETY: as in `transform_cells`.
        unsafe { kernel(&cells, vectors, to.as_mut_ptr(), plane) };
    }

    /// One row of the points of 2 x 2 results of some columns: of point p at `to[p * plane..]`.
    pub fn row_of_results(
        &self,
        taps: usize,
        row: usize,
        results: &[&[f32]; 4],
        to: &mut [f32],
        plane: usize,
    ) {
        let columns = results[0].len();
        assert!(results.iter().all(|r| r.len() == columns) && columns.is_multiple_of(self.lanes));
        assert!(row <= taps && plane >= columns && to.len() >= taps * plane + columns);
        let (vectors, results) = (columns / self.lanes, results.map(<[f32]>::as_ptr));
        let kernel = self.transforms[taps - 2].result_rows[row];
        // SAFETY: the columns of each result and room for those of each point are there (asserted above); this machine has
        // the instruction set (`of`).
        unsafe { kernel(&results, vectors, to.as_mut_ptr(), plane) };
    }

    /// Planes of `len` sums, one for each point, to one for each tap.
    pub fn taps_of_points(&self, taps: usize, points: &[f32], len: usize, to: &mut [f32]) {
        let all = (taps + 1) * (taps + 1);
        assert!(len.is_multiple_of(self.lanes) && points.len() >= all * len);
        assert!(to.len() >= taps * taps * len);
        let kernel = self.transforms[taps - 2].taps;
        // SAFETY: the planes of each point and room for those of each tap are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { kernel(points.as_ptr(), len, len / self.lanes, to.as_mut_ptr()) };
    }

    /// Fetches what will be transformed.
    pub fn fetch(&self, cells: &[&[f32]; POINTS]) {
        if self.isa == Isa::Portable {
            return;
        }
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        for cell in cells {
            for line in cell.chunks(16) {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                // SAFETY: a prefetch reads nothing that the program sees; every x86-64 has it.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
            }
        }
    }

    /// The sums of a strip's row at each point, of point p at `sums[p * plane..]`, to the rows of 2 x 2 results.
    pub fn transform_sums(&self, taps: usize, sums: &[f32], plane: usize, results: &mut [f32]) {
        let points = (taps + 1) * (taps + 1);
        assert!(sums.len() >= (points - 1) * plane + self.width && results.len() >= 4 * self.width);
        let kernel = self.transforms[taps - 2].sums;
        // SAFETY: the row of each point and room for four results are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { kernel(sums.as_ptr(), plane, results.as_mut_ptr()) };
    }

    /// Planes of filters, one for each tap, to one for each point, of point p at `to[p * plane..]`.
    pub fn transform_filters(
        &self,
        taps: usize,
        from: &[f32],
        len: usize,
        to: &mut [f32],
        plane: usize,
    ) {
        let points = (taps + 1) * (taps + 1);
        assert!(len.is_multiple_of(self.lanes) && from.len() >= taps * taps * len);
        assert!(plane >= len && to.len() >= (points - 1) * plane + len);
        let kernel = self.transforms[taps - 2].filters;
        let (from, to, vectors) = (from.as_ptr(), to.as_mut_ptr(), len / self.lanes);
        // SAFETY: the planes of each tap and room for those of each point are there (asserted above); this machine has the
        // instruction set (`of`).
        unsafe { kernel(from, len, vectors, to, plane) };
    }

    /// How many rows' dot products with n columns are computed at once.
    pub fn dot_rows(&self, n: usize) -> usize {
        self.dots[n - 1].2
    }

    /// lanes\[i * n + j\] = 16 chains whose sum is row i of `a`, at a distance of LD, times row j of `b`, at a distance of ld;
    /// for one row, or as many as [`Tiles::dot_rows`].
    #[expect(clippy::too_many_arguments, reason = "a product's sizes and operands")]
    pub fn dots(
        &self,
        n: usize,
        rows: usize,
        k: usize,
        a: &[f32],
        b: &[f32],
        ld: usize,
        lanes: &mut [[f32; thin::LANES]; thin::MOST],
    ) {
        let (one, several, count) = self.dots[n - 1];
        assert!(
            k.is_multiple_of(thin::LANES) && rows * n <= thin::MOST && (rows == 1 || rows == count)
        );
        assert!(a.len() >= (rows - 1) * LD + k && b.len() >= (n - 1) * ld + k);
        let kernel = if rows == 1 { one } else { several };
        // SAFETY: `rows` rows of a, n of b, of k elements, and room for rows × n sums are there (asserted above); this machine
        // has the instruction set (`of`).
        unsafe { kernel(k, a.as_ptr(), b.as_ptr(), ld, lanes.as_mut_ptr().cast()) };
    }

    /// sums\[i * width + j\] = the sums so far, 0 if this is the first block, + Σ_p a(i, p) · b\[p * width + j\], for `rows` rows
    /// and at least `cols` columns.
    #[expect(clippy::too_many_arguments, reason = "a product's sizes and operands")]
    pub fn multiply(
        &self,
        lie: Lie,
        rows: usize,
        cols: usize,
        k: usize,
        a: &[f32],
        b: &[f32],
        sums: &mut [f32],
        is_first: bool,
    ) {
        let width = self.width;
        assert!(rows > 0 && 0 < cols && cols <= width && sums.len() >= rows * width);
        if k == 0 {
            if is_first {
                sums[..rows * width].fill(0.0);
            }
            return;
        }
        let (lines, line) = match lie {
            Lie::Below => (rows, k),
            Lie::Beside => (k, rows),
        };
        assert!(line <= LD && a.len() >= (lines - 1) * LD + line && b.len() >= k * width);
        if self.isa == Isa::Portable {
            return portable(lie, rows, width, k, a, b, sums, is_first);
        }
        let vectors = cols.div_ceil(self.lanes);
        let panels = rows.div_ceil(self.rows);
        let kernels = self.kernels[lie as usize];
        let mut first = 0;
        for panel in 0..panels {
            let height = rows / panels + usize::from(panel < rows % panels);
            let kernel = kernels[height - 1][vectors - 1];
            let a = match lie {
                Lie::Below => &a[first * LD..],
                Lie::Beside => &a[first..],
            };
            let sums = &mut sums[first * width..];
            // SAFETY: rows first..first + height of the block, the k steps of the strip and these rows of sums are there
            // (asserted above); this machine has the instruction set (`of`).
            unsafe { kernel(k, a.as_ptr(), b.as_ptr(), sums.as_mut_ptr(), is_first) };
            first += height;
        }
    }
}

static PORTABLE: Tiles = Tiles {
    isa: Isa::Portable,
    rows: 8,
    width: 16,
    lanes: 8,
    kernels: [&[], &[]],
    dots: &[],
    transforms: &[PORTABLE_TRANSFORMS; 2],
};

/// Not called: the portable path has no Winograd.
const PORTABLE_TRANSFORMS: Transforms = Transforms {
    cells: |_, _, _, _| unreachable!("no portable transforms"),
    sums: |_, _, _| unreachable!("no portable transforms"),
    filters: |_, _, _, _, _| unreachable!("no portable transforms"),
    cell_rows: [|_, _, _, _| unreachable!("no portable transforms"); 4],
    result_rows: [|_, _, _, _| unreachable!("no portable transforms"); 4],
    taps: |_, _, _, _| unreachable!("no portable transforms"),
};

/// The `matrixmultiply` crate on the whole block.
#[expect(clippy::too_many_arguments, reason = "those of `multiply`")]
fn portable(
    lie: Lie,
    rows: usize,
    width: usize,
    k: usize,
    a: &[f32],
    b: &[f32],
    sums: &mut [f32],
    is_first: bool,
) {
    let (row, step) = match lie {
        Lie::Below => (LD as isize, 1),
        Lie::Beside => (1, LD as isize),
    };
    let beta = if is_first { 0.0 } else { 1.0 };
    let (a, b, c, ld) = (a.as_ptr(), b.as_ptr(), sums.as_mut_ptr(), width as isize);
    // SAFETY: `multiply` has asserted that the rows and steps of `a`, the steps of `b` and the rows of the sums are there.
    unsafe {
        matrixmultiply::sgemm(rows, k, width, 1.0, a, row, step, b, ld, 1, beta, c, ld, 1);
    }
}

/// Defines `tile::<ROWS, VECTORS, BESIDE>` in a module that has the vector type `V`, its `LANES`, the number UNROLL of steps in a
/// round, and the functions used below.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! tile {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn tile<const ROWS: usize, const VECTORS: usize, const BESIDE: bool>(
            k: usize,
            a: *const f32,
            b: *const f32,
            c: *mut f32,
            is_first: bool,
        ) {
            const WIDTH: usize = 2 * LANES;
            let mut sums = [[zero(); VECTORS]; ROWS];
            if !is_first {
                for i in 0..ROWS {
                    for v in 0..VECTORS {
                        // SAFETY: the sums have ROWS rows of WIDTH elements (`multiply`).
                        sums[i][v] = unsafe { load(c.add(i * WIDTH + v * LANES)) };
                    }
                }
            }
            let (mut a, mut b, mut left) = (a, b, k);
            // SAFETY: k steps, of which `multiply` makes sure that they lie within the operands.
            unsafe {
                while left >= UNROLL {
                    for p in 0..UNROLL {
                        let a = a.add(if BESIDE { p * LD } else { p });
                        step::<ROWS, VECTORS, BESIDE>(a, b.add(p * WIDTH), &mut sums);
                    }
                    a = a.wrapping_add(if BESIDE { UNROLL * LD } else { UNROLL });
                    b = b.wrapping_add(UNROLL * WIDTH);
                    left -= UNROLL;
                }
                for _ in 0..left {
                    step::<ROWS, VECTORS, BESIDE>(a, b, &mut sums);
                    a = a.wrapping_add(if BESIDE { LD } else { 1 });
                    b = b.wrapping_add(WIDTH);
                }
            }
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    // SAFETY: as for the loads.
                    unsafe { store(c.add(i * WIDTH + v * LANES), sums[i][v]) };
                }
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn step<const ROWS: usize, const VECTORS: usize, const BESIDE: bool>(
            a: *const f32,
            b: *const f32,
            sums: &mut [[V; VECTORS]; ROWS],
        ) {
            let mut row = [zero(); VECTORS];
            for v in 0..VECTORS {
                // SAFETY: this step's row of the strip.
                row[v] = unsafe { load(b.add(v * LANES)) };
            }
            for i in 0..ROWS {
                // SAFETY: this step's element of each row of the block.
                let x = splat(unsafe { *a.add(if BESIDE { i } else { i * LD }) });
                for v in 0..VECTORS {
                    sums[i][v] = fma(x, row[v], sums[i][v]);
                }
            }
        }
    };
}

/// Defines `dots::<N, ROWS>` in such a module.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! dots {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn dots<const N: usize, const ROWS: usize>(
            k: usize,
            a: *const f32,
            b: *const f32,
            ld: usize,
            lanes: *mut f32,
        ) {
            const VECTORS: usize = thin::LANES / LANES;
            let mut sums = [[[zero(); VECTORS]; N]; ROWS];
            for p in (0..k).step_by(thin::LANES) {
                let mut columns = [[zero(); VECTORS]; N];
                for j in 0..N {
                    for v in 0..VECTORS {
                        // SAFETY: 16 elements from p < k on of column j < N (`Tiles::dots`).
                        columns[j][v] = unsafe { load(b.add(j * ld + p + v * LANES)) };
                    }
                }
                for i in 0..ROWS {
                    for v in 0..VECTORS {
                        // SAFETY: 16 elements from p < k on of row i < ROWS.
                        let x = unsafe { load(a.add(i * LD + p + v * LANES)) };
                        for j in 0..N {
                            sums[i][j][v] = fma(x, columns[j][v], sums[i][j][v]);
                        }
                    }
                }
            }
            for i in 0..ROWS {
                for j in 0..N {
                    for v in 0..VECTORS {
                        // SAFETY: there is room for 16 elements of each of ROWS × N sums.
                        unsafe {
                            store(
                                lanes.add((i * N + j) * thin::LANES + v * LANES),
                                sums[i][j][v],
                            )
                        };
                    }
                }
            }
        }

        const DOTS: &[(Dots, Dots, usize)] = &[
            (dots::<1, 1>, dots::<1, 4>, 4),
            (dots::<2, 1>, dots::<2, 2>, 2),
            (dots::<3, 1>, dots::<3, 2>, 2),
            (dots::<4, 1>, dots::<4, 2>, 2),
        ];
    };
}

/// The transforms for a number of taps, whose last row of points is `$last`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! transforms_of {
    ($taps:literal: $last:literal) => {
        Transforms {
            cells: cells::<$taps>,
            sums: sums::<$taps>,
            filters: filters::<$taps>,
            cell_rows: [
                cell_row::<$taps, 0>,
                cell_row::<$taps, 1>,
                cell_row::<$taps, 2>,
                cell_row::<$taps, $last>,
            ],
            result_rows: [
                result_row::<$taps, 0>,
                result_row::<$taps, 1>,
                result_row::<$taps, 2>,
                result_row::<$taps, $last>,
            ],
            taps: taps::<$taps>,
        }
    };
}

/// Defines the transforms for TAPS in such a module, which also has `plus` and `minus`.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! transforms {
    ($features:literal) => {
        /// Points of neighbouring cells.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_cells<const TAPS: usize>([a, b, c, d]: [V; 4]) -> [V; 4] {
            match TAPS {
                2 => [minus(a, b), b, minus(c, b), d],
                _ => [minus(a, c), plus(b, c), minus(c, b), minus(b, d)],
            }
        }

        /// Two results of points.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_points<const TAPS: usize>([a, b, c, d]: [V; 4]) -> [V; 2] {
            match TAPS {
                2 => [plus(a, b), plus(b, c)],
                _ => [plus(plus(a, b), c), minus(minus(b, c), d)],
            }
        }

        /// Points of taps.
        #[inline]
        #[target_feature(enable = $features)]
        fn of_taps<const TAPS: usize>([a, b, c]: [V; 3]) -> [V; 4] {
            match TAPS {
                2 => [a, plus(a, b), b, c],
                _ => {
                    let (half, outer) = (splat(0.5), plus(a, c));
                    [
                        a,
                        times(half, plus(outer, b)),
                        times(half, minus(outer, b)),
                        c,
                    ]
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
                2 => [a, plus(a, b), b, b],
                _ => [a, plus(a, b), minus(a, b), minus(zero(), b)],
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
                2 => [plus(a, b), plus(b, c), d],
                _ => {
                    let half = splat(0.5);
                    let even = times(half, plus(b, c));
                    [plus(a, even), times(half, minus(b, c)), plus(even, d)]
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

const TRANSFORMS: [Transforms; 2] = [transforms_of!(2: 2), transforms_of!(3: 3)];
    };
}

/// `[[tile::<rows, 1, BESIDE>, tile::<rows, 2, BESIDE>], ..]` for the given numbers of rows.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! kernels {
    ($beside:literal: $($rows:literal)*) => {
        &[$([tile::<$rows, 1, $beside> as Kernel, tile::<$rows, 2, $beside>]),*]
    };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512 {
    use super::{Dots, Isa, Kernel, LD, POINTS, Tiles, Transforms, thin};
    use std::arch::x86_64::*;

    pub(super) static TILES: Tiles = Tiles {
        isa: Isa::Avx512,
        rows: 14,
        width: 2 * LANES,
        lanes: LANES,
        kernels: [
            kernels!(false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            kernels!(true: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        ],
        dots: DOTS,
        transforms: &TRANSFORMS,
    };

    const LANES: usize = 16;
    const UNROLL: usize = 2;
    type V = __m512;

    tile!("avx512f");
    dots!("avx512f");
    transforms!("avx512f");

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn zero() -> V {
        _mm512_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn splat(x: f32) -> V {
        _mm512_set1_ps(x)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn plus(x: V, y: V) -> V {
        _mm512_add_ps(x, y)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn minus(x: V, y: V) -> V {
        _mm512_sub_ps(x, y)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn times(x: V, y: V) -> V {
        _mm512_mul_ps(x, y)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn fma(x: V, y: V, z: V) -> V {
        _mm512_fmadd_ps(x, y, z)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: the caller vouches for 16 elements.
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store(p: *mut f32, x: V) {
        // SAFETY: the caller vouches for 16 elements.
        unsafe { _mm512_storeu_ps(p, x) }
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2 {
    use super::{Dots, Isa, Kernel, LD, POINTS, Tiles, Transforms, thin};
    use std::arch::x86_64::*;

    pub(super) static TILES: Tiles = Tiles {
        isa: Isa::Avx2,
        rows: 6,
        width: 2 * LANES,
        lanes: LANES,
        kernels: [kernels!(false: 1 2 3 4 5 6), kernels!(true: 1 2 3 4 5 6)],
        dots: DOTS,
        transforms: &TRANSFORMS,
    };

    const LANES: usize = 8;
    const UNROLL: usize = 4;
    type V = __m256;

    tile!("avx2,fma");
    dots!("avx2,fma");
    transforms!("avx2,fma");

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn zero() -> V {
        _mm256_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn splat(x: f32) -> V {
        _mm256_set1_ps(x)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn plus(x: V, y: V) -> V {
        _mm256_add_ps(x, y)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn minus(x: V, y: V) -> V {
        _mm256_sub_ps(x, y)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn times(x: V, y: V) -> V {
        _mm256_mul_ps(x, y)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn fma(x: V, y: V, z: V) -> V {
        _mm256_fmadd_ps(x, y, z)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: the caller vouches for 8 elements.
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn store(p: *mut f32, x: V) {
        // SAFETY: the caller vouches for 8 elements.
        unsafe { _mm256_storeu_ps(p, x) }
    }
}
