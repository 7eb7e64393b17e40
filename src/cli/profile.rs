//! `ganforge profile`.

use ganforge::tensor::words::{counted, size};
use std::path::PathBuf;

use ganforge::gan::files::check_writable;
use ganforge::kernels::cpu::conv::Algorithm;
use ganforge::see::layers;
use ganforge::see::profile::{self, Profile, Row};
use serde_json::json;

use super::about::COMMIT;
use super::bench::columns;
use super::config_name::{ConfigName, KINDS};
use super::failure::Failure;
use super::options::{Settings, Threads, count};
use super::output::{say, tell};

const EXAMPLES: &str = "\
Examples:
  ganforge profile mnist
  ganforge profile mnist --set train.update=alternating --threads 1
  ganforge profile tiny --trace tiny.json      open it in chrome://tracing or ui.perfetto.dev
  ganforge profile mnist --json | jq '.kinds[] | [.kind, .us, .roofline]'

Random images. Times are means over the faster half of the steps. FLOP are those executed, without the zeros of maxout
gradients; bytes count each operand once, as read or written. The roofline is the least time allowed by the measured peak
of multiply-adds and by the bandwidth measured over a working set as large as the step's; it is shown as a share of the
time taken. Operands in a faster cache can exceed 100 %. With a penalty that only every n-th step has (discriminator.penalty.KIND.every)
it is a step without it; --set discriminator.penalty.KIND.every=1 shows one with it.";

/// Show where the time of a training step goes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A preset, a configuration file or a run's folder
    #[arg(value_name = KINDS)]
    config: ConfigName,
    /// Steps to time
    #[arg(long, value_name = "N", default_value = "50", value_parser = count)]
    steps: usize,
    /// Write a trace of the last steps, in the Trace Event Format
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
    /// f32; strict: f32, convolutions without Winograd, slower and with a smaller error
    #[arg(long, default_value = "f32", value_parser = ["f32", "strict"])]
    precision: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.config(&args.settings.set, &[])?;
    args.trace.as_deref().map_or(Ok(()), check_writable)?;
    let pool = args.threads.pool()?;
    let algorithm = match args.precision.as_str() {
        "strict" => Algorithm::Direct,
        _ => Algorithm::Fastest,
    };
    let profile = pool.install(|| profile::profile(COMMIT, algorithm, &config, args.steps))?;
    match args.json {
        true => say(&json!(profile).to_string())?,
        false => say(&text(&profile))?,
    }
    if let Some(path) = &args.trace {
        profile.write_trace(path)?;
        tell(&format!(
            "trace of {}: {}",
            counted(profile.trace.len(), "step"),
            path.display()
        ));
    }
    Ok(())
}

fn text(p: &Profile) -> String {
    let mut lines = vec![
        format!(
            "{}{}, batch {}, {}, {}: mean of the faster {} of {}",
            p.name,
            match p.without.is_empty() {
                true => String::new(),
                false => format!(", steps without {}", p.without.join(", ")),
            },
            p.batch,
            p.origin.device,
            counted(p.origin.threads, "thread"),
            p.counted,
            counted(p.steps, "step")
        ),
        format!(
            "step      {:>10.1} us, kernels {:.1} us of it ({:.1} %)",
            p.step_us,
            p.kernels_us,
            100.0 * p.kernels_us / p.step_us
        ),
        format!(
            "machine   {:>10.1} GFLOP/s of multiply-adds, {:.1} GB/s over the step's working set of {}",
            p.machine.peak_gflops,
            p.machine.bandwidth_gbs,
            size(p.working_set as u64)
        ),
        String::new(),
        format!("{:>5} {}  kind", "calls", heads()),
    ];
    lines.extend(
        p.kinds
            .iter()
            .map(|k| format!("{:>5} {}  {}", k.calls, numbers(k), k.what)),
    );
    lines.push(format!("\n{}\n", layers::table(&p.layers)));
    lines.push(format!(
        "{:>5} {}  {:<13} kernel(operands) # scope",
        "step",
        heads(),
        "writes"
    ));
    let calls = p.calls.iter().enumerate();
    lines.extend(calls.map(|(i, c)| {
        format!(
            "{i:>5} {}  {:<13} {} # {}",
            numbers(c),
            c.shape,
            c.what,
            c.scope
        )
    }));
    lines.push(format!("\n{}", columns(&p.origin.lines())));
    lines.join("\n")
}

fn heads() -> String {
    format!(
        "{:>10} {:>7} {:>9} {:>8} {:>9} {:>8}",
        "us", "share", "GFLOP/s", "GB/s", "roofline", "bound"
    )
}

fn numbers(r: &Row) -> String {
    format!(
        "{:>10.1} {:>5.1} % {:>9.1} {:>8.1} {:>7.1} % {:>8}",
        r.us,
        100.0 * r.share,
        r.gflops,
        r.gbs,
        100.0 * r.roofline,
        r.bound
    )
}
