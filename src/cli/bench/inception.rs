//! `ganforge bench inception`.

use ganforge::see::inception_bench::inception;
use serde_json::json;

use crate::cli::about::COMMIT;
use crate::cli::failure::Failure;
use crate::cli::options::{Compute, Threads, count};
use crate::cli::output::say;

const EXAMPLES: &str = "\
Examples:
  ganforge bench inception
  ganforge bench inception --batch 50 --threads 1 --json
  GANFORGE_ISA=avx2 ganforge bench inception

Random images and random weights, two batches to warm up. A step is a batch; benches/pytorch/inception.py times the same in
PyTorch.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Images at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = count)]
    batch: usize,
    /// Batches to time
    #[arg(long, value_name = "N", default_value = "10", value_parser = count)]
    steps: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (device, pool) = (args.compute.device()?, args.threads.pool()?);
    let bench = pool.install(|| inception(COMMIT, &device, args.batch, args.steps))?;
    match args.json {
        true => say(&json!(bench).to_string()),
        false => {
            let images = bench.batch as f64 / bench.min_ms * 1e3;
            let rate = format!("{images:.2} per second, of the fastest batch");
            say(&format!(
                "images           {rate}\n{}",
                super::table(&bench)
            ))
        }
    }
}
