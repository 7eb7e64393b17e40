//! `ganforge import`.

use std::path::PathBuf;

use ganforge::gan::generator::{Generator, Precision};

use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::output::say;

const EXAMPLES: &str = "\
Examples:
  ganforge import mine.safetensors --config mnist --out mine.npz     parameters that PyTorch wrote
  ganforge import mine.npz --config my.toml --out mine.safetensors
  ganforge import digits.npz --out digits.safetensors                from one format to the other
  ganforge eval mine.npz

Expected of the file: for each layer of the generator G.<layer>.w [in, out] and G.<layer>.b [out], float32 or float16, and
nothing else. A response is x·w + b, so the weights of a PyTorch Linear must be transposed.";

/// Import a generator that another program wrote.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The file to read
    #[arg(value_name = "FILE.npz|FILE.safetensors")]
    file: PathBuf,
    /// The configuration whose generator it is; a file of `ganforge export` has its own
    #[arg(long, value_name = KINDS)]
    config: Option<ConfigName>,
    /// The file to write, for `sample`, `eval` and `figure`
    #[arg(long, value_name = "FILE.npz|FILE.safetensors")]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let generator = match &args.config {
        Some(config) => Generator::import(&args.file, &config.config(&[], &[])?)?,
        None => Generator::read(&args.file)?,
    };
    generator.write(&args.out, Precision::Single)?;
    say(&format!("generator: {}", args.out.display()))
}
