//! The cost of a launch, counted as the hardware would execute it.

use std::fmt;
use std::ops::AddAssign;

/// The class of an instruction, by execution unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Integers, bits, comparisons, moves.
    Integer,
    /// `f32` additions, multiplications, comparisons and the like.
    Float,
    /// `f32` fused multiply-adds.
    Fma,
    /// `f64`.
    Double,
    /// Divisions, square roots, exponentials: several instructions or the special function unit.
    Special,
    /// Conversions between numeric types.
    Convert,
    /// Warp-wide matrix multiply-adds.
    Matrix,
    /// Loads and stores of global memory.
    Global,
    /// Loads and stores of shared memory.
    Shared,
    /// Loads of parameters and constants, local memory.
    OtherMemory,
    /// Atomic operations.
    Atomic,
    /// Data exchange among the lanes of a warp.
    Shuffle,
    /// Barriers, fences, waits.
    Barrier,
    /// Branches and returns.
    Branch,
}

impl Class {
    /// Every class, in the order in which they are shown.
    pub const ALL: [Class; 14] = [
        Class::Integer,
        Class::Float,
        Class::Fma,
        Class::Double,
        Class::Special,
        Class::Convert,
        Class::Matrix,
        Class::Global,
        Class::Shared,
        Class::OtherMemory,
        Class::Atomic,
        Class::Shuffle,
        Class::Barrier,
        Class::Branch,
    ];
}

/// Instructions of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassCount {
    /// Issued by warps.
    pub warps: u64,
    /// Executed by threads: at most 32 per warp instruction.
    pub threads: u64,
}

/// Loads or stores of global memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GlobalTraffic {
    /// Instructions of warps.
    pub requests: u64,
    /// Sectors of 32 bytes that they access.
    pub sectors: u64,
    /// Bytes requested by the threads.
    pub bytes: u64,
}

impl GlobalTraffic {
    /// Sectors per request: 4 for 32 consecutive words, 32 if each lane accesses another sector.
    pub fn sectors_per_request(&self) -> f64 {
        self.sectors as f64 / self.requests.max(1) as f64
    }

    /// Bytes requested per byte moved; above 1 if lanes read the same bytes.
    pub fn efficiency(&self) -> f64 {
        self.bytes as f64 / (32 * self.sectors.max(1)) as f64
    }
}

/// Loads and stores of shared memory: 32 banks of 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SharedTraffic {
    /// Instructions of warps.
    pub requests: u64,
    /// Passes over the banks that they take: in a pass, each bank serves at most one word. A warp's accesses of
    /// 8 bytes are served in half-warps, those of 16 bytes in quarter-warps.
    pub passes: u64,
    /// Passes needed without bank conflicts.
    pub ideal: u64,
    /// Passes where parts of a warp that access the same words are served together, as some devices do.
    pub merged: u64,
}

impl SharedTraffic {
    /// Passes that bank conflicts add.
    pub fn conflicts(&self) -> u64 {
        self.passes - self.ideal
    }
}

/// The cost of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    classes: [ClassCount; Class::ALL.len()],
    /// Additions and multiplications of floating-point numbers (a fused one counts two).
    pub flops: u64,
    /// Loads of global memory.
    pub global_loads: GlobalTraffic,
    /// Stores to global memory.
    pub global_stores: GlobalTraffic,
    /// Loads of shared memory.
    pub shared_loads: SharedTraffic,
    /// Stores to shared memory.
    pub shared_stores: SharedTraffic,
    /// Barriers passed, each counted once per block.
    pub barriers: u64,
}

impl Counts {
    /// Instructions of one class.
    pub fn class(&self, class: Class) -> ClassCount {
        self.classes[class as usize]
    }

    /// Instructions of all classes.
    pub fn total(&self) -> ClassCount {
        let mut total = ClassCount::default();
        for c in &self.classes {
            total.warps += c.warps;
            total.threads += c.threads;
        }
        total
    }

    /// Share of the lanes that were active, from 0 to 1.
    pub fn active_lanes(&self) -> f64 {
        let total = self.total();
        total.threads as f64 / (32 * total.warps.max(1)) as f64
    }

    #[inline]
    pub(crate) fn executed(&mut self, class: Class, lanes: u32, flops: u32) {
        let count = &mut self.classes[class as usize];
        count.warps += 1;
        count.threads += u64::from(lanes);
        self.flops += u64::from(flops) * u64::from(lanes);
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        for (a, b) in self.classes.iter_mut().zip(other.classes) {
            a.warps += b.warps;
            a.threads += b.threads;
        }
        for (a, b) in [
            (&mut self.global_loads, other.global_loads),
            (&mut self.global_stores, other.global_stores),
        ] {
            a.requests += b.requests;
            a.sectors += b.sectors;
            a.bytes += b.bytes;
        }
        for (a, b) in [
            (&mut self.shared_loads, other.shared_loads),
            (&mut self.shared_stores, other.shared_stores),
        ] {
            a.requests += b.requests;
            a.passes += b.passes;
            a.ideal += b.ideal;
            a.merged += b.merged;
        }
        self.flops += other.flops;
        self.barriers += other.barriers;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        writeln!(
            f,
            "{:<14} {:>14} {:>16}",
            "instructions", "warps", "threads"
        )?;
        for class in Class::ALL {
            let c = self.class(class);
            if c.warps > 0 {
                let name = match class {
                    Class::OtherMemory => "other memory".to_string(),
                    _ => format!("{class:?}").to_lowercase(),
                };
                writeln!(f, "  {name:<12} {:>14} {:>16}", c.warps, c.threads)?;
            }
        }
        writeln!(
            f,
            "  {:<12} {:>14} {:>16}",
            "total", total.warps, total.threads
        )?;
        let lanes = 100.0 * self.active_lanes();
        writeln!(
            f,
            "active lanes   {lanes:.1} %, flop {}, barriers {}",
            self.flops, self.barriers
        )?;
        for (name, t) in [
            ("global loads", self.global_loads),
            ("global stores", self.global_stores),
        ] {
            writeln!(
                f,
                "{name:<14} {} requests, {:.2} sectors each, {} bytes requested, {:.0} % of the bytes moved",
                t.requests,
                t.sectors_per_request(),
                t.bytes,
                100.0 * t.efficiency()
            )?;
        }
        for (name, t) in [
            ("shared loads", self.shared_loads),
            ("shared stores", self.shared_stores),
        ] {
            writeln!(
                f,
                "{name:<14} {} requests in {} passes, {} of them due to bank conflicts",
                t.requests,
                t.passes,
                t.conflicts()
            )?;
        }
        Ok(())
    }
}

impl GlobalTraffic {
    /// One request: each address in `addresses` for `bytes` bytes.
    pub(crate) fn request(&mut self, addresses: &[u64], bytes: u32) {
        let mut sectors = [0u64; 64];
        let mut n = 0;
        for address in addresses {
            // Aligned accesses of at most 16 bytes lie in one sector.
            let sector = address >> 5;
            if n == 0 || (sectors[n - 1] != sector && !sectors[..n].contains(&sector)) {
                sectors[n] = sector;
                n += 1;
            }
        }
        self.requests += 1;
        self.sectors += n as u64;
        self.bytes += u64::from(bytes) * addresses.len() as u64;
    }
}

impl SharedTraffic {
    /// One request: (lane, address) of each active lane, for `bytes` bytes.
    pub(crate) fn request(&mut self, accesses: &[(u32, u64)], bytes: u32) {
        self.requests += 1;
        self.merged += passes(accesses, bytes);
        let lanes = 32 / (bytes / 4).max(1);
        let mut rest = accesses;
        while let Some(&(lane, _)) = rest.first() {
            let part = lane / lanes;
            let end = rest.iter().position(|(l, _)| l / lanes != part);
            let (group, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            self.ideal += 1;
            self.passes += passes(group, bytes);
        }
    }
}

/// The largest number of different words that lanes access in one bank.
fn passes(group: &[(u32, u64)], bytes: u32) -> u64 {
    let mut words = [0u64; 128];
    let mut banks = [0u8; 32];
    let mut n = 0;
    for (_, address) in group {
        for word in 0..u64::from(bytes.div_ceil(4)) {
            let word = address / 4 + word;
            if !words[..n].contains(&word) {
                words[n] = word;
                n += 1;
                banks[word as usize % 32] += 1;
            }
        }
    }
    u64::from(banks.iter().copied().max().unwrap_or(1))
}
