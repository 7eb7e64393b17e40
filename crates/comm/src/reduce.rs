//! Sums in a fixed order.

use crate::{Communicator, Error};

/// How many numbers each rank adds at a time. Blocks of them need no more working space for longer data, and what comes is
/// still in caches when it is added and sent on; they are few, since at each end ranks wait for each other.
const CHUNK: usize = 1 << 20;

/// Sum over ranks in place: all ranks have the same bits, which the data and the number of ranks alone decide.
///
/// The numbers are cut into a chunk for each rank (of at most 2^20, in as many blocks as it takes), the last one filled up with
/// zeros. Each rank gets its chunk of all ranks (all-to-all), adds them [pairwise](add_pairwise) in rank order, and all get
/// all sums (all-gather):
///
/// ```text
/// 4 ranks: (x0 + x1) + (x2 + x3)        with xr = a2r + a2r+1 the bits of 8 ranks that hold one a each
/// ```
///
/// `scratch` is working space, which grows to as many numbers as a block has, of at most 2^20 times the number of ranks; to twice
/// as many where that does not divide the length. What is in it before and after means nothing.
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
        check_same_length(comm, len)?;
    }
    let mut blocks = data.chunks_mut(CHUNK * size);
    blocks.try_for_each(|block| sum_block(comm, block, scratch))
}

/// The sum of numbers of which each rank adds one chunk.
fn sum_block(
    comm: &dyn Communicator,
    data: &mut [f32],
    scratch: &mut Vec<f32>,
) -> Result<(), Error> {
    let (len, size) = (data.len(), comm.size());
    let chunk = len.div_ceil(size);
    let whole_len = chunk * size;
    let is_even = len == whole_len;
    let needed = if is_even { whole_len } else { 2 * whole_len };
    if scratch.len() < needed {
        scratch.resize(needed, 0.0);
    }
    let (chunks, filled) = scratch.split_at_mut(whole_len);
    let whole = if is_even {
        &mut *data
    } else {
        let whole = &mut filled[..whole_len];
        whole[..len].copy_from_slice(data);
        whole[len..].fill(0.0);
        whole
    };
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
fn check_same_length(comm: &dyn Communicator, len: usize) -> Result<(), Error> {
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
