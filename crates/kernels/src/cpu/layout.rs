//! Data movement without arithmetic: transpose, slice, pad and concat of row-major arrays of at most four
//! dimensions. Distributed over the current rayon pool when large.

use super::par;
use super::shape::{MAX_DIMS, check, elements, right_aligned, row_coordinates, strides};

/// Output elements behind one task.
const TASK: usize = 1 << 14;
/// Side of the square tiles of a transposition: a tile's rows and columns stay in the first-level cache.
const TILE: usize = 16;

/// Exchanges dimensions: output dimension d is input dimension `perm[d]`.
///
/// `y[i_perm[0], i_perm[1], ..] = x[i_0, i_1, ..]`      x: `x_shape`, y: `x_shape` permuted
pub fn transpose(x: &[f32], x_shape: &[usize], perm: &[usize], y: &mut [f32]) {
    check("transpose: x", x, x_shape);
    assert_eq!(x.len(), y.len(), "transpose: lengths of x and y differ");
    assert_eq!(
        perm.len(),
        x_shape.len(),
        "transpose: perm {perm:?} does not fit {x_shape:?}"
    );
    let mut seen = [false; MAX_DIMS];
    for &d in perm {
        assert!(
            d < perm.len() && !seen[d],
            "transpose: {perm:?} is no permutation"
        );
        seen[d] = true;
    }
    if x.is_empty() {
        return;
    }
    let (shape, steps) = permuted(x_shape, perm);
    let (rows, width) = (shape[0] * shape[1] * shape[2], shape[3]);
    if steps[3] == 1 {
        par::chunks_mut(y, (TASK / width).max(1) * width, |start, part| {
            for (i, to) in part.chunks_mut(width).enumerate() {
                let from = offset(start / width + i, shape, steps);
                to.copy_from_slice(&x[from..from + width]);
            }
        });
    } else {
        // Tiles of TILE rows of y; a task never splits the third dimension's run of rows elsewhere than at a tile.
        let run = shape[2];
        let rows_per_task = if run * width <= TASK {
            run * (TASK / (run * width))
        } else {
            TILE.max(TASK / width)
        };
        debug_assert!(rows_per_task > 0 && rows > 0);
        par::chunks_mut(y, rows_per_task * width, |start, part| {
            let (mut row, end) = (start / width, (start + part.len()) / width);
            let first = row;
            while row < end {
                let tile = TILE.min(end - row).min(run - row % run);
                let to = &mut part[(row - first) * width..(row - first + tile) * width];
                transpose_rows(
                    &x[offset(row, shape, steps)..],
                    steps[2],
                    steps[3],
                    to,
                    tile,
                    width,
                );
                row += tile;
            }
        });
    }
}

/// `tile` rows of y, each of `width` elements: y[r, c] = x[r * row_step + c * column_step].
fn transpose_rows(
    x: &[f32],
    row_step: usize,
    column_step: usize,
    y: &mut [f32],
    tile: usize,
    width: usize,
) {
    let mut column = 0;
    while column < width {
        let columns = TILE.min(width - column);
        for r in 0..tile {
            let to = &mut y[r * width + column..r * width + column + columns];
            for (c, to) in to.iter_mut().enumerate() {
                *to = x[r * row_step + (column + c) * column_step];
            }
        }
        column += columns;
    }
}

/// The output's shape and, for each output dimension, the input's step; neighbours that stay together are merged.
fn permuted(x_shape: &[usize], perm: &[usize]) -> ([usize; MAX_DIMS], [usize; MAX_DIMS]) {
    let missing = MAX_DIMS - x_shape.len();
    let x_steps = strides(right_aligned(x_shape));
    let (mut shape, mut steps) = ([1; MAX_DIMS], [0; MAX_DIMS]);
    steps[MAX_DIMS - 1] = 1;
    let mut slot = MAX_DIMS; // the last slot in use
    for &d in perm.iter().rev().filter(|&&d| x_shape[d] != 1) {
        let step = x_steps[missing + d];
        if slot < MAX_DIMS && step == steps[slot] * shape[slot] {
            shape[slot] *= x_shape[d];
        } else {
            slot -= 1;
            (shape[slot], steps[slot]) = (x_shape[d], step);
        }
    }
    (shape, steps)
}

/// Where row `row` of the permuted array begins in the input.
fn offset(row: usize, shape: [usize; MAX_DIMS], steps: [usize; MAX_DIMS]) -> usize {
    let [i, j, k] = row_coordinates(row, shape);
    i * steps[0] + j * steps[1] + k * steps[2]
}

/// A box of shape `inner` at `start` inside an array of shape `outer`.
struct Window {
    outer: [usize; MAX_DIMS],
    inner: [usize; MAX_DIMS],
    start: [usize; MAX_DIMS],
}

impl Window {
    fn new(name: &str, outer: &[usize], start: &[usize], inner: &[usize]) -> Self {
        assert_eq!(
            outer.len(),
            inner.len(),
            "{name}: {inner:?} and {outer:?} differ in dimensions"
        );
        assert_eq!(
            outer.len(),
            start.len(),
            "{name}: {start:?} and {outer:?} differ in dimensions"
        );
        for d in 0..outer.len() {
            let fits = start[d]
                .checked_add(inner[d])
                .is_some_and(|end| end <= outer[d]);
            assert!(
                fits,
                "{name}: {inner:?} at {start:?} does not lie inside {outer:?}"
            );
        }
        let mut aligned = [0; MAX_DIMS];
        aligned[MAX_DIMS - start.len()..].copy_from_slice(start);
        Window {
            outer: right_aligned(outer),
            inner: right_aligned(inner),
            start: aligned,
        }
    }

    /// Where row `row` of the box begins in the outer array.
    fn outer_offset(&self, row: usize) -> usize {
        let [i, j, k] = row_coordinates(row, self.inner);
        let [s0, s1, s2, _] = strides(self.outer);
        (i + self.start[0]) * s0
            + (j + self.start[1]) * s1
            + (k + self.start[2]) * s2
            + self.start[3]
    }

    /// Where the part of outer row `row` that lies in the box begins in the inner array.
    fn inner_offset(&self, row: usize) -> Option<usize> {
        let coordinates = row_coordinates(row, self.outer);
        let steps = strides(self.inner);
        let mut offset = 0;
        for d in 0..3 {
            let i = coordinates[d]
                .checked_sub(self.start[d])
                .filter(|&i| i < self.inner[d])?;
            offset += i * steps[d];
        }
        Some(offset)
    }
}

/// Reverses the dimensions `axes`.
///
/// `y[.., i, ..] = x[.., n - 1 - i, ..]` for i along each of them      x, y: `shape`
pub fn flip(x: &[f32], shape: &[usize], axes: &[usize], y: &mut [f32]) {
    check("flip: x", x, shape);
    check("flip: y", y, shape);
    assert!(
        axes.iter().all(|&d| d < shape.len()),
        "flip: {axes:?} are no dimensions of {shape:?}"
    );
    if y.is_empty() {
        return;
    }
    let full = right_aligned(shape);
    let is_flipped = |d: usize| axes.iter().any(|a| a + MAX_DIMS - shape.len() == d);
    let (width, [s0, s1, s2, _]) = (full[3], strides(full));
    par::chunks_mut(y, (TASK / width).max(1) * width, |start, part| {
        for (i, to) in part.chunks_mut(width).enumerate() {
            let mut at = row_coordinates(start / width + i, full);
            for (d, at) in at.iter_mut().enumerate() {
                *at = if is_flipped(d) {
                    full[d] - 1 - *at
                } else {
                    *at
                };
            }
            let from = at[0] * s0 + at[1] * s1 + at[2] * s2;
            to.copy_from_slice(&x[from..from + width]);
            if is_flipped(3) {
                to.reverse();
            }
        }
    });
}

/// The box of shape `y_shape` that begins at `start`.
///
/// `y[i, ..] = x[start_0 + i, ..]`      x: `x_shape`, y: `y_shape`
pub fn slice(x: &[f32], x_shape: &[usize], start: &[usize], y: &mut [f32], y_shape: &[usize]) {
    check("slice: x", x, x_shape);
    check("slice: y", y, y_shape);
    let window = Window::new("slice", x_shape, start, y_shape);
    if y.is_empty() {
        return;
    }
    let width = window.inner[3];
    par::chunks_mut(y, (TASK / width).max(1) * width, |start, part| {
        for (i, to) in part.chunks_mut(width).enumerate() {
            let from = window.outer_offset(start / width + i);
            to.copy_from_slice(&x[from..from + width]);
        }
    });
}

/// Surrounds x with zeros, `before` of them in front in each dimension; the adjoint of [`slice()`].
///
/// `y[before_0 + i, ..] = x[i, ..]`, 0 elsewhere      x: `x_shape`, y: `y_shape`
pub fn pad(x: &[f32], x_shape: &[usize], before: &[usize], y: &mut [f32], y_shape: &[usize]) {
    check("pad: x", x, x_shape);
    check("pad: y", y, y_shape);
    let window = Window::new("pad", y_shape, before, x_shape);
    if y.is_empty() {
        return;
    }
    let (width, inner) = (window.outer[3], window.inner[3]);
    par::chunks_mut(y, (TASK / width).max(1) * width, |start, part| {
        for (i, to) in part.chunks_mut(width).enumerate() {
            let Some(from) = window.inner_offset(start / width + i) else {
                to.fill(0.0);
                continue;
            };
            let (left, rest) = to.split_at_mut(window.start[3]);
            let (middle, right) = rest.split_at_mut(inner);
            left.fill(0.0);
            middle.copy_from_slice(&x[from..from + inner]);
            right.fill(0.0);
        }
    });
}

/// Joins a and b along dimension `axis`.
///
/// `y[.., i, ..] = a[.., i, ..]` for i < m = `a_shape[axis]`, `b[.., i - m, ..]` above
pub fn concat(
    a: &[f32],
    a_shape: &[usize],
    b: &[f32],
    b_shape: &[usize],
    axis: usize,
    y: &mut [f32],
) {
    check("concat: a", a, a_shape);
    check("concat: b", b, b_shape);
    assert_eq!(
        y.len(),
        a.len() + b.len(),
        "concat: length of y is not that of a and b together"
    );
    assert!(
        axis < a_shape.len(),
        "concat: no dimension {axis} in {a_shape:?}"
    );
    let same = a_shape.len() == b_shape.len()
        && (0..a_shape.len()).all(|d| d == axis || a_shape[d] == b_shape[d]);
    assert!(
        same,
        "concat: {a_shape:?} and {b_shape:?} differ outside dimension {axis}"
    );
    let (from_a, from_b) = (elements(&a_shape[axis..]), elements(&b_shape[axis..]));
    let width = from_a + from_b;
    if width == 0 {
        return;
    }
    par::chunks_mut(y, (TASK / width).max(1) * width, |start, part| {
        for (i, to) in part.chunks_mut(width).enumerate() {
            let row = start / width + i;
            to[..from_a].copy_from_slice(&a[row * from_a..(row + 1) * from_a]);
            to[from_a..].copy_from_slice(&b[row * from_b..(row + 1) * from_b]);
        }
    });
}

#[cfg(test)]
mod tests;
