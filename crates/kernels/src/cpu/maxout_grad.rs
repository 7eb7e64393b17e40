//! The two matrix products of a maxout layer's backward pass, skipping zeros.
//!
//! Only the largest piece of a unit receives its gradient, so of the pieces' gradients
//! P = put(dy, i) [b, u·q] at most one in q is not zero, and fewer where dropout removed the unit. The
//! products dX = P · Wᵀ and dW = Xᵀ · P are sums over the others. A zero adds nothing to a chain of
//! fused multiply-adds over finite numbers, so the bits are those of the full product
//! ([`gemm`]); where that is no such chain (its portable path), P is materialised and multiplied.

mod entries;
#[cfg(test)]
mod tests;

use super::Workspace;
use super::gemm::out::{Place, apply};
use super::gemm::{self, Epilogue, Isa, Shape3};
use super::par;
use super::workspace::lines;
use bytemuck::cast_slice_mut;
use entries::{Entries, Entry};
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

    /// A piece, by its number in `index`. By way of 32 bits: a float becomes 64 of them with branches, in twice the time.
    #[inline(always)]
    fn piece(&self, index: f32) -> usize {
        (index as u32 as usize).min(self.pieces - 1)
    }

    fn sizes(&self) -> [usize; 3] {
        [self.batch, self.units, self.pieces]
    }

    /// Columns of P: u·q.
    fn columns(&self) -> usize {
        self.units * self.pieces
    }
}

/// The sizes of a product with P, [batch, units · pieces], whose other factor or result is [.., inputs].
fn dims(in_weights: bool, [batch, units, pieces]: [usize; 3], inputs: usize) -> Shape3 {
    let (m, k, n) = match in_weights {
        true => (inputs, batch, units * pieces),
        false => (batch, units * pieces, inputs),
    };
    Shape3 { m, k, n }
}

/// Where P is written out: the floats that its product takes of a workspace. A single column of an input's gradient is
/// summed in another order there.
fn dense(in_weights: bool, sizes: [usize; 3], inputs: usize) -> Option<usize> {
    let single = inputs == 1 && !in_weights;
    let is_dense = gemm::isa() == Isa::Portable || single || sizes[0] * sizes[1] == 0;
    let dims = dims(in_weights, sizes, inputs);
    is_dense.then(|| gemm::needed(gemm::isa(), in_weights, !in_weights, dims))
}

/// Floats for the entries' starts (and a cursor, by column), the entries, the strips of the other factor, and the sums.
fn needs(in_weights: bool, [batch, units, pieces]: [usize; 3], inputs: usize) -> [usize; 5] {
    let (strips, k) = (inputs.div_ceil(WIDTH), units * pieces);
    let (entries, sums) = (2 * batch * units, strips * batch * WIDTH);
    match in_weights {
        true => [k + 1, k, entries, sums, 0],
        false => [batch + 1, 0, entries + 2, strips * k * WIDTH, sums],
    }
}

/// The floats of a [`Workspace`] that [`weight_gradient`] (where `in_weights`) or [`input_gradient`] needs, for sizes
/// [batch, units, pieces].
pub fn workspace(in_weights: bool, sizes: [usize; 3], inputs: usize) -> usize {
    match dense(in_weights, sizes, inputs) {
        Some(product) => lines(sizes.iter().product()) + product,
        None => needs(in_weights, sizes, inputs)
            .into_iter()
            .map(lines)
            .sum(),
    }
}

/// A stretch of memory for each of the [`needs`].
fn cut<const N: usize>(mut memory: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    sizes.map(|size| {
        let (part, rest) = std::mem::take(&mut memory).split_at_mut(lines(size));
        memory = rest;
        &mut part[..size]
    })
}

/// The whole product with P written out.
fn whole(
    in_weights: bool,
    put: Put,
    other: &[f32],
    inputs: usize,
    c: &mut [f32],
    epilogue: Epilogue,
    memory: &mut [f32],
) {
    let dims = dims(in_weights, put.sizes(), inputs);
    let size = put.batch * put.columns();
    let (p, rest) = memory.split_at_mut(lines(size));
    let p = &mut p[..size];
    super::maxout::put(put.pieces, put.dy, put.index, p);
    let (a, b) = if in_weights {
        (other, &*p)
    } else {
        (&*p, other)
    };
    let (ta, tb, isa) = (in_weights, !in_weights, gemm::isa());
    gemm::gemm_in(isa, ta, tb, dims, a, b, c, epilogue, rest);
}

/// dX[b, inputs] = P · Wᵀ, W [inputs, u·q], into `dx` as `epilogue` says: the gradient in the layer's input.
///
/// dX[i, :] = Σ_j dy[i, j] · W[:, j·q + index[i, j]]
/// cost: at most 2 b·u·inputs flop, a q-th of the whole product, and one transposed copy of W
pub fn input_gradient(
    put: Put,
    w: &[f32],
    inputs: usize,
    dx: &mut [f32],
    mut epilogue: Epilogue,
    workspace: &mut Workspace,
) {
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
    epilogue.check(put.batch, inputs);
    let memory = workspace.take(self::workspace(false, put.sizes(), inputs));
    if dense(false, put.sizes(), inputs).is_some() {
        return whole(false, put, w, inputs, dx, epilogue, memory);
    }
    let [starts, _, entries, packed, tiles] = cut(memory, needs(false, put.sizes(), inputs));
    let (starts, entries) = (cast_slice_mut(starts), cast_slice_mut(entries));
    let entries = Entries::by_row(put, starts, entries);
    let strip = |s: usize, packed: &mut [f32], tile: &mut [f32]| {
        let first = s * WIDTH;
        transpose_strip(&w[first * k..], k, WIDTH.min(inputs - first), packed);
        accumulate(gemm::isa(), entries.starts, entries.entries, packed, tile);
    };
    // Each strip transposes its part of W, which is most of the work where the batch is small.
    if par::worth_splitting(put.batch * inputs + w.len()) {
        packed
            .par_chunks_exact_mut(k * WIDTH)
            .zip(tiles.par_chunks_exact_mut(put.batch * WIDTH))
            .enumerate()
            .for_each(|(s, (packed, tile))| strip(s, packed, tile));
    } else {
        packed
            .chunks_exact_mut(k * WIDTH)
            .zip(tiles.chunks_exact_mut(put.batch * WIDTH))
            .enumerate()
            .for_each(|(s, (packed, tile))| strip(s, packed, tile));
    }
    for (s, sums) in tiles.chunks_exact(put.batch * WIDTH).enumerate() {
        let column = s * WIDTH;
        let place = Place {
            at: column,
            column,
            ld: inputs,
            rows: put.batch,
            cols: WIDTH.min(inputs - column),
            step: WIDTH,
        };
        apply(&mut epilogue, place, sums, dx);
    }
}

/// dW[inputs, u·q] = Xᵀ · P, X [b, inputs], into `c` as `epilogue` says: the gradient in the layer's
/// weights.
///
/// dW[:, j·q + p] = Σ_i X[i, :] · dy[i, j] · 1[index[i, j] = p]
/// cost: at most 2 b·u·inputs flop, a q-th of the whole product
pub fn weight_gradient(
    put: Put,
    x: &[f32],
    inputs: usize,
    c: &mut [f32],
    epilogue: Epilogue,
    workspace: &mut Workspace,
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
    epilogue.check(inputs, n);
    let memory = workspace.take(self::workspace(true, put.sizes(), inputs));
    if dense(true, put.sizes(), inputs).is_some() {
        return whole(true, put, x, inputs, c, epilogue, memory);
    }
    let [starts, cursor, entries, packed, _] = cut(memory, needs(true, put.sizes(), inputs));
    let [starts, cursor] = [starts, cursor].map(cast_slice_mut);
    let entries = Entries::by_column(put, starts, cursor, cast_slice_mut(entries));
    let columns = Columns {
        entries,
        x,
        inputs,
        n,
    };
    columns.split(Rows {
        c,
        epilogue,
        packed,
        first: 0,
        count: inputs.div_ceil(WIDTH),
    });
}

/// Rows of C that a task computes, `count` tiles from tile `first` on.
struct Rows<'a> {
    c: &'a mut [f32],
    epilogue: Epilogue<'a>,
    packed: &'a mut [f32],
    first: usize,
    count: usize,
}

/// What all tasks of a weight gradient read.
#[derive(Clone, Copy)]
struct Columns<'a> {
    entries: Entries<'a>,
    x: &'a [f32],
    inputs: usize,
    n: usize,
}

impl Columns<'_> {
    fn split(&self, rows: Rows) {
        if rows.count > 1 && par::worth_splitting(rows.c.len()) {
            let left = rows.count / 2;
            let at = left * WIDTH * self.n;
            let (c, c_right) = rows.c.split_at_mut(at);
            let (epilogue, epilogue_right) = rows.epilogue.split_at(at);
            let batch = rows.packed.len() / rows.count;
            let (packed, packed_right) = rows.packed.split_at_mut(left * batch);
            let first = rows.first;
            let right = Rows {
                c: c_right,
                epilogue: epilogue_right,
                packed: packed_right,
                first: first + left,
                count: rows.count - left,
            };
            let left = Rows {
                c,
                epilogue,
                packed,
                first,
                count: left,
            };
            par::join(|| self.split(left), || self.split(right));
            return;
        }
        let Rows {
            c,
            mut epilogue,
            packed,
            first,
            count,
        } = rows;
        let batch = packed.len() / count.max(1);
        for (t, packed) in packed.chunks_exact_mut(batch.max(1)).enumerate() {
            let at = t * WIDTH * self.n;
            self.tile((first + t) * WIDTH, at, c, &mut epilogue, packed);
        }
    }

    /// 64 rows of C from row `first` on, its element `at` in `c`: every column from its entries, sixteen columns at a time.
    fn tile(
        &self,
        first: usize,
        at: usize,
        c: &mut [f32],
        epilogue: &mut Epilogue,
        packed: &mut [f32],
    ) {
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
                let start = at + i * self.n + n0;
                prefetch(&c[start..start + cols]);
                if let Epilogue::Momentum { param, .. } = epilogue {
                    prefetch(&param[start..start + cols]);
                }
            }
            let starts = &self.entries.starts[n0..=n0 + cols];
            accumulate(
                gemm::isa(),
                starts,
                self.entries.entries,
                packed,
                &mut sums[..cols * WIDTH],
            );
            gemm::lay_side_by_side(&sums, 16, 0..WIDTH, &mut turned, 16);
            let place = Place {
                at: at + n0,
                column: n0,
                ld: self.n,
                rows: width,
                cols,
                step: 16,
            };
            apply(epilogue, place, &turned, c);
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

super::multiversion::with_fma! {
    /// For each range of entries between two starts: the next 64 of `sums` = Σ over its entries (row, a) of
    /// a · table[row, :], table [.., 64], in the entries' order.
    fn accumulate(starts: &[u32], entries: &[Entry], table: &[f32], sums: &mut [f32]) {
        for (range, out) in starts.windows(2).zip(sums.chunks_exact_mut(WIDTH)) {
            let mut sums = [0.0f32; WIDTH];
            for &[row, a] in &entries[range[0] as usize..range[1] as usize] {
                let a = f32::from_bits(a);
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
    gemm::lay_side_by_side(&w[..width * k], width, 0..k, packed, WIDTH);
}
