//! State shared by the warps of a block.

use crate::counts::Counts;
use crate::error::{Dim, Fault};
use crate::inst::{Fixed, Kernel, Special};
use crate::launch::Launch;
use crate::memory::{Actor, Memory};
use crate::order::{Order, Released};
use crate::shared::{Access, Shared};

/// Why a block stopped before its end.
pub(crate) struct Stopped {
    pub(crate) pc: usize,
    pub(crate) thread: Dim,
    pub(crate) fault: Fault,
}

/// State shared by the warps of a block.
pub(crate) struct State<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) launch: &'a Launch,
    pub(crate) memory: &'a Memory,
    pub(crate) constants: &'a Memory,
    pub(crate) params: &'a [u8],
    pub(crate) shared: Shared,
    pub(crate) order: Order<'a>,
    /// Barriers passed.
    pub(crate) barrier: u32,
    pub(crate) counts: Counts,
    place: [u32; 3],
    /// Its number in the grid.
    number: u32,
}

impl<'a> State<'a> {
    pub(crate) fn new(
        kernel: &'a Kernel,
        launch: &'a Launch,
        memory: &'a Memory,
        constants: &'a Memory,
        params: &'a [u8],
        released: &'a Released,
        (place, number): ([u32; 3], u32),
    ) -> State<'a> {
        let bytes = kernel.shared + launch.shared;
        State {
            kernel,
            launch,
            memory,
            constants,
            params,
            shared: Shared::new(bytes, kernel.granule, launch.block),
            order: Order::new(number, launch.threads(), released),
            barrier: 1,
            counts: Counts::default(),
            place,
            number,
        }
    }

    /// Who accesses global memory.
    #[inline]
    pub(crate) fn actor(&self, now: &Access) -> Actor<'a> {
        Actor {
            block: self.number + 1,
            acquired: self.order.acquired(now),
            released: self.order.blocks(),
        }
    }

    /// The index of a thread in its block, given its number along x, then y, then z.
    pub(crate) fn thread(&self, number: u32) -> Dim {
        let [x, y, _] = self.launch.block;
        Dim([number % x, number / x % y, number / x / y])
    }

    /// The values of a constant register.
    pub(crate) fn fixed(&self, fixed: Fixed, warp: u32) -> [u64; 32] {
        let special = match fixed {
            Fixed::Value(x) => return [x; 32],
            Fixed::Special(s) => s,
        };
        std::array::from_fn(|lane| {
            u64::from(match special {
                Special::Thread(axis) => self.thread(32 * warp + lane as u32).0[axis],
                Special::Block(axis) => self.place[axis],
                Special::Threads(axis) => self.launch.block[axis],
                Special::Blocks(axis) => self.launch.grid[axis],
                Special::Lane => lane as u32,
                Special::Warp => warp,
            })
        })
    }
}
