//! `ganforge export`.

use std::path::PathBuf;

use ganforge::gan::generator::Precision;

use super::failure::Failure;
use super::output::say;
use super::sample::is_npz;
use super::trained;

const EXAMPLES: &str = "\
Examples:
  ganforge export runs/mnist-001 --out digits.npz
  ganforge export runs/mnist-001 --out digits.npz --half    half the size, samples differ by about 0.001
  ganforge sample digits.npz -n 64

The file is an npz that NumPy opens: `config` and `about` (text as bytes), `image` (height, width,
channels), and the generator's parameters by name: G.h0.w [in, out], G.h0.b [out], ...";

/// Write a run's generator to one file, to keep or to pass on.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The run's folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
    /// Store float16 instead of float32
    #[arg(long)]
    half: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if !is_npz(&args.out)? {
        let place = args.out.display();
        return Err(Failure::input(format!(
            "{place}: expected a name that ends in .npz"
        )));
    }
    let open = trained::of_run(&args.run)?;
    let precision = match args.half {
        true => Precision::Half,
        false => Precision::Single,
    };
    open.generator.write(&args.out, precision)?;
    say(&format!("generator: {}", args.out.display()))
}
