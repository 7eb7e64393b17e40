//! A device's peak and bandwidth, the two sides of its roofline, as measured by launches.

use super::elementwise::{self, Access, Instruction, Opcode, Program};
use super::speed::best;
use super::{Device, Launch, Result, Slice};

/// Runs in a graph, so that the replay's own microseconds do not count.
const TIMES: usize = 20;

/// Multiply-adds in registers: 16 flop per step in each of `out.len()` threads.
///
/// # Panics
/// Where the threads are no multiple of 256.
pub fn fma(out: Slice, steps: usize) -> Launch {
    assert!(out.len().is_multiple_of(256), "{} threads", out.len());
    let launch = Launch::new("peak", "fma_peak_v1_f32").threads(out.len());
    launch.writes(out).u32(steps)
}

/// Peak of multiply-adds in GFLOP/s (1e9 per second, 2 each) of `blocks` blocks of 256 threads, `steps` steps of 8.
///
/// # Errors
/// The device's.
pub fn measured_peak_gflops(device: &Device, blocks: usize, steps: usize) -> Result<f64> {
    let out = device.alloc(256 * blocks)?;
    let seconds = best(device, &[fma(out.slice(), steps)], TIMES)?;
    Ok((256 * blocks * steps * 16) as f64 / seconds / 1e9)
}

/// Bandwidth in GB/s (1e9 bytes per second) of copying `bytes / 2` bytes: each is read once and written once.
///
/// # Errors
/// The device's; [`super::Error::Memory`].
pub fn measured_bandwidth_gbs(device: &Device, bytes: usize) -> Result<f64> {
    let n = (bytes / 8).max(1);
    let (x, y) = (device.copy_of(&vec![1.0f32; n])?, device.alloc(n)?);
    let control = device.copy_of(&[0, 0])?;
    let copy = Program {
        elements: n,
        inputs: vec![(x.slice(), Access::Full)],
        instructions: vec![Instruction::new(Opcode::Copy, [0.0; 2])],
        outputs: vec![(y.slice(), 1)],
    };
    let seconds = best(device, &[elementwise::run(&copy, control.slice())], TIMES)?;
    Ok((8 * n) as f64 / seconds / 1e9)
}
