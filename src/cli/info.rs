//! `ganforge info`.

use ganforge::kernels::{cpu, cuda};
use ganforge::see::origin::Origin;
use serde_json::{Value, json};

use super::about;
use super::data;
use super::failure::Failure;
use super::options::Threads;
use super::output::say;

/// Print version, processor, threads, data and devices.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.json {
        return say(&as_json(args.threads.number()?)?.to_string());
    }
    let features = cpu::cpu_features();
    let features = match features.is_empty() {
        true => "none that the kernels use".to_string(),
        false => features.join(" "),
    };
    let threads = args.threads.number()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = [
        ("ganforge", about::VERSION.to_string()),
        ("commit", about::COMMIT.to_string()),
        ("compiler", about::RUSTC.to_string()),
        ("cpu", cpu::processor()),
        (
            "features",
            format!("{}: {features}", std::env::consts::ARCH),
        ),
        ("kernels", kernels()),
        ("threads", format!("{threads} (of {cores} cores)")),
    ];
    for (what, value) in rows {
        say(&format!("{what:<10}{value}"))?;
    }
    for line in devices() {
        say(&format!("{:<10}{line}", "cuda"))?;
    }
    say(&data::list()?)
}

/// The instruction set of the CPU kernels.
fn kernels() -> String {
    match (cpu::isa(), cpu::widest_isa()) {
        (isa, widest) if isa == widest => isa.name().to_string(),
        (isa, widest) => format!(
            "{}, set by {}; this machine supports {}",
            isa.name(),
            cpu::ISA_VARIABLE,
            widest.name()
        ),
    }
}

/// The same facts as JSON, the machine's under the same keys as in results.
fn as_json(threads: usize) -> Result<Value, Failure> {
    let mut origin = Origin::now(about::COMMIT, "cpu".to_string());
    origin.threads = threads;
    let (devices, problem) = match cuda::devices() {
        Ok(found) => (found, None),
        Err(e) => (Vec::new(), Some(e.to_string())),
    };
    let devices = devices.iter().enumerate().map(|(i, about)| {
        let (major, minor) = about.capability;
        json!({
            "device": format!("cuda:{i}"), "name": about.name, "bytes": about.memory,
            "compute_capability": format!("{major}.{minor}"),
        })
    });
    let mut facts = json!(origin);
    facts["rustc"] = json!(about::RUSTC);
    facts["cuda"] = json!({ "devices": devices.collect::<Vec<_>>(), "problem": problem });
    facts["data"] = data::list_json()?;
    Ok(facts)
}

/// A line for each CUDA device, or one with the reason why there is none.
fn devices() -> Vec<String> {
    let lines = cuda::devices().map(|found| {
        let lines = found.iter().enumerate().map(|(i, about)| {
            let gib = about.memory as f64 / f64::from(1 << 30);
            let (major, minor) = about.capability;
            let name = &about.name;
            format!("cuda:{i}, {name}, compute capability {major}.{minor}, {gib:.1} GiB")
        });
        lines.collect()
    });
    lines.unwrap_or_else(|e| vec![format!("{e}; everything runs on the CPU")])
}
