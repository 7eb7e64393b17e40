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
  ganforge bench kernels --out kernels.html
  ganforge bench kernels --format json --out now.json --baseline earlier.json

Each ladder goes from a naive kernel to the one that runs, with the matrixmultiply library among the products. A kernel
that computes anything else than plain loops in f64, up to its rounding errors, ends the command before a time is taken. Peak and
bandwidth are measured before and after. GANFORGE_ISA=avx2 leaves the kernels for AVX-512 out. A baseline is what was written
with --format json.";

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
    /// Where to run: cpu, cuda, cuda:N, or all, which is every device at hand; may be repeated
    #[arg(long, value_name = "DEVICE", default_value = "all", value_parser = device)]
    device: Vec<Where>,
    /// How the figures are written [default: as the ending of the file to write says, else table]
    #[arg(long)]
    format: Option<Written>,
    /// Compare with earlier figures, which were written with --format json
    #[arg(long, value_name = "FILE.json")]
    baseline: Option<PathBuf>,
    /// Write them to this file instead of printing them
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Clone, Copy, ValueEnum)]
enum Written {
    /// Columns of one width
    Table,
    /// Markdown
    Md,
    /// Comma-separated values
    Csv,
    /// All figures
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
        (_, Ok(Named::Interpreter)) => Err("an interpreter has no speed to measure".to_string()),
        (_, named) => named.map(Where::One),
    }
}

/// The devices that were asked for, each once; of "all" those that are there.
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
