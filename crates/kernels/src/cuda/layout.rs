//! Data movement without arithmetic: `kernels/layout.cu`.

use super::{Launch, Slice};

/// y: `[shape]`, `y[i0, i1, i2, i3] = x[offset + Σ i_d · steps[d]]`.
///
/// # Panics
/// Where x is too short, or y has another length.
pub fn strided(x: Slice, y: Slice, shape: [usize; 4], steps: [usize; 4], offset: usize) -> Launch {
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
    let view = [&shape[..], &steps, &[offset]].concat();
    let launch = Launch::new("layout", "strided_v1_f32").threads(n);
    launch.reads(x).writes(y).words(&view).u32(n)
}

/// y [n, columns, rows] from x [n, rows, columns].
///
/// # Panics
/// Where an array has another length.
pub fn transpose(x: Slice, y: Slice, [n, rows, columns]: [usize; 3]) -> Launch {
    assert_eq!(
        [x.len(), y.len()],
        [n * rows * columns; 2],
        "[{n}, {rows}, {columns}]"
    );
    let launch = Launch::new("layout", "transpose_v2_f32");
    let launch = launch.grid([columns.div_ceil(32), rows.div_ceil(32), n]);
    launch.reads(x).writes(y).u32(rows).u32(columns)
}

/// y: `[outer]` = x: `[inner]` from `start` on, 0 elsewhere.
///
/// # Panics
/// Where an array has another length, or the inner box does not lie in the outer one.
pub fn pad(x: Slice, y: Slice, outer: [usize; 4], inner: [usize; 4], start: [usize; 4]) -> Launch {
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
