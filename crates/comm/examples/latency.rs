//! What a sum over ranks takes, by its length: in the fixed order of `all_reduce`, and by `MPI_Allreduce`, in turns.
//!
//! ```sh
//! cargo build --release -p ganforge-comm --example latency
//! mpirun -n 2 --bind-to none target/release/examples/latency
//! ```
//!
//! Prints the table of docs/scaling.md, and the latency and bandwidth of `time = alpha + bytes / beta` that fit its lowest
//! times best, in relative terms.

use std::time::Instant;

use ganforge_comm::{Communicator, Error, Mpi, all_reduce};

/// Lengths in numbers of four bytes: from one up to 40 MB.
const LENGTHS: [usize; 8] = [
    1, 256, 4_096, 65_536, 262_144, 1_048_576, 2_621_440, 10_485_760,
];

fn main() -> Result<(), Error> {
    let comm = Mpi::open()?;
    let is_first = comm.rank() == 0;
    if is_first {
        println!("{} ranks, {}\n", comm.size(), comm.library());
        println!("| bytes | fixed order, ms: lowest, median | MPI_Allreduce, ms: lowest, median |");
        println!("|---|---|---|");
    }
    let mut points = Vec::new();
    let mut scratch = Vec::new();
    for len in LENGTHS {
        let turns = (20_000_000 / (len + 50_000)).clamp(15, 300);
        let mut data = vec![1.0; len];
        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..turns + 3 {
            let fixed = time(&comm, || all_reduce(&comm, &mut data, &mut scratch))?;
            data.fill(1.0);
            let any = time(&comm, || comm.sum_in_any_order(&mut data))?;
            data.fill(1.0);
            // The first ones touch memory for the first time.
            if turn >= 3 {
                times[0].push(fixed);
                times[1].push(any);
            }
        }
        let bytes = 4 * len;
        let [(low, median), (any_low, any_median)] = times.map(lowest_and_median);
        points.push((bytes as f64, low));
        if is_first {
            let ms = |seconds: f64| format!("{:.3}", 1e3 * seconds);
            let fixed = format!("{}, {}", ms(low), ms(median));
            let any = format!("{}, {}", ms(any_low), ms(any_median));
            println!("| {bytes} | {fixed} | {any} |");
        }
    }
    if is_first {
        let (alpha, per_byte) = fit(&points);
        let beta = 1e-9 / per_byte;
        println!("\nalpha = {:.1} us, beta = {beta:.2} GB/s", 1e6 * alpha);
    }
    Ok(())
}

/// Seconds that a call takes here, begun by all ranks at once.
fn time(comm: &Mpi, call: impl FnOnce() -> Result<(), Error>) -> Result<f64, Error> {
    comm.barrier()?;
    let start = Instant::now();
    call()?;
    Ok(start.elapsed().as_secs_f64())
}

fn lowest_and_median(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

/// The line `a + b x` through points, of which none is to be missed by more of its own height than others: least squares of
/// relative errors.
fn fit(points: &[(f64, f64)]) -> (f64, f64) {
    let mut sums = [0.0; 5];
    for (x, y) in points {
        let w = 1.0 / (y * y);
        for (sum, term) in sums.iter_mut().zip([w, w * x, w * x * x, w * y, w * x * y]) {
            *sum += term;
        }
    }
    let [w, wx, wxx, wy, wxy] = sums;
    let b = (w * wxy - wx * wy) / (w * wxx - wx * wx);
    ((wy - b * wx) / w, b)
}
