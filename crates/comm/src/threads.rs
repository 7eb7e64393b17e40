//! Ranks as threads of one process.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::call::{Call, Kind};
use crate::error::{check_all_gather, check_all_to_all, check_root};
use crate::{Communicator, Error};

/// One of the ranks that are threads of one process: for tests and examples.
///
/// Each is moved into its thread. Where one is dropped while others wait, because its thread returned or panicked, those
/// get [`Error::Left`] and do not wait for ever.
pub struct Threads {
    rank: usize,
    room: Arc<Room>,
}

impl Threads {
    /// `n` ranks, in their order.
    pub fn of(n: usize) -> Vec<Threads> {
        let room = Arc::new(Room {
            state: Mutex::new(State {
                round: 0,
                brought: (0..n).map(|_| None).collect(),
                met: Ok(Arc::default()),
                ended: None,
            }),
            changed: Condvar::new(),
        });
        let rank = |rank| Threads {
            rank,
            room: Arc::clone(&room),
        };
        (0..n).map(rank).collect()
    }

    /// Brings `data` to the others in the same call, and has what all of them brought.
    fn meet(&self, call: Call, data: Data) -> Result<Arc<Vec<Data>>, Error> {
        let mut state = self.room.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.error(call.kind.name()));
        }
        let round = state.round;
        state.brought[self.rank] = Some((call, data));
        if state.brought.iter().all(Option::is_some) {
            let all = state.brought.iter_mut().filter_map(Option::take).collect();
            state.met = same_call(all).map(Arc::new);
            state.round += 1;
            self.room.changed.notify_all();
        }
        // The next round, which overwrites what was brought to this one, cannot end before this rank is in it.
        while state.round == round {
            if let Some(ended) = &state.ended {
                return Err(ended.error(call.kind.name()));
            }
            let woken = self.room.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.met.clone()
    }

    fn end(&self, code: Option<i32>) {
        let mut state = self.room.lock();
        let rank = self.rank;
        state.ended.get_or_insert(Ended { rank, code });
        self.room.changed.notify_all();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Threads({} of {})", self.rank, self.size())
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.room.lock().brought.len()
    }

    fn local(&self) -> (usize, usize) {
        (self.rank, self.size())
    }

    fn all_to_all(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error> {
        let size = self.size();
        check_all_to_all(size, send, receive)?;
        let call = Call::of(Kind::AllToAll, send.len());
        let all = self.meet(call, Data::Numbers(send.to_vec()))?;
        let chunk = send.len() / size;
        for (from, data) in all.iter().enumerate() {
            let mine = &data.numbers()[self.rank * chunk..][..chunk];
            receive[from * chunk..][..chunk].copy_from_slice(mine);
        }
        Ok(())
    }

    fn all_gather(&self, send: &[f32], receive: &mut [f32]) -> Result<(), Error> {
        check_all_gather(self.size(), send, receive)?;
        let call = Call::of(Kind::AllGather, send.len());
        let all = self.meet(call, Data::Numbers(send.to_vec()))?;
        for (from, data) in all.iter().enumerate() {
            receive[from * send.len()..][..send.len()].copy_from_slice(data.numbers());
        }
        Ok(())
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) -> Result<(), Error> {
        check_root(root, self.size())?;
        let mut call = Call::of(Kind::Broadcast, bytes.len());
        call.root = root;
        let is_root = root == self.rank;
        let mine = Data::Bytes(if is_root { bytes.to_vec() } else { Vec::new() });
        let all = self.meet(call, mine)?;
        if let Data::Bytes(sent) = &all[root] {
            bytes.copy_from_slice(sent);
        }
        Ok(())
    }

    fn barrier(&self) -> Result<(), Error> {
        self.meet(Call::of(Kind::Barrier, 0), Data::Bytes(Vec::new()))?;
        Ok(())
    }

    fn abort(&self, code: i32) {
        self.end(Some(code));
    }

    fn name(&self) -> &'static str {
        "threads"
    }
}

/// Where the ranks meet.
struct Room {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// How many calls all ranks have made.
    round: u64,
    /// What each rank brought to the call under way.
    brought: Vec<Option<(Call, Data)>>,
    /// What all brought to the last call.
    met: Result<Arc<Vec<Data>>, Error>,
    /// The first rank that will not come any more.
    ended: Option<Ended>,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Ended {
    rank: usize,
    /// The code of an abort.
    code: Option<i32>,
}

impl Ended {
    fn error(&self, call: &'static str) -> Error {
        let rank = self.rank;
        match self.code {
            Some(code) => Error::Aborted { call, rank, code },
            None => Error::Left { call, rank },
        }
    }
}

#[derive(Debug)]
enum Data {
    Numbers(Vec<f32>),
    Bytes(Vec<u8>),
}

impl Data {
    fn numbers(&self) -> &[f32] {
        match self {
            Data::Numbers(numbers) => numbers,
            Data::Bytes(_) => &[],
        }
    }
}

/// What all ranks brought, if they are in the same call.
fn same_call(all: Vec<(Call, Data)>) -> Result<Vec<Data>, Error> {
    let (calls, data): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    Call::check_same(&calls)?;
    Ok(data)
}
