//! `ganforge info`.

use super::about;
use super::data;
use super::failure::Failure;
use super::options::Threads;
use super::output::say;

/// Version, processor, threads, data and devices.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    threads: Threads,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let features = about::cpu_features();
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
        ("cpu", format!("{}: {features}", std::env::consts::ARCH)),
        ("products", about::gemm_isa()),
        ("threads", format!("{threads} (of {cores} cores)")),
        (
            "cuda",
            "not built in yet; everything runs on the CPU".to_string(),
        ),
    ];
    for (what, value) in rows {
        say(&format!("{what:<10}{value}"))?;
    }
    say(&data::list()?)
}
