//! Ladders of kernels on every device at hand: verified, then timed in turns, beside what the device could do.

mod page;
mod table;

pub use page::page;
pub use table::{Format, table};

use std::collections::BTreeMap;
use std::time::Instant;

use ganforge_kernels::cpu::gemm::measured_peak_gflops;
use ganforge_kernels::cpu::measured_bandwidth_gbs;
use ganforge_kernels::cuda::{self, roofline};
use ganforge_kernels::ladder::{Ladder, Rung, Work};

use crate::engine::Place;
use crate::error::Result;
use crate::profile::Roofline;

/// Each kernel runs for about this long in a round.
const ROUND_SECONDS: f64 = 4e-3;
/// Rounds, in which the kernels of a ladder take turns; the best one of each counts.
const ROUNDS: usize = 7;
/// No further round for a kernel that has run this long.
const SLOW_SECONDS: f64 = 0.5;
/// Bytes of the copy that a device's bandwidth is measured with.
const DEVICE_BYTES: usize = 256 << 20;
/// Blocks and steps that a device's peak is measured with.
const DEVICE_PEAK: (usize, usize) = (132 * 16, 1 << 12);

/// A kernel's figures for one work on one device.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// "matmul", "maxout", ...
    pub family: &'static str,
    /// The sizes.
    pub size: String,
    /// "cpu" or the device.
    pub device: String,
    /// The kernel.
    pub kernel: String,
    /// What it does otherwise than the one above.
    pub about: &'static str,
    /// Whether it is what a plan runs.
    pub is_used: bool,
    /// Microseconds: the best round's mean.
    pub us: f64,
    /// 10^9 floating-point operations per second, of those that the result needs.
    pub gflops: f64,
    /// 10^9 bytes per second, each operand read or written once.
    pub gbs: f64,
    /// Floating-point operations per byte.
    pub intensity: f64,
    /// What the device reaches.
    pub machine: Roofline,
    /// "compute" or "memory": the side of the roofline that the work meets.
    pub bound: &'static str,
    /// The time that the roofline allows as a share of the time it took. The bandwidth is that of as many bytes as the
    /// work has, so of a cache where they fit.
    pub roofline: f64,
    /// How many times faster than the ladder's first kernel.
    pub speedup: f64,
}

/// From which batch on a device is faster than the CPU at a layer's product.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Win {
    /// The device.
    pub device: String,
    /// The smallest batch of the sweep at which and above which it wins; none where it does not.
    pub batch: Option<usize>,
}

/// All figures.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct KernelBench {
    /// Threads of the CPU's pool.
    pub threads: usize,
    /// Instruction set of the CPU's products.
    pub isa: String,
    /// The devices beside the CPU: "cuda:0, NVIDIA H200".
    pub devices: Vec<String>,
    /// A row for each kernel.
    pub rows: Vec<Row>,
    /// A line for each device beside the CPU, where the sweep of batches was run.
    pub wins: Vec<Win>,
}

/// Times the ladders whose family and sizes contain `filter`, on each of `places`; `progress` is told what comes next.
///
/// # Errors
/// A kernel that computes something else; the device's. [`crate::Error::Mismatch`] where nothing contains `filter`.
pub fn measure(
    filter: &str,
    places: &[(String, Place)],
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<KernelBench> {
    let name = |work: &Work| format!("{} {work}", work.family());
    let mut works = Work::all();
    works.retain(|work| name(work).contains(filter));
    if works.is_empty() {
        let all: Vec<String> = Work::all().iter().map(name).collect();
        let known = all.join(", ");
        return Err(crate::Error::Mismatch(format!(
            "no kernel bench contains {filter:?}; there are: {known}"
        )));
    }
    let mut rooflines = Rooflines::default();
    let mut rows: Vec<Row> = Vec::new();
    let mut layers: BTreeMap<(String, usize), f64> = BTreeMap::new();
    let all = works
        .iter()
        .flat_map(|w| places.iter().map(move |p| (*w, p)));
    for (i, (work, (device, place))) in all.enumerate() {
        let count = works.len() * places.len();
        progress(&format!("{} on {device}", name(&work)), i, count);
        let mut ladder = match place {
            Place::Cpu => Ladder::on_cpu(work),
            Place::Device(device, _) => Ladder::on_device(work, device).map_err(failed)?,
        };
        ladder.verify().map_err(wrong)?;
        let seconds = best_times(&mut ladder)?;
        let machine = rooflines.of(device, place, work.bytes() as usize)?;
        for (rung, &s) in ladder.rungs.iter().zip(&seconds) {
            let row = Row::new(work, rung, device, machine, s);
            if let Some(batch) = work.swept_batch().filter(|_| rung.is_used) {
                layers.insert((device.clone(), batch), s);
            }
            rows.push(Row {
                speedup: seconds[0] / s,
                ..row
            });
        }
    }
    // Work of others on the machine can lower a measured peak, never raise it.
    let threads = rayon::current_num_threads();
    if rows.iter().any(|r| r.device == "cpu") {
        let again = measured_peak_gflops(threads);
        rows.iter_mut()
            .filter(|r| r.device == "cpu")
            .for_each(|r| r.raise_peak(again));
    }
    let devices = places.iter().filter_map(|(name, place)| match place {
        Place::Device(..) => Some((name, place)),
        Place::Cpu => None,
    });
    let about = |(name, place): (&String, &Place)| format!("{name}, {}", place.name());
    Ok(KernelBench {
        threads,
        isa: format!("{:?}", ganforge_kernels::cpu::gemm::isa()).to_lowercase(),
        wins: devices.clone().filter_map(|d| win(d.0, &layers)).collect(),
        devices: devices.map(about).collect(),
        rows,
    })
}

impl Row {
    fn new(work: Work, rung: &Rung, device: &str, machine: Roofline, s: f64) -> Row {
        let (flops, bytes) = (work.flops(), work.bytes());
        let mut row = Row {
            family: work.family(),
            size: work.to_string(),
            device: device.to_string(),
            kernel: rung.name.clone(),
            about: rung.about,
            is_used: rung.is_used,
            us: s * 1e6,
            gflops: flops as f64 / s / 1e9,
            gbs: bytes as f64 / s / 1e9,
            intensity: flops as f64 / bytes as f64,
            machine,
            bound: "",
            roofline: 0.0,
            speedup: 1.0,
        };
        row.set_share();
        row
    }

    /// Takes a peak that was measured later, if that is higher.
    fn raise_peak(&mut self, gflops: f64) {
        self.machine.peak_gflops = self.machine.peak_gflops.max(gflops);
        self.set_share();
    }

    /// Where the row stands beside its roofline.
    fn set_share(&mut self) {
        let flops = (self.gflops * self.us * 1e3).round() as u64;
        let bytes = (self.gbs * self.us * 1e3).round() as u64;
        let machine = self.machine;
        let is_compute = machine.at_least_us(flops, 0) >= machine.at_least_us(0, bytes);
        self.bound = if is_compute { "compute" } else { "memory" };
        self.roofline = machine.at_least_us(flops, bytes) / self.us;
    }
}

fn failed(error: cuda::Error) -> crate::Error {
    ganforge_tensor::Error::from(error).into()
}

fn wrong(error: ganforge_kernels::ladder::Error) -> crate::Error {
    crate::Error::Mismatch(format!("a kernel is wrong, nothing was timed: {error}"))
}

/// Seconds per run of each rung: the best of several rounds, taking turns.
fn best_times(ladder: &mut Ladder) -> Result<Vec<f64>> {
    let rungs = ladder.rungs.len();
    let mut timed = |rung: usize, times: usize| -> Result<f64> {
        let begin = Instant::now();
        ladder.rungs[rung].run(times).map_err(failed)?;
        Ok(begin.elapsed().as_secs_f64() / times as f64)
    };
    let all = 0..rungs;
    let mut best = all
        .clone()
        .map(|r| timed(r, 1))
        .collect::<Result<Vec<f64>>>()?;
    let times: Vec<usize> = best
        .iter()
        .map(|once| (ROUND_SECONDS / once).clamp(1.0, 1e4) as usize)
        .collect();
    for round in 0..ROUNDS {
        for r in all.clone() {
            // A kernel that takes long needs no more rounds than a few.
            if round as f64 * best[r] < SLOW_SECONDS {
                best[r] = best[r].min(timed(r, times[r])?);
            }
        }
    }
    Ok(best)
}

/// From the largest batch of the sweep downwards, as long as the device is faster.
fn win(device: &str, batches: &BTreeMap<(String, usize), f64>) -> Option<Win> {
    let mut sizes: Vec<usize> = batches.keys().map(|k| k.1).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let of = |device: &str, batch| batches.get(&(device.to_string(), batch)).copied();
    let both = sizes
        .iter()
        .rev()
        .filter_map(|&b| Some((b, of("cpu", b)?, of(device, b)?)));
    let mut both = both.peekable();
    both.peek()?;
    let wins = both.take_while(|(_, cpu, device)| device < cpu);
    Some(Win {
        device: device.to_string(),
        batch: wins.last().map(|(b, ..)| b),
    })
}

/// What each place reaches: the peak measured once, the CPU's bandwidth once for each size.
#[derive(Default)]
struct Rooflines(BTreeMap<(String, usize), Roofline>);

impl Rooflines {
    fn of(&mut self, name: &str, place: &Place, bytes: usize) -> Result<Roofline> {
        // A device's caches are no place to keep operands in between kernels: one bandwidth for all sizes.
        let bytes = match place {
            Place::Cpu => bytes.next_power_of_two(),
            Place::Device(..) => DEVICE_BYTES,
        };
        let key = (name.to_string(), bytes);
        if let Some(known) = self.0.get(&key) {
            return Ok(*known);
        }
        let peak = self
            .0
            .iter()
            .find(|(k, _)| k.0 == key.0)
            .map(|(_, r)| r.peak_gflops);
        let threads = rayon::current_num_threads();
        let found = match place {
            Place::Cpu => Roofline {
                peak_gflops: peak.unwrap_or_else(|| measured_peak_gflops(threads)),
                bandwidth_gbs: measured_bandwidth_gbs(threads, bytes),
            },
            Place::Device(device, _) => {
                let (blocks, steps) = DEVICE_PEAK;
                let peak = roofline::measured_peak_gflops(device, blocks, steps);
                let bandwidth = roofline::measured_bandwidth_gbs(device, bytes);
                Roofline {
                    peak_gflops: peak.map_err(failed)?,
                    bandwidth_gbs: bandwidth.map_err(failed)?,
                }
            }
        };
        self.0.insert(key, found);
        Ok(found)
    }
}
