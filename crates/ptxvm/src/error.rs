//! Errors in modules and launches, and faults of kernels.

use std::fmt;

/// The crate's results.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the interpreter or of the kernel that it runs.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not PTX, or uses something unsupported.
    #[error("{file}:{line}: {reason}")]
    Parse {
        /// The module's file.
        file: String,
        /// Line of the text, from 1.
        line: u32,
        /// What was expected and found, or the name of the unknown instruction.
        reason: String,
    },
    /// A launch that does not fit its kernel.
    #[error("{kernel}: {reason}")]
    Launch {
        /// The kernel's name.
        kernel: String,
        /// What was expected and found.
        reason: String,
    },
    /// A fault of a kernel.
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
        /// The thread at fault.
        site: Site,
        /// The fault.
        fault: Box<Fault>,
    },
    /// The host reads uninitialised or unallocated memory.
    #[error("{name}: {reason}")]
    Host {
        /// The allocation.
        name: String,
        /// What was expected and found.
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
    /// Index of its block in the grid.
    pub block: Dim,
    /// Its index in the block.
    pub thread: Dim,
}

/// A fault of a thread.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An access outside of every allocation, or across the end of one.
    #[error("accesses {bytes} bytes at {address:#x} ({place})")]
    OutOfBounds {
        /// The address as the instruction used it.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is, such as `8 bytes past the end of x (12 bytes)`.
        place: String,
    },
    /// An address that is not a multiple of the access's size.
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
    #[error("reads {bytes} uninitialised bytes at {address:#x} ({place})")]
    Uninitialised {
        /// The address as the instruction used it.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is.
        place: String,
    },
    /// A write to read-only memory.
    #[error("writes {bytes} bytes at {address:#x} ({place}), which is read-only")]
    ReadOnly {
        /// The address as the instruction used it.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// Where that is.
        place: String,
    },
    /// An access that the launch does not declare, so that it is not ordered among other launches.
    #[error("{what} {bytes} bytes at {address:#x} ({place}), which its launch does not declare")]
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
    /// A data race in shared memory: two threads access the same word, at least one writes, without a barrier in between.
    #[error(
        "{what} {bytes} bytes of shared memory at {address:#x} that thread {other} {did}, with no barrier between"
    )]
    SharedRace {
        /// `reads` or `writes`.
        what: &'static str,
        /// The other thread's access: `reads`, `writes`, `is still copying to`.
        did: &'static str,
        /// The address in shared memory.
        address: u64,
        /// The size of the access.
        bytes: u32,
        /// The other thread.
        other: Dim,
    },
    /// A data race in global memory: two blocks access the same word, at least one writes, not ordered by an atomic operation.
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
    /// An access to what another block wrote: an atomic operation stands between the two, but a fence is missing.
    #[error(
        "{what} {bytes} bytes at {address:#x} ({place}) that block {other} wrote in the same launch, with no fence between {missing}"
    )]
    Unfenced {
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
        /// Between which two there is none.
        missing: &'static str,
    },
    /// A launch that may begin before those that it follows have ended touches global memory, or ends, before it has waited for
    /// them.
    #[error("{what} before griddepcontrol.wait: launches that it follows may still run")]
    Early {
        /// `accesses global memory` or `ends`.
        what: &'static str,
    },
    /// A barrier that some threads do not reach.
    #[error("waits at a barrier; thread {other} {state}")]
    DivergentBarrier {
        /// A thread that does not reach it.
        other: Dim,
        /// Its state, such as `has ended` or `waits at line 31`.
        state: String,
    },
    /// A warp-wide instruction that some lanes of its mask do not reach.
    #[error("lane {lane} is in the mask {mask:#010x} but not active")]
    DivergentWarp {
        /// A lane that is missing.
        lane: u32,
        /// The lanes of the mask.
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
    #[error("still running after {limit} instructions")]
    Endless {
        /// The limit.
        limit: u64,
    },
    /// `trap`: the kernel itself detected an error.
    #[error("trap")]
    Trap,
}

ganforge_kernels::debug_as_display!(Fault);
