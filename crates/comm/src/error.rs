//! What can go wrong between ranks.

/// Why ranks could not talk to each other, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What is sent cannot be cut into a chunk for each rank.
    #[error("{call}: {len} numbers are not {size} equal chunks, one for each rank")]
    Chunks {
        /// The call.
        call: &'static str,
        /// How many numbers are sent.
        len: usize,
        /// How many ranks there are.
        size: usize,
    },
    /// The slice to receive into has not the length that comes.
    #[error("{call}: {expected} numbers come in, into a slice of {found}")]
    Lengths {
        /// The call.
        call: &'static str,
        /// How many numbers will come.
        expected: usize,
        /// How long the slice is.
        found: usize,
    },
    /// A broadcast from a rank that is not there.
    #[error("broadcast from rank {root}, of {size}")]
    Root {
        /// The rank.
        root: usize,
        /// How many ranks there are.
        size: usize,
    },
    /// Two ranks are not in the same call with the same length.
    #[error(
        "rank {rank} calls {theirs} where rank 0 calls {ours}: all ranks must do the same; is it the same program with the same configuration?"
    )]
    Differ {
        /// The first rank that does something else than rank 0.
        rank: usize,
        /// What rank 0 calls, with which length.
        ours: String,
        /// What that rank calls.
        theirs: String,
    },
    /// A rank ended while this one waited for it.
    #[error(
        "{call}: rank {rank} has ended, by an error or a panic of its own, and this rank would wait for ever"
    )]
    Left {
        /// The call in which this rank waited.
        call: &'static str,
        /// The rank that ended.
        rank: usize,
    },
    /// A rank ended all of them.
    #[error("{call}: rank {rank} ended all ranks, with code {code}")]
    Aborted {
        /// The call that could not be done any more.
        call: &'static str,
        /// The rank that asked for it.
        rank: usize,
        /// Its exit code.
        code: i32,
    },
}

/// Whether an all-to-all of `size` ranks fits its slices.
pub(crate) fn check_all_to_all(size: usize, send: &[f32], receive: &[f32]) -> Result<(), Error> {
    let (call, len) = ("all_to_all", send.len());
    if !len.is_multiple_of(size) {
        return Err(Error::Chunks { call, len, size });
    }
    check_lengths(call, len, receive.len())
}

/// Whether an all-gather of `size` ranks fits its slices.
pub(crate) fn check_all_gather(size: usize, send: &[f32], receive: &[f32]) -> Result<(), Error> {
    check_lengths("all_gather", send.len() * size, receive.len())
}

/// Whether there is such a rank.
pub(crate) fn check_root(root: usize, size: usize) -> Result<(), Error> {
    if root < size {
        Ok(())
    } else {
        Err(Error::Root { root, size })
    }
}

fn check_lengths(call: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found {
        Ok(())
    } else {
        Err(Error::Lengths {
            call,
            expected,
            found,
        })
    }
}
