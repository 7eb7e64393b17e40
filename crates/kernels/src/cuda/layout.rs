//! Data movement without arithmetic: `kernels/layout.cu`.

use super::{Launch, Slice};

/// Four dimensions, with ones before the given ones.
fn padded(dims: &[usize]) -> [usize; 4] {
    let mut all = [1; 4];
    all[4 - dims.len()..].copy_from_slice(dims);
    all
}

/// The distance between neighbours along each dimension of a row-major array.
fn strides(dims: [usize; 4]) -> [usize; 4] {
    let mut strides = [1; 4];
    for d in (1..4).rev() {
        strides[d - 1] = strides[d] * dims[d];
    }
    strides
}

/// y: `y_dims`, the box of x: `x_dims` that begins at `start`; at most four dimensions.
///
/// # Panics
/// Where the box leaves x, or an array has another length.
pub fn slice(x: Slice, x_dims: &[usize], start: &[usize], y: Slice, y_dims: &[usize]) -> Launch {
    let steps = strides(padded(x_dims));
    let offset = start.iter().rev().zip(steps.iter().rev());
    let offset = offset.map(|(start, step)| start * step).sum();
    strided(x, y, padded(y_dims), steps, offset)
}

/// y: `y_dims` = x: `x_dims` repeated along the dimensions that it lacks or has as 1; at most four dimensions.
///
/// # Panics
/// Where an array has another length.
pub fn broadcast(x: Slice, x_dims: &[usize], y: Slice, y_dims: &[usize]) -> Launch {
    let small = padded(x_dims);
    let mut steps = strides(small);
    for d in 0..4 {
        if small[d] == 1 {
            steps[d] = 0;
        }
    }
    strided(x, y, padded(y_dims), steps, 0)
}

/// y = x: `dims` with dimension `perm[d]` of x as dimension d; at most four dimensions.
///
/// # Panics
/// Where an array has another length.
pub fn permuted(x: Slice, dims: &[usize], perm: &[usize], y: Slice) -> Launch {
    let rank = dims.len();
    let n: usize = dims[..rank.saturating_sub(2)].iter().product();
    // The last two dimensions alone: through tiles. The grid has room for 65,535 of them along its third axis.
    let is_plain = rank >= 2 && (0..rank - 2).all(|d| perm[d] == d) && perm[rank - 2] == rank - 1;
    if let (true, &[.., rows, columns]) = (is_plain && n <= 65_535, dims)
        && rows.div_ceil(32) <= 65_535
    {
        return transpose(x, y, [n, rows, columns]);
    }
    let (old, mut steps, mut shape) = (strides(padded(dims)), [0; 4], [1; 4]);
    for (d, &p) in perm.iter().enumerate() {
        steps[4 - rank + d] = old[4 - rank + p];
        shape[4 - rank + d] = dims[p];
    }
    strided(x, y, shape, steps, 0)
}

/// y: `dims` = x: `dims` with the dimensions `axes` reversed; at most four dimensions.
///
/// # Panics
/// Where an array has another length.
pub fn flip(x: Slice, dims: &[usize], axes: &[usize], y: Slice) -> Launch {
    let shape = padded(dims);
    let (mut steps, mut offset) = (strides(shape), 0);
    for &axis in axes {
        let d = 4 - dims.len() + axis;
        offset += shape[d].saturating_sub(1) * steps[d];
        // Backwards: the kernel's arithmetic is modulo 2^32.
        steps[d] = (steps[d] as u32).wrapping_neg() as usize;
    }
    let n: usize = shape.iter().product();
    assert_eq!([x.len(), y.len()], [n; 2], "{dims:?} flipped");
    view(x, y, shape, steps, offset)
}

/// y: `[shape]`, `y[i0, i1, i2, i3] = x[offset + Σ i_d · steps[d]]`.
///
/// # Panics
/// Where x is too short, or y has another length.
fn strided(x: Slice, y: Slice, shape: [usize; 4], steps: [usize; 4], offset: usize) -> Launch {
    let n: usize = shape.iter().product();
    let last: usize = shape
        .iter()
        .zip(steps)
        .map(|(n, step)| n.saturating_sub(1) * step)
        .sum();
    assert!(
        y.len() == n && (n == 0 || offset + last < x.len()),
        "a view {shape:?} of {}",
        x.len()
    );
    view(x, y, shape, steps, offset)
}

/// As [`strided`], of which the caller knows that it stays within x.
fn view(x: Slice, y: Slice, shape: [usize; 4], steps: [usize; 4], offset: usize) -> Launch {
    let n = y.len();
    let view = [&shape[..], &steps, &[offset]].concat();
    let launch = Launch::new("layout", "strided_v1_f32").threads(n);
    launch.reads(x).writes(y).words(&view).u32(n)
}

/// y [n, columns, rows] from x [n, rows, columns].
///
/// # Panics
/// Where an array has another length.
fn transpose(x: Slice, y: Slice, [n, rows, columns]: [usize; 3]) -> Launch {
    assert_eq!(
        [x.len(), y.len()],
        [n * rows * columns; 2],
        "[{n}, {rows}, {columns}]"
    );
    let launch = Launch::new("layout", "transpose_v2_f32");
    let launch = launch.grid([columns.div_ceil(32), rows.div_ceil(32), n]);
    launch.reads(x).writes(y).u32(rows).u32(columns)
}

/// y: `y_dims` = x: `x_dims` from `before` on, 0 elsewhere; at most four dimensions.
///
/// # Panics
/// Where an array has another length, or the inner box does not lie in the outer one.
pub fn pad(x: Slice, x_dims: &[usize], before: &[usize], y: Slice, y_dims: &[usize]) -> Launch {
    let (outer, inner) = (padded(y_dims), padded(x_dims));
    let mut start = [0; 4];
    start[4 - before.len()..].copy_from_slice(before);
    let n: usize = outer.iter().product();
    let inside = (0..4).all(|d| start[d] + inner[d] <= outer[d]);
    let lengths = [x.len(), y.len()] == [inner.iter().product(), n];
    assert!(inside && lengths, "{inner:?} at {start:?} in {outer:?}");
    let launch = Launch::new("layout", "pad_v1_f32").threads(n);
    launch
        .reads(x)
        .writes(y)
        .words(&[outer, inner, start].concat())
        .u32(n)
}

/// y: rows of `na` numbers of a, then `nb` of b.
///
/// # Panics
/// Where an array has another length.
pub fn concat(a: Slice, b: Slice, y: Slice, na: usize, nb: usize) -> Launch {
    let n = y.len();
    let rows = n.checked_div(na + nb).unwrap_or(0);
    assert_eq!(
        [a.len(), b.len(), n],
        [rows * na, rows * nb, rows * (na + nb)],
        "rows of {na} and {nb}"
    );
    let launch = Launch::new("layout", "concat_v1_f32").threads(n);
    launch.reads(a).reads(b).writes(y).u32(na).u32(nb).u32(n)
}
