//! `ganforge inpaint`.

use std::fs;
use std::path::{Path, PathBuf};

use ganforge::gan;
use ganforge::gan::config::{Contrast, RestoreKind};
use ganforge::gan::data::pictures::{image_grid, shown};
use ganforge::gan::data::{ImageSize, Picture};
use ganforge::gan::files::check_writable;
use ganforge::gan::restore::{Mask, Restorer};
use ganforge::tensor::words::counted;
use serde_json::json;

use super::failure::Failure;
use super::images::Reading;
use super::options::{Compute, Threads, count, file, scale};
use super::output::say;
use super::run_folder::OpenRun;

const EXAMPLES: &str = "\
Examples:
  ganforge train inpaint                             one generator for all masks, into runs/inpaint-001
  ganforge inpaint runs/inpaint-001 --test 10        test digits without their right half, eight completions of each
  ganforge inpaint runs/inpaint-001 photos/ --mask top --samples 4 --out photos.png --scale 2
  ganforge inpaint runs/inpaint-001 --test 1 --mask hole.png    white is known, black is missing

A row of the picture is an image, what is known of it, with grey for the rest, and its completions, each with other noise; of more than a
hundred images it shows the first hundred. What is known stays as it is, bit for bit. Errors are means over the missing values of all
images and completions, of pixels from 0 to 1.";

/// Rows of the picture where nothing else is asked for.
const IMAGES: usize = 10;
/// Rows of a picture, at most.
const ROWS: usize = 100;

/// Complete images of which a part is missing.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of a run with [restore] kind = "inpaint"
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// A folder, a .tar or .zip of pictures, an .npy or .npz, or a data set's name
    #[arg(value_name = "IMAGES", required_unless_present = "test")]
    images: Option<PathBuf>,
    /// The first N test images of the run's data
    #[arg(long, value_name = "N", value_parser = count, conflicts_with = "images")]
    test: Option<usize>,
    /// So many of IMAGES, evenly spaced [default: 10]
    #[arg(short, value_name = "N", value_parser = count, conflicts_with = "test")]
    n: Option<usize>,
    /// What is missing: right, left, top, bottom, middle, pixels (half of them, drawn from the run's seed), all, or a picture of the
    /// images' height and width, white where a pixel is known and black where it is missing [default: the run's restore.mask]
    #[arg(long, value_name = "MASK|FILE")]
    mask: Option<String>,
    /// Completions of each image
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    samples: u32,
    /// The picture to write: .png or .jpg [default: RUN/inpainted.png]
    #[arg(long, value_name = "FILE", value_parser = file(&["png", "jpg", "jpeg"]))]
    out: Option<PathBuf>,
    /// Enlarge each pixel of the picture to N x N [default: 1]
    #[arg(long, value_name = "N", value_parser = scale)]
    scale: Option<usize>,
    /// Use the run's best checkpoint (eval.best) instead of the newest
    #[arg(long)]
    best: bool,
    /// Print JSON
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
    args.threads.pool()?.install(|| inpaint(args))
}

fn inpaint(args: &Args) -> Result<(), Failure> {
    let open = OpenRun::open_at(&args.run, args.best)?;
    let config = &open.config;
    let (Some(restore), Some([height, width, channels])) =
        (&config.restore, config.restored_image())
    else {
        return Err(Failure::input(format!(
            "{}: has no [restore], by which a generator is given images: `ganforge train inpaint` trains such a run",
            args.run.display()
        )));
    };
    if !matches!(restore.kind, RestoreKind::Inpaint(_)) {
        return Err(Failure::input(format!(
            "{}: has restore.kind = {:?}, and \"inpaint\" completes images",
            args.run.display(),
            restore.kind.name()
        )));
    }
    let size = ImageSize {
        height,
        width,
        channels,
    };
    let default = args.run.join("inpainted.png");
    let out = args.out.as_ref().unwrap_or(&default);
    check_writable(out).map_err(gan::Error::from)?;
    let chosen = args.mask.as_deref();
    let known = chosen
        .map(|mask| mask_of(mask, size, config.seed))
        .transpose()?;
    let x = images(args, &open, size)?;
    let d = config.output_dim();
    let store = open.run.load(config, d)?;
    let mut restorer = Restorer::at(&args.compute.device()?, config, &store)?;
    let known = known.or_else(|| restorer.known()).unwrap_or_default();
    let draws = (0..args.samples).map(|draw| restorer.restore(&x, Some(&known), draw));
    let completed = draws.collect::<Result<Vec<_>, _>>()?;
    let given = restorer.incomplete(&x, Some(&known));
    let mut columns: Vec<&[f32]> = vec![&x, &given];
    columns.extend(completed.iter().map(Vec::as_slice));
    let n = x.len() / d;
    let (rows, mut cells) = (n.min(ROWS), Vec::new());
    for i in 0..rows {
        for images in &columns {
            cells.extend_from_slice(&shown(&images[i * d..(i + 1) * d], config.data.contrast));
        }
    }
    let picture = image_grid(&cells, size, [rows, columns.len()], 2);
    let picture = picture.and_then(|picture| picture.enlarged(args.scale.unwrap_or(1)));
    let picture = picture.map_err(gan::Error::from)?;
    picture.save(out).map_err(gan::Error::from)?;
    let scale = match config.data.contrast {
        Contrast::Signed => 0.5,
        _ => 1.0,
    };
    let missing = known.iter().filter(|m| **m == 0.0).count() * channels * n;
    // What is known adds nothing: it is the same in both.
    let mean = |a: &[f32], b: &[f32], of: fn(f64) -> f64| {
        let differences = a.iter().zip(b).map(|(a, b)| scale * f64::from(a - b));
        (missing > 0).then(|| differences.map(of).sum::<f64>() / missing as f64)
    };
    let errors = completed.iter().map(|y| mean(&x, y, |e| e * e));
    let errors: Option<Vec<f64>> = errors.collect();
    let mse = errors.map(|errors| errors.iter().sum::<f64>() / errors.len() as f64);
    let apart = match &completed[..] {
        [first, second, ..] => mean(first, second, f64::abs),
        _ => None,
    };
    if args.json {
        return say(&json!({
            "images": n,
            "samples": args.samples,
            "missing": missing as f64 / (x.len() as f64).max(1.0),
            "mse": mse,
            "difference": apart,
            "out": out.display().to_string(),
        })
        .to_string());
    }
    let images = counted(n, "image");
    let missed = mse.map_or("nothing is missing".to_owned(), |mse| {
        format!("mean (y - x)² of missing values {mse:.4}")
    });
    let apart = apart.map(|apart| format!(", mean |difference| of two completions {apart:.4}"));
    say(&format!("{images}: {missed}{}", apart.unwrap_or_default()))?;
    say(&format!("picture: {}", out.display()))
}

/// Which pixels are known by a name of a mask or a picture.
fn mask_of(mask: &str, size: ImageSize, seed: u64) -> Result<Vec<f32>, Failure> {
    let sides = [size.height, size.width];
    if let Some((_, named)) = Mask::ALL.iter().find(|named| named.0 == mask) {
        return Ok(named.known(sides, seed));
    }
    let path = Path::new(mask);
    if !path.is_file() {
        let names: Vec<&str> = Mask::ALL.iter().map(|mask| mask.0).collect();
        let names = names.join(", ");
        return Err(Failure::input(format!(
            "--mask: {mask:?} is neither a file nor one of {names}"
        )));
    }
    let bytes = fs::read(path).map_err(|e| Failure::io(path, "read", e))?;
    let read = Picture::decode(&bytes);
    let read = read.map_err(|e| Failure::input(format!("--mask: {mask}: {e}")))?;
    let of_mask = read.picture.size();
    if [of_mask.height, of_mask.width] != sides {
        return Err(Failure::input(format!(
            "--mask: {mask}: a picture of {}x{}, and the images are {}x{}",
            of_mask.height, of_mask.width, size.height, size.width
        )));
    }
    let pixels = read.picture.bytes().chunks_exact(of_mask.channels);
    let known = pixels.map(|pixel| match pixel {
        pixel if pixel.iter().all(|v| *v == 255) => Ok(1.0),
        pixel if pixel.iter().all(|v| *v == 0) => Ok(0.0),
        pixel => Err(Failure::input(format!(
            "--mask: {mask}: has a pixel of {pixel:?}, expected white, what is known, and black, what is missing"
        ))),
    });
    known.collect()
}

/// The images that are asked for, as the networks see them.
fn images(args: &Args, open: &OpenRun, size: ImageSize) -> Result<Vec<f32>, Failure> {
    let config = &open.config;
    let Some(path) = &args.images else {
        if let Some(option) = args.reading.given().next() {
            return Err(Failure::input(format!("--{option}: only with IMAGES")));
        }
        let data = open.data(args.json)?;
        let n = args.test.unwrap_or(IMAGES).min(data.test.n());
        return Ok(data.test.to_f32(0..n).map_err(gan::Error::from)?);
    };
    args.reading
        .images(path, args.n.unwrap_or(IMAGES), size, config.data.contrast)
}
