//! What the ranks of one run say to each other.
//!
//! A run of R ranks is R processes (or [threads](Threads)) that compute the same steps on different slices of each
//! minibatch. They meet in the calls of a [`Communicator`], which only copies numbers; what is added is added here, by
//! [`all_reduce`], pairwise in rank order. So a sum has the same bits on all ranks, and where each rank has itself added its
//! neighbouring shards [pairwise](add_pairwise), the same bits for 1, 2 and 4 ranks. The sums of MPI and NCCL depend on
//! sizes, algorithms and the network.
//!
//! ```
//! use ganforge_comm::{Communicator, Threads, all_reduce};
//!
//! let ranks = Threads::of(4).into_iter().map(|comm| {
//!     std::thread::spawn(move || {
//!         let mut data = [1.0, 10.0 * comm.rank() as f32];
//!         all_reduce(&comm, &mut data, &mut Vec::new()).map(|()| data)
//!     })
//! });
//! for rank in ranks.collect::<Vec<_>>() {
//!     assert_eq!(rank.join().expect("no panic")?, [4.0, 60.0]);
//! }
//! # Ok::<(), ganforge_comm::Error>(())
//! ```
//!
//! Feature `mpi`, which is off by default, adds ranks that are processes: `Mpi`, `Nccl`, `launched`. Nothing of MPI or NCCL is
//! needed to build; their libraries are opened at run time.

mod call;
mod error;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "mpi")]
mod nccl;
mod reduce;
mod threads;

pub use call::check_same;
pub use error::Error;
#[cfg(feature = "mpi")]
pub use mpi::{Mpi, launched};
#[cfg(feature = "mpi")]
pub use nccl::Nccl;
pub use reduce::{add_pairwise, all_reduce};
pub use threads::Threads;

/// What ranks of one run say to each other.
///
/// All calls but [`abort`](Communicator::abort) are collective: every rank makes them, in the same order and with the same
/// sizes. They return when this rank's part is done. After an error the ranks are out of step: nothing but `abort` makes
/// sense then.
///
/// Threads, and processes with debug assertions, find out where a rank calls something else. Processes without them do not:
/// the library may end all ranks, or wait for ever. What decides on their calls is to be compared once, by [`check_same`].
pub trait Communicator: Send + Sync + std::fmt::Debug {
    /// Which of the ranks this is, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn size(&self) -> usize;

    /// Which of the ranks on this machine this is, from 0, and how many of them there are.
    fn local(&self) -> (usize, usize);

    /// Chunk i of `send` (of `size` equal chunks) goes to rank i; `receive` has a chunk of each rank, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Chunks`] and [`Error::Lengths`] for slices that are not alike; what the ranks' connection says.
    fn all_to_all(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error>;

    /// `receive` has all ranks' `send`, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where `receive` is not `size` times as long as `send`; what the ranks' connection says.
    fn all_gather(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error>;

    /// All ranks have `bytes` of rank `root`.
    ///
    /// # Errors
    ///
    /// [`Error::Root`] where there is no such rank; what the ranks' connection says.
    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<(), Error>;

    /// Returns when all ranks are here.
    ///
    /// # Errors
    ///
    /// What the ranks' connection says.
    fn barrier(&self) -> Result<(), Error>;

    /// Ends all ranks: processes end with this exit code, threads get [`Error::Aborted`] from their next call. Alone there
    /// is nothing to end. Not collective.
    fn abort(&self, code: i32);

    /// What connects the ranks: `"alone"`, `"threads"`, `"mpi"`.
    fn name(&self) -> &'static str;
}

/// Connects the ranks of this run by `kind`: `"alone"` or, with feature `mpi`, `"mpi"`. What was started must be what is asked for.
///
/// # Errors
///
/// Those of `Mpi::open`; [`Error::NoNccl`] for `"nccl"`, with what was found of it; [`Error::Feature`] for both of them without
/// feature `mpi`; [`Error::Kind`].
pub fn open(kind: &str) -> Result<Box<dyn Communicator>, Error> {
    match kind {
        "alone" => Ok(Box::new(Alone)),
        #[cfg(feature = "mpi")]
        "mpi" => Ok(Box::new(Mpi::open()?)),
        #[cfg(feature = "mpi")]
        "nccl" => {
            let version = Nccl::open().and_then(|nccl| nccl.version());
            let found = match version {
                Ok([major, minor, patch]) => format!("version {major}.{minor}.{patch}"),
                Err(error) => error.to_string(),
            };
            Err(Error::NoNccl { found })
        }
        #[cfg(not(feature = "mpi"))]
        "mpi" | "nccl" => Err(Error::Feature { kind: kind.into() }),
        _ => Err(Error::Kind { kind: kind.into() }),
    }
}

/// Rank 0 of 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn local(&self) -> (usize, usize) {
        (0, 1)
    }

    fn all_to_all(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error> {
        error::check_all_to_all(1, send, receive)?;
        receive.copy_from_slice(send);
        Ok(())
    }

    fn all_gather(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error> {
        error::check_all_gather(1, send, receive)?;
        receive.copy_from_slice(send);
        Ok(())
    }

    fn broadcast(&self, _: &mut [u8], root: usize) -> Result<(), Error> {
        error::check_root(root, 1)
    }

    fn barrier(&self) -> Result<(), Error> {
        Ok(())
    }

    fn abort(&self, _: i32) {}

    fn name(&self) -> &'static str {
        "alone"
    }
}
