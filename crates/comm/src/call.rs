//! What must be the same on all ranks.

use std::fmt;

use crate::Error;

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
}

impl Kind {
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
        }
    }
}

impl Call {
    /// How many bytes a call takes when it is sent to others.
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn of(kind: Kind, len: usize) -> Call {
        Call { kind, len, root: 0 }
    }

    pub(crate) fn to_bytes(self) -> [u8; Call::BYTES] {
        let mut bytes = [0; Call::BYTES];
        let words = [self.kind as u64, self.len as u64, self.root as u64];
        for (part, word) in bytes.chunks_mut(8).zip(words) {
            part.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// The call of these bytes; a broken one is no rank's, hence different from all.
    pub(crate) fn from_bytes(bytes: &[u8; Call::BYTES]) -> Call {
        let words = bytes.as_chunks::<8>().0;
        let word = |at: usize| u64::from_ne_bytes(words[at]) as usize;
        Call {
            kind: Kind::ALL[word(0) % Kind::ALL.len()],
            len: word(1),
            root: word(2),
        }
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

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, len, root) = (self.kind.name(), self.len, self.root);
        match self.kind {
            Kind::AllToAll | Kind::AllGather => write!(f, "{name} of {len} numbers"),
            Kind::Broadcast => write!(f, "{name} of {len} bytes from rank {root}"),
            Kind::Barrier => write!(f, "{name}"),
        }
    }
}
