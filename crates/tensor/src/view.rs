//! Borrowed tensors, the inputs of kernels.

use crate::shape::Shape;

/// A row-major tensor borrowed from whoever owns its values.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    /// The values, `shape.elements()` of them.
    pub data: &'a [T],
    /// Their shape.
    pub shape: Shape,
}

impl<'a, T> View<'a, T> {
    /// A view of `data` as `shape`.
    ///
    /// # Panics
    /// Where the number of values is not the shape's.
    pub fn new(data: &'a [T], shape: Shape) -> View<'a, T> {
        assert_eq!(data.len(), shape.elements(), "values do not fill {shape}");
        View { data, shape }
    }
}
