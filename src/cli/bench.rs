//! `ganforge bench`.

mod gpu;
mod kernels;

use ganforge::gan::bench::{self, StepBench};
use indicatif::ProgressStyle;
use serde_json::json;

use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::options::{Compute, Threads, count};
use super::output::say;

const EXAMPLES: &str = "\
Examples:
  ganforge bench step
  ganforge bench step mnist --update simultaneous --threads 1 --json

Random images, ten steps to warm up. The work is what the ops of the step cost by themselves; the zeros
in the gradients of maxout layers are left out, and so less is executed. The peak is what this machine reaches with nothing but fused
multiply-adds in registers on as many threads, measured before and after the steps.";

/// Measure how fast this machine trains.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// The time of a training step, and its share of the machine's peak
    Step(Args),
    /// Ladders of kernels, from naive to what runs, beside this machine's roofline
    Kernels(kernels::Kernels),
    /// A GPU at the sizes of a training step and large ones: products, element-wise programs, a Parzen window
    Gpu(gpu::Gpu),
}

/// How far a bench is.
fn style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{pos}/{len} {wide_bar} {msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A preset, a configuration file or a run's folder
    #[arg(value_name = KINDS, default_value = "mnist-2014")]
    config: ConfigName,
    /// Images per step [default: the preset's]
    #[arg(long, value_name = "N", value_parser = count)]
    batch: Option<usize>,
    /// The order of the updates: Algorithm 1 of the paper, or both at once as in its released code
    #[arg(long, default_value = "alternating", value_parser = ["alternating", "simultaneous"])]
    update: String,
    /// Steps to time
    #[arg(long, value_name = "N", default_value = "100", value_parser = count)]
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
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Step(args) => step(args),
        Command::Kernels(args) => kernels::run(args),
        Command::Gpu(args) => gpu::run(args),
    }
}

fn step(args: &Args) -> Result<(), Failure> {
    let update = &args.update;
    let mut typed = vec![(
        format!("train.update={update}"),
        format!("--update {update}"),
    )];
    typed.extend(
        args.batch
            .map(|n| (format!("train.batch={n}"), format!("--batch {n}"))),
    );
    let config = args.config.config(&[], &typed)?;
    let place = args.compute.place()?;
    let pool = args.threads.pool()?;
    let b = pool.install(|| bench::step(&place, &config, config.output_dim(), args.steps))?;
    match args.json {
        true => say(&json!(b).to_string()),
        false => say(&table(&b, &config.name, &args.update)),
    }
}

fn table(b: &StepBench, name: &str, update: &str) -> String {
    let mut rows = vec![
        (
            "step",
            format!("{name}, {update} updates, batch {}", b.batch),
        ),
        ("device", b.device.clone()),
        ("threads", b.threads.to_string()),
    ];
    if let (Some(launches), Some(chain)) = (b.launches, b.longest_chain) {
        let chain = format!("{launches}, at most {chain} after one another");
        rows.push(("launches", chain));
    }
    rows.extend([
        ("timed steps", b.steps.to_string()),
        ("median", format!("{:.4} ms/step", b.median_ms)),
        (
            "min ... max",
            format!("{:.4} ... {:.4} ms/step", b.min_ms, b.max_ms),
        ),
        ("work", format!("{:.3} GFLOP/step", b.gflop_per_step)),
        ("speed", format!("{:.1} GFLOP/s", b.gflops)),
    ]);
    let executed = format!("at most {:.3} GFLOP/step", b.gflop_executed);
    match (b.peak_gflops, b.share_of_peak, b.executed_share_of_peak) {
        (Some(peak), Some(share), Some(executed_share)) => rows.extend([
            ("FMA peak", format!("{peak:.1} GFLOP/s")),
            ("share of peak", format!("{:.1} %", 100.0 * share)),
            (
                "executed",
                format!("{executed}, {:.1} % of the peak", 100.0 * executed_share),
            ),
        ]),
        _ => rows.push(("executed", executed)),
    }
    let rows = rows
        .iter()
        .map(|(what, value)| format!("{what:<14}{value}"));
    rows.collect::<Vec<_>>().join("\n")
}
