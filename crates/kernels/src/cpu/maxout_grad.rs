//! The two products of a maxout layer's backward pass, without their zeros.
//!
//! Only the largest piece of a unit receives its gradient, so of the pieces' gradients
//! P = put(dy, i) [b, u·q] at most one in q is not zero, and fewer where dropout removed the unit. The
//! products dX = P · Wᵀ and dW = Xᵀ · P are sums over the others. A zero adds nothing to a chain of
//! fused multiply-adds over finite numbers, so the bits are those of the whole product
//! ([`gemm`]); where that has no such chain (its portable path), P is written out and multiplied.

mod entries;
#[cfg(test)]
mod tests;

pub use entries::Scratch;

use super::gemm::{self, Epilogue, Isa, Shape3};
use super::multiversion::multiversion;
use super::par;
use rayon::prelude::*;

/// Columns that are computed together: four AVX-512 registers.
const WIDTH: usize = 64;

/// put(dy, index): the gradients of the pieces of `units` maxout units for `batch` examples.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// Gradients of the units, [batch, units].
    pub dy: &'a [f32],
    /// The largest piece of each, whole numbers below `pieces`, [batch, units].
    pub index: &'a [f32],
    /// Rows of dy.
    pub batch: usize,
    /// Columns of dy.
    pub units: usize,
    /// Pieces per unit, q.
    pub pieces: usize,
}

impl Put<'_> {
    fn check(&self) {
        let n = self.batch * self.units;
        assert_eq!(self.dy.len(), n, "maxout_grad: dy is not [batch, units]");
        assert_eq!(
            self.index.len(),
            n,
            "maxout_grad: index is not [batch, units]"
        );
    }

    fn is_empty(&self) -> bool {
        self.dy.is_empty()
    }

    /// Columns of P: u·q.
    fn columns(&self) -> usize {
        self.units * self.pieces
    }
}

/// dX[b, inputs] = P · Wᵀ, W [inputs, u·q]: the gradient in the layer's input.
///
/// dX[i, :] = Σ_j dy[i, j] · W[:, j·q + index[i, j]]
/// cost: at most 2 b·u·inputs flop, a q-th of the whole product, and one transposed copy of W
pub fn input_gradient(put: Put, w: &[f32], inputs: usize, dx: &mut [f32], scratch: &mut Scratch) {
    put.check();
    let k = put.columns();
    assert_eq!(
        w.len(),
        inputs * k,
        "maxout_grad: W is not [inputs, units * pieces]"
    );
    assert_eq!(
        dx.len(),
        put.batch * inputs,
        "maxout_grad: dX is not [batch, inputs]"
    );
    // A single column is summed in another order there.
    if gemm::isa() == Isa::Portable || inputs == 1 || put.is_empty() {
        let dims = Shape3 {
            m: put.batch,
            k,
            n: inputs,
        };
        write_out(put, &mut scratch.packed);
        let p = &scratch.packed[..put.batch * k];
        return gemm::gemm(
            false,
            true,
            dims,
            p,
            w,
            dx,
            Epilogue::Store,
            &mut scratch.gemm,
        );
    }
    scratch.by_row(put);
    let (starts, entries) = (&scratch.starts, &scratch.entries);
    let strips = inputs.div_ceil(WIDTH);
    let packed = grown(&mut scratch.packed, strips * k * WIDTH);
    let tiles = grown(&mut scratch.tiles, strips * put.batch * WIDTH);
    let strip = |s: usize, packed: &mut [f32], tile: &mut [f32]| {
        let first = s * WIDTH;
        transpose_strip(&w[first * k..], k, WIDTH.min(inputs - first), packed);
        accumulate(gemm::isa(), starts, entries, packed, tile);
    };
    let parts = packed
        .chunks_exact_mut(k * WIDTH)
        .zip(tiles.chunks_exact_mut(put.batch * WIDTH));
    // Each strip transposes its part of W, which is most of the work where the batch is small.
    if par::worth_splitting(put.batch * inputs + w.len()) {
        packed
            .par_chunks_exact_mut(k * WIDTH)
            .zip(tiles.par_chunks_exact_mut(put.batch * WIDTH))
            .enumerate()
            .for_each(|(s, (packed, tile))| strip(s, packed, tile));
    } else {
        parts
            .enumerate()
            .for_each(|(s, (packed, tile))| strip(s, packed, tile));
    }
    for (i, row) in dx.chunks_exact_mut(inputs.max(1)).enumerate() {
        for (s, part) in row.chunks_mut(WIDTH).enumerate() {
            let at = (s * put.batch + i) * WIDTH;
            part.copy_from_slice(&tiles[at..at + part.len()]);
        }
    }
}

/// dW[inputs, u·q] = Xᵀ · P, X [b, inputs], into `c` as `epilogue` says: the gradient in the layer's
/// weights.
///
/// dW[:, j·q + p] = Σ_i X[i, :] · dy[i, j] · 1[index[i, j] = p]
/// cost: at most 2 b·u·inputs flop, a q-th of the whole product
///
/// # Panics
/// With [`Epilogue::Bias`], which no gradient has.
pub fn weight_gradient(
    put: Put,
    x: &[f32],
    inputs: usize,
    c: &mut [f32],
    epilogue: Epilogue,
    scratch: &mut Scratch,
) {
    put.check();
    let n = put.columns();
    assert_eq!(
        x.len(),
        put.batch * inputs,
        "maxout_grad: X is not [batch, inputs]"
    );
    assert_eq!(
        c.len(),
        inputs * n,
        "maxout_grad: dW is not [inputs, units * pieces]"
    );
    if gemm::isa() == Isa::Portable || put.is_empty() {
        let dims = Shape3 {
            m: inputs,
            k: put.batch,
            n,
        };
        write_out(put, &mut scratch.packed);
        let p = &scratch.packed[..put.batch * n];
        return gemm::gemm(true, false, dims, x, p, c, epilogue, &mut scratch.gemm);
    }
    scratch.by_column(put);
    let tiles = inputs.div_ceil(WIDTH);
    let packed = grown(&mut scratch.packed, tiles * put.batch * WIDTH);
    let columns = Columns {
        starts: &scratch.starts,
        entries: &scratch.entries,
        x,
        inputs,
        n,
    };
    let (param, grad, finish) = match epilogue {
        Epilogue::Store => (None, None, Finish::Store),
        Epilogue::Accumulate => (None, None, Finish::Accumulate),
        Epilogue::Momentum {
            param,
            lr,
            momentum,
        } => (Some(param), None, Finish::Momentum { lr, momentum }),
        Epilogue::MomentumAccumulate {
            grad,
            param,
            lr,
            momentum,
        } => (Some(param), Some(grad), Finish::Momentum { lr, momentum }),
        Epilogue::Bias { .. } => panic!("maxout_grad: a gradient has no bias"),
    };
    let rows = Rows {
        c,
        param,
        grad,
        packed,
        first: 0,
        count: tiles,
    };
    columns.split(rows, finish);
}

/// Rows of C that a task computes, `count` tiles from tile `first` on.
struct Rows<'a> {
    c: &'a mut [f32],
    param: Option<&'a mut [f32]>,
    grad: Option<&'a [f32]>,
    packed: &'a mut [f32],
    first: usize,
    count: usize,
}

/// What happens to a gradient on its way out; as in [`Epilogue`].
#[derive(Clone, Copy)]
enum Finish {
    Store,
    Accumulate,
    Momentum { lr: f32, momentum: f32 },
}

/// What all tasks of a weight gradient read.
#[derive(Clone, Copy)]
struct Columns<'a> {
    starts: &'a [u32],
    entries: &'a [(u32, f32)],
    x: &'a [f32],
    inputs: usize,
    n: usize,
}

impl Columns<'_> {
    fn split(&self, rows: Rows, finish: Finish) {
        if rows.count > 1 && par::worth_splitting(rows.c.len()) {
            let left = rows.count / 2;
            let at = left * WIDTH * self.n;
            let (c, c_right) = rows.c.split_at_mut(at);
            let (param, param_right) = rows.param.map(|p| p.split_at_mut(at)).unzip();
            let (grad, grad_right) = rows.grad.map(|g| g.split_at(at)).unzip();
            let batch = rows.packed.len() / rows.count;
            let (packed, packed_right) = rows.packed.split_at_mut(left * batch);
            let first = rows.first;
            let right = Rows {
                c: c_right,
                param: param_right,
                grad: grad_right,
                packed: packed_right,
                first: first + left,
                count: rows.count - left,
            };
            let left = Rows {
                c,
                param,
                grad,
                packed,
                first,
                count: left,
            };
            par::join(|| self.split(left, finish), || self.split(right, finish));
            return;
        }
        let Rows {
            c,
            mut param,
            grad,
            packed,
            first,
            count,
        } = rows;
        let batch = packed.len() / count.max(1);
        for (t, packed) in packed.chunks_exact_mut(batch.max(1)).enumerate() {
            let at = (t * WIDTH * self.n).min(c.len());
            let end = ((t + 1) * WIDTH * self.n).min(c.len());
            let param = param.as_deref_mut().map(|p| &mut p[at..end]);
            let grad = grad.map(|g| &g[at..end]);
            self.tile(first + t, &mut c[at..end], param, grad, packed, finish);
        }
    }

    /// Rows t·64 .. of C: every column from its entries, sixteen columns at a time.
    fn tile(
        &self,
        t: usize,
        c: &mut [f32],
        mut param: Option<&mut [f32]>,
        grad: Option<&[f32]>,
        packed: &mut [f32],
        finish: Finish,
    ) {
        let first = t * WIDTH;
        let width = WIDTH.min(self.inputs - first);
        for (row, x) in packed
            .chunks_exact_mut(WIDTH)
            .zip(self.x.chunks_exact(self.inputs))
        {
            row[..width].copy_from_slice(&x[first..first + width]);
            row[width..].fill(0.0);
        }
        let mut sums = [0.0f32; 16 * WIDTH];
        let mut turned = [0.0f32; WIDTH * 16];
        for n0 in (0..self.n).step_by(16) {
            let cols = 16.min(self.n - n0);
            for i in 0..width {
                let range = i * self.n + n0..i * self.n + n0 + cols;
                prefetch(&c[range.clone()]);
                if let Some(param) = param.as_deref() {
                    prefetch(&param[range]);
                }
            }
            let starts = &self.starts[n0..=n0 + cols];
            accumulate(
                gemm::isa(),
                starts,
                self.entries,
                packed,
                &mut sums[..cols * WIDTH],
            );
            gemm::lay_side_by_side(&sums, 16, WIDTH, &mut turned, 16);
            let last = (width - 1) * self.n + n0 + cols;
            let place = Place {
                step: self.n,
                width,
                cols,
            };
            let grad = grad.map_or(&[][..], |g| &g[n0..last]);
            let param = param
                .as_deref_mut()
                .map_or(&mut [][..], |p| &mut p[n0..last]);
            finish_columns(&turned, place, grad, &mut c[n0..last], param, finish);
        }
    }
}

/// Brings both ends of a short slice to the cache: rows of C are too far apart for the hardware to
/// foresee the next one.
#[inline(always)]
fn prefetch(x: &[f32]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if let (Some(first), Some(last)) = (x.first(), x.last()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing; both addresses are those of elements borrowed here.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(first).cast());
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(last).cast());
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = x;
}

/// Where up to sixteen columns of some rows lie: rows `step` apart.
#[derive(Clone, Copy)]
struct Place {
    step: usize,
    width: usize,
    cols: usize,
}

multiversion! {
    /// Sends `width` rows of sixteen sums to their columns of C; `grad` and `param` are empty where there are none.
    fn finish_columns(
        sums: &[f32],
        place: Place,
        grad: &[f32],
        c: &mut [f32],
        param: &mut [f32],
        finish: Finish,
    ) {
        for (i, ab) in sums.chunks_exact(16).enumerate().take(place.width) {
            let ab = &ab[..place.cols];
            let range = i * place.step..i * place.step + place.cols;
            let c = &mut c[range.clone()];
            match finish {
                Finish::Store => c.copy_from_slice(ab),
                Finish::Accumulate => c.iter_mut().zip(ab).for_each(|(c, ab)| *c += ab),
                Finish::Momentum { lr, momentum } => {
                    let p = &mut param[range.clone()];
                    if grad.is_empty() {
                        for ((v, p), g) in c.iter_mut().zip(p).zip(ab) {
                            *v = momentum * *v - lr * g;
                            *p += *v;
                        }
                    } else {
                        for (((v, p), ab), g) in c.iter_mut().zip(p).zip(ab).zip(&grad[range]) {
                            *v = momentum * *v - lr * (g + ab);
                            *p += *v;
                        }
                    }
                }
            }
        }
    }
}

super::multiversion::with_fma! {
    /// For each range of entries between two starts: the next 64 of `sums` = Σ over its entries (row, a) of
    /// a · table[row, :], table [.., 64], in the entries' order.
    fn accumulate(starts: &[u32], entries: &[(u32, f32)], table: &[f32], sums: &mut [f32]) {
        for (range, out) in starts.windows(2).zip(sums.chunks_exact_mut(WIDTH)) {
            let mut sums = [0.0f32; WIDTH];
            for &(row, a) in &entries[range[0] as usize..range[1] as usize] {
                let at = row as usize * WIDTH;
                let values = &table[at..at + WIDTH];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = a.mul_add(*value, *sum);
                }
            }
            out.copy_from_slice(&sums);
        }
    }
}

/// The first `width` rows of w [.., k], transposed to [k, 64] with zeros at the right.
fn transpose_strip(w: &[f32], k: usize, width: usize, packed: &mut [f32]) {
    if width < WIDTH {
        packed.fill(0.0);
    }
    gemm::lay_side_by_side(&w[..width * k], width, k, packed, WIDTH);
}

/// P itself, for the portable path.
fn write_out(put: Put, p: &mut Vec<f32>) {
    let p = grown(p, put.batch * put.columns());
    super::maxout::put(put.pieces, put.dy, put.index, p);
}

fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
