//! Ranks as processes that an MPI launcher started, with a library that is opened at run time.

mod launcher;
mod library;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use self::library::Calls;
use crate::call::{Call, Kind};
use crate::error::{check_all_gather, check_all_to_all, check_root, check_size};
use crate::{Communicator, Error};

/// How many bytes all ranks together give to one call of MPI, whose counts are C ints.
const PIECE: usize = 1 << 30;

/// How long an abort may wait for the thread of MPI, which may be in a call that never ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// The ranks of a program that an MPI launcher started: `mpirun -n 4 PROGRAM`, `srun --mpi=pmix PROGRAM`.
///
/// The library is the one that `GANFORGE_MPI` names, else `libmpi_abi.so.1` (the standard interface of MPI 5), `libmpi.so.40`
/// (Open MPI), `libmpi.so.12` (MPICH and relatives). A thread of its own initialises MPI and makes all calls, whichever
/// thread asks for them, as MPI demands of programs that do not lock every call.
///
/// Dropped, it leaves the others in good order (`MPI_Finalize`, which waits for them); dropped while its thread panics, it
/// aborts them. A rank that goes after an error must call [`abort`](Communicator::abort) first, since others may wait for
/// it in a call. Where the process ends without either, the launcher ends the others.
pub struct Mpi {
    rank: usize,
    size: usize,
    local: (usize, usize),
    library: String,
    piece: usize,
    line: Mutex<Line>,
    thread: Option<JoinHandle<()>>,
}

/// The way to the thread of MPI and back. In a lock: calls of several threads do not mix.
struct Line {
    /// None once the thread is to end.
    jobs: Option<Sender<Job<'static>>>,
    done: Receiver<Result<(), Error>>,
}

type Job<'a> = Box<dyn FnOnce(&dyn Calls) -> Result<(), Error> + Send + 'a>;

/// What the thread of MPI learns when it has joined the others.
struct Place {
    rank: usize,
    size: usize,
    local: (usize, usize),
    library: String,
}

impl Mpi {
    /// Opens the library and joins the other ranks. Once per process.
    ///
    /// # Errors
    ///
    /// No library, or one that is not MPI's ([`Error::NoLibrary`], [`Error::NamedLibrary`], [`Error::Symbol`]); one that
    /// does not belong to the launcher ([`Error::OpenMpiLauncher`], [`Error::Launcher`]); a number of ranks that is no power of two ([`Error::Size`]); a
    /// second call ([`Error::Twice`]).
    pub fn open() -> Result<Mpi, Error> {
        static IS_OPEN: AtomicBool = AtomicBool::new(false);
        if IS_OPEN.swap(true, Ordering::Relaxed) {
            return Err(Error::Twice);
        }
        let (jobs, to_do) = channel();
        let (answer, done) = channel();
        let (joined, place) = channel();
        let thread = Builder::new()
            .name("mpi".into())
            .spawn(move || serve(&joined, &answer, to_do))
            .map_err(|error| Error::Mpi {
                call: "MPI_Init_thread",
                message: format!("no thread for it: {error}"),
            })?;
        let place: Place = place.recv().unwrap_or(Err(Error::Gone))?;
        Ok(Mpi {
            rank: place.rank,
            size: place.size,
            local: place.local,
            library: place.library,
            piece: PIECE,
            line: Mutex::new(Line {
                jobs: Some(jobs),
                done,
            }),
            thread: Some(thread),
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
    /// [`all_reduce`](crate::all_reduce).
    ///
    /// # Errors
    ///
    /// What MPI says.
    pub fn sum_in_any_order(&self, data: &mut [f32]) -> Result<(), Error> {
        self.ask(|mpi| mpi.sum(data))
    }

    /// Has the thread of MPI do this, and waits until it is done.
    fn ask<'a>(
        &'a self,
        work: impl FnOnce(&dyn Calls) -> Result<(), Error> + Send + 'a,
    ) -> Result<(), Error> {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let job: Job<'a> = Box::new(work);
        // SAFETY: only the lifetime changes. What the job borrows lives until this function returns, and it returns when
        // the job has answered or its thread is gone, with the job in either case run or never to be run.
        let job = unsafe { std::mem::transmute::<Job<'a>, Job<'static>>(job) };
        let jobs = line.jobs.as_ref().ok_or(Error::Gone)?;
        jobs.send(job).map_err(|_| Error::Gone)?;
        line.done.recv().unwrap_or(Err(Error::Gone))
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

/// The thread of MPI: joins the others, does what it is asked, leaves.
fn serve(
    joined: &Sender<Result<Place, Error>>,
    answer: &Sender<Result<(), Error>>,
    to_do: Receiver<Job<'static>>,
) {
    let mpi = match join() {
        Ok((mpi, place)) => {
            let _ = joined.send(Ok(place));
            mpi
        }
        Err(error) => {
            let _ = joined.send(Err(error));
            return;
        }
    };
    for job in to_do {
        if answer.send(job(&*mpi)).is_err() {
            break;
        }
    }
    let _ = mpi.finalize();
}

fn join() -> Result<(Box<dyn Calls>, Place), Error> {
    // Before MPI_Init, which sets variables of its own.
    let said = launcher::said(|name| std::env::var(name).ok());
    let (mpi, path) = library::open()?;
    let library = format!("{} ({path})", mpi.version());
    launcher::serves(said, &library)?;
    mpi.init()?;
    match place(&*mpi, said, library) {
        Ok(place) => Ok((mpi, place)),
        // All ranks came to the same conclusion, so that none waits for another.
        Err(error) => {
            let _ = mpi.finalize();
            Err(error)
        }
    }
}

fn place(
    mpi: &dyn Calls,
    said: Option<(&'static str, usize)>,
    library: String,
) -> Result<Place, Error> {
    let (rank, size) = mpi.place()?;
    launcher::check(said, size, &library)?;
    check_size(size)?;
    let mut own = mpi.machine()?;
    own.resize(256, 0);
    let mut all = vec![0; 256 * size];
    mpi.all_gather(&own, &mut all)?;
    let is_here = |n: &usize| all[256 * n..][..256] == own[..];
    let local = |ranks: std::ops::Range<usize>| ranks.filter(is_here).count();
    Ok(Place {
        rank,
        size,
        local: (local(0..rank), local(0..size)),
        library,
    })
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
        self.ask(|mpi| {
            self.check_same(mpi, Call::of(Kind::AllToAll, send.len()))?;
            let shape = [self.size, self.piece];
            all_to_all(mpi, shape, bytes(send), bytes_mut(receive))
        })
    }

    fn all_gather(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error> {
        check_all_gather(self.size, send, receive)?;
        self.ask(|mpi| {
            self.check_same(mpi, Call::of(Kind::AllGather, send.len()))?;
            let shape = [self.size, self.piece];
            all_gather(mpi, shape, bytes(send), bytes_mut(receive))
        })
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<(), Error> {
        check_root(root, self.size)?;
        self.ask(|mpi| {
            let (kind, len) = (Kind::Broadcast, bytes.len());
            self.check_same(mpi, Call { kind, len, root })?;
            let mut pieces = bytes.chunks_mut(self.piece);
            pieces.try_for_each(|piece| mpi.broadcast(piece, root))
        })
    }

    fn barrier(&self) -> Result<(), Error> {
        self.ask(|mpi| {
            self.check_same(mpi, Call::of(Kind::Barrier, 0))?;
            mpi.barrier()
        })
    }

    fn abort(&self, code: i32) {
        // The launcher ends the others when a process ends without MPI_Finalize, as this one does where MPI's thread
        // does not come to it.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(PATIENCE);
                std::process::exit(code);
            });
            let _ = self.ask(|mpi| {
                mpi.abort(code);
                Ok(())
            });
        });
    }

    fn name(&self) -> &'static str {
        "mpi"
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort(101);
        }
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        line.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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
