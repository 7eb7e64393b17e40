//! Two-dimensional convolutions of images [n, h, w, c_in] with filters [kh, kw, c_in, c_out], and their two adjoints.
//!
//! Each of the three [`Form`]s is a contraction of two operands into a matrix C whose columns are the channels of the result,
//! as [`gemm`](super::gemm::gemm) is, and takes the same [`Epilogue`]s.
//!
//! 1. `mod` checks lengths and gives what is a plain matrix product to `gemm`.
//! 2. `rows` (y, dx) and `filters` (dw) cut C into tasks; `parts` takes a stride of dx apart.
//! 3. `patches` gathers a block of windows; all of them are never written at once.
//! 4. `tile` multiplies a block by a strip of the other operand in registers.
//! 5. `winograd` and `winograd_dw` take their places where they multiply less (their tiles are in `grid`, their sums in `transforms`), `thin` where C
//!    has few columns.
//! 6. `gemm::out` sends the sums through the epilogue to C.
//!
//! **Bits.** They depend on the sizes alone: not on the threads, nor on the choice between AVX2 and AVX-512. The portable path
//! has other bits, again the same for any number of threads.

pub(crate) mod direct;
mod filters;
mod grid;
mod parts;
mod patches;
mod rows;
mod shared;
#[cfg(test)]
mod tests;
mod thin;
mod tile;
mod transforms;
mod window;
mod winograd;
mod winograd_dw;

pub use window::Window;

use super::gemm::{self, Epilogue, Shape3};
use super::isa::{Isa, isa};
use super::{Workspace, par};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tile::Tiles;

/// With fewer multiply-adds than this all is done by the calling thread.
const INLINE_BELOW: usize = 1 << 19;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// y = conv(x, w): C is \[n·oh·ow, c_out\].
    Y,
    /// dx, the adjoint in x, of (dy, w): C is \[n·h·w, c_in\].
    Dx,
    /// dw, the adjoint in w, of (x, dy): C is \[kh·kw·c_in, c_out\].
    Dw,
}

impl Form {
    /// All three.
    pub const ALL: [Form; 3] = [Form::Y, Form::Dx, Form::Dw];
}

/// How the sums may be computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// The fastest way: Winograd's where it multiplies less. Its error has the bound that `winograd` states, larger than that of
    /// the sum as it is written.
    #[default]
    Fastest,
    /// Each term of the sum is multiplied by itself: an error of at most terms · 2^-24 · Σ|term|.
    Direct,
}

/// The sizes of a convolution: those of x, w and y, for each of the three forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Images.
    pub n: usize,
    /// Rows and columns of an image x.
    pub image: [usize; 2],
    /// Channels of x.
    pub c_in: usize,
    /// Rows and columns of a filter.
    pub kernel: [usize; 2],
    /// Channels of y.
    pub c_out: usize,
    /// Where the filters are applied.
    pub window: Window,
}

impl Sizes {
    /// Elements of the images x.
    pub fn x(&self) -> usize {
        self.n * self.image[0] * self.image[1] * self.c_in
    }

    /// Elements of the filters w.
    pub fn w(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.c_in * self.c_out
    }

    /// Elements of the result y.
    pub fn y(&self) -> usize {
        self.n * self.window.out[0] * self.window.out[1] * self.c_out
    }

    /// Elements of the two operands and of C.
    pub fn operands(&self, form: Form) -> [usize; 3] {
        match form {
            Form::Y => [self.x(), self.w(), self.y()],
            Form::Dx => [self.y(), self.w(), self.x()],
            Form::Dw => [self.x(), self.y(), self.w()],
        }
    }

    /// Columns of C.
    pub fn columns(&self, form: Form) -> usize {
        match form {
            Form::Dx => self.c_in,
            Form::Y | Form::Dw => self.c_out,
        }
    }

    /// Channels of the operand that is gathered for y or dx.
    fn gathered_channels(&self, form: Form) -> usize {
        match form {
            Form::Dx => self.c_out,
            Form::Y | Form::Dw => self.c_in,
        }
    }

    /// As a plain product of matrices, with transpositions of its operands: where windows are single pixels, or whole images.
    fn product(&self, form: Form) -> Option<(bool, bool, Shape3)> {
        let Window { stride, pad, out } = self.window;
        let is_pixel = self.kernel == [1, 1] && stride == [1, 1] && out == self.image;
        let is_image = self.kernel == self.image && out == [1, 1];
        if pad != [0, 0] || !(is_pixel || is_image) {
            return None;
        }
        let windows = self.n * out[0] * out[1];
        let cells = self.kernel[0] * self.kernel[1] * self.c_in;
        let dims = |m, k, n| Shape3 { m, k, n };
        Some(match form {
            Form::Y => (false, false, dims(windows, cells, self.c_out)),
            Form::Dx => (false, true, dims(windows, self.c_out, cells)),
            Form::Dw => (true, false, dims(cells, windows, self.c_out)),
        })
    }

    /// Summands of an element of C, at most: borders have fewer.
    pub fn terms(&self, form: Form) -> usize {
        let [kh, kw] = self.kernel;
        let Window { stride, out, .. } = self.window;
        match form {
            Form::Y => kh * kw * self.c_in,
            Form::Dx => kh.div_ceil(stride[0]) * kw.div_ceil(stride[1]) * self.c_out,
            Form::Dw => self.n * out[0] * out[1],
        }
    }
}

/// C = epilogue(contraction of `a` and `b`) with the instruction set that [`isa`] gives, on the current rayon pool.
///
/// ```text
/// Y:   y[n, i, j, o]  = Σ_{u,v,c}  x[n, i·s + u - p, j·s + v - p, c] · w[u, v, c, o]      a = x,  b = w
/// Dx:  dx[n, r, q, c] = Σ_{u,v,o} dy[n, i, j, o] · w[u, v, c, o], r = i·s + u - p, ..      a = dy, b = w
/// Dw:  dw[u, v, c, o] = Σ_{n,i,j}  x[n, i·s + u - p, j·s + v - p, c] · dy[n, i, j, o]      a = x,  b = dy
/// ```
///
/// x outside of the image counts as 0. Allocates only while the workspace grows (see [`workspace`]).
///
/// # Panics
///
/// If the length of a slice does not fit `sizes`, or the windows do not fit the images.
#[expect(clippy::too_many_arguments, reason = "those of `gemm`")]
pub fn conv(
    form: Form,
    sizes: Sizes,
    algorithm: Algorithm,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue,
    workspace: &mut Workspace,
) {
    conv_with(isa(), form, sizes, algorithm, a, b, c, epilogue, workspace);
}

/// [`conv`] with a given instruction set, for tests and comparisons.
///
/// # Panics
///
/// If this machine lacks `isa`, or as [`conv`].
#[expect(clippy::too_many_arguments, reason = "those of `conv`, and one")]
pub fn conv_with(
    isa: Isa,
    form: Form,
    sizes: Sizes,
    algorithm: Algorithm,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue,
    workspace: &mut Workspace,
) {
    let lengths = [a.len(), b.len(), c.len()];
    let wanted = sizes.operands(form);
    assert!(
        lengths == wanted,
        "conv: operands of lengths {lengths:?}, expected {wanted:?}"
    );
    if let Err(reason) = sizes.window.check(sizes.image, sizes.kernel) {
        panic!("conv: {reason}");
    }
    if c.is_empty() {
        return;
    }
    let columns = sizes.columns(form);
    epilogue.check(c.len() / columns, columns);
    // A bias belongs to a channel, not to a column of that product.
    let is_bias = matches!(epilogue, Epilogue::Bias { .. });
    if let Some((ta, tb, dims)) = sizes.product(form).filter(|p| !is_bias || p.2.n == columns) {
        let memory = workspace.take(gemm::needed(isa, ta, tb, dims));
        return gemm::gemm_in(isa, ta, tb, dims, a, b, c, epilogue, memory);
    }
    let threads = threads(&sizes, rayon::current_num_threads);
    let cut = Cut::new(Tiles::of(isa), form, sizes, algorithm);
    let memory = workspace.take(total(cut.workspace(), threads));
    cut.run(threads, a, b, c, epilogue, memory);
}

/// The floats of a [`Workspace`] that [`conv`] needs on the current rayon pool, whichever the algorithm.
pub fn workspace(form: Form, sizes: Sizes) -> usize {
    if sizes.operands(form)[2] == 0 {
        return 0;
    }
    let columns = sizes.columns(form);
    let product = sizes.product(form);
    let as_product = product.map_or(0, |(ta, tb, dims)| gemm::needed(isa(), ta, tb, dims));
    if product.is_some_and(|p| p.2.n == columns) {
        return as_product;
    }
    let (threads, tiles) = (threads(&sizes, par::expected_threads), Tiles::of(isa()));
    let own = [Algorithm::Fastest, Algorithm::Direct]
        .map(|algorithm| Cut::new(tiles, form, sizes, algorithm).workspace())
        .map(|needed| total(needed, threads));
    as_product.max(own[0]).max(own[1])
}

/// The floating-point operations of the products that [`conv`] carries out, with the instruction set that [`isa`] gives: two for
/// each term, zeros around images included, but fewer after Winograd, whose transforms do not count.
pub fn executed_flops(form: Form, sizes: Sizes, algorithm: Algorithm) -> u64 {
    let terms = match sizes.product(form) {
        Some((_, _, dims)) => dims.m * dims.k * dims.n,
        None if sizes.operands(form)[2] == 0 => 0,
        None => Cut::new(Tiles::of(isa()), form, sizes, algorithm).products(),
    };
    2 * terms as u64
}

/// Which kernels [`conv`] takes: "product", "thin", "rows", "filters" or "winograd".
pub fn kernels(form: Form, sizes: Sizes, algorithm: Algorithm) -> &'static str {
    if sizes.product(form).is_some() {
        return "product";
    }
    match Cut::new(Tiles::of(isa()), form, sizes, algorithm) {
        Cut::Thin(_) => "thin",
        Cut::Rows(_) => "rows",
        Cut::Filters(_) => "filters",
        Cut::Winograd(_) | Cut::WinogradDw(_) => "winograd",
    }
}

/// The kernels that a call takes, and how it is cut.
enum Cut {
    Thin(thin::Cut),
    Rows(rows::Cut),
    Filters(filters::Cut),
    Winograd(winograd::Cut),
    WinogradDw(winograd_dw::Cut),
}

impl Cut {
    fn new(tiles: &'static Tiles, form: Form, sizes: Sizes, algorithm: Algorithm) -> Cut {
        let may = algorithm == Algorithm::Fastest;
        match form {
            Form::Y | Form::Dx => {
                if let Some(cut) = thin::Cut::new(tiles.isa(), form, sizes) {
                    return Cut::Thin(cut);
                }
                let fewer = may
                    .then(|| winograd::Cut::new(tiles, form, sizes))
                    .flatten();
                fewer.map_or_else(
                    || Cut::Rows(rows::Cut::new(tiles, form, sizes)),
                    Cut::Winograd,
                )
            }
            Form::Dw => {
                let fewer = may.then(|| winograd_dw::Cut::new(tiles, sizes)).flatten();
                fewer.map_or_else(
                    || Cut::Filters(filters::Cut::new(tiles, sizes)),
                    Cut::WinogradDw,
                )
            }
        }
    }

    /// How many numbers are multiplied.
    fn products(&self) -> usize {
        match self {
            Cut::Thin(cut) => cut.products(),
            Cut::Rows(cut) => cut.products(),
            Cut::Filters(cut) => cut.products(),
            Cut::Winograd(cut) => cut.products(),
            Cut::WinogradDw(cut) => cut.products(),
        }
    }

    /// Floats that are shared, and those that each thread has.
    fn workspace(&self) -> [usize; 2] {
        match self {
            Cut::Thin(cut) => cut.workspace(),
            Cut::Rows(cut) => cut.workspace(),
            Cut::Filters(cut) => cut.workspace(),
            Cut::Winograd(cut) => cut.workspace(),
            Cut::WinogradDw(cut) => cut.workspace(),
        }
    }

    fn run(
        &self,
        threads: usize,
        a: &[f32],
        b: &[f32],
        c: &mut [f32],
        epilogue: Epilogue,
        memory: &mut [f32],
    ) {
        match self {
            Cut::Thin(cut) => cut.run(threads, a, b, c, epilogue, memory),
            Cut::Rows(cut) => cut.run(threads, a, b, c, epilogue, memory),
            Cut::Filters(cut) => cut.run(threads, a, b, c, epilogue, memory),
            Cut::Winograd(cut) => cut.run(threads, a, b, c, epilogue, memory),
            Cut::WinogradDw(cut) => cut.run(threads, a, b, c, epilogue, memory),
        }
    }
}

/// What is shared, and what each thread has.
fn total([shared, own]: [usize; 2], threads: usize) -> usize {
    shared + threads * own
}

/// Among how many threads the work is shared.
fn threads(sizes: &Sizes, threads: fn() -> usize) -> usize {
    let [kh, kw] = sizes.kernel;
    match sizes.y().saturating_mul(kh * kw * sizes.c_in) {
        0..INLINE_BELOW => 1,
        _ => threads(),
    }
}

/// Runs tasks 0..count, each with the memory of its thread: `own` floats.
fn each_task(
    count: usize,
    threads: usize,
    memory: &mut [f32],
    own: usize,
    run: impl Fn(usize, &mut [f32]) + Sync,
) {
    let counter = AtomicUsize::new(0);
    let work = |memory: &mut [f32]| {
        loop {
            let task = counter.fetch_add(1, Ordering::Relaxed);
            if task >= count {
                break;
            }
            run(task, memory);
        }
    };
    let memory = &mut memory[..threads * own];
    match threads {
        1 => work(memory),
        _ => memory
            .par_chunks_exact_mut(own)
            .with_max_len(1)
            .for_each(work),
    }
}
