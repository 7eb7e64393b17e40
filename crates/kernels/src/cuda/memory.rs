//! Device memory: owned buffers, and slices of them that launches access.

use std::marker::PhantomData;

use bytemuck::Pod;

use super::{Device, Result};

/// `len` neighbouring values on a device. It does not keep them alive: see [`Buffer`].
#[derive(Debug, PartialEq, Eq)]
pub struct Slice<T = f32> {
    address: u64,
    len: usize,
    of: PhantomData<T>,
}

impl<T> Clone for Slice<T> {
    fn clone(&self) -> Slice<T> {
        *self
    }
}

impl<T> Copy for Slice<T> {}

impl<T> Slice<T> {
    /// No values, at no address.
    pub const NONE: Slice<T> = Slice {
        address: 0,
        len: 0,
        of: PhantomData,
    };

    /// For tests of what names memory and does not touch it.
    #[cfg(test)]
    pub(super) fn at(address: u64, len: usize) -> Slice<T> {
        Slice {
            address,
            len,
            of: PhantomData,
        }
    }

    /// Where it begins, as kernels see it.
    pub fn address(self) -> u64 {
        self.address
    }

    /// How many values.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The first `len` of them.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn first(self, len: usize) -> Slice<T> {
        self.part(0, len)
    }

    /// `len` of them from the one at `start` on.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn part(self, start: usize, len: usize) -> Slice<T> {
        assert!(
            start + len <= self.len,
            "{len} values from {start} on of {}",
            self.len
        );
        Slice {
            address: self.address + (start * size_of::<T>()) as u64,
            len,
            of: PhantomData,
        }
    }
}

impl Slice<u64> {
    /// The same memory as numbers of half the size.
    pub fn as_f32(self) -> Slice {
        Slice {
            address: self.address,
            len: 2 * self.len,
            of: PhantomData,
        }
    }
}

/// Values on a device, which are given back when this is dropped.
pub struct Buffer<T: Pod = f32> {
    device: Device,
    slice: Slice<T>,
}

impl<T: Pod> Buffer<T> {
    pub(super) fn new(device: &Device, len: usize) -> Result<Buffer<T>> {
        // An address of its own even for no values, so that none is 0.
        let address = device.driver().alloc((len * size_of::<T>()).max(4))?;
        Ok(Buffer {
            device: device.clone(),
            slice: Slice {
                address,
                len,
                of: PhantomData,
            },
        })
    }

    /// All of it.
    pub fn slice(&self) -> Slice<T> {
        self.slice
    }

    /// Copies `data` to its beginning.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Panics
    /// Where there is no room for them.
    pub fn write(&self, data: &[T]) -> Result<()> {
        self.device.write(self.slice, data)
    }

    /// Copies its first values to `data`, once all launches so far are done.
    ///
    /// # Errors
    /// The driver's; a kernel's that ran before.
    ///
    /// # Panics
    /// Where it has fewer.
    pub fn read(&self, data: &mut [T]) -> Result<()> {
        self.device.read(self.slice, data)
    }
}

impl<T: Pod> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.device.driver().free(self.slice.address);
    }
}
