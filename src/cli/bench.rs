//! `ganforge bench`.

mod gpu;
mod inception;
mod kernels;

use std::path::PathBuf;

use ganforge::gan::config::Update;
use ganforge::see::baseline::Baseline;
use ganforge::see::bench::{self, StepBench};
use ganforge::see::layers;
use indicatif::ProgressStyle;
use serde_json::json;

use super::about::COMMIT;
use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::options::{Compute, Settings, Threads, count, whole};
use super::output::say;

const EXAMPLES: &str = "\
Examples:
  ganforge bench step
  ganforge bench step mnist --update simultaneous --threads 1 --json
  ganforge bench step dcgan28 --batch 64 --json | jq '.layers[] | [.layer, .ms]'
  GANFORGE_ISA=avx2 ganforge bench step --baseline earlier.json

Random images, ten warm-up steps. \"work\" counts the FLOP of the step's ops; fewer are executed, since the kernels skip the
zeros in the gradients of maxout layers. The peak is the rate of fused multiply-adds in registers on as many threads, measured
before and after the steps. A layer's time is that of its kernel calls, gradients
included, over the third of the steps that is nearest to the median; all rows together are the whole step. If the slowest step takes three times as long as the fastest, the result is marked unusable: other
work keeps the machine busy. A baseline is the output of an earlier `bench step --json`; benches/pytorch/step.py writes the
same format.";

/// Measure how fast this machine trains.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// The time of a training step, and its share of the machine's peak
    Step(Args),
    /// Kernels from naive to the one in use, against this machine's roofline
    Kernels(kernels::Kernels),
    /// A GPU's matrix products, element-wise programs and Parzen window, at the sizes of a training step and larger
    Gpu(gpu::Gpu),
    /// Images per second of the Inception network, whose features FID compares
    Inception(inception::Args),
}

/// The progress bar of a benchmark.
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
    #[arg(long, value_name = "N", value_parser = whole)]
    batch: Option<String>,
    /// Order of the updates of a GAN: Algorithm 1 of the paper, or both at once as in its released code [default: alternating]
    #[arg(long, value_parser = ["alternating", "simultaneous"])]
    update: Option<String>,
    /// Steps to time
    #[arg(long, value_name = "N", default_value = "100", value_parser = count)]
    steps: usize,
    /// Compare with an earlier result, as printed with --json
    #[arg(long, value_name = "FILE.json")]
    baseline: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
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
        Command::Inception(args) => inception::run(args),
    }
}

fn step(args: &Args) -> Result<(), Failure> {
    let typed = |key: &str, option: &str, value: &str| {
        (format!("{key}={value}"), format!("{option} {value}"))
    };
    let batch = args
        .batch
        .iter()
        .map(|n| typed("train.batch", "--batch", n));
    let mut options: Vec<_> = batch.collect();
    let read = |options: &[_]| args.config.config(&args.settings.set, options);
    // A classifier or an encoder has one network to update.
    let update = match &args.update {
        None if read(&options)?.train.update == Update::Single => None,
        None => Some("alternating"),
        Some(update) => Some(update.as_str()),
    };
    options.extend(update.map(|update| typed("train.update", "--update", update)));
    let config = read(&options)?;
    let device = args.compute.device()?;
    let pool = args.threads.pool()?;
    let baseline = args.baseline.as_deref().map(Baseline::read).transpose()?;
    if let Some(baseline) = &baseline {
        baseline.us_of(&bench::what(&config))?;
    }
    let dim = config.output_dim();
    let bench = pool.install(|| bench::step(COMMIT, &device, &config, dim, args.steps));
    let mut bench = bench?;
    if let Some(baseline) = baseline {
        bench.compare(baseline)?;
    }
    match args.json {
        true => say(&json!(bench).to_string()),
        false => say(&table(&bench)),
    }
}

fn table(b: &StepBench) -> String {
    let mut rows = vec![("step", b.what.clone())];
    rows.extend(b.warnings.iter().map(|w| ("warning", w.clone())));
    if let (Some(launches), Some(chain)) = (b.launches, b.longest_chain) {
        let chain = format!("{launches}, longest dependent chain {chain}");
        rows.push(("launches", chain));
    }
    rows.extend([
        ("timed steps", b.steps.to_string()),
        ("median", format!("{:.4} ms/step", b.median_ms)),
        (
            "min ... max",
            format!(
                "{:.4} ... {:.4} ms/step, {:.1} times",
                b.min_ms,
                b.max_ms,
                b.max_ms / b.min_ms
            ),
        ),
    ]);
    rows.extend(b.kinds.iter().skip(1).map(|kind| {
        let (percent, ms) = (100.0 * kind.share, kind.median_ms);
        let with = kind.penalties.join(", ");
        (
            "other steps",
            format!("median {ms:.4} ms/step with {with}, {percent:.3} % of the steps"),
        )
    }));
    rows.extend(
        b.mean_ms
            .map(|ms| ("all steps", format!("mean {ms:.4} ms/step"))),
    );
    rows.extend([
        ("work", format!("{:.3} GFLOP/step", b.gflop_per_step)),
        ("speed", format!("{:.1} GFLOP/s", b.gflops)),
    ]);
    let executed = format!("at most {:.3} GFLOP/step", b.gflop_executed);
    match (b.peaks_gflops, b.share_of_peak, b.executed_share_of_peak) {
        (Some([before, after]), Some(share), Some(executed_share)) => rows.extend([
            (
                "FMA peak",
                format!("{before:.1} GFLOP/s before, {after:.1} after"),
            ),
            ("share of peak", format!("{:.1} %", 100.0 * share)),
            (
                "executed",
                format!("{executed}, {:.1} % of the peak", 100.0 * executed_share),
            ),
        ]),
        _ => rows.push(("executed", executed)),
    }
    if let (Some(baseline), Some(ratio)) = (&b.baseline, b.baseline_ratio) {
        rows.push(("baseline", baseline.about()));
        rows.push(("this / baseline", format!("{ratio:.3} of the time")));
    }
    rows.extend(b.origin.lines());
    let table = columns(&rows);
    match b.layers.is_empty() {
        true => table,
        false => table + "\n\n" + &layers::table(&b.layers),
    }
}

/// Names and values in two aligned columns.
pub(super) fn columns(rows: &[(&str, String)]) -> String {
    let line = |(what, value): &(&str, String)| format!("{what:<17}{value}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
