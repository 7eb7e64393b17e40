//! `gemm` against the `matrixmultiply` and `gemm` crates at the shapes of a GAN step.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench gemm` runs criterion; with `GEMM_TABLE=1` before it, it prints one line per shape
//! instead: best of several alternating runs in GFLOP/s, and the share of the measured peak.
//! `GANFORGE_ISA=avx2` keeps ours from AVX-512. `GEMM_SHAPES=text` keeps the shapes whose name contains the text,
//! `GEMM_THREADS=1` that number of threads alone.

use criterion::{BenchmarkId, Criterion, Throughput};
use ganforge_kernels::cpu::{
    self, Workspace,
    gemm::{Epilogue, Shape3, gemm, measured_peak_gflops},
};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Transposition of a and b, then m, k, n.
type Case = (bool, bool, usize, usize, usize);

const NN: (bool, bool) = (false, false);
const NT: (bool, bool) = (false, true);
const TN: (bool, bool) = (true, false);

const fn case(form: (bool, bool), m: usize, k: usize, n: usize) -> Case {
    (form.0, form.1, m, k, n)
}

/// The products of the MNIST step of Goodfellow et al. 2014, then large and small ones, then those that convolutions come to.
const CASES: [Case; 32] = [
    case(NN, 100, 100, 1200),
    case(NN, 100, 1200, 1200),
    case(NN, 100, 1200, 784),
    case(NN, 200, 784, 1200),
    case(NN, 200, 240, 1200),
    case(NN, 200, 240, 1),
    case(NN, 100, 784, 1200),
    case(NN, 100, 240, 1200),
    case(NN, 100, 240, 1),
    case(NT, 100, 784, 1200),
    case(NT, 100, 1200, 1200),
    case(NT, 100, 1200, 784),
    case(NT, 200, 1200, 240),
    case(NT, 100, 1200, 240),
    case(NT, 200, 1, 240),
    case(TN, 784, 200, 1200),
    case(TN, 240, 200, 1200),
    case(TN, 240, 200, 1),
    case(TN, 100, 100, 1200),
    case(TN, 1200, 100, 1200),
    case(TN, 1200, 100, 784),
    case(NN, 2048, 2048, 2048),
    case(NT, 2048, 2048, 2048),
    case(TN, 2048, 2048, 2048),
    case(NT, 1000, 784, 10000),
    case(NN, 256, 256, 256),
    case(NN, 1000, 10, 1000),
    case(NN, 64, 4000, 64),
    case(NN, 64, 64, 64),
    case(NN, 12544, 1024, 64),
    case(NN, 12544, 1024, 128),
    case(NN, 1024, 6400, 512),
];

#[derive(Clone, Copy, PartialEq)]
enum Library {
    Ours,
    Matrixmultiply,
    Gemm,
}

const LIBRARIES: [(Library, &str); 3] = [
    (Library::Ours, "ours"),
    (Library::Matrixmultiply, "matrixmultiply"),
    (Library::Gemm, "gemm"),
];

struct Problem {
    case: Case,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    workspace: Workspace,
}

impl Problem {
    fn new(case: Case) -> Self {
        let (_, _, m, k, n) = case;
        let numbers = |len: usize, seed: usize| {
            let value = |i: usize| ((i * 7919 + seed) % 1013) as f32 / 1013.0 - 0.5;
            (0..len).map(value).collect()
        };
        Self {
            case,
            a: numbers(m * k, 1),
            b: numbers(k * n, 2),
            c: vec![f32::NAN; m * n],
            workspace: Workspace::default(),
        }
    }

    fn name(&self) -> String {
        let (ta, tb, m, k, n) = self.case;
        let letter = |t| if t { 'T' } else { 'N' };
        format!("{}{} {m}x{n} k={k}", letter(ta), letter(tb))
    }

    fn flops(&self) -> f64 {
        let (_, _, m, k, n) = self.case;
        2.0 * m as f64 * k as f64 * n as f64
    }

    /// Runs on the current rayon pool.
    fn run(&mut self, library: Library) {
        let (ta, tb, m, k, n) = self.case;
        let (a, b, c) = (&self.a, &self.b, &mut self.c);
        let (a_row, a_col) = if ta { (1, m as isize) } else { (k as isize, 1) };
        let (b_row, b_col) = if tb { (1, k as isize) } else { (n as isize, 1) };
        let ld = n as isize;
        match library {
            Library::Ours => {
                let dims = Shape3 { m, k, n };
                gemm(ta, tb, dims, a, b, c, Epilogue::Store, &mut self.workspace);
            }
            // SAFETY: the strides are those of contiguous matrices of the allocated sizes.
            Library::Matrixmultiply => unsafe {
                let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
                matrixmultiply::sgemm(
                    m, k, n, 1.0, a, a_row, a_col, b, b_row, b_col, 0.0, c, ld, 1,
                );
            },
            Library::Gemm => {
                let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
                let threads = match rayon::current_num_threads() {
                    1 => gemm::Parallelism::None,
                    _ => gemm::Parallelism::Rayon(0),
                };
                // SAFETY: as above.
                unsafe {
                    gemm::gemm(
                        m, n, k, c, 1, ld, false, a, a_col, a_row, b, b_col, b_row, 0.0, 1.0,
                        false, false, false, threads,
                    );
                }
            }
        }
        black_box(self.c.first());
    }

    /// Every library against ours; the bound is that of a sum of k products.
    fn verify(&mut self) {
        self.run(Library::Ours);
        let ours = self.c.clone();
        let bound = 0.25 * self.case.3 as f32 * f32::EPSILON * self.case.3 as f32;
        for (library, name) in LIBRARIES {
            self.c.fill(f32::NAN);
            self.run(library);
            for (i, (x, y)) in ours.iter().zip(&self.c).enumerate() {
                assert!(
                    (x - y).abs() <= bound,
                    "{} {name} [{i}]: {x} and {y}",
                    self.name()
                );
            }
        }
    }

    /// Best time of one product in seconds, for each library, taking turns.
    fn best_times(&mut self) -> [f64; 3] {
        let once = |this: &mut Self, library| {
            let begin = Instant::now();
            this.run(library);
            begin.elapsed().as_secs_f64()
        };
        let repeats = (4e-3 / once(self, Library::Ours)).clamp(1.0, 1000.0) as usize;
        let mut best = [f64::INFINITY; 3];
        for _ in 0..12 {
            for (best, (library, _)) in best.iter_mut().zip(LIBRARIES) {
                self.run(library);
                let times = (0..repeats).map(|_| once(self, library));
                *best = times.fold(*best, f64::min);
            }
        }
        best
    }
}

fn chosen() -> impl Iterator<Item = Problem> {
    let text = std::env::var("GEMM_SHAPES").unwrap_or_default();
    let wanted = move |problem: &Problem| problem.name().contains(&text);
    CASES.into_iter().map(Problem::new).filter(wanted)
}

fn pool(threads: usize) -> rayon::ThreadPool {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
    builder.build().expect("a thread pool")
}

fn thread_counts() -> Vec<usize> {
    if let Ok(text) = std::env::var("GEMM_THREADS") {
        return vec![text.parse().expect("GEMM_THREADS is a number")];
    }
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    if all == 1 { vec![1] } else { vec![1, all] }
}

fn table() {
    let isa = cpu::isa().name();
    println!("{}, kernels: {isa}\n", cpu::processor());
    for threads in thread_counts() {
        let peak = measured_peak_gflops(threads);
        println!("{threads} thread(s), FMA peak {peak:.0} GFLOP/s");
        println!("{:24}   ours  matmul.    gemm   of peak", "shape");
        let (mut flops, mut seconds) = (0.0, 0.0);
        for mut problem in chosen() {
            let times = pool(threads).install(|| {
                problem.verify();
                problem.best_times()
            });
            let rates = times.map(|time| problem.flops() / time / 1e9);
            let [ours, matrixmultiply, gemm] = rates;
            let name = problem.name();
            println!(
                "{name:24} {ours:6.1} {matrixmultiply:8.1} {gemm:7.1} {:7.1} %",
                100.0 * ours / peak
            );
            if problem.flops() < 1e9 {
                flops += problem.flops();
                seconds += times[0];
            }
        }
        let rate = flops / seconds / 1e9;
        println!(
            "sum of those below 1 GFLOP: {rate:.1} GFLOP/s, {:.1} %\n",
            100.0 * rate / peak
        );
    }
}

fn criterion_runs() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    for threads in thread_counts() {
        let pool = pool(threads);
        let mut group = criterion.benchmark_group(format!("gemm/{threads}-thread"));
        for mut problem in chosen() {
            pool.install(|| problem.verify());
            group.throughput(Throughput::Elements(problem.flops() as u64));
            for (library, name) in LIBRARIES {
                let id = BenchmarkId::new(name, problem.name());
                group.bench_function(id, |bencher| {
                    pool.install(|| bencher.iter(|| problem.run(library)));
                });
            }
        }
        group.finish();
    }
    criterion.final_summary();
}

fn main() {
    match std::env::var_os("GEMM_TABLE") {
        Some(_) => table(),
        None => criterion_runs(),
    }
}
