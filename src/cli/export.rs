//! `ganforge export`.

use std::path::PathBuf;

use ganforge::gan::generator::{Format, Precision};
use ganforge::gan::pytorch;

use super::failure::Failure;
use super::output::{say, tell};
use super::trained::Trained;

const EXAMPLES: &str = "\
Examples:
  ganforge export runs/mnist-001                        runs/mnist-001/generator.npz
  ganforge export runs/mnist-001 --format safetensors   runs/mnist-001/generator.safetensors
  ganforge export runs/mnist-001 --out digits.npz --half    half the size, samples differ by about 0.001
  ganforge export --pretrained mnist --out digits.safetensors
  ganforge export runs/dcgan28-001 --to pytorch         runs/dcgan28-001/G.safetensors, a state_dict
  ganforge export runs/dcgan28-001 --to pytorch --net D --out d.npz
  ganforge export runs/mnistnet-001 --half              a classifier: runs/mnistnet-001/classifier.npz
  ganforge export runs/mnist-001 --best --out best.npz  of a run with eval.best its best checkpoint
  ganforge sample digits.npz -n 64

NumPy opens the npz: `config` and `about` (text as bytes), `image` (height, width, channels), and the generator's
parameters by name: G.h0.w [in, out], G.h0.b [out], ... A safetensors file has the same parameters, and the rest as JSON in
its metadata. `sample`, `eval` and `figure` accept the file in place of a RUN.

With --to pytorch it is the state_dict of a module that has for each layer h0 a module h0, for what normalises after it h0_norm,
and for its PReLU h0_prelu; images are [n, c, h, w] there, and weights are permuted accordingly. `import --from pytorch` reads
it back.";

/// Export a run's generator, or its classifier, to a single file, to keep or to share.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    trained: Trained,
    /// The file to write; its ending is the format [default: RUN/generator.FORMAT, or classifier.FORMAT; with --pretrained NAME, or a file,
    /// NAME-generator.FORMAT]
    #[arg(long, value_name = "FILE.npz|FILE.safetensors")]
    out: Option<PathBuf>,
    /// npz or safetensors [default: the ending of --out, else npz]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// Store float16 instead of float32
    #[arg(long, conflicts_with = "to")]
    half: bool,
    /// Write a state_dict for another program: pytorch, as .safetensors or .npz [default: RUN/G.safetensors]
    #[arg(long, value_name = "PROGRAM", value_parser = ["pytorch"])]
    to: Option<String>,
    /// The network, G or D; D is in a run only
    #[arg(long, value_name = "G|D", value_parser = ["G", "D"], default_value = "G", requires = "to")]
    net: String,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    check_format(args)?;
    let precision = match args.half {
        true => Precision::Half,
        false => Precision::Single,
    };
    let out = |prefix: &str, what: &str| {
        let format = args.format.unwrap_or(Format::Npz);
        let default = || PathBuf::from(format!("{prefix}{what}.{}", format.name()));
        args.out.clone().unwrap_or_else(default)
    };
    if let Some(open) = args.trained.classifier()? {
        if args.to.is_some() {
            let reason =
                "--to pytorch: of a GAN's networks; a classifier is written as npz or safetensors";
            return Err(Failure::input(reason));
        }
        let out = out(&open.prefix, "classifier");
        open.classifier.write(&out, precision)?;
        return say(&format!("classifier: {}", out.display()));
    }
    if args.to.is_some() {
        return state_dict(args);
    }
    let open = args.trained.open()?;
    let out = out(&open.prefix, "generator");
    open.generator.write(&out, precision)?;
    say(&format!("generator: {}", out.display()))
}

/// Writes a network as a state_dict of PyTorch.
fn state_dict(args: &Args) -> Result<(), Failure> {
    let out = |prefix: &str| {
        let format = args.format.unwrap_or(Format::Safetensors);
        let default = || PathBuf::from(format!("{prefix}{}.{}", args.net, format.name()));
        args.out.clone().unwrap_or_else(default)
    };
    let (out, said) = match args.net.as_str() {
        "D" => {
            let none =
                || Failure::input("--net D: a generator's file has no discriminator: name its run");
            let open = args.trained.open_run()?.ok_or_else(none)?;
            let store = open.run.load(&open.config, open.config.output_dim())?;
            let out = out(&format!("{}/", open.run.folder().display()));
            let said = pytorch::export(&out, &open.config, &store, "D")?;
            (out, said)
        }
        _ => {
            let open = args.trained.open()?;
            let out = out(&open.prefix);
            let said = open.generator.export_to_pytorch(&out)?;
            (out, said)
        }
    };
    said.iter().for_each(|line| tell(line));
    say(&format!("state_dict of {}: {}", args.net, out.display()))
}

/// Refuses a name with the ending of another format than `--format`, before anything is opened.
fn check_format(args: &Args) -> Result<(), Failure> {
    let Some(out) = &args.out else { return Ok(()) };
    let (named, asked) = (Format::of(out)?, args.format);
    match asked {
        Some(asked) if asked != named => {
            let (out, asked) = (out.display(), asked.name());
            Err(Failure::input(format!(
                "--out {out}: expected a name that ends in .{asked}, as --format says"
            )))
        }
        _ => Ok(()),
    }
}

fn format(text: &str) -> Result<Format, String> {
    let format = Format::ALL.into_iter().find(|f| f.name() == text);
    format.ok_or_else(|| "expected npz or safetensors".to_string())
}
