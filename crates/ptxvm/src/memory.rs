//! Global memory: named allocations with guard zones, which record which bytes were written and by which block.

use std::ops::Range;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use ganforge_kernels::cuda::Touched;

use crate::error::{Error, Fault, Result};
use crate::order::{Acquired, Released};

/// Distance between allocations, so that an access past the end of one, or before its start, hits no other.
const SLOT: u32 = 40;
/// Bits of a word's state that mark its initialised bytes.
const WRITTEN: u32 = 0xf;
/// The writer of a word changed by atomic operations.
const ATOMIC: u32 = 0x0fff_ffff;

/// An address in global memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer(pub(crate) u64);

impl Pointer {
    /// The address plus `bytes`.
    pub fn offset(self, bytes: usize) -> Pointer {
        Pointer(self.0 + bytes as u64)
    }

    /// The numeric address that kernels see, for structs and tables that hold pointers.
    pub fn address(self) -> u64 {
        self.0
    }
}

/// Global memory, which persists between launches.
#[derive(Debug, Default)]
pub struct Memory {
    allocations: Vec<Allocation>,
    is_restricted: bool,
}

#[derive(Debug)]
struct Allocation {
    name: String,
    bytes: usize,
    words: Vec<AtomicU32>,
    /// Per word: low four bits, which bytes were written; above, 1 + the block that wrote it in this launch, or 0.
    states: Vec<AtomicU32>,
    touched: AtomicBool,
    read_only: bool,
    /// The ranges that a restricted launch may access, and whether it may write them.
    open: Vec<(Range<usize>, bool)>,
}

impl Allocation {
    /// A byte, for the host.
    fn byte(&self, i: usize) -> Result<u8> {
        let state = self.states[i / 4].load(Relaxed);
        if state >> (i % 4) & 1 == 0 {
            return Err(Error::Host {
                name: self.name.clone(),
                reason: format!("byte {i} of {} is uninitialised", self.bytes),
            });
        }
        Ok(self.words[i / 4].load(Relaxed).to_le_bytes()[i % 4])
    }
}

/// The origin of an access.
#[derive(Clone, Copy)]
pub(crate) struct Actor<'a> {
    /// 1 + the block's number in its launch.
    pub(crate) block: u32,
    /// Whether it may use other blocks' writes.
    pub(crate) acquired: Acquired,
    /// Whether these have released them.
    pub(crate) released: &'a Released,
}

impl Memory {
    /// Memory without allocations.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Allocates `bytes` uninitialised bytes, aligned to 256.
    pub fn alloc(&mut self, name: &str, bytes: usize) -> Pointer {
        let zeros = |n: usize| (0..n).map(|_| AtomicU32::new(0)).collect();
        let words = bytes.div_ceil(4);
        self.allocations.push(Allocation {
            name: name.to_string(),
            bytes,
            words: zeros(words),
            states: zeros(words),
            touched: AtomicBool::new(false),
            read_only: false,
            open: Vec::new(),
        });
        Pointer((self.allocations.len() as u64) << SLOT)
    }

    /// Frees an allocation; its address is never reused.
    pub fn free(&mut self, pointer: Pointer) {
        if let Some(a) = self.allocation(pointer.0) {
            (a.bytes, a.words, a.states) = (0, Vec::new(), Vec::new());
        }
    }

    fn allocation(&mut self, address: u64) -> Option<&mut Allocation> {
        let slot = (address >> SLOT) as usize;
        self.allocations.get_mut(slot.checked_sub(1)?)
    }

    /// From here on launches may access only the declared ranges, and write only those declared as written.
    pub(crate) fn restrict(&mut self, touched: &[Touched]) {
        self.is_restricted = true;
        for Touched { range, is_written } in touched {
            let start = (range.start & ((1 << SLOT) - 1)) as usize;
            let end = start + (range.end - range.start) as usize;
            if let Some(a) = self.allocation(range.start) {
                a.open.push((start..end, *is_written));
            }
        }
    }

    /// Undoes [`Memory::restrict`].
    pub(crate) fn release(&mut self, touched: &[Touched]) {
        self.is_restricted = false;
        for Touched { range, .. } in touched {
            if let Some(a) = self.allocation(range.start) {
                a.open.clear();
            }
        }
    }

    /// Copies `data` to `pointer`.
    ///
    /// # Errors
    /// [`Error::Host`] if it does not fit.
    pub fn write(&mut self, pointer: Pointer, data: &[u8]) -> Result<()> {
        self.inside(pointer, data.len())?;
        let (slot, start) = (
            (pointer.0 >> SLOT) as usize - 1,
            (pointer.0 & ((1 << SLOT) - 1)) as usize,
        );
        let allocation = &mut self.allocations[slot];
        for (i, byte) in (start..).zip(data) {
            let word = allocation.words[i / 4].get_mut();
            let mut bytes = word.to_le_bytes();
            bytes[i % 4] = *byte;
            *word = u32::from_le_bytes(bytes);
            *allocation.states[i / 4].get_mut() |= 1 << (i % 4);
        }
        Ok(())
    }

    /// Copies from `pointer` to `data`.
    ///
    /// # Errors
    /// As [`Memory::read_u8`].
    pub fn read(&self, pointer: Pointer, data: &mut [u8]) -> Result<()> {
        let (allocation, start) = self.inside(pointer, data.len())?;
        for (i, byte) in (start..).zip(data) {
            *byte = allocation.byte(i)?;
        }
        Ok(())
    }

    /// The allocation that contains `bytes` bytes from `pointer` on, and the offset.
    fn inside(&self, pointer: Pointer, bytes: usize) -> Result<(&Allocation, usize)> {
        match self.at(pointer.0) {
            Some((allocation, start)) if start + bytes <= allocation.bytes => {
                Ok((allocation, start))
            }
            _ => Err(Error::Host {
                name: format!("{:#x}", pointer.0),
                reason: format!(
                    "{bytes} bytes are not allocated at this address: {}",
                    self.place(pointer.0)
                ),
            }),
        }
    }

    /// A copy of `data`.
    pub fn alloc_u8(&mut self, name: &str, data: &[u8]) -> Pointer {
        let pointer = self.alloc(name, data.len());
        let allocation = self.allocations.last_mut().expect("just pushed");
        for (i, part) in data.chunks(4).enumerate() {
            let mut word = [0; 4];
            word[..part.len()].copy_from_slice(part);
            *allocation.words[i].get_mut() = u32::from_le_bytes(word);
            *allocation.states[i].get_mut() = (1 << part.len()) - 1;
        }
        pointer
    }

    /// A copy of `data`.
    pub fn alloc_u32(&mut self, name: &str, data: &[u32]) -> Pointer {
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.alloc_u8(name, &bytes)
    }

    /// A copy of `data`.
    pub fn alloc_f32(&mut self, name: &str, data: &[f32]) -> Pointer {
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.alloc_u8(name, &bytes)
    }

    /// A copy of `data`.
    pub fn alloc_u64(&mut self, name: &str, data: &[u64]) -> Pointer {
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.alloc_u8(name, &bytes)
    }

    /// A copy of `data`.
    pub fn alloc_f64(&mut self, name: &str, data: &[f64]) -> Pointer {
        let bits: Vec<u64> = data.iter().map(|x| x.to_bits()).collect();
        self.alloc_u64(name, &bits)
    }

    /// A read-only copy of `data`.
    pub(crate) fn alloc_constant(&mut self, name: &str, data: &[u8]) -> Pointer {
        let pointer = self.alloc_u8(name, data);
        self.allocations.last_mut().expect("just pushed").read_only = true;
        pointer
    }

    /// Everything from `pointer` to the end of its allocation.
    ///
    /// # Errors
    /// [`Error::Host`] if it is not allocated, or partly uninitialised.
    pub fn read_u8(&self, pointer: Pointer) -> Result<Vec<u8>> {
        let Some((allocation, start)) = self.at(pointer.0) else {
            return Err(Error::Host {
                name: format!("{:#x}", pointer.0),
                reason: "is not allocated".into(),
            });
        };
        (start..allocation.bytes)
            .map(|i| allocation.byte(i))
            .collect()
    }

    /// As [`Memory::read_u8`].
    ///
    /// # Errors
    /// As [`Memory::read_u8`].
    pub fn read_u32(&self, pointer: Pointer) -> Result<Vec<u32>> {
        let bytes = self.read_u8(pointer)?;
        let words = bytes.as_chunks::<4>().0.iter();
        Ok(words.map(|w| u32::from_le_bytes(*w)).collect())
    }

    /// As [`Memory::read_u8`].
    ///
    /// # Errors
    /// As [`Memory::read_u8`].
    pub fn read_f32(&self, pointer: Pointer) -> Result<Vec<f32>> {
        Ok(self
            .read_u32(pointer)?
            .into_iter()
            .map(f32::from_bits)
            .collect())
    }

    /// As [`Memory::read_u8`].
    ///
    /// # Errors
    /// As [`Memory::read_u8`].
    pub fn read_f64(&self, pointer: Pointer) -> Result<Vec<f64>> {
        let bytes = self.read_u8(pointer)?;
        let words = bytes.as_chunks::<8>().0.iter();
        Ok(words.map(|w| f64::from_le_bytes(*w)).collect())
    }

    /// Clears the record of writers, at the end of a launch.
    pub(crate) fn settle(&mut self) {
        for allocation in &mut self.allocations {
            if std::mem::take(allocation.touched.get_mut()) {
                for state in &mut allocation.states {
                    *state.get_mut() &= WRITTEN;
                }
            }
        }
    }

    fn at(&self, address: u64) -> Option<(&Allocation, usize)> {
        let slot = (address >> SLOT) as usize;
        let allocation = self.allocations.get(slot.checked_sub(1)?)?;
        Some((allocation, (address & ((1 << SLOT) - 1)) as usize))
    }

    /// Describes the location of an address.
    pub(crate) fn place(&self, address: u64) -> String {
        let inside = self.at(address);
        if let Some((a, offset)) = inside
            && offset < 1 << (SLOT - 1)
        {
            return if offset < a.bytes {
                format!("byte {offset} of {}, {} bytes", a.name, a.bytes)
            } else {
                let beyond = offset - a.bytes;
                format!(
                    "{beyond} bytes past the end of {} ({} bytes)",
                    a.name, a.bytes
                )
            };
        }
        let before = (1u64 << SLOT) - (address & ((1 << SLOT) - 1));
        match self.at(address.wrapping_add(before)) {
            Some((a, _)) if before < 1 << (SLOT - 1) => {
                format!("{before} bytes before {} ({} bytes)", a.name, a.bytes)
            }
            _ => "not near any allocation".into(),
        }
    }

    #[inline]
    fn locate(
        &self,
        address: u64,
        bytes: u32,
        is_write: bool,
    ) -> std::result::Result<(&Allocation, usize), Fault> {
        if let Some((allocation, offset)) = self.at(address)
            && offset + bytes as usize <= allocation.bytes
        {
            if !offset.is_multiple_of(bytes as usize) {
                let place = self.place(address);
                return Err(Fault::Misaligned {
                    address,
                    bytes,
                    place,
                });
            }
            let end = offset + bytes as usize;
            let is_open = |(open, writes): &(Range<usize>, bool)| {
                open.start <= offset && end <= open.end && (*writes || !is_write)
            };
            if self.is_restricted && !allocation.open.iter().any(is_open) {
                return Err(Fault::Unnamed {
                    what: if is_write { "writes" } else { "reads" },
                    address,
                    bytes,
                    place: self.place(address),
                });
            }
            return Ok((allocation, offset));
        }
        let place = self.place(address);
        Err(Fault::OutOfBounds {
            address,
            bytes,
            place,
        })
    }

    /// Loads `values.len()` consecutive values of `size` bytes each, aligned as one access.
    #[inline]
    pub(crate) fn load(
        &self,
        address: u64,
        size: u32,
        values: &mut [u64],
        actor: Actor,
    ) -> std::result::Result<(), Fault> {
        let bytes = size * values.len() as u32;
        let (allocation, offset) = self.locate(address, bytes, false)?;
        for (i, value) in values.iter_mut().enumerate() {
            let at = offset + i * size as usize;
            let word = at / 4;
            let (needed, shift) = byte_mask(at, size);
            let check = |word: usize, needed: u32| {
                let state = allocation.states[word].load(Relaxed);
                let writer = state >> 4;
                if state & needed != needed {
                    let place = self.place(address);
                    return Err(Fault::Uninitialised {
                        address,
                        bytes,
                        place,
                    });
                }
                self.allow("reads", (address, bytes), writer, actor)
            };
            check(word, needed)?;
            let low = u64::from(allocation.words[word].load(Relaxed));
            *value = match size {
                8 => {
                    check(word + 1, WRITTEN)?;
                    low | u64::from(allocation.words[word + 1].load(Relaxed)) << 32
                }
                4 => low,
                _ => low >> shift & ((1 << (8 * size)) - 1),
            };
        }
        Ok(())
    }

    /// Stores consecutive values of `size` bytes each, aligned as one access.
    #[inline]
    pub(crate) fn store(
        &self,
        address: u64,
        size: u32,
        values: &[u64],
        actor: Actor,
    ) -> std::result::Result<(), Fault> {
        let bytes = size * values.len() as u32;
        let (allocation, offset) = self.locate(address, bytes, true)?;
        self.writable(allocation, address, bytes)?;
        for (i, &value) in values.iter().enumerate() {
            let at = offset + i * size as usize;
            let word = at / 4;
            let (written, shift) = byte_mask(at, size);
            self.mark(allocation, word, written, actor, (address, bytes))?;
            match size {
                8 => {
                    self.mark(allocation, word + 1, WRITTEN, actor, (address, bytes))?;
                    allocation.words[word].store(value as u32, Relaxed);
                    allocation.words[word + 1].store((value >> 32) as u32, Relaxed);
                }
                4 => allocation.words[word].store(value as u32, Relaxed),
                _ => {
                    let mask = ((1u32 << (8 * size)) - 1) << shift;
                    let new = (value as u32) << shift & mask;
                    allocation.words[word].fetch_and(!mask, Relaxed);
                    allocation.words[word].fetch_or(new, Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Changes a word atomically and returns the old value.
    pub(crate) fn atomic(
        &self,
        address: u64,
        change: impl Fn(u32) -> u32,
    ) -> std::result::Result<u32, Fault> {
        let (allocation, offset) = self.locate(address, 4, true)?;
        self.writable(allocation, address, 4)?;
        let state = &allocation.states[offset / 4];
        if state.load(Relaxed) & WRITTEN != WRITTEN {
            let place = self.place(address);
            return Err(Fault::Uninitialised {
                address,
                bytes: 4,
                place,
            });
        }
        state.store(ATOMIC << 4 | WRITTEN, Relaxed);
        allocation.touched.store(true, Relaxed);
        let old = allocation.words[offset / 4].fetch_update(AcqRel, Acquire, |x| Some(change(x)));
        Ok(old.unwrap_or_else(|x| x))
    }

    fn writable(
        &self,
        allocation: &Allocation,
        address: u64,
        bytes: u32,
    ) -> std::result::Result<(), Fault> {
        if !allocation.read_only {
            return Ok(());
        }
        let place = self.place(address);
        Err(Fault::ReadOnly {
            address,
            bytes,
            place,
        })
    }

    /// Records that `actor` writes bytes of a word.
    #[inline]
    fn mark(
        &self,
        allocation: &Allocation,
        word: usize,
        written: u32,
        actor: Actor,
        (address, bytes): (u64, u32),
    ) -> std::result::Result<(), Fault> {
        let state = &allocation.states[word];
        let mut old = state.load(Relaxed);
        loop {
            let writer = old >> 4;
            self.allow("writes", (address, bytes), writer, actor)?;
            let new = actor.block << 4 | old & WRITTEN | written;
            if new == old {
                return Ok(());
            }
            match state.compare_exchange_weak(old, new, Relaxed, Relaxed) {
                Ok(_) => break,
                Err(now) => old = now,
            }
        }
        allocation.touched.store(true, Relaxed);
        Ok(())
    }

    /// Refuses an access to a word that another block wrote, if the two are not ordered.
    #[inline(always)]
    fn allow(
        &self,
        what: &'static str,
        at: (u64, u32),
        writer: u32,
        actor: Actor,
    ) -> std::result::Result<(), Fault> {
        match writer == 0 || writer == actor.block {
            true => Ok(()),
            false => self.ordered(what, at, writer, actor),
        }
    }

    fn ordered(
        &self,
        what: &'static str,
        (address, bytes): (u64, u32),
        writer: u32,
        actor: Actor,
    ) -> std::result::Result<(), Fault> {
        let other = writer - 1;
        let missing = match actor.acquired {
            Acquired::No => {
                return Err(Fault::GlobalRace {
                    what,
                    address,
                    bytes,
                    place: self.place(address),
                    other,
                });
            }
            _ if writer == ATOMIC => return Ok(()),
            Acquired::Unfenced => "the atomic operation of this block and this access",
            Acquired::Yes if actor.released.get(other) => return Ok(()),
            Acquired::Yes => "that write and the atomic operation of its block",
        };
        Err(Fault::Unfenced {
            what,
            address,
            bytes,
            place: self.place(address),
            other,
            missing,
        })
    }
}

/// The bytes of its first word that an access covers, and the position of its lowest bit in it.
#[inline(always)]
fn byte_mask(at: usize, size: u32) -> (u32, u32) {
    match size {
        4 | 8 => (WRITTEN, 0),
        _ => {
            let byte = (at % 4) as u32;
            (((1 << size) - 1) << byte, 8 * byte)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restricted_launch_goes_only_where_it_is_named() {
        let mut memory = Memory::new();
        let [x, y] = ["x", "y"].map(|name| memory.alloc_f32(name, &[1.0; 8]).address());
        let actor = Actor {
            block: 1,
            acquired: Acquired::No,
            released: &Released::new(1),
        };
        let named = |range, is_written| Touched { range, is_written };
        let touched = [named(x..x + 16, false), named(x + 16..x + 24, true)];
        memory.restrict(&touched);
        let load = |memory: &Memory, at, n: usize| memory.load(at, 4, &mut vec![0; n], actor);
        let store = |memory: &Memory, at, n: usize| memory.store(at, 4, &vec![0; n], actor);
        assert_eq!(load(&memory, x, 4), Ok(()));
        assert_eq!(load(&memory, x + 16, 2), Ok(()));
        assert_eq!(store(&memory, x + 16, 2), Ok(()));
        for fault in [
            store(&memory, x, 1),
            load(&memory, x + 16, 4),
            load(&memory, y, 1),
        ] {
            let fault = fault.expect_err("not named so");
            assert!(matches!(fault, Fault::Unnamed { .. }), "{fault}");
        }
        assert!(memory.atomic(x + 12, |v| v).is_err());
        memory.release(&touched);
        assert_eq!(load(&memory, y, 4), Ok(()));
        assert_eq!(store(&memory, x, 1), Ok(()));
    }
}
