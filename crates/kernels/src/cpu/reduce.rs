//! Sums over broadcast dimensions, and broadcasting itself.
//!
//! Sums are pairwise over fixed blocks (Higham 1993): the error grows with the logarithm of the number of terms, and
//! the order of the additions depends only on the shapes, never on the number of threads or the instruction set.

use super::multiversion::multiversion;
use super::par;
use super::shape::{MAX_DIMS, check, right_aligned};

/// Terms of a contiguous sum that are added without splitting further, in `LANES` interleaved partial sums.
const BLOCK: usize = 1024;
const LANES: usize = 64;
/// Columns summed together, and the rows that are added one after another.
const STRIP: usize = 64;
const ROWS: usize = 16;
/// Input elements behind one task.
const TASK: usize = 1 << 14;

/// A broadcast in normal form: dimensions [k0, r0, k1, r1, k2], of which the k are kept and the r reduced.
///
/// Neighbouring dimensions of one kind are merged; four dimensions alternate at most [r, k, r, k] or [k, r, k, r].
#[derive(Clone, Copy, Debug)]
struct Broadcast {
    k0: usize,
    r0: usize,
    k1: usize,
    r1: usize,
    k2: usize,
}

impl Broadcast {
    /// `large` is the shape with the reduced dimensions, `small` the one where they are 1 or missing.
    fn new(name: &str, large: &[usize], small: &[usize]) -> Self {
        assert!(
            small.len() <= large.len(),
            "{name}: {small:?} has more dimensions than {large:?}"
        );
        let (large4, small4) = (right_aligned(large), right_aligned(small));
        // Slots 4, 3, 2, 1, 0 are k2, r1, k1, r0, k0: odd slots are reduced. From the last dimension to the first,
        // a dimension goes to the current slot if its kind matches, to the next one otherwise.
        let mut sizes = [1; 5];
        let mut slot = 4;
        for d in (0..MAX_DIMS).rev() {
            let (l, s) = (large4[d], small4[d]);
            assert!(
                s == l || s == 1,
                "{name}: {small:?} does not broadcast to {large:?}"
            );
            if l == 1 {
                continue;
            }
            let reduced = s != l;
            if reduced != (slot % 2 == 1) {
                slot -= 1;
            }
            sizes[slot] *= l;
        }
        let [k0, r0, k1, r1, k2] = sizes;
        Broadcast { k0, r0, k1, r1, k2 }
    }
}

multiversion! {
    /// Sum of at most `BLOCK` contiguous terms.
    fn sum_block(x: &[f32]) -> f32 {
        let mut lanes = [0.0f32; LANES];
        let (full, rest) = x.as_chunks::<LANES>();
        for chunk in full {
            for (lane, &v) in lanes.iter_mut().zip(chunk) {
                *lane += v;
            }
        }
        for (lane, &v) in lanes.iter_mut().zip(rest) {
            *lane += v;
        }
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    }

    /// Column sums of at most `ROWS` rows of at most `STRIP` columns; row i begins at `x[i * stride]`.
    fn sum_rows(x: &[f32], stride: usize, rows: usize, y: &mut [f32]) {
        if y.len() == STRIP {
            let mut sums = [0.0f32; STRIP];
            for row in 0..rows {
                let row = &x[row * stride..row * stride + STRIP];
                for (sum, &v) in sums.iter_mut().zip(row) {
                    *sum += v;
                }
            }
            y.copy_from_slice(&sums);
        } else {
            y.fill(0.0);
            for row in 0..rows {
                for (sum, &v) in y.iter_mut().zip(&x[row * stride..]) {
                    *sum += v;
                }
            }
        }
    }
}

multiversion! {
    /// Adds to the column sums `y` the elements of rows that begin in column `column`.
    fn add_columns(x: &[f32], column: usize, y: &mut [f32]) {
        let (head, rest) = x.split_at(x.len().min(y.len() - column));
        for (y, x) in y[column..].iter_mut().zip(head) {
            *y += x;
        }
        for row in rest.chunks(y.len()) {
            for (y, x) in y.iter_mut().zip(row) {
                *y += x;
            }
        }
    }
}

/// Sum of a contiguous slice.
fn sum(x: &[f32]) -> f32 {
    if x.len() <= BLOCK {
        return sum_block(x);
    }
    let (left, right) = x.split_at(x.len().div_ceil(BLOCK) / 2 * BLOCK);
    let (mut a, mut b) = (0.0, 0.0);
    if par::worth_splitting(x.len()) {
        par::join(|| a = sum(left), || b = sum(right));
    } else {
        (a, b) = (sum(left), sum(right));
    }
    a + b
}

/// A matrix of `r0` * `r1` rows whose column sums are asked for: row (i, j) begins at i * `step` + j * `stride`.
#[derive(Clone, Copy)]
struct Rows<'a> {
    x: &'a [f32],
    step: usize,
    r1: usize,
    stride: usize,
}

impl Rows<'_> {
    /// Sums of rows `first`..`last` over the columns from `column` on, as many as `y` has.
    fn sum(self, first: usize, last: usize, column: usize, y: &mut [f32]) {
        let rows = last - first;
        if rows > ROWS {
            let middle = first + rows.div_ceil(ROWS) / 2 * ROWS;
            let mut buffer = [0.0; STRIP];
            let right = &mut buffer[..y.len()];
            if par::worth_splitting(rows * y.len()) {
                par::join(
                    || self.sum(first, middle, column, y),
                    || self.sum(middle, last, column, right),
                );
            } else {
                self.sum(first, middle, column, y);
                self.sum(middle, last, column, right);
            }
            y.iter_mut().zip(right).for_each(|(y, r)| *y += *r);
        } else if self.step == self.r1 * self.stride {
            sum_rows(
                &self.x[first * self.stride + column..],
                self.stride,
                rows,
                y,
            );
        } else {
            y.fill(0.0);
            for row in first..last {
                let start = row / self.r1 * self.step + row % self.r1 * self.stride + column;
                y.iter_mut()
                    .zip(&self.x[start..])
                    .for_each(|(y, v)| *y += *v);
            }
        }
    }
}

/// Sum over i in `first`..`last` of the contiguous sums of x[i * step..][..width].
fn sum_pieces(x: &[f32], step: usize, width: usize, first: usize, last: usize) -> f32 {
    if last - first == 1 {
        return sum(&x[first * step..first * step + width]);
    }
    let middle = first + (last - first) / 2;
    sum_pieces(x, step, width, first, middle) + sum_pieces(x, step, width, middle, last)
}

/// Sums x over the dimensions that `y_shape` lacks or has as 1: the adjoint of NumPy's broadcasting of y to x.
///
/// `y[k]` = sum over r of `x[k, r]`      x: `x_shape`, y: `y_shape`, aligned at their last dimensions
///
/// An empty sum is 0. At most four dimensions. Spread over the current rayon pool when large.
pub fn sum_to(x: &[f32], x_shape: &[usize], y: &mut [f32], y_shape: &[usize]) {
    check("sum_to: x", x, x_shape);
    check("sum_to: y", y, y_shape);
    let b = Broadcast::new("sum_to", x_shape, y_shape);
    let terms = b.r0 * b.r1;
    if terms == 0 {
        return y.fill(0.0);
    }
    if terms == 1 || x.is_empty() {
        return y.copy_from_slice(x);
    }
    if b.k2 == 1 {
        let (inner, step) = (b.k1 * b.r1, b.k1 * b.r1);
        par::chunks_mut(y, (TASK / terms).max(1), |start, part| {
            for (i, y) in part.iter_mut().enumerate() {
                let (k0, k1) = ((start + i) / b.k1, (start + i) % b.k1);
                let x = &x[k0 * b.r0 * inner + k1 * b.r1..];
                *y = sum_pieces(x, step, b.r1, 0, b.r0);
            }
        });
    } else {
        let (stride, step) = (b.k2, b.k1 * b.r1 * b.k2);
        let strips = b.k2.div_ceil(STRIP);
        let strip = |outer: usize, i: usize, part: &mut [f32]| {
            let (k0, k1) = (outer / b.k1, outer % b.k1);
            let x = &x[(k0 * b.r0 * b.k1 + k1) * b.r1 * b.k2..];
            Rows {
                x,
                step,
                r1: b.r1,
                stride,
            }
            .sum(0, terms, i * STRIP, part);
        };
        if b.k0 * b.k1 == 1 {
            let columns = ((TASK / terms).max(1)).div_ceil(STRIP) * STRIP;
            par::chunks_mut(y, columns, |start, part| {
                for (i, part) in part.chunks_mut(STRIP).enumerate() {
                    strip(0, start / STRIP + i, part);
                }
            });
        } else {
            let outer_per_task = (TASK / (terms * b.k2)).max(1);
            par::chunks_mut(y, outer_per_task * b.k2, |start, part| {
                for (o, row) in part.chunks_mut(b.k2).enumerate() {
                    for i in 0..strips {
                        let end = ((i + 1) * STRIP).min(b.k2);
                        strip(start / b.k2 + o, i, &mut row[i * STRIP..end]);
                    }
                }
            });
        }
    }
}

/// A sum over leading or over trailing dimensions, taken where its terms are made: to the bit that of [`sum_to`], though
/// the terms are never all in memory.
///
/// The terms are [groups, terms, width], summed over the middle dimension; the width is 1 unless there is one group. They
/// come in parts, neighbours in memory, whose sums lie in slots until [`PartialSums::fold`] adds those in pairs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartialSums {
    groups: usize,
    terms: usize,
    width: usize,
}

impl PartialSums {
    /// The sum from shape `large` to `small`; `None` where its dimensions are others, or nothing is summed.
    pub fn new(large: &[usize], small: &[usize]) -> Option<PartialSums> {
        let Broadcast { k0, r0, k1, r1, k2 } = Broadcast::new("sum_to", large, small);
        let fits = k0 == 1 && r0 == 1 && r1 > 1 && (k1 == 1 || k2 == 1) && k1 * k2 > 0;
        fits.then_some(PartialSums {
            groups: k1,
            terms: r1,
            width: k2,
        })
    }

    /// The sizes: groups, terms, width.
    pub fn sizes(self) -> [usize; 3] {
        [self.groups, self.terms, self.width]
    }

    /// Terms of a part, but for the last ones of a group, which may be fewer.
    fn step(self) -> usize {
        if self.width == 1 { BLOCK } else { ROWS }
    }

    fn parts_of_a_group(self) -> usize {
        self.terms.div_ceil(self.step())
    }

    /// How many parts.
    pub fn parts(self) -> usize {
        self.groups * self.parts_of_a_group()
    }

    /// The floats of a part's slot.
    pub fn width(self) -> usize {
        self.width
    }

    /// The index of a part's first term among all elements; of the part behind the last one, their number.
    pub fn start(self, part: usize) -> usize {
        let (group, i) = (
            part / self.parts_of_a_group(),
            part % self.parts_of_a_group(),
        );
        (group * self.terms + i * self.step()) * self.width
    }

    /// y = the sums of the parts' slots, which change.
    pub fn fold(self, slots: &mut [f32], y: &mut [f32]) {
        let group = self.parts_of_a_group() * self.width;
        for (slots, y) in slots
            .chunks_exact_mut(group)
            .zip(y.chunks_exact_mut(self.width))
        {
            fold(slots, self.width);
            y.copy_from_slice(&slots[..self.width]);
        }
    }
}

/// Adds slots of `width` numbers in pairs, as [`sum`] and [`Rows::sum`] add their halves, to the first one.
fn fold(slots: &mut [f32], width: usize) {
    let count = slots.len() / width;
    if count > 1 {
        let (left, right) = slots.split_at_mut(count / 2 * width);
        fold(left, width);
        fold(right, width);
        left.iter_mut()
            .zip(&right[..width])
            .for_each(|(l, r)| *l += *r);
    }
}

/// Sums the terms of neighbouring parts, which come in order and in any portions, to the parts' slots.
pub struct Adder<'a> {
    sums: PartialSums,
    /// Those of this part and of the ones behind it.
    slots: &'a mut [f32],
    part: usize,
    /// How many elements of the part have come.
    at: usize,
    /// The first ones of a part that comes in portions.
    block: [f32; BLOCK],
}

impl<'a> Adder<'a> {
    /// For the parts from `part` on, as many as there are slots.
    pub fn new(sums: PartialSums, part: usize, slots: &'a mut [f32]) -> Adder<'a> {
        Adder {
            sums,
            slots,
            part,
            at: 0,
            block: [0.0; BLOCK],
        }
    }

    /// Takes the next terms.
    pub fn add(&mut self, mut terms: &[f32]) {
        let width = self.sums.width;
        while !terms.is_empty() {
            let len = self.sums.start(self.part + 1) - self.sums.start(self.part);
            let (now, later) = terms.split_at(terms.len().min(len - self.at));
            let slot = &mut self.slots[..width];
            if width > 1 {
                if self.at == 0 {
                    slot.fill(0.0);
                }
                add_columns(now, self.at % width, slot);
            } else if now.len() == len {
                slot[0] = sum_block(now);
            } else {
                self.block[self.at..self.at + now.len()].copy_from_slice(now);
                if self.at + now.len() == len {
                    slot[0] = sum_block(&self.block[..len]);
                }
            }
            self.at += now.len();
            if self.at == len {
                (self.part, self.at) = (self.part + 1, 0);
                self.slots = &mut std::mem::take(&mut self.slots)[width..];
            }
            terms = later;
        }
    }
}

/// Copies x along the dimensions that `x_shape` lacks or has as 1, as NumPy broadcasts; the adjoint of [`sum_to`].
///
/// `y[k, r] = x[k]`      x: `x_shape`, y: `y_shape`, aligned at their last dimensions
///
/// At most four dimensions. Spread over the current rayon pool when large.
pub fn broadcast_to(x: &[f32], x_shape: &[usize], y: &mut [f32], y_shape: &[usize]) {
    check("broadcast_to: x", x, x_shape);
    check("broadcast_to: y", y, y_shape);
    let b = Broadcast::new("broadcast_to", y_shape, x_shape);
    if y.is_empty() {
        return;
    }
    // Rows of y of length r1 (constant, when no dimension is kept at the end) or k2.
    let (width, per_k1) = if b.k2 == 1 { (b.r1, 1) } else { (b.k2, b.r1) };
    let rows_per_task = (TASK / width).max(1);
    par::chunks_mut(y, rows_per_task * width, |start, part| {
        for (i, row) in part.chunks_mut(width).enumerate() {
            let k1_index = (start / width + i) / per_k1;
            let source = k1_index / (b.k1 * b.r0) * b.k1 + k1_index % b.k1;
            if b.k2 == 1 {
                row.fill(x[source]);
            } else {
                row.copy_from_slice(&x[source * b.k2..(source + 1) * b.k2]);
            }
        }
    });
}

#[cfg(test)]
mod tests;
