//! The GPU: device memory, and functions that create the [`Launch`]es of each family of kernels.
//!
//! A [`Driver`] runs launches. There are two: [`open`] returns that of the machine's CUDA driver; the other is the PTX
//! interpreter in `crates/ptxvm`, so that all code above runs without a GPU, too. A launch contains all its
//! arguments; a list of launches can be run repeatedly, or captured and replayed as one graph.
//!
//! The choice of a kernel and the number of parts of a sum depend on sizes only, so that results in f32 are bitwise the same on
//! every device. Tensor cores (TF32, bf16) add within an instruction as their generation does.

pub mod control;
pub mod conv;
#[cfg(feature = "cuda")]
mod cublas;
mod device;
#[cfg(feature = "cuda")]
mod driver;
pub mod elementwise;
mod error;
pub mod examples;
#[cfg_attr(not(feature = "cuda"), path = "without.rs")]
mod find;
mod launch;
pub mod layout;
pub mod matmul;
pub mod maxout;
mod memory;
pub mod moments;
#[cfg(any(feature = "cuda", test))]
mod one_by_one;
pub mod order;
pub mod parzen;
pub mod pool;
#[cfg(test)]
pub(crate) mod pretend;
pub mod random;
pub mod reduce;
pub mod roofline;
pub mod rows;
pub mod speed;
pub mod updates;

pub use device::{About, Captured, Device, Driver, Graph, Product};
pub use error::{Error, Result};
pub use find::{devices, open};
pub use launch::{Launch, Touched};
pub use memory::{Buffer, Slice};

/// The maximum number of elements of an array, since kernels use 32-bit indices.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// The precision of matrix products.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Precision {
    /// f32, on CUDA cores.
    #[default]
    F32,
    /// Factors rounded to 10 bits of fraction, sums in f32, on tensor cores.
    Tf32,
    /// Factors rounded to 7 bits of fraction, sums in f32, on tensor cores.
    Bf16,
}

impl Precision {
    /// Its name on the command line and in kernel names.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
        }
    }
}

/// Processors of a large device: an A100 has so many, others 114 to 144. A constant, so that no result depends on the device.
const PROCESSORS: usize = 108;

/// Blocks that fill such a device and have places on all of them at once: more would be a second wave on the smaller ones.
const FILL: usize = 2 * PROCESSORS;

/// The most f32 of a [`Scratch`] that launches have side by side: 64 MiB.
const SIDE_BY_SIDE: usize = 1 << 24;

/// Memory for the parts of sums: its needs are noted by a first pass over the launches, which names no memory, and met in a
/// second one. Launches have it side by side, so that those that do not depend on each other may run at the same time; where
/// that would be too much, it begins again, and a launch waits for the one that had its room before.
#[derive(Debug, Clone, Copy)]
pub struct Scratch {
    sums: Slice,
    counters: Slice<u32>,
    /// How many f32 there must be.
    pub sums_needed: usize,
    /// How many counters; they must be zero before the first launch.
    pub counters_needed: usize,
    next_sum: usize,
    /// The most f32 that launches have side by side.
    most: usize,
}

impl Scratch {
    /// Notes needs only: its launches must not run.
    pub fn measure() -> Scratch {
        Scratch::of(Slice::NONE, Slice::NONE)
    }

    /// The given memory.
    pub fn of(sums: Slice, counters: Slice<u32>) -> Scratch {
        Scratch {
            sums,
            counters,
            sums_needed: 0,
            counters_needed: 0,
            next_sum: 0,
            most: SIDE_BY_SIDE,
        }
    }

    /// As [`Scratch::measure`] where memory is short: launches have it one after another.
    pub fn measure_in_turn() -> Scratch {
        Scratch::measure().in_turn()
    }

    /// The same for launches that have it one after another.
    pub fn in_turn(self) -> Scratch {
        Scratch { most: 0, ..self }
    }

    fn take(&mut self, sums: usize, counters: usize) -> (Slice, Slice<u32>) {
        if self.next_sum + sums > self.most {
            self.next_sum = 0;
        }
        let (first_sum, first_counter) = (self.next_sum, self.counters_needed);
        self.next_sum += sums.next_multiple_of(64); // whole vectors, whole lines
        self.sums_needed = self.sums_needed.max(self.next_sum);
        self.counters_needed += counters;
        match self.sums.is_empty() && self.counters.is_empty() {
            true => (Slice::NONE, Slice::NONE),
            false => (
                self.sums.part(first_sum, sums),
                self.counters.part(first_counter, counters),
            ),
        }
    }
}
