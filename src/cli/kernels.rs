//! `ganforge kernels`.

use ganforge::gan::config::nearest;
use ganforge::gan::files::listed;
use ganforge::inspect::{self, Inspection, Kernel};
use ganforge::tensor::words;
use ganforge_ptxvm::{Class, ClassCount, GlobalTraffic, SharedTraffic};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::output::say;

const EXAMPLES: &str = "\
Examples:
  ganforge kernels inspect matmul_v1_naive_nn_f32
  ganforge kernels inspect matmul_v3_block_nn_f32 --size 100x1200x784

The kernel's PTX is interpreted on the CPU, every memory access is checked, and its demands on the hardware are counted:
instructions, 32-byte sectors per request to global memory (4 for 32 consecutive words), bank conflicts in shared memory.
These counts are not timings. Compare the versions of a kernel: v1 is naive, the last one is in use.";

/// List the GPU kernels; interpret one on the CPU and count its instructions and memory traffic.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List them, with their registers and shared memory
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Interpret one on the CPU and count its instructions and memory traffic
    #[command(after_help = EXAMPLES)]
    Inspect {
        /// Its name, as `list` prints it
        #[arg(value_name = "NAME")]
        name: String,
        /// Sizes, in the order shown by `list` [default: those of `list`]
        #[arg(long, value_name = "AxBxC", value_parser = sizes)]
        size: Option<Sizes>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone)]
pub(super) struct Sizes(Vec<usize>);

fn sizes(text: &str) -> Result<Sizes, String> {
    let numbers = text.split('x').map(str::parse::<usize>);
    let numbers = numbers.collect::<Result<Vec<usize>, _>>();
    let sizes = numbers.map_err(|_| "expected whole numbers with x between, as in 100x1200x784")?;
    Ok(Sizes(sizes))
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let kernels = inspect::kernels().map_err(Failure::work)?;
    match command {
        Command::List { json: false } => say(&list(&kernels)),
        Command::List { json: true } => {
            let all = kernels.iter().map(described);
            say(&json!(all.collect::<Vec<_>>()).to_string())
        }
        Command::Inspect { name, size, json } => {
            let kernel = find(&kernels, name)?;
            let sizes = size.as_ref().map(|s| &s.0[..]);
            let found = kernel.inspect(sizes).map_err(Failure::input)?;
            match json {
                false => say(&inspection(kernel, &found)),
                true => say(&counted(kernel, &found).to_string()),
            }
        }
    }
}

fn list(kernels: &[Kernel]) -> String {
    let mut lines = vec![format!(
        "{:<30} {:<12} {:>9} {:>10}  sizes",
        "kernel", "family", "registers", "shared [B]"
    )];
    for kernel in kernels {
        let (name, family, sizes) = (&kernel.name, kernel.family.name, kernel.sizes);
        for r in kernel.resources().iter().filter(|r| r.device == "sm_90") {
            let (registers, shared) = (r.registers, r.shared);
            lines.push(format!(
                "{name:<30} {family:<12} {registers:>9} {shared:>10}  {sizes}"
            ));
        }
    }
    lines.push(
        "Registers of a thread and shared memory of a block on sm_90, as ptxas assigns them."
            .into(),
    );
    lines.join("\n")
}

fn find<'a>(kernels: &'a [Kernel], name: &str) -> Result<&'a Kernel, Failure> {
    if let Some(kernel) = kernels.iter().find(|k| k.name == name) {
        return Ok(kernel);
    }
    let names: Vec<&str> = kernels.iter().map(|k| k.name.as_str()).collect();
    let parts = names.iter().copied();
    let parts: Vec<&str> = parts
        .filter(|k| !name.is_empty() && k.contains(name))
        .collect();
    let hint = match (parts.is_empty(), nearest(name, &names)) {
        (false, _) => format!("there are {}", listed(parts)),
        (true, Some(near)) => format!("did you mean {near}?"),
        (true, None) => "`ganforge kernels list` has all names".to_string(),
    };
    Err(Failure::input(format!(
        "no kernel is called {name}; {hint}"
    )))
}

/// A kernel and its resources.
fn described(kernel: &Kernel) -> Value {
    let takes = kernel.resources().into_iter().map(|r| {
        let taken = json!({ "registers": r.registers, "shared_bytes": r.shared });
        (r.device.to_string(), taken)
    });
    let takes: Map<String, Value> = takes.collect();
    json!({
        "kernel": kernel.name, "family": kernel.family.name,
        "sizes": kernel.sizes.to_string(), "devices": takes,
    })
}

/// A kernel and the counts of its launch.
fn counted(kernel: &Kernel, found: &Inspection) -> Value {
    let counts = &found.counts;
    let classes = Class::ALL.map(|class| {
        let ClassCount { warps, threads } = counts.class(class);
        let count = json!({ "warps": warps, "threads": threads });
        (format!("{class:?}").to_lowercase(), count)
    });
    let global = |t: GlobalTraffic| json!({ "requests": t.requests, "sectors": t.sectors, "bytes": t.bytes, "sectors_per_request": t.sectors_per_request() });
    let shared = |t: SharedTraffic| json!({ "requests": t.requests, "passes": t.passes, "conflicts": t.conflicts() });
    let mut all = described(kernel);
    all["what"] = json!(found.what);
    all["blocks"] = json!(found.launch.grid);
    all["threads_per_block"] = json!(found.launch.block[0]);
    all["counts"] = json!({
        "instructions": Map::from_iter(classes), "flops": counts.flops, "barriers": counts.barriers,
        "global_loads": global(counts.global_loads), "global_stores": global(counts.global_stores),
        "shared_loads": shared(counts.shared_loads), "shared_stores": shared(counts.shared_stores),
    });
    all
}

fn inspection(kernel: &Kernel, found: &Inspection) -> String {
    let [x, y, z] = found.launch.grid;
    let mut lines = vec![
        format!("{} (kernels/{}.cu)", kernel.name, kernel.family.name),
        found.what.clone(),
        format!(
            "{x} x {y} x {z} blocks of {}",
            words::counted(found.launch.block[0], "thread")
        ),
        String::new(),
        format!("{:<14} {:>14} {:>16}", "device", "registers", "shared [B]"),
    ];
    for r in kernel.resources() {
        let shared = r.shared as usize + found.launch.shared;
        lines.push(format!(
            "  {:<12} {:>14} {shared:>16}",
            r.device, r.registers
        ));
    }
    lines.push(String::new());
    lines.push(found.counts.to_string().trim_end().to_string());
    lines.join("\n")
}
