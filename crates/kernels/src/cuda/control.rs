//! The first and the last kernel of each iteration of a captured loop: `kernels/control.cu`.
//!
//! A captured iteration starts with [`begin`], which fetches the next row of a table of scalars and the next indices of the
//! examples' order, and ends with [`end`], which records the results. The last one of a graph advances the clock.

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
    /// Which iteration of its graph it is: so many slots after the clock's.
    pub ahead: usize,
}

/// `scalars = table[slot], index = order[row + slot · rows ..], step = first step + slot`, slot = the clock's + ahead.
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
    let launch = Launch::new("control", "iteration_begin_v2").threads(n.max(b.index.len()).max(1));
    let launch = launch.reads(b.clock).reads(b.table).reads(b.order);
    let launch = launch.writes(b.scalars).writes(b.index).writes(b.control);
    let launch = launch.u32(n).u32(b.index.len()).u32(b.order.len());
    launch.u32(b.ahead)
}

/// `ring[slot + ahead]` = the results, each a single number; then slot += advance.
///
/// addresses: those of the results, on the device; ring: [slots, results]; advance: of the last iteration of a graph how many
/// it has, else 0
///
/// # Panics
/// Where a result is not a scalar, or an array has another length.
pub fn end(
    results: &[Slice],
    (addresses, clock): (Slice<u64>, Slice<u64>),
    ring: Slice,
    ahead: usize,
    advance: usize,
) -> Launch {
    let n = results.len();
    assert!(
        addresses.len() == n && clock.len() == CLOCK && results.iter().all(|r| r.len() == 1),
        "{n} single numbers, their addresses and a clock"
    );
    assert!(
        n == 0 || ring.len().is_multiple_of(n),
        "rows of {n} results"
    );
    let launch = Launch::new("control", "iteration_end_v3").block(32, 0);
    let launch = launch.reads(addresses).u32(n).writes(ring);
    let launch = match advance {
        0 => launch.reads(clock),
        _ => launch.writes(clock),
    };
    let launch = launch.u32(ahead).u32(advance);
    let touch = |launch: Launch, r: &Slice| launch.touches(*r, false);
    results.iter().fold(launch, touch)
}

/// Single numbers side by side; `from`: their addresses on the device, and a clock of zeros.
///
/// # Panics
/// Where a result is not a scalar, or an array has another length.
pub fn gather(results: &[Slice], from: (Slice<u64>, Slice<u64>), out: Slice) -> Launch {
    assert_eq!(out.len(), results.len(), "a place for each");
    end(results, from, out, 0, 0)
}
