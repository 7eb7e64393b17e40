//! What can go wrong between ranks.

use std::fmt;

/// Why ranks could not talk to each other, and what to do.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
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
    /// Ranks were given different things.
    #[error("rank {rank} has another {what} than rank 0: all ranks must be given the same")]
    Another {
        /// The first rank that has something else than rank 0.
        rank: usize,
        /// What is not the same.
        what: String,
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
    /// There is no library under any of its usual names.
    #[error("no {what} library: {help} ({tried})")]
    NoLibrary {
        /// What was looked for.
        what: &'static str,
        /// What was tried, and what the system said.
        tried: String,
        /// Where to get one.
        help: &'static str,
    },
    /// The library that a variable names cannot be opened.
    #[error("{variable}={path}: {reason}")]
    NamedLibrary {
        /// The variable.
        variable: &'static str,
        /// What it says.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A library without a symbol that it must have.
    #[error("{path} is not the {what} library that is needed: it has no {symbol}")]
    Symbol {
        /// The library.
        path: String,
        /// Which one it should be.
        what: &'static str,
        /// What it lacks.
        symbol: &'static str,
    },
    /// A library whose handles nobody knows.
    #[error(
        "{path} says that it is {version}, and which handles its calls take is not known: take Open MPI, MPICH, Intel MPI or MVAPICH, or a library of the standard interface of MPI 5 (libmpi_abi.so.1)"
    )]
    Interface {
        /// The library.
        path: String,
        /// What it says that it is.
        version: String,
    },
    /// The launcher started another number of ranks than the library sees.
    #[error(
        "{variable} says that {started} ranks were started, but {library} sees {size}: no launcher started this, or one that the library does not know. Start with the launcher of that library, or let GANFORGE_MPI name the library of the launcher"
    )]
    Launcher {
        /// The launcher's variable.
        variable: &'static str,
        /// How many ranks it says.
        started: usize,
        /// How many the library says.
        size: usize,
        /// The library.
        library: String,
    },
    /// A library that the launcher does not serve, and that would end the process when it is initialised.
    #[error(
        "{variable} is set, so Open MPI's mpirun started this, but the library is {library}: start with the launcher of that library, or let GANFORGE_MPI name Open MPI's libmpi.so"
    )]
    OpenMpiLauncher {
        /// The launcher's variable.
        variable: &'static str,
        /// The library.
        library: String,
    },
    /// A number of ranks with which sums would have other bits.
    #[error(
        "{size} ranks: their number must be a power of two, so that sums have the same bits as with 1"
    )]
    Size {
        /// How many ranks there are.
        size: usize,
    },
    /// MPI can be initialised only once in a process.
    #[error("MPI was opened before in this process, which can be done only once")]
    Twice,
    /// MPI refused.
    #[error("{call}: {message}")]
    Mpi {
        /// Which call of MPI.
        call: &'static str,
        /// What it said.
        message: String,
    },
    /// Another thread than the one that opened the library, which takes calls of that one only.
    #[error(
        "{library} takes calls only from the thread that opened it (it was built without MPI_THREAD_SERIALIZED): take another MPI library"
    )]
    Thread {
        /// The library.
        library: String,
    },
    /// NCCL refused.
    #[error("{call}: NCCL failed with code {code}")]
    Nccl {
        /// Which call of NCCL.
        call: &'static str,
        /// Its `ncclResult_t`.
        code: i32,
    },
    /// NCCL connects no ranks yet.
    #[error(
        "ranks by nccl are not supported yet: what is added between GPUs was never tried, for want of two of them; use mpi, with device cpu (NCCL here: {found})"
    )]
    NoNccl {
        /// Its version, or why there is none.
        found: String,
    },
    /// A kind of connection that this program was built without.
    #[error("ranks by {kind}: this program was built without feature mpi of ganforge-comm")]
    Feature {
        /// What was asked for.
        kind: String,
    },
    /// There is no such kind of connection.
    #[error("ranks by {kind}: there are alone, mpi, nccl")]
    Kind {
        /// What was asked for.
        kind: String,
    },
}

/// As [`fmt::Display`]: what `fn main() -> Result` prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a library cannot be opened, as the system says it.
#[cfg(feature = "mpi")]
pub(crate) fn reason(error: &libloading::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

/// Whether sums over so many ranks have the bits of one rank.
#[cfg(feature = "mpi")]
pub(crate) fn check_size(size: usize) -> Result<(), Error> {
    if size.is_power_of_two() {
        Ok(())
    } else {
        Err(Error::Size { size })
    }
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
