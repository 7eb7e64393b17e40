//! `ganforge sample`.

use ganforge::tensor::words::counted;
use std::path::{Path, PathBuf};

use ganforge::gan::data::pictures::{image_grid, shown};
use ganforge::gan::data::{ImageSize, Picture};
use ganforge::gan::files::{ArrayRef, write_npy, write_npz};
use ganforge::gan::interpolation::Way;
use ganforge::gan::toy_plot;

use super::failure::Failure;
use super::options::{
    Classes, Compute, Threads, classes, count, file, scale, seed, steps, two_classes,
};
use super::output::{check_distinct, say};
use super::trained::{OpenGenerator, Trained};

const EXAMPLES: &str = "\
Examples:
  ganforge sample --pretrained mnist                       digits at once, no training needed
  ganforge sample runs/mnist-001                           a grid of 100, in the run's folder
  ganforge sample runs/mnist-001 -n 64 --seed 7 --out digits.png --scale 3
  ganforge sample runs/mnist-001 --best                    by the checkpoint of the best score, of a run with eval.best
  ganforge sample runs/mnist-001 -n 10000 --out samples.npy      [10000, 784] float32 in [0, 1]
  ganforge sample runs/mnist-001 -n 100 --out x.npy --noise z.npy     samples and their noise: x = G(z)
  ganforge sample runs/mnist-001 --out x.png --out x.npy              the same samples in two files
  ganforge sample runs/mnist-001 --interpolate slerp --steps 12 -n 96     each row from one noise to another
  ganforge sample runs/dcgan28-001 --truncate 1            of noise without components beyond 1: less variety, fewer bad ones
  ganforge sample runs/cgan-001 --class 7                  sevens, of a generator with classes
  ganforge sample runs/cgan-001 --class 0..4 -n 50         a column for each of five classes
  ganforge sample runs/cgan-001 --interpolate-class 3:8    each row one noise, on the way from a three to an eight

Sample i depends only on the generator, the seed and i, unless --batch-statistics is given.";

/// File endings of arrays.
const ARRAYS: [&str; 2] = ["npy", "npz"];
/// File endings of pictures and arrays.
const OUTPUTS: &[&str] = &["png", "jpg", "jpeg", "npy", "npz"];

/// Draw samples from a trained generator.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    trained: Trained,
    /// Number of samples
    #[arg(short, value_name = "N", default_value = "100", value_parser = count)]
    n: usize,
    /// Seed of the noise [default: the run's own, which draws the same samples as its pictures]
    #[arg(long, value_name = "S", value_parser = seed)]
    seed: Option<u64>,
    /// Enlarge each pixel of the picture to N x N [default: 1]
    #[arg(long, value_name = "N", value_parser = scale)]
    scale: Option<usize>,
    /// The file to write; its ending is the format: .png or .jpg, a grid of all samples; .npy or .npz, an array [N, d],
    /// named `samples` in an .npz; may be repeated [default: RUN/samples-SEED.png, or NAME-samples-SEED.png]
    #[arg(long, value_name = "FILE", value_parser = file(OUTPUTS))]
    out: Vec<PathBuf>,
    /// Also write the noise z of the samples as an array [N, dim], named `z` in an .npz
    #[arg(long, value_name = "FILE.npy|FILE.npz", value_parser = file(&ARRAYS))]
    noise: Option<PathBuf>,
    /// Batch norm by the mean and variance of the samples themselves, a hundred at a time, as in training, not by the
    /// running averages
    #[arg(long)]
    batch_statistics: bool,
    /// Draw this class only, a number from 0, or these in turn, 0..4 (inclusive) or 3,1,4: of a generator with classes [default: all
    /// in turn, sample i of class i modulo their number]
    #[arg(long, value_name = "K", value_parser = classes)]
    class: Option<Classes>,
    /// Draw samples on the way from class A to class B, numbers from 0: each row of the picture is of one noise, and the vectors of
    /// the classes are mixed in even steps
    #[arg(long, value_name = "A:B", value_parser = two_classes, conflicts_with_all = ["class", "batch_statistics"])]
    interpolate_class: Option<[usize; 2]>,
    /// Draw samples on the way from one noise to another, each row of the picture from one pair: `linear`, straight, as suits uniform
    /// noise, or `slerp`, along the sphere, as suits a normal one
    #[arg(long, value_name = "WAY", value_parser = ["linear", "slerp"], conflicts_with_all = ["interpolate_class", "batch_statistics"])]
    interpolate: Option<String>,
    /// Samples on such a way, both ends included; -n is a multiple of it [default: 10]
    #[arg(long, value_name = "N", value_parser = steps)]
    steps: Option<usize>,
    /// Draw components of normal noise again that are beyond T, as noise.truncate does
    #[arg(long, value_name = "T", conflicts_with = "batch_statistics")]
    truncate: Option<f64>,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let inputs = args.trained.file().map(|path| ("the generator", path));
    let outs = args.out.iter().map(|path| ("--out", path.as_path()));
    let noise = args.noise.iter().map(|path| ("--noise", path.as_path()));
    check_distinct(inputs.into_iter().chain(outs).chain(noise))?;
    if args.scale.is_some() && !args.out.is_empty() && !args.out.iter().any(|p| !is_array(p)) {
        let reason = "--scale: there is no picture to enlarge: add one with --out";
        return Err(Failure::input(reason));
    }
    if args.steps.is_some() && args.interpolate.is_none() && args.interpolate_class.is_none() {
        let reason =
            "--steps: of a way between noises or classes: add --interpolate or --interpolate-class";
        return Err(Failure::input(reason));
    }
    args.threads.pool()?.install(|| draw(args))
}

fn draw(args: &Args) -> Result<(), Failure> {
    let mut open = args.trained.open()?;
    let device = args.compute.device()?;
    match args.batch_statistics {
        true => open.generator.use_batch_statistics(&device)?,
        false => open.generator.move_to(&device)?,
    }
    if let Some(bound) = args.truncate {
        let named = |error: ganforge::gan::Error| Failure::input(format!("--truncate: {error}"));
        open.generator.truncate(&device, bound).map_err(named)?;
    }
    let d = open.generator.config().output_dim();
    let seed = args.seed.unwrap_or(open.generator.config().seed);
    let drawn = drawn(args, &mut open, seed)?;
    let samples = &drawn.samples;
    check_finite(&open, samples, args.n)?;
    let default = [PathBuf::from(format!("{}samples-{seed}.png", open.prefix))];
    let outs = match &args.out[..] {
        [] => &default[..],
        outs => outs,
    };
    for out in outs {
        let what = match is_array(out) {
            true => {
                store(out, "samples", args.n, samples)?;
                format!(" of {}", counted(d, "value"))
            }
            false => {
                draw_picture(args, &open, &drawn, out)?;
                String::new()
            }
        };
        say(&format!(
            "{}{what}: {}",
            counted(args.n, "sample"),
            out.display()
        ))?;
    }
    if let Some(path) = &args.noise {
        let z = match drawn.noise {
            Some(z) => z,
            None => open.generator.noise(seed, args.n)?,
        };
        store(path, "z", args.n, &z)?;
        say(&format!("their noise: {}", path.display()))?;
    }
    Ok(())
}

/// Samples and how they are laid out.
struct Drawn {
    /// [n, d]
    samples: Vec<f32>,
    /// Their noise [n, dim], where it is not that of samples of the seed.
    noise: Option<Vec<f32>>,
    /// The columns of a picture, where they are not to make it as nearly square as possible.
    columns: Option<usize>,
}

fn drawn(args: &Args, open: &mut OpenGenerator, seed: u64) -> Result<Drawn, Failure> {
    if let Some(classes) = args.interpolate_class {
        return between(args, open, seed, classes);
    }
    if let Some(way) = &args.interpolate {
        let way = match way.as_str() {
            "linear" => Way::Linear,
            _ => Way::Slerp,
        };
        return along(args, open, seed, way);
    }
    let generator = &mut open.generator;
    let named = |error: ganforge::gan::Error| Failure::input(format!("--class: {error}"));
    let turns = args.class.as_ref().map_or(&[][..], |classes| &classes.0);
    generator.set_classes(turns).map_err(named)?;
    let columns = match turns.len() {
        0 => generator.classes(),
        classes => Some(classes),
    };
    Ok(Drawn {
        samples: generator.samples(seed, args.n)?,
        noise: None,
        columns: columns.filter(|n| (2..=args.n).contains(n)),
    })
}

/// Rows and columns of a picture of ways from one end to another.
fn ways(args: &Args, ends: &str) -> Result<[usize; 2], Failure> {
    let (n, steps) = (args.n, args.steps.unwrap_or(10));
    match n.is_multiple_of(steps) {
        true => Ok([n / steps, steps]),
        false => Err(Failure::input(format!(
            "-n {n}: must be a multiple of the {steps} steps between two {ends}"
        ))),
    }
}

/// Samples between two noises, a row of steps for each pair; of a generator with classes each row of one.
fn along(args: &Args, open: &mut OpenGenerator, seed: u64, way: Way) -> Result<Drawn, Failure> {
    let [rows, steps] = ways(args, "noises")?;
    let generator = &mut open.generator;
    generator.check_room(args.n)?;
    let turns: Vec<usize> = match (&args.class, generator.classes()) {
        (Some(classes), _) => classes.0.clone(),
        (None, classes) => (0..classes.unwrap_or(0)).collect(),
    };
    let of_rows = (0..rows).filter_map(|row| turns.get(row % turns.len().max(1)));
    let of_samples: Vec<usize> = of_rows.flat_map(|&class| vec![class; steps]).collect();
    let named = |error: ganforge::gan::Error| Failure::input(format!("--class: {error}"));
    generator.set_classes(&of_samples).map_err(named)?;
    let dim = generator.config().noise.dim;
    let ends = generator.noise(seed, 2 * rows)?;
    let mut z = Vec::with_capacity(args.n * dim);
    for pair in ends.chunks_exact(2 * dim) {
        let (a, b) = pair.split_at(dim);
        for step in 0..steps {
            z.extend(way.at(a, b, step as f32 / (steps - 1) as f32));
        }
    }
    Ok(Drawn {
        samples: generator.decode(&z)?,
        noise: Some(z),
        columns: Some(steps),
    })
}

/// Samples between two classes, a row of steps for each noise.
fn between(
    args: &Args,
    open: &mut OpenGenerator,
    seed: u64,
    classes: [usize; 2],
) -> Result<Drawn, Failure> {
    let [rows, steps] = ways(args, "classes")?;
    let generator = &mut open.generator;
    generator.check_room(args.n)?;
    let named =
        |error: ganforge::gan::Error| Failure::input(format!("--interpolate-class: {error}"));
    generator.set_classes(&classes).map_err(named)?;
    let dim = generator.config().noise.dim;
    let z = generator.noise(seed, rows)?;
    let z: Vec<f32> = z.chunks(dim).flat_map(|z| z.repeat(steps)).collect();
    let shares: Vec<f32> = (0..args.n)
        .map(|i| (i % steps) as f32 / (steps - 1) as f32)
        .collect();
    Ok(Drawn {
        samples: generator.decode_between(&z, classes, &shares)?,
        noise: Some(z),
        columns: Some(steps),
    })
}

/// Refuses samples with values that are not finite, as parameters make them that are finite but too large.
fn check_finite(open: &OpenGenerator, samples: &[f32], n: usize) -> Result<(), Failure> {
    let rows = samples.chunks(samples.len() / n);
    let bad = rows.filter(|row| row.iter().any(|x| !x.is_finite()));
    match bad.count() {
        0 => Ok(()),
        bad => Err(Failure::work(format!(
            "{}: {bad} of {} contain NaN or infinite values; nothing was written",
            open.origin(),
            counted(n, "sample")
        ))),
    }
}

fn is_array(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ARRAYS.iter().any(|e| ending.eq_ignore_ascii_case(e))
}

fn draw_picture(
    args: &Args,
    open: &OpenGenerator,
    drawn: &Drawn,
    out: &Path,
) -> Result<(), Failure> {
    let (config, samples) = (open.generator.config(), &drawn.samples);
    let image = match toy_plot::picture(samples, &config.data.set)? {
        Some(plot) => plot,
        None => {
            let shown = shown(samples, config.data.contrast);
            images(&shown, args.n, drawn.columns, open.generator.image())?
        }
    };
    let image = image.enlarged(args.scale.unwrap_or(1));
    let image = image.map_err(ganforge::gan::Error::from)?;
    Ok(image.save(out).map_err(ganforge::gan::Error::from)?)
}

/// Stores n rows of values; `name` is that of the array in an npz.
fn store(path: &Path, name: &str, n: usize, values: &[f32]) -> Result<(), Failure> {
    let shape = [n, values.len() / n];
    let array = ArrayRef::f32(&shape, values);
    let ending = path.extension().unwrap_or_default();
    match ending.eq_ignore_ascii_case("npz") {
        true => write_npz(path, [(name.to_string(), array)])?,
        false => write_npy(path, array)?,
    }
    Ok(())
}

/// A grid of all images, of so many columns, or as nearly square as possible.
fn images(
    samples: &[f32],
    n: usize,
    columns: Option<usize>,
    size: ImageSize,
) -> Result<Picture, Failure> {
    let square = n.isqrt() + usize::from(n.isqrt().pow(2) < n);
    let cols = columns.unwrap_or(square);
    let image = image_grid(samples, size, [n.div_ceil(cols), cols], 2);
    Ok(image.map_err(ganforge::gan::Error::from)?)
}
