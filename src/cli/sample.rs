//! `ganforge sample`.

use std::path::{Path, PathBuf};

use ganforge::gan::figures::grid::{self, ImageSize};
use ganforge::gan::figures::toy;
use ganforge::gan::files::{ArrayRef, write_npy, write_npz};
use ganforge::gan::metrics::Measure;
use image::DynamicImage;

use super::failure::Failure;
use super::options::{Compute, Threads, count, file, seed};
use super::output::say;
use super::trained::Trained;

const EXAMPLES: &str = "\
Examples:
  ganforge sample --pretrained mnist                       digits at once, no training needed
  ganforge sample runs/mnist-001                           a picture of 100, in the run's folder
  ganforge sample runs/mnist-001 -n 64 --seed 7 --grid digits.png --scale 3
  ganforge sample runs/mnist-001 -n 10000 --out samples.npy      [10000, 784] float32 in [0, 1]
  ganforge sample runs/mnist-001 -n 100 --out x.npy --noise z.npy     samples and their noise: x = G(z)

Sample i depends on the run, the seed and i alone.";

/// Draw samples from a trained generator.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    trained: Trained,
    /// How many
    #[arg(short, value_name = "N", default_value = "100", value_parser = count)]
    n: usize,
    /// Key of the noise [default: the run's own, as in its pictures]
    #[arg(long, value_name = "S", value_parser = seed)]
    seed: Option<u64>,
    /// Draw them as one picture [default, without --out: RUN/samples-SEED.png, or NAME-samples-SEED.png]
    #[arg(long, value_name = "FILE.png|FILE.jpg", value_parser = file(&grid::ENDINGS))]
    grid: Option<PathBuf>,
    /// Pixels on a side of each of the picture's pixels [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    scale: Option<u32>,
    /// Store them as an array [N, d]; in an .npz it is called `samples`
    #[arg(long, value_name = "FILE.npy|FILE.npz")]
    out: Option<PathBuf>,
    /// Store the noise that they are made of as an array [N, dim]; in an .npz it is called `z`
    #[arg(long, value_name = "FILE.npy|FILE.npz")]
    noise: Option<PathBuf>,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    for path in args.out.iter().chain(&args.noise) {
        is_npz(path)?;
    }
    if args.out.is_some() && args.out == args.noise {
        return Err(Failure::input("--out and --noise name the same file"));
    }
    if args.scale.is_some() && args.out.is_some() && args.grid.is_none() {
        let reason = "--scale: there is no picture to enlarge: name one with --grid";
        return Err(Failure::input(reason));
    }
    args.threads.pool()?.install(|| draw(args))
}

fn draw(args: &Args) -> Result<(), Failure> {
    let mut open = args.trained.open()?;
    open.generator.move_to(&args.compute.place()?)?;
    let d = open.generator.config().output_dim();
    let seed = args.seed.unwrap_or(open.generator.config().seed);
    let samples = open.generator.samples(seed, args.n)?;
    if let Some(out) = &args.out {
        store(out, "samples", args.n, &samples)?;
        say(&format!(
            "{} samples of {d} values: {}",
            args.n,
            out.display()
        ))?;
    }
    if let Some(path) = &args.noise {
        store(path, "z", args.n, &open.generator.noise(seed, args.n)?)?;
        say(&format!("their noise: {}", path.display()))?;
    }
    let picture = match (&args.grid, &args.out) {
        (Some(path), _) => path.clone(),
        (None, Some(_)) => return Ok(()),
        (None, None) => PathBuf::from(format!("{}samples-{seed}.png", open.prefix)),
    };
    let config = open.generator.config();
    let image = match toy::picture(&samples, &Measure::of(&config.data.set))? {
        Some(plot) => plot,
        None => {
            let shown = grid::shown(&samples, config.data.contrast);
            images(&shown, args.n, open.generator.image())?
        }
    };
    let image = grid::enlarged(&image, args.scale.unwrap_or(1));
    let image = image.map_err(ganforge::gan::Error::from)?;
    grid::save(&image, &picture).map_err(ganforge::gan::Error::from)?;
    say(&format!("{} samples: {}", args.n, picture.display()))
}

/// Stores n rows of values; `name` is that of the array in an npz.
fn store(path: &Path, name: &str, n: usize, values: &[f32]) -> Result<(), Failure> {
    let shape = [n, values.len() / n];
    let array = ArrayRef::f32(&shape, values);
    match is_npz(path)? {
        true => write_npz(path, [(name.to_string(), array)])?,
        false => write_npy(path, array)?,
    }
    Ok(())
}

/// As many images as nearly fill a square.
fn images(samples: &[f32], n: usize, size: ImageSize) -> Result<DynamicImage, Failure> {
    let (h, w, c) = (size.height, size.width, size.channels);
    let cols = n.isqrt() + usize::from(n.isqrt().pow(2) < n);
    let image = grid::image_grid(samples, n, h, w, c, n.div_ceil(cols), cols, 2);
    Ok(image.map_err(ganforge::gan::Error::from)?)
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
