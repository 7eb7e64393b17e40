//! Loads, stores, atomic operations and asynchronous copies.

use super::{Copy, Done, Warp, lanes};
use crate::counts::{GlobalTraffic, SharedTraffic};
use crate::error::Fault;
use crate::inst::{Access, Atomic, CONSTANT_WINDOW, LOCAL_WINDOW, Reg, SHARED_WINDOW, SINK, Space};
use crate::number::Type;
use crate::shared;
use crate::state::State;

const ACCESSES: &str = "accesses global memory";

impl Warp {
    pub(super) fn now(&self, lane: usize, state: &State) -> shared::Access {
        shared::Access {
            thread: 32 * self.number + lane as u32,
            barrier: state.barrier,
            warp_barrier: self.barrier,
        }
    }

    /// A lane's address, and the space it is in.
    fn resolve(&self, access: &Access, lane: usize) -> (Space, u64) {
        let address = self.reg(access.base)[lane].wrapping_add(access.offset as u64);
        match access.space {
            Space::Generic if address >= CONSTANT_WINDOW => (Space::Global, address),
            Space::Generic if address >= LOCAL_WINDOW => (Space::Local, address - LOCAL_WINDOW),
            Space::Generic if address >= SHARED_WINDOW => (Space::Shared, address - SHARED_WINDOW),
            Space::Generic => (Space::Global, address),
            // Addresses of shared memory have 32 bits where the kernel computes them so.
            Space::Shared => (Space::Shared, address & 0xffff_ffff),
            space => (space, address),
        }
    }

    pub(super) fn load(&mut self, access: &Access, mask: u32, state: &mut State) -> Done {
        let (size, n) = (access.ty.bytes(), access.registers.len());
        let bytes = size * n as u32;
        let mut traffic = Traffic::default();
        for lane in lanes(mask) {
            let (space, address) = self.resolve(access, lane);
            let mut values = [0u64; 4];
            let values = &mut values[..n];
            let fault = |fault| (lane as u32, fault);
            match space {
                Space::Global | Space::Generic => {
                    self.check_waited(ACCESSES, 1 << lane)?;
                    traffic.global(address);
                    let now = self.now(lane, state);
                    let actor = state.actor(&now);
                    let memory = match address.checked_sub(CONSTANT_WINDOW) {
                        None => state.memory.load(address, size, values, actor),
                        Some(at) => state.constants.load(at, size, values, actor),
                    };
                    memory.map_err(fault)?;
                    if access.acquires {
                        state.order.see(now);
                        state.order.acquire(now);
                    }
                }
                Space::Shared => {
                    traffic.shared(lane, address);
                    let now = self.now(lane, state);
                    let found = state.shared.read(address, bytes, now).map_err(fault)?;
                    unpack(found, size, values);
                }
                Space::Local => {
                    let at = self.local_at(address, bytes).map_err(fault)?;
                    unpack(&self.local[at + lane * self.local_bytes()..], size, values);
                    let written = &self.local_written[at + lane * self.local_bytes()..];
                    if !written[..bytes as usize].iter().all(|w| *w) {
                        let place = "local memory".to_string();
                        return Err(fault(Fault::Uninitialised {
                            address,
                            bytes,
                            place,
                        }));
                    }
                }
                Space::Param => {
                    let end = address as usize + bytes as usize;
                    let Some(found) = state.params.get(address as usize..end) else {
                        let place = format!("parameters, {} bytes", state.params.len());
                        return Err(fault(Fault::OutOfBounds {
                            address,
                            bytes,
                            place,
                        }));
                    };
                    unpack(found, size, values);
                }
            }
            for (d, value) in access.registers.iter().zip(values) {
                if *d != SINK {
                    self.file[*d as usize][lane] = sign_extended(*value, access.ty);
                }
            }
        }
        traffic.count(
            bytes,
            &mut state.counts.global_loads,
            &mut state.counts.shared_loads,
        );
        Ok(())
    }

    pub(super) fn store(&mut self, access: &Access, mask: u32, state: &mut State) -> Done {
        let (size, n) = (access.ty.bytes(), access.registers.len());
        let bytes = size * n as u32;
        let mut traffic = Traffic::default();
        for lane in lanes(mask) {
            let (space, address) = self.resolve(access, lane);
            let mut values = [0u64; 4];
            for (value, r) in values.iter_mut().zip(&access.registers) {
                *value = self.reg(*r)[lane];
            }
            let values = &values[..n];
            let fault = |fault| (lane as u32, fault);
            match space {
                Space::Global | Space::Generic => {
                    self.check_waited(ACCESSES, 1 << lane)?;
                    traffic.global(address);
                    let now = self.now(lane, state);
                    let actor = state.actor(&now);
                    let stored = match address.checked_sub(CONSTANT_WINDOW) {
                        None => state.memory.store(address, size, values, actor),
                        Some(at) => state.constants.store(at, size, values, actor),
                    };
                    stored.map_err(fault)?;
                    state.order.write(now);
                }
                Space::Shared => {
                    traffic.shared(lane, address);
                    let now = self.now(lane, state);
                    let to = state
                        .shared
                        .write(address, bytes, now, false)
                        .map_err(fault)?;
                    pack(values, size, to);
                }
                Space::Local => {
                    let at = self.local_at(address, bytes).map_err(fault)?;
                    let at = at + lane * self.local_bytes();
                    let range = at..at + bytes as usize;
                    pack(values, size, &mut self.local[range.clone()]);
                    self.local_written[range].fill(true);
                }
                Space::Param => {
                    let place = "parameters".to_string();
                    return Err(fault(Fault::ReadOnly {
                        address,
                        bytes,
                        place,
                    }));
                }
            }
        }
        traffic.count(
            bytes,
            &mut state.counts.global_stores,
            &mut state.counts.shared_stores,
        );
        Ok(())
    }

    fn local_bytes(&self) -> usize {
        self.local.len() / 32
    }

    fn local_at(&self, address: u64, bytes: u32) -> Result<usize, Fault> {
        let place = || format!("local memory, {} bytes", self.local_bytes());
        let end = address.checked_add(u64::from(bytes));
        if end.is_none_or(|end| end > self.local_bytes() as u64) {
            let place = place();
            return Err(Fault::OutOfBounds {
                address,
                bytes,
                place,
            });
        }
        if !address.is_multiple_of(u64::from(bytes)) {
            let place = place();
            return Err(Fault::Misaligned {
                address,
                bytes,
                place,
            });
        }
        Ok(address as usize)
    }

    pub(super) fn atomic(
        &mut self,
        d: Reg,
        at: &Access,
        f: Atomic,
        (b, c): (Reg, Reg),
        mask: u32,
        state: &mut State,
    ) -> Done {
        for lane in lanes(mask) {
            let (_, address) = self.resolve(at, lane);
            let (b, c) = (self.reg(b)[lane] as u32, self.reg(c)[lane] as u32);
            let change = |old: u32| match f {
                Atomic::Add => old.wrapping_add(b),
                Atomic::Inc => {
                    if old >= b {
                        0
                    } else {
                        old + 1
                    }
                }
                Atomic::Exchange => b,
                Atomic::CompareSwap => {
                    if old == b {
                        c
                    } else {
                        old
                    }
                }
                Atomic::Min => old.min(b),
                Atomic::Max => old.max(b),
                Atomic::And => old & b,
                Atomic::Or => old | b,
            };
            self.check_waited(ACCESSES, 1 << lane)?;
            let now = self.now(lane, state);
            if at.releases {
                state.order.release(now);
            }
            state.order.atomic(now);
            let old = state.memory.atomic(address, change);
            let old = old.map_err(|fault| (lane as u32, fault))?;
            if d != SINK {
                self.file[d as usize][lane] = u64::from(old);
            }
            if at.acquires {
                state.order.acquire(now);
            }
        }
        Ok(())
    }

    pub(super) fn copy(
        &mut self,
        to: (Reg, i64),
        from: (Reg, i64),
        bytes: u32,
        given: Option<Reg>,
        mask: u32,
        state: &mut State,
    ) -> Done {
        let mut traffic = Traffic::default();
        for lane in lanes(mask) {
            let fault = |fault| (lane as u32, fault);
            let at = |(base, offset): (Reg, i64)| self.reg(base)[lane].wrapping_add(offset as u64);
            let (to, from) = (at(to) & 0xffff_ffff, at(from));
            let given = given.map_or(bytes, |g| (self.reg(g)[lane] as u32).min(bytes));
            let mut values = [0u64; 4];
            // Devices may refuse such an address also where nothing is read from it.
            if !from.is_multiple_of(u64::from(bytes)) {
                let place = state.memory.place(from);
                return Err(fault(Fault::Misaligned {
                    address: from,
                    bytes,
                    place,
                }));
            }
            if given > 0 {
                self.check_waited(ACCESSES, 1 << lane)?;
                traffic.global(from);
                let actor = state.actor(&self.now(lane, state));
                let words = given.div_ceil(4) as usize;
                for (i, value) in values[..words].iter_mut().enumerate() {
                    let address = from + 4 * i as u64;
                    let value = std::slice::from_mut(value);
                    state.memory.load(address, 4, value, actor).map_err(fault)?;
                }
            }
            traffic.shared(lane, to);
            let now = self.now(lane, state);
            let slot = state.shared.write(to, bytes, now, true).map_err(fault)?;
            pack(&values[..bytes as usize / 4], 4, slot);
            self.copies.push(Copy {
                lane: lane as u32,
                group: self.committed[lane],
                address: to as usize,
                bytes: bytes as usize,
            });
        }
        traffic.count(
            bytes,
            &mut state.counts.global_loads,
            &mut state.counts.shared_stores,
        );
        Ok(())
    }

    pub(super) fn copy_wait(&mut self, left: Option<usize>, mask: u32, state: &mut State) {
        let committed = self.committed;
        let (arrived, waiting) =
            std::mem::take(&mut self.copies)
                .into_iter()
                .partition(|c: &Copy| {
                    let lane = c.lane as usize;
                    let done = left.is_none_or(|left| c.group + left < committed[lane]);
                    done && mask >> lane & 1 == 1
                });
        self.copies = waiting;
        let arrived: Vec<Copy> = arrived;
        for c in arrived {
            let now = self.now(c.lane as usize, state);
            state.shared.arrived(c.address, c.bytes, now);
        }
    }
}

/// The addresses of one instruction.
#[derive(Default)]
struct Traffic {
    global: [u64; 32],
    globals: usize,
    shared: [(u32, u64); 32],
    shareds: usize,
}

impl Traffic {
    fn global(&mut self, address: u64) {
        self.global[self.globals] = address;
        self.globals += 1;
    }

    fn shared(&mut self, lane: usize, address: u64) {
        self.shared[self.shareds] = (lane as u32, address);
        self.shareds += 1;
    }

    fn count(&self, bytes: u32, global: &mut GlobalTraffic, shared: &mut SharedTraffic) {
        if self.globals > 0 {
            global.request(&self.global[..self.globals], bytes);
        }
        if self.shareds > 0 {
            shared.request(&self.shared[..self.shareds], bytes);
        }
    }
}

fn unpack(bytes: &[u8], size: u32, values: &mut [u64]) {
    for (value, part) in values.iter_mut().zip(bytes.chunks_exact(size as usize)) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        *value = u64::from_le_bytes(word);
    }
}

fn pack(values: &[u64], size: u32, bytes: &mut [u8]) {
    for (value, part) in values.iter().zip(bytes.chunks_exact_mut(size as usize)) {
        part.copy_from_slice(&value.to_le_bytes()[..size as usize]);
    }
}

fn sign_extended(value: u64, ty: Type) -> u64 {
    match ty {
        Type::S8 => i64::from(value as i8) as u64,
        Type::S16 => i64::from(value as i16) as u64,
        Type::S32 => i64::from(value as i32) as u64,
        _ => value,
    }
}
