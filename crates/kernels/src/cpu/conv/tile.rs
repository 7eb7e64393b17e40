//! Products of a gathered block with a strip of the other operand, tile by tile in registers.
//!
//! Strips and sums have rows as wide as a tile, with zeros or anything behind the last column: no tile has an edge in its
//! columns. A tile goes on with the sums that an earlier block left: over all blocks every sum is one chain of fused
//! multiply-adds, however the work is cut.

use super::patches::LD;
use crate::cpu::isa::Isa;

/// How far ahead a strip is fetched, in floats: it may come from memory, whose pages the processor's own fetching does not cross.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const AHEAD: usize = 1024;
/// Floats of a line of the cache.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const LINE: usize = 16;

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
}

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

    pub fn isa(&self) -> Isa {
        self.isa
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

/// Defines `tile::<ROWS, VECTORS, BESIDE>` in a module that has all of one of `simd` and the number UNROLL of steps in a
/// round.
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
            // Before the loads: the compiler moves none across a prefetch.
            for v in 0..(VECTORS * LANES).div_ceil(LINE) {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(AHEAD + v * LINE).cast());
            }
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

/// `[[tile::<rows, 1, BESIDE>, tile::<rows, 2, BESIDE>], ..]` for the given numbers of rows.
#[cfg(all(target_arch = "x86_64", not(miri)))]
macro_rules! kernels {
    ($beside:literal: $($rows:literal)*) => {
        &[$([tile::<$rows, 1, $beside> as Kernel, tile::<$rows, 2, $beside>]),*]
    };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512 {
    use super::{AHEAD, Isa, Kernel, LD, LINE, Tiles};
    use crate::cpu::simd::avx512::*;

    pub(super) static TILES: Tiles = Tiles {
        isa: Isa::Avx512,
        rows: 14,
        width: 2 * LANES,
        lanes: LANES,
        kernels: [
            kernels!(false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            kernels!(true: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        ],
    };

    const UNROLL: usize = 2;

    tile!("avx512f");
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2 {
    use super::{AHEAD, Isa, Kernel, LD, LINE, Tiles};
    use crate::cpu::simd::avx2::*;

    pub(super) static TILES: Tiles = Tiles {
        isa: Isa::Avx2,
        rows: 6,
        width: 2 * LANES,
        lanes: LANES,
        kernels: [kernels!(false: 1 2 3 4 5 6), kernels!(true: 1 2 3 4 5 6)],
    };

    const UNROLL: usize = 4;

    tile!("avx2,fma");
}
