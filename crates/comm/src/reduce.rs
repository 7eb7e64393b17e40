//! Sums in a fixed order.

use crate::{Communicator, Error};

/// Sum over ranks in place: all ranks have the same bits, which depend on the number of ranks and on nothing else.
///
/// The numbers are cut into a chunk for each rank, the last one filled up with zeros. Each rank gets its chunk of all ranks
/// (all-to-all), adds them [pairwise](add_pairwise) in rank order, and all get all sums (all-gather). In rounds of two, that
/// is what each number goes through:
///
/// ```text
/// 4 ranks: (x0 + x1) + (x2 + x3)        so with xr = a2r + a2r+1 the same as 8 ranks that hold one a each
/// ```
///
/// `scratch` is working space, twice as long as `data`; it keeps its capacity for the next call.
///
/// # Errors
///
/// Those of [`Communicator::all_to_all`] and [`Communicator::all_gather`]. With debug assertions also [`Error::Differ`], where
/// ranks have `data` of different lengths, though the chunks were the same.
pub fn all_reduce(
    comm: &dyn Communicator,
    data: &mut [f32],
    scratch: &mut Vec<f32>,
) -> Result<(), Error> {
    let (len, size) = (data.len(), comm.size());
    if size == 1 {
        return Ok(());
    }
    if cfg!(debug_assertions) {
        same_length(comm, len)?;
    }
    let chunk = len.div_ceil(size);
    scratch.clear();
    scratch.resize(2 * chunk * size, 0.0);
    let (filled, chunks) = scratch.split_at_mut(chunk * size);
    let is_even = len == filled.len();
    if !is_even {
        filled[..len].copy_from_slice(data);
    }
    let whole = if is_even { &mut *data } else { &mut *filled };
    comm.all_to_all(whole, chunks)?;
    add_pairwise(chunks, size);
    comm.all_gather(&chunks[..chunk], whole)?;
    if !is_even {
        data.copy_from_slice(&filled[..len]);
    }
    Ok(())
}

/// Adds `n` equal chunks of `data` into the first one, neighbours first, in rounds: of eight
/// `((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))`. The others are left with partial sums.
///
/// # Panics
///
/// Where the length of `data` is not a multiple of `n`.
pub fn add_pairwise(data: &mut [f32], n: usize) {
    assert!(data.len().is_multiple_of(n), "{} in {n}", data.len());
    let chunk = data.len() / n.max(1);
    let mut stride = 1;
    while stride < n {
        for i in (0..n - stride).step_by(2 * stride) {
            let (left, right) = data.split_at_mut((i + stride) * chunk);
            let left = &mut left[i * chunk..][..chunk];
            for (x, y) in left.iter_mut().zip(&right[..chunk]) {
                *x += y;
            }
        }
        stride *= 2;
    }
}

/// Whether all ranks have `data` of this length.
fn same_length(comm: &dyn Communicator, len: usize) -> Result<(), Error> {
    // Parts that an f32 has exactly.
    let part = |at: u32| ((len >> (16 * at)) & 0xffff) as f32;
    let mine = [part(0), part(1), part(2), part(3)];
    let mut all = vec![0.0; 4 * comm.size()];
    comm.all_gather(&mine, &mut all)?;
    let length = |rank: usize| {
        let parts = all[4 * rank..][..4].iter().rev();
        parts.fold(0, |sum, &x| (sum << 16) | x as usize)
    };
    let said = |rank| format!("all_reduce of {} numbers", length(rank));
    match (1..comm.size()).find(|&rank| length(rank) != length(0)) {
        None => Ok(()),
        Some(rank) => Err(Error::Differ {
            rank,
            ours: said(0),
            theirs: said(rank),
        }),
    }
}
