//! `ganforge features`.

use std::path::PathBuf;

use ganforge::gan;
use ganforge::gan::extractors::Keep;
use ganforge::gan::files::check_writable;
use ganforge::tensor::words::counted;

use super::failure::Failure;
use super::images::{self, Reading};
use super::looks::LookArgs;
use super::options::{Compute, Threads, file};
use super::output::say;

const EXAMPLES: &str = "\
Examples:
  ganforge features generated/ --extractor cifarnet --out generated.npz
  ganforge features mnist --out mnist-test.npz                    the test images, by mnistnet
  ganforge features photos.tar --extractor inception --weights inception.pth --statistics --out photos.npz
  ganforge eval --images generated/ --reference photos.npz --extractor inception --weights inception.pth

Images are a folder, a .tar or a .zip of PNG or JPEG pictures; an array in .npy, .npz or FILE.npz:NAME; or a data set's name. They
are read one batch after the other. The file keeps features [N, d] and logits, or with --statistics mean (mu) and covariance
(sigma), which pytorch-fid and clean-fid read, too; and the network, its SHA-256, the protocol and the images' SHA-256, which
`ganforge eval` checks. Without --protocol images are treated as torch-fidelity does.";

/// Keep what a network sees in images.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A folder, a .tar or .zip of pictures, an .npy or .npz, or a data set's name
    #[arg(value_name = "IMAGES")]
    images: PathBuf,
    /// The file to write: .npz; or .npy, the features alone
    #[arg(long, value_name = "FILE.npz|FILE.npy", value_parser = file(&["npz", "npy"]))]
    out: PathBuf,
    /// Keep mean and covariance alone; memory does not grow with the number of images
    #[arg(long)]
    statistics: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    looks: LookArgs,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    args.threads.pool()?.install(|| {
        let keep = match args.statistics {
            true if args
                .out
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("npy")) =>
            {
                let message =
                    "--statistics: mean and covariance are two arrays: expected --out FILE.npz";
                return Err(Failure::input(message));
            }
            true => Keep::Statistics,
            false => Keep::Rows,
        };
        let path = args.images.as_path();
        args.reading.check_used(&[path])?;
        check_writable(&args.out).map_err(gan::Error::from)?;
        let protocol = args.looks.protocol().unwrap_or_default();
        let mut set = args.reading.open(path, protocol, None)?;
        args.reading.check_range(&[&set])?;
        let rows = set.rows(args.looks.count()?);
        let device = args.compute.device()?;
        let mut network = args.looks.network(set.size(), protocol, &device)?;
        images::check_fit(&network, &set)?;
        let source = images::look(&mut network, &mut set, &rows, keep)?;
        source.write(&args.out).map_err(gan::Error::from)?;
        say(&format!(
            "{}: {} of {} by {}, protocol {}",
            args.out.display(),
            match keep {
                Keep::Rows => format!("{} features", source.d()),
                Keep::Statistics => format!("mean and covariance of {} features", source.d()),
            },
            format_args!("{} of {}", counted(rows.len(), "image"), set.name()),
            network.name(),
            protocol.name()
        ))
    })
}
