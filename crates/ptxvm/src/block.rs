//! A block: its warps in turn, from barrier to barrier.

use crate::counts::Counts;
use crate::error::Fault;
use crate::state::{State, Stopped};
use crate::warp::{Stop, Warp};

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
