//! Results of few channels: dot products instead of tiles, whose vectors would be almost empty.
//!
//! Each element is the sum of 16 interleaved chains of fused multiply-adds over a block, added in pairs, block by block: an
//! order that depends on the length of the sum alone.

use super::patches::LD;
use crate::cpu::isa::Isa;

/// Most columns.
pub(super) const COLUMNS: usize = 4;

/// Chains of a sum.
pub(super) const LANES: usize = 16;
/// Most sums at a time.
pub(super) const MOST: usize = 8;

/// The floats of a row of filters for sums of length k.
pub(super) fn padded(k: usize) -> usize {
    k.next_multiple_of(LANES)
}

/// sums\[i * n + j\] = the sums so far, 0 if this is the first block, + Σ_p a\[i * LD + p\] · b\[j * ld + p\], for `rows` rows and n
/// columns. b is 0 from k up to a multiple of 16.
#[expect(clippy::too_many_arguments, reason = "a product's sizes and operands")]
pub(super) fn multiply(
    isa: Isa,
    n: usize,
    rows: usize,
    k: usize,
    a: &mut [f32],
    b: &[f32],
    ld: usize,
    sums: &mut [f32],
    is_first: bool,
) {
    if is_first {
        sums[..rows * n].fill(0.0);
    }
    let whole = padded(k);
    if whole > k {
        // What is behind a row may be no number.
        for a in a.chunks_exact_mut(LD).take(rows) {
            a[k..whole].fill(0.0);
        }
    }
    products(isa, n, rows, whole, a, b, ld, sums);
}

/// Columns of some rows at a time.
#[expect(clippy::too_many_arguments, reason = "those of `multiply`")]
fn products(
    isa: Isa,
    n: usize,
    rows: usize,
    k: usize,
    a: &[f32],
    b: &[f32],
    ld: usize,
    sums: &mut [f32],
) {
    let mut lanes = [[0.0f32; LANES]; MOST];
    let dots = Dots::of(isa, n);
    let at_once = dots.rows;
    let whole = rows - rows % at_once;
    let blocks = (0..whole).step_by(at_once).map(|i| (i, at_once));
    for (i, count) in blocks.chain((whole..rows).map(|i| (i, 1))) {
        dots.run(count, k, &a[i * LD..], b, ld, &mut lanes);
        for (sum, x) in sums[i * n..(i + count) * n].iter_mut().zip(&mut lanes) {
            add_pairs::<8>(x);
            add_pairs::<4>(x);
            add_pairs::<2>(x);
            add_pairs::<1>(x);
            *sum += x[0];
        }
    }
}

/// Adds the second HALF lanes to the first.
#[inline(always)]
fn add_pairs<const HALF: usize>(x: &mut [f32; LANES]) {
    for l in 0..HALF {
        x[l] += x[l + HALF];
    }
}

/// The kernels for one number of columns and one instruction set.
struct Dots {
    columns: usize,
    /// Rows at a time.
    rows: usize,
    several: Kernel,
    /// The same for one row.
    one: Kernel,
}

/// Sums of 16 chains each, at `lanes + (i * columns + j) * 16`: row i of A, of k elements, at `a + i * LD`, column j of B at
/// `b + j * ld`. k is a multiple of 16.
type Kernel = unsafe fn(k: usize, a: *const f32, b: *const f32, ld: usize, lanes: *mut f32);

impl Dots {
    /// # Panics
    /// If this machine lacks `isa`, for the portable path, which has none, and for more columns than [`COLUMNS`].
    fn of(isa: Isa, columns: usize) -> &'static Dots {
        assert!(isa.is_available(), "conv: this machine has no {isa:?}");
        match isa {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Isa::Avx512 => &avx512::DOTS[columns - 1],
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Isa::Avx2 => &avx2::DOTS[columns - 1],
            _ => unreachable!("conv: no dot products for {isa:?} and {columns} columns"),
        }
    }

    /// lanes\[i * columns + j\] = 16 chains whose sum is row i of `a`, at a distance of LD, times row j of `b`, at a distance of ld;
    /// for one row, or as many as there are at a time.
    fn run(
        &self,
        rows: usize,
        k: usize,
        a: &[f32],
        b: &[f32],
        ld: usize,
        lanes: &mut [[f32; LANES]; MOST],
    ) {
        let n = self.columns;
        assert!(k.is_multiple_of(LANES) && rows * n <= MOST && (rows == 1 || rows == self.rows));
        assert!(a.len() >= (rows - 1) * LD + k && b.len() >= (n - 1) * ld + k);
        let kernel = if rows == 1 { self.one } else { self.several };
        // SAFETY: `rows` rows of a, n of b, of k elements, and room for rows × n sums are there (asserted above); this machine
        // has the instruction set (`of`).
        unsafe { kernel(k, a.as_ptr(), b.as_ptr(), ld, lanes.as_mut_ptr().cast()) };
    }
}

/// Defines `dots::<N, ROWS>` in a module that has all of one of `simd`.
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
            const VECTORS: usize = CHAINS / LANES;
            let mut sums = [[[zero(); VECTORS]; N]; ROWS];
            for p in (0..k).step_by(CHAINS) {
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
                            store(lanes.add((i * N + j) * CHAINS + v * LANES), sums[i][j][v])
                        };
                    }
                }
            }
        }

        const fn of<const N: usize, const ROWS: usize>() -> Dots {
            Dots {
                columns: N,
                rows: ROWS,
                several: dots::<N, ROWS>,
                one: dots::<N, 1>,
            }
        }

        pub(super) static DOTS: [Dots; super::COLUMNS] =
            [of::<1, 4>(), of::<2, 2>(), of::<3, 2>(), of::<4, 2>()];
    };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512 {
    use super::{Dots, LANES as CHAINS, LD};
    use crate::cpu::simd::avx512::*;

    dots!("avx512f");
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2 {
    use super::{Dots, LANES as CHAINS, LD};
    use crate::cpu::simd::avx2::*;

    dots!("avx2,fma");
}
