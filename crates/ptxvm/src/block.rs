//! A block: its warps in turn, from barrier to barrier.

use crate::counts::{Counts, GlobalTraffic, SharedTraffic};
use crate::error::{Dim, Fault};
use crate::inst::{Fixed, Kernel, Special};
use crate::memory::{Actor, Memory};
use crate::module::Launch;
use crate::shared::Shared;
use crate::warp::{Stop, Warp};

/// Why a block stopped before its end.
pub(crate) struct Stopped {
    pub(crate) pc: usize,
    pub(crate) thread: Dim,
    pub(crate) fault: Fault,
}

/// What the warps of a block share.
pub(crate) struct State<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) launch: &'a Launch,
    pub(crate) memory: &'a Memory,
    pub(crate) constants: &'a Memory,
    pub(crate) params: &'a [u8],
    pub(crate) shared: Shared,
    pub(crate) actor: Actor,
    /// Barriers passed.
    pub(crate) barrier: u32,
    pub(crate) counts: Counts,
    place: [u32; 3],
}

impl<'a> State<'a> {
    pub(crate) fn new(
        kernel: &'a Kernel,
        launch: &'a Launch,
        memory: &'a Memory,
        constants: &'a Memory,
        params: &'a [u8],
        place: [u32; 3],
        number: u32,
    ) -> State<'a> {
        let bytes = kernel.shared + launch.shared;
        State {
            kernel,
            launch,
            memory,
            constants,
            params,
            shared: Shared::new(bytes, kernel.granule, launch.block),
            actor: Actor {
                block: number + 1,
                acquired: false,
            },
            barrier: 1,
            counts: Counts::default(),
            place,
        }
    }

    /// The place of a thread, counted along x, then y, then z, in its block.
    pub(crate) fn thread(&self, number: u32) -> Dim {
        let [x, y, _] = self.launch.block;
        Dim([number % x, number / x % y, number / x / y])
    }

    /// The values of a register that does not change.
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

/// Runs a block to its end.
pub(crate) fn run(mut state: State) -> Result<Counts, Box<Stopped>> {
    let warps = state.launch.threads().div_ceil(32);
    let mut warps: Vec<Warp> = (0..warps).map(|w| Warp::new(&state, w)).collect();
    loop {
        let mut stops = Vec::with_capacity(warps.len());
        for warp in &mut warps {
            stops.push(warp.run(&mut state)?);
        }
        let first = stops[0];
        if stops.iter().all(|s| *s == first) {
            match first {
                Stop::Ended => return Ok(state.counts),
                Stop::Barrier(_) => {
                    state.barrier += 1;
                    state.counts.barriers += 1;
                    continue;
                }
            }
        }
        // Some wait and some do not, or they wait at different barriers.
        let waits = stops.iter().position(|s| matches!(s, Stop::Barrier(_)));
        let waits = waits.expect("not all have ended");
        let other = stops.iter().position(|s| *s != stops[waits]);
        let other = other.expect("not all are equal");
        let state_of_other = match stops[other] {
            Stop::Ended => "has ended".to_string(),
            Stop::Barrier(pc) => format!("waits at line {}", state.kernel.insts[pc].line),
        };
        let Stop::Barrier(pc) = stops[waits] else {
            unreachable!("it waits")
        };
        return Err(Box::new(Stopped {
            pc,
            thread: state.thread(32 * waits as u32),
            fault: Fault::DivergentBarrier {
                other: state.thread(32 * other as u32),
                state: state_of_other,
            },
        }));
    }
}

impl GlobalTraffic {
    /// One request: each address in `addresses` for `bytes` bytes.
    pub(crate) fn request(&mut self, addresses: &[u64], bytes: u32) {
        let mut sectors = [0u64; 64];
        let mut n = 0;
        for address in addresses {
            // Aligned accesses of at most 16 bytes lie in one sector.
            let sector = address >> 5;
            if n == 0 || (sectors[n - 1] != sector && !sectors[..n].contains(&sector)) {
                sectors[n] = sector;
                n += 1;
            }
        }
        self.requests += 1;
        self.sectors += n as u64;
        self.bytes += u64::from(bytes) * addresses.len() as u64;
    }
}

impl SharedTraffic {
    /// One request: (lane, address) of each active lane, for `bytes` bytes.
    pub(crate) fn request(&mut self, accesses: &[(u32, u64)], bytes: u32) {
        self.requests += 1;
        let lanes = 32 / (bytes / 4).max(1);
        let mut rest = accesses;
        while let Some(&(lane, _)) = rest.first() {
            let part = lane / lanes;
            let end = rest.iter().position(|(l, _)| l / lanes != part);
            let (group, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            self.ideal += 1;
            self.passes += passes(group, bytes);
        }
    }
}

/// The most different words that lanes want of one bank.
fn passes(group: &[(u32, u64)], bytes: u32) -> u64 {
    let mut words = [0u64; 32];
    let mut banks = [0u8; 32];
    let mut n = 0;
    for (_, address) in group {
        for word in 0..u64::from(bytes.div_ceil(4)) {
            let word = address / 4 + word;
            if !words[..n].contains(&word) {
                words[n] = word;
                n += 1;
                banks[word as usize % 32] += 1;
            }
        }
    }
    u64::from(banks.iter().copied().max().unwrap_or(1))
}
