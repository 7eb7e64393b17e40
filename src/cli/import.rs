//! `ganforge import`.

use std::path::PathBuf;

use ganforge::gan::generator::{Generator, Precision};

use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::output::{say, tell};

const EXAMPLES: &str = "\
Examples:
  ganforge import model.pt --from pytorch --config my.toml --out mine.npz
  ganforge import mine.safetensors --config mnist --out mine.npz     parameters under the names below
  ganforge import mine.npz --config my.toml --out mine.safetensors
  ganforge import digits.npz --out digits.safetensors                convert from one format to the other
  ganforge eval mine.npz

The file must hold G.<layer>.w [in, out] and G.<layer>.b [out] for each layer of the generator, or what else `ganforge model`
counts, as float32, float16, bfloat16 or float64, and nothing else. With --from pytorch it is a state_dict written by
torch.save, or its tensors as .npz or .safetensors: each Linear, Conv2d, ConvTranspose2d, normaliser and PReLU is assigned to
the layer of the same name (what normalises after h0 to h0_norm), else to the only one of its shape; if neither decides, all
are assigned by the numbers in their names, as in a Sequential. Weights are permuted for images [n, h, w, c].";

/// Import a generator that another program wrote.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The file to read
    #[arg(value_name = "FILE.npz|FILE.safetensors|FILE.pt")]
    file: PathBuf,
    /// Origin of a file with other parameter names and layouts than ganforge's: pytorch, the state_dict of a module
    #[arg(long, value_name = "PROGRAM", value_parser = ["pytorch"], requires = "config")]
    from: Option<String>,
    /// Configuration of the generator; a file of `ganforge export` contains its own
    #[arg(long, value_name = KINDS)]
    config: Option<ConfigName>,
    /// The file to write, for `sample`, `eval` and `figure`
    #[arg(long, value_name = "FILE.npz|FILE.safetensors")]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args
        .config
        .as_ref()
        .map(|c| c.config(&[], &[]))
        .transpose()?;
    let generator = match (&config, &args.from) {
        (Some(config), Some(_)) => {
            let (generator, said) = Generator::import_from_pytorch(&args.file, config)?;
            said.iter().for_each(|line| tell(line));
            generator
        }
        (Some(config), None) => Generator::import(&args.file, config)?,
        (None, _) => Generator::read(&args.file)?,
    };
    generator.write(&args.out, Precision::Single)?;
    say(&format!("generator: {}", args.out.display()))
}
