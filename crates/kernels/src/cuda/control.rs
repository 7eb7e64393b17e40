//! The first and the last kernel of each iteration of a captured loop: `kernels/control.cu`.
//!
//! A captured iteration starts with [`begin`], which fetches the next row of a table of scalars and the next indices of the
//! examples' order, and ends with [`end`], which records the results and advances the clock.

use super::{Launch, Slice};

/// Words of the clock: the step of slot 0, the slot and the first place in the order of slot 0 (two halves of a word).
pub const CLOCK: usize = 2;

/// The clock before slot 0.
///
/// step: completed steps; row: the place of the first example in the order
pub fn clock(step: u64, row: u32) -> [u64; CLOCK] {
    [step, u64::from(row) << 32]
}

/// Where an iteration takes its numbers from, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Begin {
    /// See [`clock`].
    pub clock: Slice<u64>,
    /// [slots, scalars]: the scalars of each slot.
    pub table: Slice,
    /// The scalars of this iteration.
    pub scalars: Slice,
    /// The examples of the epoch in order.
    pub order: Slice<u32>,
    /// The examples of this iteration.
    pub index: Slice<u32>,
    /// Key and step.
    pub control: Slice<u64>,
}

/// `scalars = table[slot], index = order[row + slot · rows ..], step = first step + slot`.
///
/// # Panics
/// Where an array has another length.
pub fn begin(b: Begin) -> Launch {
    assert!(
        b.clock.len() == CLOCK && b.control.len() == 2,
        "a clock, key and step"
    );
    let n = b.scalars.len();
    assert!(
        n == 0 || b.table.len().is_multiple_of(n),
        "rows of {n} scalars"
    );
    let launch = Launch::new("control", "iteration_begin_v1").threads(n.max(b.index.len()).max(1));
    let launch = launch.reads(b.clock).reads(b.table).reads(b.order);
    let launch = launch.writes(b.scalars).writes(b.index).writes(b.control);
    launch.u32(n).u32(b.index.len()).u32(b.order.len())
}

/// `ring[slot]` = the results, each a single number; slot += 1.
///
/// addresses: those of the results, on the device; ring: [slots, results]
///
/// # Panics
/// Where a result is not a scalar, or an array has another length.
pub fn end(results: &[Slice], addresses: Slice<u64>, ring: Slice, clock: Slice<u64>) -> Launch {
    let n = results.len();
    assert!(
        addresses.len() == n && clock.len() == CLOCK && results.iter().all(|r| r.len() == 1),
        "{n} single numbers, their addresses and a clock"
    );
    assert!(
        n == 0 || ring.len().is_multiple_of(n),
        "rows of {n} results"
    );
    let launch = Launch::new("control", "iteration_end_v2").block(32, 0);
    let launch = launch.reads(addresses).u32(n).writes(ring).writes(clock);
    let touch = |launch: Launch, r: &Slice| launch.touches(*r, false);
    results.iter().fold(launch, touch)
}
