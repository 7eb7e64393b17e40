//! Examples as vectors and as images.

use ganforge_tensor::Var;

use super::Misfit;

/// `input` as an image, which `what` needs.
pub(super) fn needs_image(what: &str, input: &[usize]) -> Result<[usize; 3], Misfit> {
    match *input {
        [h, w, c] => Ok([h, w, c]),
        _ => {
            let n: usize = input.iter().product();
            let message = format!(
                "is {what}, which needs images [height, width, channels], and its input is {n} values: a layer reshape \
                 before it, or shape in the linear layer before it, makes images of them"
            );
            Err(Misfit::new("kind", message))
        }
    }
}

/// `input` as an image; a vector is one of a single place.
pub(super) fn as_image(input: &[usize]) -> Result<[usize; 3], Misfit> {
    match *input {
        [n] => Ok([1, 1, n]),
        _ => needs_image("a deconvolution", input),
    }
}

/// Examples [b, ...] as images [b, h, w, c]; a vector is one of a single place.
#[track_caller]
pub(super) fn image(x: Var<'_>) -> Var<'_> {
    match *x.shape().dims() {
        [b, n] => x.reshape([b, 1, 1, n]),
        _ => x,
    }
}

/// Height, width and channels of images; of vectors, which no convolution takes, what is there.
pub(super) fn image_of(x: Var<'_>) -> [usize; 3] {
    match *x.shape().dims() {
        [_, h, w, c] => [h, w, c],
        ref dims => [1, 1, dims.last().copied().unwrap_or(1)],
    }
}

/// Examples [b, ...] as vectors [b, n]: images row by row, their channels side by side.
#[track_caller]
pub fn flat(x: Var<'_>) -> Var<'_> {
    let shape = x.shape();
    match *shape.dims() {
        [_] | [_, _] => x,
        [b, ref values @ ..] => x.reshape([b, values.iter().product()]),
        [] => x,
    }
}

/// Vectors [b, n] as examples of the shape `dims`, [n] or [h, w, c].
#[track_caller]
pub(crate) fn shaped<'g>(x: Var<'g>, dims: &[usize]) -> Var<'g> {
    match (x.shape().dims(), dims) {
        (&[b, _], &[h, w, c]) => x.reshape([b, h, w, c]),
        _ => x,
    }
}
