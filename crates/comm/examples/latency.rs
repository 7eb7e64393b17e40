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

/// Seconds before the first measurement, in which the system finds a core for each rank.
const WARM_UP: f64 = 1.0;

/// Times of one length, in seconds: lowest and median.
struct Row {
    bytes: f64,
    fixed: (f64, f64),
    any: (f64, f64),
}

fn main() -> Result<(), Error> {
    let comm = Mpi::open()?;
    let start = Instant::now();
    let mut is_warm = [0];
    while is_warm == [0] {
        is_warm = [u8::from(start.elapsed().as_secs_f64() > WARM_UP)];
        comm.broadcast(&mut is_warm, 0)?;
    }
    let mut scratch = Vec::new();
    let rows = LENGTHS.map(|len| measure(&comm, len, &mut scratch));
    let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
    if comm.rank() == 0 {
        print(&comm, &rows);
    }
    Ok(())
}

fn measure(comm: &Mpi, len: usize, scratch: &mut Vec<f32>) -> Result<Row, Error> {
    let turns = (20_000_000 / (len + 50_000)).clamp(15, 300);
    let mut data = vec![1.0; len];
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..turns + 3 {
        let fixed = time(comm, || all_reduce(comm, &mut data, scratch))?;
        data.fill(1.0);
        let any = time(comm, || comm.sum_in_any_order(&mut data))?;
        data.fill(1.0);
        // The first ones touch memory for the first time.
        if turn >= 3 {
            times[0].push(fixed);
            times[1].push(any);
        }
    }
    let [fixed, any] = times.map(lowest_and_median);
    let bytes = (4 * len) as f64;
    Ok(Row { bytes, fixed, any })
}

fn print(comm: &Mpi, rows: &[Row]) {
    let lowest: Vec<_> = rows.iter().map(|row| (row.bytes, row.fixed.0)).collect();
    let (alpha, per_byte) = fit(&lowest);
    let ms = |seconds: f64| format!("{:.4}", 1e3 * seconds);
    println!("{} ranks, {}\n", comm.size(), comm.library());
    println!(
        "| bytes | fixed order, ms: lowest, median | model | MPI_Allreduce, ms: lowest, median |"
    );
    println!("|---|---|---|---|");
    for Row { bytes, fixed, any } in rows {
        let both = |(low, median)| format!("{}, {}", ms(low), ms(median));
        let model = ms(alpha + per_byte * bytes);
        println!("| {bytes} | {} | {model} | {} |", both(*fixed), both(*any));
    }
    let (alpha, beta) = (1e6 * alpha, 1e-9 / per_byte);
    println!("\nalpha = {alpha:.1} us, beta = {beta:.2} GB/s");
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
