//! Decoded kernels.

use crate::alu::{Map, Test};
use crate::ast::Pred;
use crate::convert::Convert;
use crate::counts::Class;
use crate::mma::Shape;
use crate::number::Type;

/// Offsets that turn addresses of shared memory, local memory and constants into generic addresses.
pub(crate) const SHARED_WINDOW: u64 = 1 << 56;
pub(crate) const LOCAL_WINDOW: u64 = 1 << 57;
pub(crate) const CONSTANT_WINDOW: u64 = 1 << 58;
/// A discarded result.
pub(crate) const SINK: u32 = u32::MAX;

/// A register's slot in a warp's register file.
pub(crate) type Reg = u32;

/// A kernel, ready to run.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) insts: Vec<Inst>,
    /// Size and offset of each parameter in bytes.
    pub(crate) params: Vec<(usize, usize)>,
    pub(crate) max_threads: Option<u32>,
    /// Number of declared registers; the fixed ones follow.
    pub(crate) registers: u32,
    pub(crate) fixed: Vec<Fixed>,
    pub(crate) predicates: u32,
    /// Bytes of declared shared memory; that of the launch follows.
    pub(crate) shared: usize,
    pub(crate) local: usize,
    /// The smallest access of shared memory in bytes.
    pub(crate) granule: u32,
}

/// A register that is constant while a warp runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fixed {
    Value(u64),
    Special(Special),
}

/// A special register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Special {
    Thread(usize),
    Block(usize),
    Threads(usize),
    Blocks(usize),
    Lane,
    Warp,
}

/// An instruction.
#[derive(Debug)]
pub(crate) struct Inst {
    pub(crate) op: Op,
    pub(crate) guard: Option<Pred>,
    pub(crate) class: Class,
    pub(crate) flops: u32,
    pub(crate) line: u32,
    pub(crate) name: String,
}

/// The state space of a load or store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Global memory or constants, by the address.
    Global,
    Shared,
    Local,
    Param,
    /// Any of them, by the address.
    Generic,
}

/// Consecutive values in memory.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) space: Space,
    pub(crate) base: Reg,
    pub(crate) offset: i64,
    pub(crate) ty: Type,
    pub(crate) registers: Box<[Reg]>,
    /// As if a fence followed: what other blocks wrote before may be used from here on.
    pub(crate) acquires: bool,
    /// As if a fence stood before.
    pub(crate) releases: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shuffle {
    Up,
    Down,
    Butterfly,
    Index,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vote {
    All,
    Any,
    Uniform,
    Ballot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Atomic {
    Add,
    Inc,
    Exchange,
    CompareSwap,
    Min,
    Max,
    And,
    Or,
}

#[derive(Debug)]
pub(crate) enum Op {
    Map {
        f: Map,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    Logic3 {
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
        table: u8,
    },
    /// bfi: `length` bits of b from `position` on are those of a.
    Insert {
        d: Reg,
        a: Reg,
        b: Reg,
        position: Reg,
        length: Reg,
    },
    /// mov.pred with a number.
    SetPred {
        p: Reg,
        value: u32,
    },
    Convert {
        d: Reg,
        a: Reg,
        how: Convert,
    },
    /// cvt.rn.bf16x2.f32: a in the upper half, b in the lower.
    ConvertPair {
        d: Reg,
        a: Reg,
        b: Reg,
        how: Convert,
    },
    Pack {
        d: Reg,
        parts: Box<[Reg]>,
        bits: u32,
    },
    Unpack {
        parts: Box<[Reg]>,
        a: Reg,
        bits: u32,
    },
    Test {
        f: Test,
        p: Reg,
        q: Reg,
        a: Reg,
        b: Reg,
        and: Option<(Logic, Pred)>,
    },
    Select {
        d: Reg,
        a: Reg,
        b: Reg,
        p: Pred,
    },
    Logic {
        p: Reg,
        a: Pred,
        b: Pred,
        f: Logic,
    },
    Load(Access),
    Store(Access),
    Atomic {
        d: Reg,
        at: Access,
        f: Atomic,
        b: Reg,
        c: Reg,
    },
    Branch(usize),
    BranchIndex {
        a: Reg,
        targets: Box<[usize]>,
    },
    Return,
    Trap,
    Barrier,
    /// Orders memory accesses among blocks.
    Fence,
    /// griddepcontrol.wait: for the launches that this one follows.
    LaunchWait,
    WarpBarrier {
        mask: Reg,
    },
    Nothing,
    Shuffle {
        mode: Shuffle,
        d: Reg,
        p: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
        mask: Reg,
    },
    Vote {
        mode: Vote,
        d: Reg,
        p: Pred,
        mask: Reg,
    },
    ActiveMask {
        d: Reg,
    },
    Copy {
        to: (Reg, i64),
        from: (Reg, i64),
        bytes: u32,
        given: Option<Reg>,
    },
    CopyCommit,
    /// How many of the newest groups may still be pending; `None`: no copy at all.
    CopyWait(Option<usize>),
    Mma {
        shape: Shape,
        d: [Reg; 4],
        a: [Reg; 4],
        b: [Reg; 2],
        c: [Reg; 4],
    },
}
