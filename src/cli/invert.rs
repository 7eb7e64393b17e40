//! `ganforge invert`.

use std::path::PathBuf;

use ganforge::gan;
use ganforge::gan::config::{Config, Contrast};
use ganforge::gan::data::pictures::{image_grid, shown};
use ganforge::gan::data::{ImageSize, Picture};
use ganforge::gan::encoder::Encoder;
use ganforge::gan::files::check_writable;
use ganforge::tensor::words::counted;
use serde_json::json;

use super::about::About;
use super::failure::Failure;
use super::images::Reading;
use super::options::{Compute, Threads, count, file, scale};
use super::output::say;
use super::run_folder::OpenRun;

const EXAMPLES: &str = "\
Examples:
  ganforge train --encoder mnist                     an encoder of the bundled generator, into runs/encoder-001
  ganforge invert runs/encoder-001 --test 20         test images, what G makes of E(x), and of the noise that is refined
  ganforge invert runs/encoder-001 photos/ --out photos.png --scale 2
  ganforge invert runs/encoder-001 --test 1000 --refine 0 --json

The picture has three rows: x, G(E(x)), and G(z) of the z that Adam finds from E(x) on; more images continue below. Numbers are
means over the values of an image, of pixels from 0 to 1.";

/// Images in a row of the picture.
const COLUMNS: usize = 20;
/// The learning rate of the refinement.
const LR: f64 = 0.05;

/// Show images beside what a generator makes of the noise that an encoder finds for them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of a run of `train --encoder`
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// A folder, a .tar or .zip of pictures, an .npy or .npz, or a data set's name
    #[arg(value_name = "IMAGES", required_unless_present = "test")]
    images: Option<PathBuf>,
    /// The first N test images of the run's data
    #[arg(long, value_name = "N", value_parser = count, conflicts_with = "images")]
    test: Option<usize>,
    /// So many of IMAGES, evenly spaced [default: 20]
    #[arg(short, value_name = "N", value_parser = count, conflicts_with = "test")]
    n: Option<usize>,
    /// Steps of Adam that refine the noise of each image; 0: none
    #[arg(long, value_name = "STEPS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    refine: u32,
    /// The picture to write: .png or .jpg [default: RUN/inverted.png]
    #[arg(long, value_name = "FILE", value_parser = file(&["png", "jpg", "jpeg"]))]
    out: Option<PathBuf>,
    /// Enlarge each pixel of the picture to N x N [default: 1]
    #[arg(long, value_name = "N", value_parser = scale)]
    scale: Option<usize>,
    /// Use the run's best checkpoint (eval.best) instead of the newest
    #[arg(long)]
    best: bool,
    /// Print JSON, with the errors of each image
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    args.threads.pool()?.install(|| invert(args))
}

fn invert(args: &Args) -> Result<(), Failure> {
    let open = OpenRun::open_at(&args.run, args.best)?;
    let config = &open.config;
    if config.encoder.is_none() {
        return Err(Failure::input(format!(
            "{}: is no run of an encoder: `ganforge train --encoder {}` trains one for its generator",
            args.run.display(),
            args.run.display()
        )));
    }
    let default = args.run.join("inverted.png");
    let out = args.out.as_ref().unwrap_or(&default);
    check_writable(out).map_err(gan::Error::from)?;
    let size = config
        .image()
        .or_else(|| open.about.as_ref().and_then(About::image_size))
        .filter(|size| size.values() == Some(config.output_dim()));
    let Some(size) = size else {
        return Err(Failure::input(format!(
            "{}: its generator makes points or vectors, not images",
            args.run.display()
        )));
    };
    let x = images(args, &open, size)?;
    let d = config.output_dim();
    let store = open.run.load(config, d)?;
    let mut encoder = Encoder::at(&args.compute.device()?, config, &store)?;
    let [z, again] = encoder.find(&x)?;
    let refined = match args.refine {
        0 => None,
        steps => Some(encoder.refine(&x, &z, steps as usize, LR)?[1].clone()),
    };
    let all: Vec<&[f32]> = [Some(&x), Some(&again), refined.as_ref()]
        .into_iter()
        .flatten()
        .map(Vec::as_slice)
        .collect();
    let picture = rows(config, size, &all)?;
    let picture = picture.enlarged(args.scale.unwrap_or(1));
    let picture = picture.map_err(gan::Error::from)?;
    picture.save(out).map_err(gan::Error::from)?;
    let of = |found: &[f32]| errors(config, &x, found, d);
    let (found, refined) = (of(&again), refined.map(|r| of(&r)));
    let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
    if args.json {
        let refined = refined.map(
            |errors| json!({ "steps": args.refine, "mse": mean(&errors), "mse_of_each": errors }),
        );
        return say(&json!({
            "images": x.len() / d,
            "mse": mean(&found),
            "mse_of_each": found,
            "refined": refined,
            "out": out.display().to_string(),
        })
        .to_string());
    }
    let refined = refined.map(|errors| {
        let steps = counted(args.refine as usize, "step");
        format!(", {:.4} after {steps} of refinement", mean(&errors))
    });
    say(&format!(
        "{}: mean (G(E(x)) - x)² {:.4}{}",
        counted(x.len() / d, "image"),
        mean(&found),
        refined.unwrap_or_default()
    ))?;
    say(&format!("picture: {}", out.display()))
}

/// The images that are asked for, as the networks see them.
fn images(args: &Args, open: &OpenRun, size: ImageSize) -> Result<Vec<f32>, Failure> {
    let config = &open.config;
    let Some(path) = &args.images else {
        if let Some(option) = args.reading.given().next() {
            let message = format!("--{option}: only with IMAGES");
            return Err(Failure::input(message));
        }
        let data = open.data(args.json)?;
        let n = args.test.unwrap_or(COLUMNS).min(data.test.n());
        return Ok(data.test.to_f32(0..n).map_err(gan::Error::from)?);
    };
    let n = args.n.unwrap_or(COLUMNS);
    args.reading.images(path, n, size, config.data.contrast)
}

/// Mean squared difference of each image, of pixels from 0 to 1.
fn errors(config: &Config, x: &[f32], found: &[f32], d: usize) -> Vec<f64> {
    let scale = match config.data.contrast {
        Contrast::Signed => 0.25,
        _ => 1.0,
    };
    let pairs = x.chunks_exact(d).zip(found.chunks_exact(d));
    let of = |(x, found): (&[f32], &[f32])| {
        let squares = x.iter().zip(found).map(|(x, y)| f64::from(x - y).powi(2));
        scale * squares.sum::<f64>() / d as f64
    };
    pairs.map(of).collect()
}

/// A picture in which the images of each of `all` stand side by side, one below the other.
fn rows(config: &Config, size: ImageSize, all: &[&[f32]]) -> Result<Picture, Failure> {
    let d = config.output_dim();
    let n = all[0].len() / d;
    let columns = n.clamp(1, COLUMNS);
    let bands = n.div_ceil(columns);
    let mut cells = vec![1.0; bands * all.len() * columns * d];
    for (kind, images) in all.iter().enumerate() {
        let images = shown(images, config.data.contrast);
        for (i, image) in images.chunks_exact(d).enumerate() {
            let row = i / columns * all.len() + kind;
            let at = (row * columns + i % columns) * d;
            cells[at..at + d].copy_from_slice(image);
        }
    }
    let picture = image_grid(&cells, size, [bands * all.len(), columns], 2);
    Ok(picture.map_err(gan::Error::from)?)
}
