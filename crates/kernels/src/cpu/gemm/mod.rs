//! Single-precision matrix products: `C[m,n] = op(A)[m,k] · op(B)[k,n]`, row-major and contiguous.
//!
//! The steps of a product, from the outside in:
//!
//! 1. `mod` checks lengths, handles thin and degenerate shapes and selects the instruction set.
//! 2. `drive` partitions C into strips of columns and panels of rows, packs A once, and distributes strips to the threads.
//! 3. `pack` copies a panel of A or a strip of B into the order in which the micro-kernel reads it.
//! 4. `micro` computes one tile of C in registers over all of k (or thousands of steps of it, and goes on from what C holds)
//!    and applies the [`Epilogue`].
//!
//! Products with a single column (`dots`), or with k = 1, have their own kernels in `thin`.
//!
//! **Bits.** With AVX2 and AVX-512 every element of A·B is one chain of fused multiply-adds over k = 0, 1, 2, …,
//! starting from zero (of a product with a single column: 16 such chains, added in pairs). Neither the tile shape, nor
//! the thread count, nor the choice between these two instruction sets can change a bit. The portable path (the `matrixmultiply` crate on fixed blocks of rows) has the same bits
//! for every thread count, but not the same bits as the other two.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512;
#[cfg_attr(
    not(all(target_arch = "x86_64", not(miri))),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "its kernels are those of x86-64"
    )
)]
mod dots;
mod drive;
mod epilogue;
#[cfg_attr(
    not(all(target_arch = "x86_64", not(miri))),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "its kernels are those of x86-64"
    )
)]
mod micro;
pub(in crate::cpu) mod out;
mod pack;
mod peak;
mod portable;
#[cfg(test)]
mod tests;
mod thin;

pub use epilogue::{Adam, Epilogue};
pub use peak::measured_peak_gflops;

pub use super::isa::{Isa, isa};

use super::workspace::lines;
use super::{Workspace, par};
use micro::Micro;
use pack::Operand;
use std::ops::Range;

/// Sizes of `C[m,n] = op(A)[m,k] · op(B)[k,n]`; each may be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape3 {
    /// Rows of op(A) and of C.
    pub m: usize,
    /// Columns of op(A), rows of op(B): the length of the sums.
    pub k: usize,
    /// Columns of op(B) and of C.
    pub n: usize,
}

/// C = epilogue(op(A) · op(B)) with the instruction set that [`isa`] gives, on the current rayon pool.
///
/// `ta`: `a` is stored \[k, m\] instead of \[m, k\]. `tb`: `b` is stored \[n, k\] instead of \[k, n\].
/// Allocates only while the workspace grows to what the largest product so far needs (see [`workspace`]).
///
/// ```
/// use ganforge_kernels::cpu::Workspace;
/// use ganforge_kernels::cpu::gemm::{Epilogue, Shape3, gemm};
/// let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
/// let (mut c, dims) = ([f32::NAN; 4], Shape3 { m: 2, k: 2, n: 2 });
/// let mut workspace = Workspace::default();
/// gemm(false, false, dims, &a, &b, &mut c, Epilogue::Store, &mut workspace);
/// assert_eq!(c, [19.0, 22.0, 43.0, 50.0]); // [1 2; 3 4] · [5 6; 7 8]
/// ```
///
/// # Panics
///
/// If the length of a slice does not fit `dims`.
#[expect(
    clippy::too_many_arguments,
    reason = "the customary arguments of a gemm"
)]
pub fn gemm(
    ta: bool,
    tb: bool,
    dims: Shape3,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue,
    workspace: &mut Workspace,
) {
    gemm_with(isa(), ta, tb, dims, a, b, c, epilogue, workspace);
}

/// [`gemm`] with a given instruction set, for tests and comparisons.
///
/// # Panics
///
/// If this machine lacks `isa`, or the length of a slice does not fit `dims`.
#[expect(
    clippy::too_many_arguments,
    reason = "the customary arguments of a gemm"
)]
pub fn gemm_with(
    isa: Isa,
    ta: bool,
    tb: bool,
    dims: Shape3,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue,
    workspace: &mut Workspace,
) {
    let workspace = workspace.take(needed(isa, ta, tb, dims));
    gemm_in(isa, ta, tb, dims, a, b, c, epilogue, workspace);
}

/// The floats of a [`Workspace`] that [`gemm`] needs for this product on the current rayon pool.
pub fn workspace(ta: bool, tb: bool, dims: Shape3) -> usize {
    needed(isa(), ta, tb, dims)
}

pub(super) fn needed(isa: Isa, ta: bool, tb: bool, dims: Shape3) -> usize {
    let Shape3 { m, k, n } = dims;
    let Some(micro) = micro(isa) else {
        return m * n;
    };
    let a = Operand::new(&[], m, k, ta);
    let b = Operand::new(&[], n, k, !tb);
    match (m, n) {
        (0, _) | (_, 0) => 0,
        (_, 1) if !ta => 0,
        (_, 1) => drive::workspace(micro, b, a, par::expected_threads),
        _ => drive::workspace(micro, a, b, par::expected_threads),
    }
}

/// [`gemm_with`] in a workspace of as many floats as are [`needed`].
#[expect(
    clippy::too_many_arguments,
    reason = "the customary arguments of a gemm"
)]
pub(super) fn gemm_in(
    isa: Isa,
    ta: bool,
    tb: bool,
    dims: Shape3,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    mut epilogue: Epilogue,
    workspace: &mut [f32],
) {
    assert!(isa.is_available(), "gemm: this machine has no {isa:?}");
    let Shape3 { m, k, n } = dims;
    check("a", a.len(), m, k);
    check("b", b.len(), k, n);
    check("c", c.len(), m, n);
    epilogue.check(m, n);
    if m == 0 || n == 0 {
        return;
    }
    let micro = micro(isa);
    if let (Some(micro), 1, false) = (micro, n, ta) {
        return thin::column(micro, dims, a, b, c, epilogue);
    }
    if isa != Isa::Portable && k == 1 && n > 1 && thin::outer(isa, a, b, c, &epilogue) {
        return;
    }
    let a = Operand::new(a, m, k, ta);
    let b = Operand::new(b, n, k, !tb);
    let Some(micro) = micro else {
        return portable::gemm(a, b, c, epilogue, workspace);
    };
    let out = micro::Out {
        c: c.as_mut_ptr(),
        ld: n,
        epilogue: epilogue.raw(n == 1),
    };
    if n == 1 {
        // C and its transpose are the same memory, and a row is wider than a column.
        drive::run(micro, b, a, out, rayon::current_num_threads, workspace);
    } else {
        drive::run(micro, a, b, out, rayon::current_num_threads, workspace);
    }
}

/// The floats that [`gemm_by_one`] needs.
pub(super) fn needed_by_one(isa: Isa, tb: bool, dims: Shape3) -> usize {
    let Shape3 { m, k, n } = dims;
    let (a, b) = (Operand::new(&[], m, k, false), Operand::new(&[], n, k, !tb));
    micro(isa).map_or(0, |micro| drive::workspace(micro, a, b, || 1))
}

/// `C = A · op(B)` by the calling thread alone, as a part of a larger task.
///
/// # Panics
/// For the portable path, which has none, for an empty C, and as [`gemm_with`].
pub(super) fn gemm_by_one(
    isa: Isa,
    tb: bool,
    dims: Shape3,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    memory: &mut [f32],
) {
    assert!(isa.is_available(), "gemm: this machine has no {isa:?}");
    let Shape3 { m, k, n } = dims;
    check("a", a.len(), m, k);
    check("b", b.len(), k, n);
    check("c", c.len(), m, n);
    let micro = micro(isa).expect("kernels of x86-64");
    let (a, b) = (Operand::new(a, m, k, false), Operand::new(b, n, k, !tb));
    let (c, epilogue) = (c.as_mut_ptr(), Epilogue::Store.raw(false));
    let out = micro::Out { c, ld: n, epilogue };
    drive::run(micro, a, b, out, || 1, memory);
}

/// dst\[p * step + i\] = element steps.start + p of line i: some elements of `lines` lines, stored one after the other, laid side
/// by side.
pub(super) fn lay_side_by_side(
    src: &[f32],
    lines: usize,
    steps: Range<usize>,
    dst: &mut [f32],
    step: usize,
) {
    let k = src.len() / lines.max(1);
    match micro(isa()) {
        Some(micro) => {
            let operand = Operand::new(src, lines, k, false);
            operand.pack_steps(micro, 0, lines, steps, step, dst);
        }
        None => {
            for (i, line) in src.chunks_exact(k.max(1)).enumerate().take(lines) {
                for (p, x) in line[steps.clone()].iter().enumerate() {
                    dst[p * step + i] = *x;
                }
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn micro(isa: Isa) -> Option<&'static Micro> {
    match isa {
        Isa::Portable => None,
        Isa::Avx2 => Some(&avx2::MICRO),
        Isa::Avx512 => Some(&avx512::MICRO),
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn micro(_: Isa) -> Option<&'static Micro> {
    None
}

fn check(name: &str, len: usize, rows: usize, columns: usize) {
    let wanted = rows.checked_mul(columns);
    assert!(
        wanted == Some(len),
        "gemm: {name} has length {len}, expected {rows} x {columns}"
    );
}
