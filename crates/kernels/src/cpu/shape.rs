//! Common code of kernels on shapes: at most four dimensions, row-major.

/// Largest number of dimensions.
pub(crate) const MAX_DIMS: usize = 4;

/// Number of elements of a shape; 1 for a scalar's empty shape.
pub(crate) fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Panics unless `data` has as many elements as `shape`, of at most four dimensions.
#[track_caller]
pub(crate) fn check(what: &str, data: &[f32], shape: &[usize]) {
    assert!(
        shape.len() <= MAX_DIMS,
        "{what}: more than {MAX_DIMS} dimensions: {shape:?}"
    );
    assert_eq!(
        data.len(),
        elements(shape),
        "{what}: length does not match its shape {shape:?}"
    );
}

/// The shape with sizes 1 in front, so that it has four dimensions.
pub(crate) fn right_aligned(shape: &[usize]) -> [usize; MAX_DIMS] {
    let mut full = [1; MAX_DIMS];
    full[MAX_DIMS - shape.len()..].copy_from_slice(shape);
    full
}

/// Row-major strides of a shape.
pub(crate) fn strides(shape: [usize; MAX_DIMS]) -> [usize; MAX_DIMS] {
    [
        shape[1] * shape[2] * shape[3],
        shape[2] * shape[3],
        shape[3],
        1,
    ]
}

/// The coordinates of row `row` among the first three dimensions of `shape`.
pub(crate) fn row_coordinates(row: usize, shape: [usize; MAX_DIMS]) -> [usize; 3] {
    [
        row / (shape[1] * shape[2]),
        row / shape[2] % shape[1],
        row % shape[2],
    ]
}
