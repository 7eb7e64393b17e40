//! Shared memory of one block, with a record of the accesses to each part of it since the last barrier.
//!
//! Accesses of different threads are ordered by a barrier of the block, and within a warp also by `bar.warp.sync`.
//! A write and another access to the same bytes that are not ordered are a data race, whatever the order in which the
//! interpreter executes them.

use crate::error::{Dim, Fault};

/// No thread.
const NONE: u32 = u32::MAX;

/// The last accesses to one granule.
#[derive(Clone, Copy)]
struct Record {
    /// The last write: its thread and times.
    writer: Access,
    /// The last read.
    reader: Access,
    /// Another lane of the reader's warp that read it at the same time.
    lane: u32,
    /// A thread of another warp that read it since the same barrier.
    second: u32,
    /// Whether an asynchronous copy by `writer` is pending.
    pending: bool,
    written: bool,
}

/// Who and when: the number of barriers that the block and the warp had passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) thread: u32,
    pub(crate) barrier: u32,
    pub(crate) warp_barrier: u32,
}

impl Access {
    /// Whether `self`, an earlier access, is not ordered before `now`.
    #[inline(always)]
    pub(crate) fn races(&self, now: &Access) -> bool {
        self.barrier == now.barrier
            && self.thread != now.thread
            && self.thread != NONE
            && (self.thread / 32 != now.thread / 32 || self.warp_barrier == now.warp_barrier)
    }
}

const NEVER: Access = Access {
    thread: NONE,
    barrier: 0,
    warp_barrier: 0,
};

const UNUSED: Record = Record {
    writer: NEVER,
    reader: NEVER,
    lane: NONE,
    second: NONE,
    pending: false,
    written: false,
};

impl Record {
    fn note_reader(&mut self, now: Access) {
        let last = self.reader;
        if last.barrier != now.barrier || last.thread == NONE {
            (self.lane, self.second) = (NONE, NONE);
        } else if last.thread / 32 != now.thread / 32 {
            (self.lane, self.second) = (NONE, last.thread);
        } else if last.warp_barrier != now.warp_barrier {
            self.lane = NONE;
        } else if last.thread != now.thread {
            self.lane = last.thread;
        }
        self.reader = now;
    }

    /// A thread whose read is not ordered before a write at `now`.
    fn racing_reader(&self, now: &Access) -> Option<u32> {
        if self.reader.races(now) {
            return Some(self.reader.thread);
        }
        if self.reader.barrier != now.barrier {
            return None;
        }
        // Readers of two warps: one of them is not the writer's.
        if self.second != NONE && self.second / 32 != now.thread / 32 {
            return Some(self.second);
        }
        let same_time = self.reader.warp_barrier == now.warp_barrier;
        (self.lane != NONE && same_time && self.reader.thread / 32 == now.thread / 32)
            .then_some(self.lane)
    }
}

/// The shared memory of one block.
pub(crate) struct Shared {
    data: Vec<u8>,
    records: Vec<Record>,
    /// Bytes per record: the smallest access of the kernel.
    granule: u32,
    block: [u32; 3],
}

impl Shared {
    pub(crate) fn new(bytes: usize, granule: u32, block: [u32; 3]) -> Shared {
        Shared {
            data: vec![0; bytes],
            records: vec![UNUSED; bytes.div_ceil(granule as usize)],
            granule,
            block,
        }
    }

    fn dim(&self, thread: u32) -> Dim {
        let [x, y, _] = self.block;
        Dim([thread % x, thread / x % y, thread / x / y])
    }

    fn place(&self) -> String {
        format!("shared memory, {} bytes", self.data.len())
    }

    #[inline]
    fn locate(&self, address: u64, bytes: u32) -> Result<usize, Fault> {
        let end = address.checked_add(u64::from(bytes));
        if end.is_none_or(|end| end > self.data.len() as u64) {
            return Err(Fault::OutOfBounds {
                address,
                bytes,
                place: self.place(),
            });
        }
        if !address.is_multiple_of(u64::from(bytes)) {
            return Err(Fault::Misaligned {
                address,
                bytes,
                place: self.place(),
            });
        }
        Ok(address as usize)
    }

    fn race(
        &self,
        what: &'static str,
        did: &'static str,
        address: usize,
        bytes: u32,
        other: u32,
    ) -> Fault {
        Fault::SharedRace {
            what,
            did,
            address: address as u64,
            bytes,
            other: self.dim(other),
        }
    }

    /// Checks a read and returns its bytes.
    #[inline]
    pub(crate) fn read(&mut self, address: u64, bytes: u32, now: Access) -> Result<&[u8], Fault> {
        let at = self.locate(address, bytes)?;
        let granule = self.granule as usize;
        for i in at / granule..(at + bytes as usize).div_ceil(granule) {
            let mut record = self.records[i];
            if record.pending {
                let other = record.writer.thread;
                return Err(self.race("reads", "is still copying to", at, bytes, other));
            }
            if !record.written {
                return Err(Fault::Uninitialised {
                    address,
                    bytes,
                    place: self.place(),
                });
            }
            if record.writer.races(&now) {
                let other = record.writer.thread;
                return Err(self.race("reads", "writes", at, bytes, other));
            }
            record.note_reader(now);
            self.records[i] = record;
        }
        Ok(&self.data[at..at + bytes as usize])
    }

    /// Checks a write and returns its bytes.
    #[inline]
    pub(crate) fn write(
        &mut self,
        address: u64,
        bytes: u32,
        now: Access,
        pending: bool,
    ) -> Result<&mut [u8], Fault> {
        let at = self.locate(address, bytes)?;
        let granule = self.granule as usize;
        for i in at / granule..(at + bytes as usize).div_ceil(granule) {
            let mut record = self.records[i];
            if record.pending {
                let other = record.writer.thread;
                return Err(self.race("writes", "is still copying to", at, bytes, other));
            }
            if record.writer.races(&now) {
                return Err(self.race("writes", "writes", at, bytes, record.writer.thread));
            }
            if let Some(other) = record.racing_reader(&now) {
                return Err(self.race("writes", "reads", at, bytes, other));
            }
            record.writer = now;
            record.written = true;
            record.pending = pending;
            self.records[i] = record;
        }
        Ok(&mut self.data[at..at + bytes as usize])
    }

    /// An asynchronous copy is complete: from `now` on its bytes count as written by its thread.
    pub(crate) fn arrived(&mut self, address: usize, bytes: usize, now: Access) {
        let granule = self.granule as usize;
        for record in &mut self.records[address / granule..(address + bytes).div_ceil(granule)] {
            record.writer = now;
            record.pending = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(thread: u32, barrier: u32, warp_barrier: u32) -> Access {
        Access {
            thread,
            barrier,
            warp_barrier,
        }
    }

    fn shared() -> Shared {
        let mut shared = Shared::new(64, 4, [64, 1, 1]);
        shared.write(0, 4, at(0, 0, 0), false).unwrap();
        shared
    }

    #[test]
    fn a_barrier_orders_a_write_and_a_read() {
        assert!(shared().read(0, 4, at(1, 0, 0)).is_err());
        assert!(shared().read(0, 4, at(1, 1, 0)).is_ok());
        assert!(shared().read(0, 4, at(0, 0, 0)).is_ok());
    }

    #[test]
    fn a_warp_barrier_orders_lanes_of_that_warp_only() {
        assert!(shared().read(0, 4, at(1, 0, 1)).is_ok());
        assert!(shared().read(0, 4, at(33, 0, 1)).is_err());
    }

    #[test]
    fn a_write_races_with_every_earlier_reader() {
        // Readers in any order; the writer may be one of them.
        for readers in [
            &[1][..],
            &[1, 33],
            &[33, 1],
            &[0, 1],
            &[1, 0],
            &[33, 0],
            &[0, 33],
        ] {
            let mut s = shared();
            for &reader in readers {
                s.read(0, 4, at(reader, 1, 0)).unwrap();
            }
            assert!(s.write(0, 4, at(0, 1, 0), false).is_err(), "{readers:?}");
        }
        let mut s = shared();
        s.read(0, 4, at(0, 1, 0)).unwrap();
        assert!(s.write(0, 4, at(0, 1, 0), false).is_ok());
        // Its own warp's readers are ordered by bar.warp.sync, others are not.
        let mut s = shared();
        s.read(0, 4, at(5, 1, 0)).unwrap();
        assert!(s.write(0, 4, at(0, 1, 1), false).is_ok());
        let mut s = shared();
        s.read(0, 4, at(33, 1, 0)).unwrap();
        s.read(0, 4, at(5, 1, 0)).unwrap();
        assert!(s.write(0, 4, at(0, 1, 1), false).is_err());
    }

    #[test]
    fn a_copy_under_way_is_nobodys() {
        let mut s = shared();
        s.write(4, 4, at(3, 0, 0), true).unwrap();
        assert!(s.read(4, 4, at(3, 0, 0)).is_err());
        s.arrived(4, 4, at(3, 0, 0));
        assert!(s.read(4, 4, at(3, 0, 0)).is_ok());
        assert!(s.read(4, 4, at(4, 0, 0)).is_err());
        assert!(s.read(4, 4, at(4, 1, 0)).is_ok());
    }
}
