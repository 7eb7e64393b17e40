//! Ranks as processes that an MPI launcher started, with a library that is opened at run time.

mod launcher;
mod library;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

pub use self::launcher::launched;
use self::library::Calls;
use crate::call::{Call, Kind};
use crate::error::{check_all_gather, check_all_to_all, check_root, check_size};
use crate::{Communicator, Error};

/// How many bytes all ranks together give to one call of MPI, whose counts are C ints.
const PIECE: usize = 1 << 30;

/// How long an abort waits for another thread's call, which may never end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The ranks of a program that an MPI launcher started: `mpirun -n 4 PROGRAM`, `srun --mpi=pmix PROGRAM`.
///
/// The library is the one that `GANFORGE_MPI` names, else `libmpi_abi.so.1` (the standard interface of MPI 5), `libmpi.so.40`
/// (Open MPI), `libmpi.so.12` (MPICH and relatives).
///
/// Any thread may call, one at a time (`MPI_THREAD_SERIALIZED`; MPI 4.1, section 11.6). With a library that was built without
/// that, only the thread that opened it may ([`Error::Thread`]). A thread of its own for MPI would do for all libraries, but
/// costs each call 3 us, and tens of them where ranks are as many as cores (seen).
///
/// Dropped by the thread that opened it, it leaves the others in good order (`MPI_Finalize`, which waits for them, and which MPI
/// takes from that thread only); dropped by another one, or in a panic, it aborts them with code 101. A rank that goes after an
/// error must call [`abort`](Communicator::abort) first, since others may wait for it in a call. Where the process ends
/// without either, the launcher ends the others.
pub struct Mpi {
    rank: usize,
    size: usize,
    local: (usize, usize),
    library: String,
    piece: usize,
    /// The thread that opened it, which alone may leave.
    opener: ThreadId,
    /// Whether other threads may call, too.
    is_serialized: bool,
    calls: Mutex<Box<dyn Calls>>,
}

impl Mpi {
    /// Opens the library and joins the other ranks. Once per process.
    ///
    /// # Errors
    ///
    /// No library, or one that is not MPI's ([`Error::NoLibrary`], [`Error::NamedLibrary`], [`Error::Symbol`]); one of unknown
    /// make ([`Error::Interface`]); one that does not belong to the launcher ([`Error::OpenMpiLauncher`],
    /// [`Error::Launcher`]); a number of ranks that is no power of two ([`Error::Size`]); a second call, once the first one
    /// has come to `MPI_Init` ([`Error::Twice`]).
    pub fn open() -> Result<Mpi, Error> {
        static IS_OPEN: AtomicBool = AtomicBool::new(false);
        // Before MPI_Init, which sets variables of its own.
        let said = launcher::said(|name| std::env::var(name).ok());
        let (calls, library) = library::open()?;
        launcher::serves(said, &library)?;
        if IS_OPEN.swap(true, Ordering::Relaxed) {
            return Err(Error::Twice);
        }
        let is_serialized = calls.init()?;
        let place = place(&*calls, said, &library);
        if place.is_err() {
            // All ranks came to the same conclusion, so that none waits for another.
            let _ = calls.finalize();
        }
        let [rank, size, local_rank, local_size] = place?;
        Ok(Mpi {
            rank,
            size,
            local: (local_rank, local_size),
            library,
            piece: PIECE,
            opener: thread::current().id(),
            is_serialized,
            calls: Mutex::new(calls),
        })
    }

    /// Exchanges at most so many bytes of all ranks together in one call of MPI, instead of 2^30. The same on all ranks.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize) -> Mpi {
        self.piece = bytes.clamp(self.size, PIECE);
        self
    }

    /// What the library says that it is, and its file: `Open MPI v4.1.4 (libmpi.so.40)`.
    pub fn library(&self) -> &str {
        &self.library
    }

    /// Sum over ranks by `MPI_Allreduce`, in an order that the library chooses: for comparison with
    /// [`all_reduce`](crate::all_reduce). Collective, with as many numbers on all ranks, which is not checked.
    ///
    /// # Errors
    ///
    /// What MPI says.
    pub fn sum_in_any_order(&self, data: &mut [f32]) -> Result<(), Error> {
        self.calls()?.sum(data)
    }

    /// MPI, for one call of this thread.
    fn calls(&self) -> Result<MutexGuard<'_, Box<dyn Calls>>, Error> {
        self.check_thread()?;
        Ok(self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn check_thread(&self) -> Result<(), Error> {
        if self.is_serialized || self.is_opener() {
            return Ok(());
        }
        Err(Error::Thread {
            library: self.library.clone(),
        })
    }

    fn is_opener(&self) -> bool {
        thread::current().id() == self.opener
    }

    /// With debug assertions: whether all ranks are in this call, which costs an exchange of its own.
    fn check_same(&self, mpi: &dyn Calls, call: Call) -> Result<(), Error> {
        if !cfg!(debug_assertions) {
            return Ok(());
        }
        let mut all = vec![0; Call::BYTES * self.size];
        mpi.all_gather(&call.to_bytes(), &mut all)?;
        let calls = all.as_chunks::<{ Call::BYTES }>().0.iter();
        Call::check_same(&calls.map(Call::from_bytes).collect::<Vec<_>>())
    }
}

/// Rank and size, and the same among the ranks of this machine.
fn place(
    mpi: &dyn Calls,
    said: Option<(&'static str, usize)>,
    library: &str,
) -> Result<[usize; 4], Error> {
    let (rank, size) = mpi.place()?;
    launcher::check(said, size, library)?;
    check_size(size)?;
    let mut own = mpi.machine()?;
    own.resize(256, 0);
    let mut all = vec![0; 256 * size];
    mpi.all_gather(&own, &mut all)?;
    let is_here = |n: &usize| all[256 * n..][..256] == own[..];
    let local = |ranks: std::ops::Range<usize>| ranks.filter(is_here).count();
    Ok([rank, size, local(0..rank), local(0..size)])
}

/// All-to-all in pieces that MPI can count.
fn all_to_all(
    mpi: &dyn Calls,
    [size, piece]: [usize; 2],
    send: &[u8],
    receive: &mut [u8],
) -> Result<(), Error> {
    if send.len() <= piece {
        return mpi.all_to_all(send, receive);
    }
    let chunk = send.len() / size;
    let mut packed = Vec::new();
    in_pieces([size, piece], chunk, receive, |at, pieces| {
        packed.clear();
        for to in 0..size {
            packed.extend_from_slice(&send[to * chunk..][at.clone()]);
        }
        mpi.all_to_all(&packed, pieces)
    })
}

/// All-gather in pieces that MPI can count.
fn all_gather(
    mpi: &dyn Calls,
    [size, piece]: [usize; 2],
    send: &[u8],
    receive: &mut [u8],
) -> Result<(), Error> {
    if receive.len() <= piece {
        return mpi.all_gather(send, receive);
    }
    in_pieces([size, piece], send.len(), receive, |at, pieces| {
        mpi.all_gather(&send[at], pieces)
    })
}

/// Fills `receive`, a chunk of each rank, by exchanges of a range of each chunk.
fn in_pieces(
    [size, piece]: [usize; 2],
    chunk: usize,
    receive: &mut [u8],
    mut exchange: impl FnMut(std::ops::Range<usize>, &mut [u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let part = piece / size;
    let mut pieces = vec![0; part * size];
    for start in (0..chunk).step_by(part) {
        let at = start..chunk.min(start + part);
        let pieces = &mut pieces[..at.len() * size];
        exchange(at.clone(), pieces)?;
        for (from, got) in pieces.chunks(at.len()).enumerate() {
            receive[from * chunk..][at.clone()].copy_from_slice(got);
        }
    }
    Ok(())
}

fn bytes(numbers: &[f32]) -> &[u8] {
    // SAFETY: the same memory, of which each byte is a value.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

fn bytes_mut(numbers: &mut [f32]) -> &mut [u8] {
    // SAFETY: the same memory, borrowed as long; whatever bytes are written are numbers.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), size_of_val(numbers)) }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local(&self) -> (usize, usize) {
        self.local
    }

    fn all_to_all(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error> {
        check_all_to_all(self.size, send, receive)?;
        let mpi = self.calls()?;
        self.check_same(&**mpi, Call::of(Kind::AllToAll, send.len()))?;
        let shape = [self.size, self.piece];
        all_to_all(&**mpi, shape, bytes(send), bytes_mut(receive))
    }

    fn all_gather(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error> {
        check_all_gather(self.size, send, receive)?;
        let mpi = self.calls()?;
        self.check_same(&**mpi, Call::of(Kind::AllGather, send.len()))?;
        let shape = [self.size, self.piece];
        all_gather(&**mpi, shape, bytes(send), bytes_mut(receive))
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<(), Error> {
        check_root(root, self.size)?;
        let mpi = self.calls()?;
        let (kind, len) = (Kind::Broadcast, bytes.len());
        self.check_same(&**mpi, Call { kind, len, root })?;
        let mut pieces = bytes.chunks_mut(self.piece);
        pieces.try_for_each(|piece| mpi.broadcast(piece, root))
    }

    fn barrier(&self) -> Result<(), Error> {
        let mpi = self.calls()?;
        self.check_same(&**mpi, Call::of(Kind::Barrier, 0))?;
        mpi.barrier()
    }

    fn abort(&self, code: i32) {
        let start = Instant::now();
        while self.check_thread().is_ok() && start.elapsed() < PATIENCE {
            let mpi = match self.calls.try_lock() {
                Ok(mpi) => mpi,
                Err(TryLockError::Poisoned(mpi)) => mpi.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
            };
            mpi.abort(code);
            break;
        }
        // MPI may not be called now, or has returned (MPICH); its launcher ends the others when a process ends without
        // MPI_Finalize.
        std::process::exit(code);
    }

    fn name(&self) -> &'static str {
        "mpi"
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if !self.is_opener() {
            eprintln!(
                "MPI is left by another thread than the one that opened it, which ends all ranks"
            );
        }
        if thread::panicking() || !self.is_opener() {
            self.abort(101);
        }
        let mpi = self.calls.get_mut();
        let _ = mpi.unwrap_or_else(PoisonError::into_inner).finalize();
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mpi {
            rank,
            size,
            library,
            ..
        } = self;
        write!(f, "Mpi({rank} of {size}, {library})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One rank, whose library does nothing.
    struct Idle;

    impl Calls for Idle {
        fn init(&self) -> Result<bool, Error> {
            Ok(false)
        }
        fn place(&self) -> Result<(usize, usize), Error> {
            Ok((0, 1))
        }
        fn machine(&self) -> Result<Vec<u8>, Error> {
            Ok(Vec::new())
        }
        fn all_to_all(&self, _: &[u8], _: &mut [u8]) -> Result<(), Error> {
            Ok(())
        }
        fn all_gather(&self, send: &[u8], receive: &mut [u8]) -> Result<(), Error> {
            receive.copy_from_slice(send);
            Ok(())
        }
        fn broadcast(&self, _: &mut [u8], _: usize) -> Result<(), Error> {
            Ok(())
        }
        fn barrier(&self) -> Result<(), Error> {
            Ok(())
        }
        fn sum(&self, _: &mut [f32]) -> Result<(), Error> {
            Ok(())
        }
        fn abort(&self, _: i32) {}
        fn finalize(&self) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn a_library_without_that_level_takes_calls_of_one_thread_only() {
        let mut mpi = Mpi {
            rank: 0,
            size: 1,
            local: (0, 1),
            library: "Idle (idle.so)".into(),
            piece: PIECE,
            opener: thread::current().id(),
            is_serialized: false,
            calls: Mutex::new(Box::new(Idle)),
        };
        assert_eq!(mpi.barrier(), Ok(()));
        let elsewhere =
            |mpi: &Mpi| thread::scope(|s| s.spawn(|| mpi.barrier()).join().expect("no panic"));
        let said = elsewhere(&mpi).expect_err("refused").to_string();
        assert!(
            said.starts_with("Idle (idle.so) takes calls only from the thread that opened it"),
            "{said}"
        );
        mpi.is_serialized = true;
        assert_eq!(elsewhere(&mpi), Ok(()));
    }
}
