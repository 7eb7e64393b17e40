//! The arguments and the launch configuration of a kernel.

use crate::memory::Pointer;

/// An argument of a kernel.
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// A pointer to global memory.
    Pointer(Pointer),
    /// A null pointer, which must not be accessed.
    Null,
    /// 32 bits, unsigned.
    U32(u32),
    /// 32 bits, signed.
    I32(i32),
    /// A float.
    F32(f32),
    /// 64 bits.
    U64(u64),
    /// A struct by value.
    Bytes(Vec<u8>),
}

impl Arg {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Arg::Pointer(p) => p.0.to_le_bytes().to_vec(),
            Arg::Null => vec![0; 8],
            Arg::U32(x) => x.to_le_bytes().to_vec(),
            Arg::I32(x) => x.to_le_bytes().to_vec(),
            Arg::F32(x) => x.to_le_bytes().to_vec(),
            Arg::U64(x) => x.to_le_bytes().to_vec(),
            Arg::Bytes(b) => b.clone(),
        }
    }
}

/// The grid and block of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z; at most 1024 in all.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory, in addition to what the kernel declares.
    pub shared: usize,
    /// Bytes of it that were granted before, so that a block may have more than 48 KiB in all.
    pub granted: usize,
    /// Whether launches that it follows may still run when it begins: until `griddepcontrol.wait` global memory is not its own.
    pub is_early: bool,
    /// Instructions after which a warp is considered to run endlessly.
    pub limit: u64,
}

impl Launch {
    /// `blocks` blocks of `threads` threads, in one dimension.
    pub fn new(blocks: u32, threads: u32) -> Launch {
        Launch {
            grid: [blocks, 1, 1],
            block: [threads, 1, 1],
            shared: 0,
            granted: 0,
            is_early: false,
            limit: 1 << 28,
        }
    }

    pub(crate) fn threads(&self) -> u32 {
        self.block.iter().fold(1, |n, d| n.saturating_mul(*d))
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.grid
            .iter()
            .fold(1, |n, d| n.saturating_mul(u64::from(*d)))
    }
}
