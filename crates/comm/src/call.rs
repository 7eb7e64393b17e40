//! What must be the same on all ranks.

use std::fmt;

use crate::{Communicator, Error};

/// Whether all ranks have the same of what they were given: `own` is this rank's, `what` its name. Collective, and the same in
/// release builds, unlike the comparison of each call: for the start of a run, whose configuration decides what ranks call.
///
/// ```
/// use ganforge_comm::{Alone, check_same};
///
/// check_same(&Alone, "configuration", b"train.batch = 64")?;
/// # Ok::<(), ganforge_comm::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Another`] with the first rank that has something else than rank 0, on all ranks; what the ranks' connection says.
pub fn check_same(comm: &dyn Communicator, what: &str, own: &[u8]) -> Result<(), Error> {
    let mut len = (own.len() as u64).to_ne_bytes();
    comm.broadcast(&mut len, 0)?;
    let mut first = own.to_vec();
    first.resize(u64::from_ne_bytes(len) as usize, 0);
    comm.broadcast(&mut first, 0)?;
    let is_another = f32::from(u8::from(first != own));
    let mut all = vec![0.0; comm.size()];
    comm.all_gather(&[is_another], &mut all)?;
    match all.iter().position(|&is_another| is_another > 0.0) {
        None => Ok(()),
        Some(rank) => Err(Error::Another {
            rank,
            what: what.into(),
        }),
    }
}

/// A collective call, as all ranks must make it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    /// How many numbers or bytes each rank sends.
    pub(crate) len: usize,
    pub(crate) root: usize,
}

/// Which call.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    AllToAll,
    AllGather,
    Broadcast,
    Barrier,
    /// What a rank of another program calls.
    #[cfg(feature = "mpi")]
    Unknown,
}

impl Kind {
    #[cfg(feature = "mpi")]
    const ALL: [Kind; 4] = [
        Kind::AllToAll,
        Kind::AllGather,
        Kind::Broadcast,
        Kind::Barrier,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::AllToAll => "all_to_all",
            Kind::AllGather => "all_gather",
            Kind::Broadcast => "broadcast",
            Kind::Barrier => "barrier",
            #[cfg(feature = "mpi")]
            Kind::Unknown => "what is no call of this program",
        }
    }
}

impl Call {
    pub(crate) fn of(kind: Kind, len: usize) -> Call {
        Call { kind, len, root: 0 }
    }

    /// Whether these calls, of all ranks in their order, are one.
    pub(crate) fn check_same(all: &[Call]) -> Result<(), Error> {
        match all.iter().position(|call| *call != all[0]) {
            None => Ok(()),
            Some(rank) => Err(Error::Differ {
                rank,
                ours: all[0].to_string(),
                theirs: all[rank].to_string(),
            }),
        }
    }
}

/// As processes send it to each other.
#[cfg(feature = "mpi")]
impl Call {
    /// How many bytes a call takes when it is sent to others.
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn to_bytes(self) -> [u8; Call::BYTES] {
        let mut bytes = [0; Call::BYTES];
        let words = [self.kind as u64, self.len as u64, self.root as u64];
        for (part, word) in bytes.chunks_mut(8).zip(words) {
            part.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// The call of another rank, of these bytes of it.
    pub(crate) fn from_bytes(bytes: &[u8; Call::BYTES]) -> Call {
        let words = bytes.as_chunks::<8>().0;
        let word = |at: usize| u64::from_ne_bytes(words[at]) as usize;
        let kind = Kind::ALL.get(word(0));
        Call {
            kind: kind.copied().unwrap_or(Kind::Unknown),
            len: word(1),
            root: word(2),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, len, root) = (self.kind.name(), self.len, self.root);
        match self.kind {
            Kind::AllToAll | Kind::AllGather => write!(f, "{name} of {len} numbers"),
            Kind::Broadcast => write!(f, "{name} of {len} bytes from rank {root}"),
            _ => write!(f, "{name}"),
        }
    }
}

#[cfg(all(test, feature = "mpi"))]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_another_program_are_no_call_of_this_one() {
        let own = Call::of(Kind::AllGather, 7);
        assert!(Call::from_bytes(&own.to_bytes()) == own);
        let mut bytes = own.to_bytes();
        bytes[..8].copy_from_slice(&(Kind::ALL.len() as u64).to_ne_bytes());
        let others = Call::from_bytes(&bytes);
        for (all, text) in [
            (
                [own, others],
                "rank 1 calls what is no call of this program where rank 0 calls all_gather of 7 numbers: ",
            ),
            (
                [others, own],
                "rank 1 calls all_gather of 7 numbers where rank 0 calls what is no call of this program: ",
            ),
        ] {
            let said = Call::check_same(&all).expect_err("different").to_string();
            assert!(said.starts_with(text), "{said}");
        }
    }
}
