//! The measured peak and bandwidth of each device.

use std::collections::BTreeMap;

use ganforge_kernels::cpu::gemm::measured_peak_gflops;
use ganforge_kernels::cpu::measured_bandwidth_gbs;
use ganforge_kernels::cuda::roofline;
use ganforge_kernels::ladder::Work;
use ganforge_tensor::Device;

use super::failed;
use crate::bench::{LARGE_SPREAD, spread};
use crate::profile::Roofline;
use ganforge_gan::error::Result;

/// Bytes of the copy that a device's bandwidth is measured with: where so much is free, and else.
const DEVICE_BYTES: [usize; 2] = [1 << 30, 256 << 20];
/// Blocks and steps that a device's peak is measured with.
const DEVICE_PEAK: (usize, usize) = (132 * 16, 1 << 12);

/// By device and bytes: the peak of a device is measured once, the CPU's bandwidth once for each power of two of bytes.
/// A device's caches are no place to keep operands in between kernels: it has one bandwidth for all sizes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rooflines(BTreeMap<String, BTreeMap<usize, Roofline>>);

impl Rooflines {
    /// Measures all that the works need.
    pub(super) fn measured(works: &[Work], devices: &[(String, Device)]) -> Result<Rooflines> {
        let threads = rayon::current_num_threads();
        let mut all = BTreeMap::new();
        for (name, device) in devices {
            let mut found = BTreeMap::new();
            match device {
                Device::Cpu(_) => {
                    let peak_gflops = measured_peak_gflops(threads);
                    for bytes in works.iter().map(|w| rounded(w.bytes() as usize)) {
                        found.entry(bytes).or_insert_with(|| Roofline {
                            peak_gflops,
                            bandwidth_gbs: measured_bandwidth_gbs(threads, bytes),
                        });
                    }
                }
                Device::Cuda(device, _) => {
                    let (blocks, steps) = DEVICE_PEAK;
                    let peak = roofline::measured_peak_gflops(device, blocks, steps);
                    let free = device.free_bytes().map_err(failed)?;
                    let [many, few] = DEVICE_BYTES;
                    let bytes = if many <= free / 2 { many } else { few };
                    let bandwidth = roofline::measured_bandwidth_gbs(device, bytes);
                    let roofline = Roofline {
                        peak_gflops: peak.map_err(failed)?,
                        bandwidth_gbs: bandwidth.map_err(failed)?,
                    };
                    found.insert(0, roofline);
                }
            }
            all.insert(name.clone(), found);
        }
        Ok(Rooflines(all))
    }

    /// What the device reaches at this work.
    pub(super) fn of(&self, device: &str, work: Work) -> Roofline {
        self.of_bytes(device, work.bytes() as usize)
    }

    /// What the device reaches at work on so many bytes.
    pub(super) fn of_bytes(&self, device: &str, bytes: usize) -> Roofline {
        let found = &self.0[device];
        let at = found.get(&rounded(bytes)).or_else(|| found.get(&0));
        *at.expect("measured for all works and devices")
    }

    /// Takes what is higher in `again`; says where the two differ much.
    pub(super) fn raised_by(&mut self, again: &Rooflines) -> Vec<String> {
        let mut warnings = Vec::new();
        for (device, found) in &mut self.0 {
            let mut most = 0.0f64;
            for (bytes, first) in found.iter_mut() {
                let second = again.0[device][bytes];
                let peaks = spread(first.peak_gflops, second.peak_gflops);
                most = most
                    .max(peaks)
                    .max(spread(first.bandwidth_gbs, second.bandwidth_gbs));
                first.peak_gflops = first.peak_gflops.max(second.peak_gflops);
                first.bandwidth_gbs = first.bandwidth_gbs.max(second.bandwidth_gbs);
            }
            if most > LARGE_SPREAD {
                warnings.push(format!(
                    "peak or bandwidth of {device} differ by up to {:.0} % between before and after the kernels: other work keeps this machine busy",
                    100.0 * most
                ));
            }
        }
        warnings
    }
}

fn rounded(bytes: usize) -> usize {
    bytes.next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_up(figures: &[(usize, f64, f64)]) -> Rooflines {
        let entry = |&(bytes, peak_gflops, bandwidth_gbs): &(usize, f64, f64)| {
            let roofline = Roofline {
                peak_gflops,
                bandwidth_gbs,
            };
            (bytes, roofline)
        };
        let found = figures.iter().map(entry).collect();
        Rooflines([("cpu".to_string(), found)].into())
    }

    #[test]
    fn the_better_of_two_measurements_counts_and_a_large_difference_is_told() {
        let mut first = made_up(&[(1024, 100.0, 50.0), (2048, 100.0, 20.0)]);
        let again = made_up(&[(1024, 110.0, 45.0), (2048, 110.0, 20.0)]);
        assert_eq!(first.raised_by(&again), Vec::<String>::new());
        let [small, large] = [1000, 1500].map(|bytes| first.of_bytes("cpu", bytes));
        assert_eq!((small.peak_gflops, small.bandwidth_gbs), (110.0, 50.0));
        assert_eq!((large.peak_gflops, large.bandwidth_gbs), (110.0, 20.0));

        let busy = made_up(&[(1024, 110.0, 50.0), (2048, 110.0, 80.0)]);
        let warnings = first.raised_by(&busy);
        assert!(
            warnings.len() == 1 && warnings[0].contains("up to 300 %"),
            "{warnings:?}"
        );
        assert_eq!(first.of_bytes("cpu", 2048).bandwidth_gbs, 80.0);
    }
}
