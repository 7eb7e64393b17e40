//! Order among the blocks of a launch. What a block wrote may be used by another one after: its write, a fence, its atomic
//! operation; the other's atomic operation, a fence, the use (in PTX's memory model release and acquire patterns). Within a
//! block, barriers carry that order from thread to thread.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::shared::Access;

/// Whether a thread may use what other blocks wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// Not: no atomic operation of its block comes before.
    No,
    /// Not yet: an atomic operation does, but no fence after it.
    Unfenced,
    Yes,
}

/// By block of a launch: whether its last atomic operation released what it had written.
pub(crate) struct Released(Vec<AtomicBool>);

impl Released {
    pub(crate) fn new(blocks: u64) -> Released {
        Released((0..blocks).map(|_| AtomicBool::new(false)).collect())
    }

    fn set(&self, block: u32, is_released: bool) {
        self.0[block as usize].store(is_released, Relaxed);
    }

    pub(crate) fn get(&self, block: u32) -> bool {
        self.0[block as usize].load(Relaxed)
    }
}

/// What a thread has done last.
#[derive(Clone, Copy, Default)]
struct Thread {
    /// Its write of global memory that no fence orders yet.
    written: Option<Access>,
    /// Its atomic operation that no fence follows yet.
    counted: Option<Access>,
    has_acquired: bool,
}

/// What a block has done.
pub(crate) struct Order<'a> {
    block: u32,
    threads: Vec<Thread>,
    /// Whether a thread has executed an atomic operation.
    has_counted: bool,
    /// The atomic operation that released what was written.
    released: Option<Access>,
    /// The first fence after an atomic operation.
    acquired: Option<Access>,
    blocks: &'a Released,
}

impl<'a> Order<'a> {
    pub(crate) fn new(block: u32, threads: u32, blocks: &'a Released) -> Order<'a> {
        Order {
            block,
            threads: vec![Thread::default(); threads as usize],
            has_counted: false,
            released: None,
            acquired: None,
            blocks,
        }
    }

    pub(crate) fn blocks(&self) -> &'a Released {
        self.blocks
    }

    /// What the thread of `now` may use.
    #[inline]
    pub(crate) fn acquired(&self, now: &Access) -> Acquired {
        if !self.has_counted {
            return Acquired::No;
        }
        let is_after = self.acquired.is_some_and(|fence| !fence.races(now));
        match is_after || self.threads[now.thread as usize].has_acquired {
            true => Acquired::Yes,
            false => Acquired::Unfenced,
        }
    }

    /// A write of global memory.
    #[inline]
    pub(crate) fn write(&mut self, now: Access) {
        self.threads[now.thread as usize].written = Some(now);
        // Another thread's release does not order it.
        if self.released.is_some_and(|r| r.races(&now)) {
            self.released = None;
            self.blocks.set(self.block, false);
        }
    }

    /// A fence orders all that comes before it in its thread, and what barriers order before it.
    pub(crate) fn fence(&mut self, now: Access) {
        self.release(now);
        self.acquire(now);
    }

    /// What was written before `now` is ordered before what follows.
    pub(crate) fn release(&mut self, now: Access) {
        for thread in &mut self.threads {
            thread.written = thread.written.filter(|w| w.races(&now));
        }
    }

    /// What was seen before `now` is ordered before what follows.
    pub(crate) fn acquire(&mut self, now: Access) {
        let mut counted = self.threads.iter().filter_map(|t| t.counted);
        if counted.any(|c| !c.races(&now)) {
            self.threads[now.thread as usize].has_acquired = true;
            self.acquired = self.acquired.or(Some(now));
        }
    }

    /// An atomic operation, or a load that acquires, may see what another block has released.
    pub(crate) fn see(&mut self, now: Access) {
        self.has_counted = true;
        self.threads[now.thread as usize].counted = Some(now);
    }

    /// An atomic operation releases what the block has written if fences have ordered all of it.
    pub(crate) fn atomic(&mut self, now: Access) {
        self.see(now);
        let is_released = self.threads.iter().all(|t| t.written.is_none());
        self.released = is_released.then_some(now);
        self.blocks.set(self.block, is_released);
    }
}
