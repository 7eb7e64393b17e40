//! A kernel call: which kernel, how many threads, which arguments.

use std::ops::Range;

use super::{Error, Result, Slice};

/// The most blocks along x, and along y and z.
const MOST_BLOCKS: [u32; 3] = [(1 << 31) - 1, 65_535, 65_535];

/// A kernel call with everything fixed, so that it can be repeated and captured.
///
/// Only the functions of this module's families make them, which check every length against the sizes that they pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    family: &'static str,
    kernel: String,
    grid: [u32; 3],
    block: u32,
    shared: u32,
    bytes: Vec<u8>,
    arguments: Vec<Range<usize>>,
    touched: Vec<Touched>,
}

/// Memory of the device that a launch reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Addresses.
    pub range: Range<u64>,
    /// Whether it is written, and perhaps read as well.
    pub is_written: bool,
}

impl Launch {
    /// A call of `kernel` of `family` by one block of 256 threads, without arguments yet.
    pub(super) fn new(family: &'static str, kernel: impl Into<String>) -> Launch {
        Launch {
            family,
            kernel: kernel.into(),
            grid: [1; 3],
            block: 256,
            shared: 0,
            bytes: Vec::new(),
            arguments: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// A call of any kernel with any arguments, for tests of kernels by themselves.
    ///
    /// size: blocks along x, y, z; threads of a block; bytes of shared memory beside those that the kernel declares.
    /// arguments: the bytes of each. touched: all memory that it reads or writes.
    ///
    /// # Safety
    /// The arguments have the sizes that the kernel declares, and with them it touches nothing but `touched`, which is
    /// allocated on the device that runs it.
    pub unsafe fn of_kernel(
        family: &'static str,
        kernel: &str,
        (grid, block, shared): ([u32; 3], u32, usize),
        arguments: &[Vec<u8>],
        touched: Vec<Touched>,
    ) -> Launch {
        let launch = Launch::new(family, kernel).block(block, shared);
        let launch = Launch {
            grid,
            touched,
            ..launch
        };
        let add = |launch: Launch, bytes: &Vec<u8>| launch.argument(8, bytes.iter().copied());
        arguments.iter().fold(launch, add)
    }

    /// As many blocks as make at least `n` threads.
    pub(super) fn threads(self, n: usize) -> Launch {
        let blocks = n.div_ceil(self.block as usize);
        self.grid([blocks, 1, 1])
    }

    pub(super) fn grid(mut self, grid: [usize; 3]) -> Launch {
        self.grid = grid.map(|n| u32::try_from(n.max(1)).expect("sizes are checked before"));
        self
    }

    pub(super) fn block(mut self, threads: u32, shared: usize) -> Launch {
        (self.block, self.shared) = (threads, shared as u32);
        self
    }

    /// A pointer to what is read only.
    pub(super) fn reads<T>(self, slice: Slice<T>) -> Launch {
        self.argument(8, slice.address().to_le_bytes())
            .touches(slice, false)
    }

    /// A pointer to what is written, and perhaps read as well.
    pub(super) fn writes<T>(self, slice: Slice<T>) -> Launch {
        self.argument(8, slice.address().to_le_bytes())
            .touches(slice, true)
    }

    /// Notes memory whose address stands in a struct.
    pub(super) fn touches<T>(mut self, slice: Slice<T>, is_written: bool) -> Launch {
        let bytes = (slice.len() * size_of::<T>()) as u64;
        if bytes > 0 {
            let range = slice.address()..slice.address() + bytes;
            self.touched.push(Touched { range, is_written });
        }
        self
    }

    pub(super) fn u32(self, n: usize) -> Launch {
        self.argument(4, word(n).to_le_bytes())
    }

    pub(super) fn f32(self, x: f32) -> Launch {
        self.argument(4, x.to_le_bytes())
    }

    /// A struct of 4-byte words.
    pub(super) fn words(self, words: &[usize]) -> Launch {
        let bytes = words.iter().flat_map(|w| word(*w).to_le_bytes());
        self.argument(4, bytes)
    }

    /// A struct of 8-byte words.
    pub(super) fn longs(self, words: &[u64]) -> Launch {
        let bytes = words.iter().flat_map(|w| w.to_le_bytes());
        self.argument(8, bytes)
    }

    fn argument(mut self, align: usize, bytes: impl IntoIterator<Item = u8>) -> Launch {
        let start = self.bytes.len().next_multiple_of(align);
        self.bytes.resize(start, 0);
        self.bytes.extend(bytes);
        self.arguments.push(start..self.bytes.len());
        self
    }

    /// Refuses a grid that no device has.
    pub(super) fn check(&self) -> Result<()> {
        let [x, y, z] = self.grid;
        let is_too_large = |(n, most): (&u32, &u32)| n > most;
        match self.grid.iter().zip(&MOST_BLOCKS).any(is_too_large) {
            false => Ok(()),
            true => Err(Error::Kernel {
                name: self.kernel.clone(),
                reason: format!(
                    "a grid of {x} x {y} x {z} blocks; a device has at most 2^31 - 1 along x and 65535 along y and z"
                ),
            }),
        }
    }

    /// The family that has the kernel.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// The kernel's name.
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// Blocks along x, y, z.
    pub fn blocks(&self) -> [u32; 3] {
        self.grid
    }

    /// Threads of a block, in a row.
    pub fn block_threads(&self) -> u32 {
        self.block
    }

    /// Bytes of shared memory beside those that the kernel declares.
    pub fn shared_bytes(&self) -> u32 {
        self.shared
    }

    /// All memory that it reads or writes.
    pub fn touched(&self) -> &[Touched] {
        &self.touched
    }

    /// Whether it must not run at the same time as `other`, nor change places with it: one writes what the other touches.
    pub fn conflicts_with(&self, other: &Launch) -> bool {
        let meet = |a: &Touched, b: &Touched| {
            (a.is_written || b.is_written)
                && a.range.start < b.range.end
                && b.range.start < a.range.end
        };
        let others = |a| other.touched.iter().any(|b| meet(a, b));
        self.touched.iter().any(others)
    }

    /// The bytes of each argument.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.arguments
            .iter()
            .map(|range| &self.bytes[range.clone()])
    }
}

/// A size as kernels take it.
fn word(n: usize) -> u32 {
    u32::try_from(n).expect("sizes are checked before: see MAX_ELEMENTS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_beyond_65535_along_y_or_z_is_refused() {
        let of = |grid| Launch::new("none", "k").grid(grid).check();
        assert_eq!(of([(1 << 31) - 1, 65_535, 65_535]), Ok(()));
        for grid in [[1 << 31, 1, 1], [1, 65_536, 1], [1, 1, 65_536]] {
            let message = of(grid).expect_err("too large").to_string();
            assert!(message.contains("65535 along y and z"), "{message}");
        }
    }
}
