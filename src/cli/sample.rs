//! `ganforge sample`.

use std::path::{Path, PathBuf};

use ganforge::gan::figures::grid;
use ganforge::gan::files::{ArrayRef, write_npy, write_npz};
use ganforge::gan::sampler::Sampler;

use super::failure::Failure;
use super::options::{Threads, count, seed};
use super::output::say;
use super::run_folder::OpenRun;

const EXAMPLES: &str = "\
Examples:
  ganforge sample runs/mnist-001                           a picture of 100, in the run's folder
  ganforge sample runs/mnist-001 -n 64 --seed 7 --grid digits.png
  ganforge sample runs/mnist-001 -n 10000 --out samples.npy      [10000, 784] float32 in [0, 1]

Sample i depends on the run, the seed and i alone.";

/// Draw samples from a run's generator.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The run's folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// How many
    #[arg(short, value_name = "N", default_value = "100", value_parser = count)]
    n: usize,
    /// Key of the noise [default: the run's own, as in its pictures]
    #[arg(long, value_name = "S", value_parser = seed)]
    seed: Option<u64>,
    /// Draw them as one picture [default, without --out: RUN/samples-SEED.png]
    #[arg(long, value_name = "FILE.png")]
    grid: Option<PathBuf>,
    /// Store them as an array [N, d]; in an .npz it is called `samples`
    #[arg(long, value_name = "FILE.npy|FILE.npz")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(out) = &args.out {
        is_npz(out)?;
    }
    args.threads.pool()?.install(|| draw(args))
}

fn draw(args: &Args) -> Result<(), Failure> {
    let open = OpenRun::open(&args.run)?;
    let d = open.config.output_dim();
    let mut store = open.run.load(&open.config, d)?;
    let seed = args.seed.unwrap_or(open.config.seed);
    let samples = Sampler::new(&open.config)?.draw(&mut store, seed, args.n)?;
    if let Some(out) = &args.out {
        let shape = [args.n, d];
        let array = ArrayRef::f32(&shape, &samples);
        match is_npz(out)? {
            true => write_npz(out, [("samples".to_string(), array)])?,
            false => write_npy(out, array)?,
        }
        say(&format!(
            "{} samples of {d} values: {}",
            args.n,
            out.display()
        ))?;
    }
    let picture = match (&args.grid, &args.out) {
        (Some(path), _) => path.clone(),
        (None, Some(_)) => return Ok(()),
        (None, None) => args.run.join(format!("samples-{seed}.png")),
    };
    let (h, w, c) = open
        .about
        .and_then(|about| about.image_size())
        .filter(|(h, w, c)| h.checked_mul(*w).and_then(|n| n.checked_mul(*c)) == Some(d))
        .unwrap_or((1, d, 1));
    let cols = args.n.isqrt() + usize::from(args.n.isqrt().pow(2) < args.n);
    let rows = args.n.div_ceil(cols);
    let image = grid::image_grid(&samples, args.n, h, w, c, rows, cols, 2);
    let image = image.map_err(ganforge::gan::Error::from)?;
    grid::save_png(&image, &picture).map_err(ganforge::gan::Error::from)?;
    say(&format!("{} samples: {}", args.n, picture.display()))
}

/// Whether a name ends in .npz, or else in .npy; another one is refused.
pub(super) fn is_npz(path: &Path) -> Result<bool, Failure> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npz") => Ok(true),
        Some("npy") => Ok(false),
        _ => {
            let reason = "expected a name that ends in .npy or .npz";
            Err(Failure::input(format!("{}: {reason}", path.display())))
        }
    }
}
