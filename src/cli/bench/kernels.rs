//! `ganforge bench kernels`.

use std::path::PathBuf;

use clap::ValueEnum;
use ganforge::gan::files::{check_writable, write_atomic};
use ganforge::kernels::cuda::{self, Precision};
use ganforge::see::baseline::Baseline;
use ganforge::see::kernel_bench::{self, Format};
use ganforge::tensor::Device;
use indicatif::ProgressBar;

use crate::cli::about::COMMIT;
use crate::cli::failure::Failure;
use crate::cli::options::{self, Named, Threads};
use crate::cli::output::{ending, print, say, tell};

const EXAMPLES: &str = "\
Examples:
  ganforge bench kernels
  ganforge bench kernels --filter matmul --threads 1
  ganforge bench kernels --filter conv2d
  ganforge bench kernels --out kernels.html
  ganforge bench kernels --format json --out now.json --baseline earlier.json

Each ladder of kernels goes from a naive one to the one in use; those of matrix products include the matrixmultiply library.
Every kernel is first compared with plain loops in f64; a result off by more than its rounding errors ends the command before
anything is timed. Peak and bandwidth are measured before and after. GANFORGE_ISA=avx2 excludes the AVX-512 kernels. A baseline
is the output of an earlier run with --format json.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Kernels {
    /// Only ladders whose family and size contain this text, such as maxout, or NN 100x1200 k=1200
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    filter: String,
    /// Device to measure: cpu, cuda, cuda:N, or all that are available; may be repeated
    #[arg(long, value_name = "DEVICE", default_value = "all", value_parser = device)]
    device: Vec<Where>,
    /// Output format [default: by the ending of --out, else table]
    #[arg(long)]
    format: Option<Written>,
    /// Compare with an earlier result, as written with --format json
    #[arg(long, value_name = "FILE.json")]
    baseline: Option<PathBuf>,
    /// The file to write [default: print it]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Clone, Copy, ValueEnum)]
enum Written {
    /// Aligned columns
    Table,
    /// Markdown
    Md,
    /// Comma-separated values
    Csv,
    /// JSON, with all measured values
    Json,
    /// A page with a plot of the roofline
    Html,
}

#[derive(Clone, Copy)]
enum Where {
    All,
    One(Named),
}

fn device(text: &str) -> Result<Where, String> {
    match (text, options::device(text)) {
        ("all", _) => Ok(Where::All),
        (_, Ok(Named::Interpreter)) => Err(
            "the speed of the interpreter is not meaningful: expected cpu, cuda, cuda:N or all"
                .to_string(),
        ),
        (_, named) => named.map(Where::One),
    }
}

/// The devices asked for, each once; "all" means those available.
fn devices(asked: &[Where]) -> Result<Vec<(String, Device)>, Failure> {
    let mut wanted: Vec<Named> = Vec::new();
    for named in asked {
        match named {
            Where::All => {
                let devices = cuda::devices().map_or(0, |d| d.len());
                wanted.push(Named::Cpu);
                wanted.extend((0..devices).map(Named::Cuda));
            }
            Where::One(named) => wanted.push(*named),
        }
    }
    let is_first = |i: usize| !wanted[..i].contains(&wanted[i]);
    let wanted = wanted.iter().enumerate().filter(|(i, _)| is_first(*i));
    let device =
        |(_, named): (usize, &Named)| Ok((named.to_string(), named.device(Precision::F32)?));
    wanted.map(device).collect()
}

/// Runs the command.
pub(super) fn run(args: &Kernels) -> Result<(), Failure> {
    let devices = devices(&args.device)?;
    let bar = ProgressBar::new(0); // hidden where there is no terminal
    bar.set_style(super::style());
    let mut progress = |what: &str, done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(what.to_string());
    };
    args.out.as_deref().map_or(Ok(()), check_writable)?;
    let pool = args.threads.pool()?;
    let baseline = args.baseline.as_deref().map(Baseline::read).transpose()?;
    let bench =
        pool.install(|| kernel_bench::measure(COMMIT, &args.filter, &devices, &mut progress));
    bar.finish_and_clear();
    let mut bench = bench?;
    if let Some(baseline) = baseline {
        bench.compare(baseline);
    }
    let named = ending(args.out.as_deref()).and_then(|e| Written::from_str(e, true).ok());
    let format = match args.format.or(named).unwrap_or(Written::Table) {
        Written::Table => Format::Text,
        Written::Md => Format::Markdown,
        Written::Csv => Format::Csv,
        Written::Json => Format::Json,
        Written::Html => Format::Html,
    };
    let text = kernel_bench::table(&bench, format);
    let is_read = args.out.is_none() && matches!(format, Format::Text | Format::Markdown);
    for warning in bench.warnings.iter().filter(|_| !is_read) {
        tell(&format!("warning: {warning}"));
    }
    match &args.out {
        None => print(&text),
        Some(path) => {
            let written = write_atomic(path, |w| w.write_all(text.as_bytes()));
            written.map_err(ganforge::gan::Error::from)?;
            say(&format!("kernels: {}", path.display()))
        }
    }
}
