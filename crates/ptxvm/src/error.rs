//! What is wrong with a module, a launch, or what a kernel did.

use std::fmt;

/// The crate's results.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the machine or of the kernel that it runs.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not PTX, or uses something that this machine does not know.
    #[error("{file}:{line}: {reason}")]
    Parse {
        /// The module's file.
        file: String,
        /// Line of the text, from 1.
        line: u32,
        /// What was expected and what came, or the name of the unknown instruction.
        reason: String,
    },
    /// A launch that does not fit its kernel.
    #[error("{kernel}: {reason}")]
    Launch {
        /// The kernel's name.
        kernel: String,
        /// What was expected and what came.
        reason: String,
    },
    /// A kernel did something wrong.
    #[error("{kernel} ({file}:{line}, {instruction}): thread {} of block {}: {fault}", .site.thread, .site.block)]
    Fault {
        /// The kernel's name.
        kernel: String,
        /// The module's file.
        file: String,
        /// Line of the text, from 1.
        line: u32,
        /// The instruction's name.
        instruction: String,
        /// The thread that did it.
        site: Site,
        /// What it did.
        fault: Box<Fault>,
    },
    /// The host reads what nothing wrote, or something that is not there.
    #[error("{name}: {reason}")]
    Host {
        /// The allocation.
        name: String,
        /// What was expected and what came.
        reason: String,
    },
}

ganforge_kernels::debug_as_display!(Error);

/// x, y, z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dim(pub [u32; 3]);

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.0;
        write!(f, "({x}, {y}, {z})")
    }
}

/// A thread of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Its block's place in the grid.
    pub block: Dim,
    /// Its place in the block.
    pub thread: Dim,
}

/// What a thread may do wrong.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Outside of every allocation, or across the end of one.
    #[error("accesses {bytes} bytes at {address:#x} ({place})")]
    OutOfBounds {
        /// The address as the instruction used it.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is, such as `8 bytes past the end of x (12 bytes)`.
        place: String,
    },
    /// An address that is no multiple of the access's size.
    #[error("accesses {bytes} bytes at {address:#x} ({place}), which is not a multiple of {bytes}")]
    Misaligned {
        /// The address as the instruction used it.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is.
        place: String,
    },
    /// Memory that neither the host nor a kernel has written.
    #[error("reads {bytes} bytes at {address:#x} ({place}) that nothing wrote")]
    Uninitialised {
        /// The address as the instruction used it.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is.
        place: String,
    },
    /// A write to memory that is only for reading.
    #[error("writes {bytes} bytes at {address:#x} ({place}), which is read-only")]
    ReadOnly {
        /// The address as the instruction used it.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is.
        place: String,
    },
    /// Memory that the launch does not say it reads or writes, so that nothing orders it among other launches.
    #[error("{what} {bytes} bytes at {address:#x} ({place}), which its launch does not name so")]
    Unnamed {
        /// `reads` or `writes`.
        what: &'static str,
        /// The address.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is.
        place: String,
    },
    /// Two threads use one word of shared memory, at least one of them writes, and no barrier lies between.
    #[error(
        "{what} {bytes} bytes of shared memory at {address:#x} that thread {other} {did}, with no barrier between"
    )]
    SharedRace {
        /// `reads` or `writes`.
        what: &'static str,
        /// What the other one did: `reads`, `writes`, `is still copying to`.
        did: &'static str,
        /// The address in shared memory.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// The other thread.
        other: Dim,
    },
    /// Two blocks of a launch use one word of global memory, one of them writes, and no atomic operation orders them.
    #[error(
        "{what} {bytes} bytes at {address:#x} ({place}) that block {other} wrote in the same launch"
    )]
    GlobalRace {
        /// `reads` or `writes`.
        what: &'static str,
        /// The address.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is.
        place: String,
        /// The other block, counted along x, then y, then z.
        other: u32,
    },
    /// A barrier that part of the threads do not reach.
    #[error("waits at a barrier; thread {other} {state}")]
    DivergentBarrier {
        /// A thread that is not there.
        other: Dim,
        /// Where it is, such as `has ended` or `is at line 31`.
        state: String,
    },
    /// An instruction of the whole warp that part of its lanes do not reach.
    #[error("lane {lane} takes part by the mask {mask:#010x} and is not there")]
    DivergentWarp {
        /// A lane that is missing.
        lane: u32,
        /// The lanes that were named.
        mask: u32,
    },
    /// An index outside of the list of a `brx.idx`.
    #[error("index {index} of {targets} branch targets")]
    BranchIndex {
        /// The index.
        index: u64,
        /// How many there are.
        targets: usize,
    },
    /// More instructions than [`Launch::limit`](crate::Launch::limit) allows.
    #[error("still runs after {limit} instructions")]
    Endless {
        /// The limit.
        limit: u64,
    },
    /// `trap`: the kernel itself found something wrong.
    #[error("trap")]
    Trap,
}

ganforge_kernels::debug_as_display!(Fault);
