//! Timing of kernels on a device: many launches of one kernel, captured, replayed and timed by the device.

use super::elementwise::{self, Access, Instruction, Opcode, Program};
use super::matmul::{self, Epilogue};
use super::parzen::{self, Rows};
use super::{Device, Launch, Precision, Result, Scratch, Slice};
use crate::cpu::gemm::Shape3;

/// Seconds of work before anything is timed: an idle device takes some 10 ms to leave its low clocks.
const WARM_UP: f64 = 0.3;
/// Each round has at least so many seconds of work.
const ROUND: f64 = 20e-3;
/// Timed rounds; the best one counts.
const ROUNDS: usize = 5;

/// Seconds for one run of `launches`, which are run `times` times in each replay of a graph. What they read stays in the
/// device's caches, where it fits, from one run to the next.
pub(super) fn best(device: &Device, launches: &[Launch], times: usize) -> Result<f64> {
    device.load(launches)?;
    let captured = device.capture(launches, times)?;
    let mut once = captured.time(1)?;
    let mut warmed = once;
    while warmed < WARM_UP {
        let replays = (ROUND / once).clamp(1.0, 1e4) as usize;
        let seconds = captured.time(replays)?;
        once = seconds / replays as f64;
        warmed += seconds.max(1e-4);
    }
    let replays = (ROUND / once).clamp(1.0, 1e4).ceil() as usize;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        best = best.min(captured.time(replays)? / (replays * times) as f64);
    }
    Ok(best)
}

/// Numbers in (-1, 1), not all alike.
fn numbers(n: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7919 + 13) % 2003) as f32 / 1001.5 - 0.999;
    (0..n).map(number).collect()
}

/// Seconds for a product C [m, n] = op(A) · op(B).
///
/// # Errors
/// The device's.
pub fn product(
    device: &Device,
    forms: (bool, bool),
    sizes: Shape3,
    precision: Precision,
    times: usize,
) -> Result<f64> {
    device.check_precision(precision)?;
    let Shape3 { m, k, n } = sizes;
    let (a, b) = (
        device.copy_of(&numbers(m * k))?,
        device.copy_of(&numbers(k * n))?,
    );
    let c = device.alloc(m * n)?;
    let launch = |scratch: &mut Scratch| {
        let (a, b, c) = (a.slice(), b.slice(), c.slice());
        matmul::product(forms, sizes, a, b, c, Epilogue::Store, precision, scratch)
    };
    let mut needs = Scratch::measure();
    launch(&mut needs);
    let sums = device.alloc(needs.sums_needed)?;
    let counters = device.copy_of(&vec![0u32; needs.counters_needed])?;
    let launch = launch(&mut Scratch::of(sums.slice(), counters.slice()));
    best(device, &[launch], times)
}

/// Seconds for y = x (4 + 4 bytes per element) and for y = sigmoid(x + bias) · x (4 + 4 bytes) over n elements in rows of
/// 1024.
///
/// # Errors
/// The device's.
pub fn programs(device: &Device, n: usize, times: usize) -> Result<[f64; 2]> {
    let (x, bias) = (
        device.copy_of(&numbers(n))?,
        device.copy_of(&numbers(1024))?,
    );
    let (y, control) = (device.alloc(n)?, device.copy_of(&[0u64; 2])?);
    let op = |code, a, b| Instruction::new(code, [0.0; 2]).on(a, b);
    let program = |inputs, instructions: Vec<Instruction>, last| Program {
        elements: n,
        inputs,
        instructions,
        outputs: vec![(y.slice(), last)],
    };
    let full = (x.slice(), Access::Full);
    let copy = program(vec![full], vec![op(Opcode::Copy, 0, 0)], 1);
    let chain = vec![
        op(Opcode::Add, 0, 1),
        op(Opcode::Sigmoid, 2, 0),
        op(Opcode::Mul, 3, 0),
    ];
    let chain = program(vec![full, (bias.slice(), Access::Row)], chain, 4);
    let time = |p: &Program| best(device, &[elementwise::run(p, control.slice())], times);
    Ok([time(&copy)?, time(&chain)?])
}

/// Seconds for the sums of m points over n samples of d components, for one width.
///
/// # Errors
/// The device's.
pub fn window(device: &Device, [m, n, d]: [usize; 3], times: usize) -> Result<f64> {
    let raw = device.copy_of(&numbers(n.max(m) * d))?;
    let mean = device.alloc::<f64>(d)?;
    let (x, s) = (device.alloc(m * d)?, device.alloc(n * d)?);
    let (x_norms, s_norms) = (device.alloc(m)?, device.alloc(n)?);
    let scales = device.copy_of(&[12.5f64])?;
    let parts = parzen::parts(m, n);
    let (near_parts, sum_parts) = (device.alloc(parts * m)?, device.alloc(parts * m)?);
    let (near, sums) = (device.alloc(m)?, device.alloc(m)?);
    let rows = |data: Slice, norms| Rows { data, norms };
    let mut launches = vec![
        parzen::mean(raw.slice().first(n * d), mean.slice()),
        parzen::centre(
            raw.slice().first(n * d),
            mean.slice(),
            s.slice(),
            s_norms.slice(),
        ),
        parzen::centre(
            raw.slice().first(m * d),
            mean.slice(),
            x.slice(),
            x_norms.slice(),
        ),
    ];
    launches.extend(parzen::sums(
        rows(x.slice(), x_norms.slice()),
        rows(s.slice(), s_norms.slice()),
        scales.slice(),
        (near_parts.slice(), sum_parts.slice()),
        (near.slice(), sums.slice()),
    ));
    best(device, &launches, times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::pretend::Pretend;
    use crate::cuda::roofline;

    #[test]
    fn low_clocks_at_first_are_not_what_is_measured() {
        let pretend = Pretend::default(); // twice as slow for its first 100 ms of work
        let device = pretend.device();
        let x = device.alloc::<f32>(256).expect("memory");
        let launch = roofline::fma(x.slice(), 1);
        let seconds = best(&device, &[launch], 50).expect("runs");
        let exact = pretend.seconds_of(4 * 256) + pretend.around() / 50.0;
        assert!(
            (seconds / exact - 1.0).abs() < 1e-6,
            "{seconds:e}, {exact:e}"
        );
        assert!(
            pretend.worked() >= 0.3 + 5.0 * 20e-3,
            "{}",
            pretend.worked()
        );
    }

    #[test]
    fn what_a_replay_takes_beside_its_launches_hardly_lowers_the_bandwidth() {
        let pretend = Pretend::default();
        let measured = roofline::measured_bandwidth_gbs(&pretend.device(), 1 << 26).expect("runs");
        let exact = 1e-9 * (1u64 << 26) as f64 / pretend.seconds_of(1 << 26);
        assert!(
            (0.97..1.0).contains(&(measured / exact)),
            "{measured} of {exact}"
        );
    }
}
