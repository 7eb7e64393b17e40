//! Maxout: `kernels/maxout.cu`. x: `[count · pieces]`; y, index: `[count]`.

use super::elementwise::{Instruction, Opcode};
use super::{Launch, Slice, random};

/// The largest of each `pieces` neighbours of x, and which it is; either result may be left out.
///
/// # Panics
/// Where an array has another length.
pub fn maxout(x: Slice, y: Option<Slice>, index: Option<Slice>, pieces: usize) -> Launch {
    let count = x.len() / pieces.max(1);
    let right = |s: Option<Slice>| s.is_none_or(|s| s.len() == count);
    assert!(
        x.len() == count * pieces && right(y) && right(index),
        "{} by {pieces}",
        x.len()
    );
    let launch = Launch::new("maxout", "maxout_v1_f32").threads(count);
    let launch = launch.reads(x).writes(y.unwrap_or(Slice::NONE));
    let launch = launch.writes(index.unwrap_or(Slice::NONE));
    launch.u32(count).u32(pieces)
}

/// What [`dropout`] writes.
#[derive(Clone, Copy, Debug)]
pub struct Dropped {
    /// The maxima times the mask.
    pub y: Slice,
    /// Which piece was the largest.
    pub index: Slice,
    /// The mask, where it is wanted.
    pub mask: Option<Slice>,
}

/// As [`maxout`], the maxima times a mask that `draw` draws ([`Instruction::bernoulli`]) with the key and step at `control`.
///
/// # Panics
/// Where an array has another length, or `draw` is another instruction.
pub fn dropout(
    x: Slice,
    to: Dropped,
    draw: Instruction,
    control: Slice<u64>,
    pieces: usize,
) -> Launch {
    let count = to.y.len();
    assert_eq!(
        [x.len(), to.index.len()],
        [count * pieces, count],
        "{count} of {pieces}"
    );
    assert!(
        to.mask.is_none_or(|m| m.len() == count),
        "a mask of another length"
    );
    assert_eq!(draw.code, Opcode::Bernoulli, "a mask");
    assert_eq!(control.len(), 2, "key and step");
    let launch = Launch::new("maxout", "maxout_dropout_v1_f32").threads(count);
    let launch = launch.reads(x).writes(to.y).writes(to.index);
    let launch = launch.writes(to.mask.unwrap_or(Slice::NONE)).reads(control);
    let launch = random::mask(launch.u32(draw.stream as usize), draw);
    launch.u32(count).u32(pieces)
}

/// `y[j] = x[j · pieces + index[j]]`; an out-of-range index traps.
///
/// # Panics
/// Where an array has another length.
pub fn take(x: Slice, index: Slice, y: Slice, pieces: usize) -> Launch {
    let count = y.len();
    assert_eq!(
        [x.len(), index.len()],
        [count * pieces, count],
        "{count} of {pieces}"
    );
    let launch = Launch::new("maxout", "take_v1_f32").threads(count);
    launch
        .reads(x)
        .reads(index)
        .writes(y)
        .u32(count)
        .u32(pieces)
}

/// `dx[j · pieces + p] = dy[j]` where `p = index[j]`, else 0.
///
/// # Panics
/// Where an array has another length.
pub fn put(dy: Slice, index: Slice, dx: Slice, pieces: usize) -> Launch {
    let count = dy.len();
    assert_eq!(
        [dx.len(), index.len()],
        [count * pieces, count],
        "{count} of {pieces}"
    );
    let launch = Launch::new("maxout", "put_v1_f32").threads(dx.len());
    launch
        .reads(dy)
        .reads(index)
        .writes(dx)
        .u32(count)
        .u32(pieces)
}

/// y: `[units · pieces]`, `y[j · pieces + p]` = Σ dy[i, j] over the rows i with `index[i, j] = p`, in the order of
/// [`super::reduce::sum`]; dy, index: `[batch, units]`.
///
/// # Panics
/// Where an array has another length.
pub fn put_sum(dy: Slice, index: Slice, y: Slice, pieces: usize) -> Launch {
    let units = y.len() / pieces.max(1);
    let batch = dy.len().checked_div(units).unwrap_or(0);
    assert_eq!(
        [y.len(), dy.len(), index.len()],
        [units * pieces, batch * units, batch * units],
        "{units} of {pieces}"
    );
    let launch = Launch::new("maxout", "put_sum_v1_f32").grid([y.len().div_ceil(32), 1, 1]);
    let launch = launch.reads(dy).reads(index).writes(y);
    launch.u32(batch).u32(units).u32(pieces)
}
