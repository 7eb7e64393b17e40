//! Ladders of kernels on every available device: verified, then timed alternately, against the device's roofline.

mod machine;
mod page;
mod table;

pub use page::page;
pub use table::{Format, table};

use std::collections::{BTreeMap, BTreeSet};

use ganforge_kernels::cuda;
use ganforge_kernels::ladder::{Ladder, Rung, Work};
use ganforge_tensor::Device;

use crate::baseline::{Baseline, kernel_key};
use crate::bench::{LARGE_SPREAD, MORE_THAN_ALL};
use crate::origin::Origin;
use crate::profile::Roofline;
use ganforge_gan::error::Result;
use machine::Rooflines;

/// Each kernel runs for about this long in a round.
const ROUND_SECONDS: f64 = 4e-3;
/// On a device, which is further away.
const DEVICE_ROUND_SECONDS: f64 = 20e-3;
/// A device works for so long before anything is timed: its clocks are low where it was idle.
const WARM_UP_SECONDS: f64 = 0.3;
/// Rounds, in which the kernels of a ladder take turns; the best one of each counts.
const ROUNDS: usize = 7;
/// A kernel of which a single run is slow has no more rounds once its runs took this long together.
const SLOW_SECONDS: f64 = 0.5;
/// But always so many: one round has no spread.
const FEWEST_ROUNDS: usize = 2;

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
    /// Rounds that were timed.
    pub rounds: usize,
    /// How much longer the slowest round took than the best, as a share of that.
    pub spread: f64,
    /// 10^9 floating-point operations of the result as it is written.
    pub gflop_written: f64,
    /// Those that the kernel carries out: more where it multiplies zeros, fewer after Winograd.
    pub gflop_executed: f64,
    /// 10^9 floating-point operations per second, of those that are written.
    pub gflops: f64,
    /// 10^9 bytes per second, each operand read or written once, or as often as none can do without.
    pub gbs: f64,
    /// Floating-point operations per byte.
    pub intensity: f64,
    /// What the device reaches: the better of what was measured before and after all kernels.
    pub machine: Roofline,
    /// "compute" or "memory": the side of the roofline that the work meets.
    pub bound: &'static str,
    /// The time that the roofline allows as a share of the time it took, for the operations that are written, or carried out where
    /// those are fewer. The bandwidth is that of as many bytes as the work has, so of a cache where they fit.
    pub roofline: f64,
    /// How many times faster than the ladder's first kernel.
    pub speedup: f64,
    /// `us` as a multiple of the baseline's: below 1, this one is faster.
    pub baseline_ratio: Option<f64>,
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
    /// Program and machine.
    pub origin: Origin,
    /// What casts doubt on the figures, a sentence each.
    pub warnings: Vec<String>,
    /// A row for each kernel.
    pub rows: Vec<Row>,
    /// A line for each device beside the CPU, where the sweep of batches was run.
    pub wins: Vec<Win>,
    /// An earlier measurement to compare with.
    pub baseline: Option<Baseline>,
}

/// Times the ladders whose family and sizes contain `filter`, on each of `devices`; `progress` is told what comes next.
/// `commit` is what the program was built from.
///
/// # Errors
/// A kernel that computes something else; the device's. [`ganforge_gan::Error::Mismatch`] where nothing contains `filter`.
pub fn measure(
    commit: &str,
    filter: &str,
    devices: &[(String, Device)],
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<KernelBench> {
    let works = works(filter)?;
    let origin = Origin::now(commit, names(devices));
    let mut rooflines = Rooflines::measured(&works, devices)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut layers: BTreeMap<(String, usize), f64> = BTreeMap::new();
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let all = works
        .iter()
        .flat_map(|w| devices.iter().map(move |p| (*w, p)));
    for (i, (work, (device, on))) in all.enumerate() {
        let count = works.len() * devices.len();
        progress(&format!("{} on {device}", name(&work)), i, count);
        let mut ladder = match on {
            Device::Cpu(_) => Ladder::on_cpu(work),
            Device::Cuda(device, _) => Ladder::on_device(work, device).map_err(failed)?,
        };
        missing.extend(ladder.missing.take());
        ladder.verify().map_err(wrong)?;
        let timings = timings(&mut ladder)?;
        for (rung, &timing) in ladder.rungs.iter().zip(&timings) {
            let row = Row::new(work, rung, device, rooflines.of(device, work), timing);
            if let Some(batch) = work.swept_batch().filter(|_| rung.is_used) {
                layers.insert((device.clone(), batch), timing.best);
            }
            rows.push(Row {
                speedup: timings[0].best / timing.best,
                ..row
            });
        }
    }
    // Work of others on the machine can lower what is measured, never raise it.
    let again = Rooflines::measured(&works, devices)?;
    let mut warnings = rooflines.raised_by(&again);
    for row in &mut rows {
        let bytes = row.bytes() as usize;
        row.machine = rooflines.of_bytes(&row.device, bytes);
        row.set_share();
    }
    warnings.extend(missing);
    warnings.extend(doubts(&rows));
    let on_devices = devices.iter().filter(|p| matches!(p.1, Device::Cuda(..)));
    Ok(KernelBench {
        origin,
        warnings,
        wins: on_devices.filter_map(|(d, _)| win(d, &layers)).collect(),
        rows,
        baseline: None,
    })
}

fn name(work: &Work) -> String {
    format!("{} {work}", work.family())
}

fn works(filter: &str) -> Result<Vec<Work>> {
    let mut works = Work::all();
    works.retain(|work| name(work).contains(filter));
    if works.is_empty() {
        let known = Work::all().iter().map(name).collect::<Vec<_>>().join(", ");
        return Err(ganforge_gan::Error::Mismatch(format!(
            "no ladder of kernels matches {filter:?}; there are: {known}"
        )));
    }
    Ok(works)
}

/// "cpu; cuda:0, NVIDIA H200".
fn names(devices: &[(String, Device)]) -> String {
    let about = |(name, device): &(String, Device)| match device {
        Device::Cpu(_) => name.clone(),
        Device::Cuda(..) => format!("{name}, {}", device.name()),
    };
    devices.iter().map(about).collect::<Vec<_>>().join("; ")
}

/// What casts doubt on rows, a sentence for each kind with its worst case.
fn doubts(rows: &[Row]) -> Vec<String> {
    let told = |is_doubtful: &dyn Fn(&Row) -> bool, size: &dyn Fn(&Row) -> f64| {
        let doubtful: Vec<&Row> = rows.iter().filter(|r| is_doubtful(r)).collect();
        let worst = doubtful.iter().max_by(|a, b| size(a).total_cmp(&size(b)))?;
        let of = format!("{} of {} kernels", doubtful.len(), rows.len());
        Some((
            of,
            format!("{:.0} % for {}", 100.0 * size(worst), worst.key()),
        ))
    };
    let above = told(&|r| r.roofline > MORE_THAN_ALL, &|r| r.roofline).map(|(of, worst)| {
        format!(
            "{of} exceed the roofline, by which nothing can be faster: {worst}; peak or bandwidth was measured too low, on a busy \
             machine, or the operands lie in a nearer cache"
        )
    });
    let unsteady = told(&|r| r.spread > LARGE_SPREAD, &|r| r.spread).map(|(of, worst)| {
        format!("the rounds of {of} differ by more than 20 %: {worst}; other work keeps this machine busy")
    });
    above.into_iter().chain(unsteady).collect()
}

impl KernelBench {
    /// Compares with an earlier measurement, kernel by kernel; those that it has not stay without a ratio.
    pub fn compare(&mut self, baseline: Baseline) {
        for row in &mut self.rows {
            row.baseline_ratio = baseline.us(&row.key()).map(|us| row.us / us);
        }
        self.warnings.extend(baseline.warnings(&self.origin));
        if self.rows.iter().all(|r| r.baseline_ratio.is_none()) {
            let file = &baseline.file;
            let none = format!("baseline {file}: it contains none of these kernels");
            self.warnings.push(none);
        }
        self.baseline = Some(baseline);
    }
}

impl Row {
    fn new(work: Work, rung: &Rung, device: &str, machine: Roofline, timing: Timing) -> Row {
        let (flops, bytes, s) = (work.flops(), work.bytes(), timing.best);
        let mut row = Row {
            family: work.family(),
            size: work.to_string(),
            device: device.to_string(),
            kernel: rung.name.clone(),
            about: rung.about,
            is_used: rung.is_used,
            us: s * 1e6,
            rounds: timing.rounds,
            spread: timing.worst / s - 1.0,
            gflop_written: flops as f64 / 1e9,
            gflop_executed: rung.executed as f64 / 1e9,
            gflops: flops as f64 / s / 1e9,
            gbs: bytes as f64 / s / 1e9,
            intensity: flops as f64 / bytes as f64,
            machine,
            bound: "",
            roofline: 0.0,
            speedup: 1.0,
            baseline_ratio: None,
        };
        row.set_share();
        row
    }

    /// The bytes that the work moves at least.
    fn bytes(&self) -> u64 {
        (self.gbs * self.us * 1e3).round() as u64
    }

    /// The name by which a baseline knows it.
    fn key(&self) -> String {
        kernel_key(self.family, &self.size, &self.device, &self.kernel)
    }

    /// Where the row stands beside its roofline.
    fn set_share(&mut self) {
        let flops = (1e9 * self.gflop_written.min(self.gflop_executed)).round() as u64;
        let bytes = self.bytes();
        let machine = self.machine;
        let is_compute = machine.at_least_us(flops, 0) >= machine.at_least_us(0, bytes);
        self.bound = if is_compute { "compute" } else { "memory" };
        self.roofline = machine.at_least_us(flops, bytes) / self.us;
    }
}

fn failed(error: cuda::Error) -> ganforge_gan::Error {
    ganforge_tensor::Error::from(error).into()
}

fn wrong(error: ganforge_kernels::ladder::Error) -> ganforge_gan::Error {
    ganforge_gan::Error::Mismatch(format!(
        "a kernel's result is wrong, nothing was timed: {error}"
    ))
}

/// Seconds per run of a kernel, by rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Timing {
    best: f64,
    worst: f64,
    rounds: usize,
}

impl Timing {
    /// Of one round or several.
    fn of(seconds: &[f64]) -> Timing {
        Timing {
            best: seconds.iter().copied().fold(f64::INFINITY, f64::min),
            worst: seconds.iter().copied().fold(0.0, f64::max),
            rounds: seconds.len(),
        }
    }
}

/// Times each rung in several rounds, in which they take turns: a disturbance meets all of them. The first run of each
/// warms up and says how often to repeat it.
fn timings(ladder: &mut Ladder) -> Result<Vec<Timing>> {
    let all = 0..ladder.rungs.len();
    let (length, warm_up) = match ladder.is_on_device {
        true => (DEVICE_ROUND_SECONDS, WARM_UP_SECONDS),
        false => (ROUND_SECONDS, 0.0),
    };
    let mut timed = |rung: usize, times: usize| -> Result<f64> {
        let rung = &mut ladder.rungs[rung];
        rung.prepare(times).map_err(failed)?;
        Ok(rung.run(times).map_err(failed)? / times as f64)
    };
    let once = all.clone().map(|r| timed(r, 1));
    let mut once = once.collect::<Result<Vec<f64>>>()?;
    let repeats = |once: f64| (length / once).clamp(1.0, 1e4) as usize;
    let mut warmed = 0.0;
    for r in all.clone().rev().cycle() {
        if warmed >= warm_up {
            break;
        }
        let times = repeats(once[r]);
        once[r] = timed(r, times)?;
        warmed += (times as f64 * once[r]).max(1e-4);
    }
    let mut rounds = vec![Vec::with_capacity(ROUNDS); once.len()];
    for round in 0..ROUNDS {
        for r in all.clone() {
            if round < FEWEST_ROUNDS || rounds[r].iter().sum::<f64>() < SLOW_SECONDS {
                rounds[r].push(timed(r, repeats(once[r]))?);
            }
        }
    }
    Ok(rounds.iter().map(|seconds| Timing::of(seconds)).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::made_up;

    /// A kernel on a machine with 100 GFLOP/s and 10 GB/s, whose work has 10^9 FLOP.
    pub(super) fn row(kernel: &str, gflops: f64, intensity: f64) -> Row {
        let machine = Roofline {
            peak_gflops: 100.0,
            bandwidth_gbs: 10.0,
        };
        let mut row = Row {
            family: "matmul",
            size: "NN 1x2 k=3".into(),
            device: "cpu".into(),
            kernel: kernel.into(),
            about: "made up",
            is_used: true,
            us: 1e6 / gflops,
            rounds: 7,
            spread: 0.05,
            gflop_written: 1.0,
            gflop_executed: 1.0,
            gflops,
            gbs: gflops / intensity,
            intensity,
            machine,
            bound: "",
            roofline: 0.0,
            speedup: 1.0,
            baseline_ratio: None,
        };
        row.set_share();
        row
    }

    pub(super) fn bench(rows: Vec<Row>) -> KernelBench {
        KernelBench {
            origin: made_up(),
            warnings: doubts(&rows),
            rows,
            wins: Vec::new(),
            baseline: None,
        }
    }

    #[test]
    fn best_worst_and_number_of_rounds_are_kept() {
        let timing = Timing::of(&[3.0, 2.0, 2.5]);
        assert_eq!((timing.best, timing.worst, timing.rounds), (2.0, 3.0, 3));
    }

    #[test]
    fn work_that_is_left_out_does_not_count_and_work_in_vain_does_not_help() {
        let mut kernel = row("winograd", 150.0, 40.0);
        (kernel.gflop_executed, kernel.roofline) = (0.5, 0.0);
        kernel.set_share();
        assert!((kernel.roofline - 0.75).abs() < 1e-9);
        kernel.gflop_executed = 4.0;
        kernel.set_share();
        assert!((kernel.roofline - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_share_above_the_roofline_is_told_with_its_kernel() {
        let quiet = [row("a", 99.0, 40.0), row("b", 100.2, 40.0)];
        assert_eq!(doubts(&quiet), Vec::<String>::new());
        let busy = [
            row("a", 99.0, 40.0),
            row("b", 360.0, 40.0),
            row("c", 120.0, 40.0),
        ];
        let warnings = doubts(&busy);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let start = "2 of 3 kernels exceed the roofline";
        assert!(warnings[0].starts_with(start), "{warnings:?}");
        assert!(
            warnings[0].contains("360 % for matmul NN 1x2 k=3, b on cpu"),
            "{warnings:?}"
        );
    }

    #[test]
    fn rounds_that_differ_are_told_with_the_worst_kernel() {
        let mut rows = [row("a", 50.0, 40.0), row("b", 50.0, 40.0)];
        rows[1].spread = 0.2;
        assert_eq!(doubts(&rows), Vec::<String>::new());
        rows[0].spread = 0.85;
        let warnings = doubts(&rows);
        assert!(
            warnings.len() == 1 && warnings[0].contains("1 of 2 kernels"),
            "{warnings:?}"
        );
        assert!(
            warnings[0].contains("85 % for matmul NN 1x2 k=3, a on cpu"),
            "{warnings:?}"
        );
    }

    #[test]
    fn kernels_are_compared_by_name_and_others_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("base.json");
        let earlier = bench(vec![row("a", 50.0, 40.0)]);
        let text = table(&earlier, Format::Json);
        std::fs::write(&path, text).expect("written");
        let read = || Baseline::read(&path).expect("a baseline");

        let mut now = bench(vec![row("a", 25.0, 40.0), row("new", 25.0, 40.0)]);
        now.compare(read());
        let ratios: Vec<Option<f64>> = now.rows.iter().map(|r| r.baseline_ratio).collect();
        assert_eq!(ratios, [Some(2.0), None]);
        for format in [Format::Text, Format::Markdown, Format::Csv, Format::Html] {
            assert!(table(&now, format).contains("base.json"), "{format:?}");
        }
        let mut others = bench(vec![row("new", 25.0, 40.0)]);
        others.compare(read());
        let warning = others.warnings.pop().expect("a warning");
        assert!(warning.ends_with("none of these kernels"), "{warning}");
    }
}
