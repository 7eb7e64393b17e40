//! `ganforge bench gpu`.

use ganforge::kernels::cpu::gemm::Shape3;
use ganforge::kernels::cuda::{self, Precision, speed};
use ganforge::see::origin::Origin;
use ganforge::tensor::Device;
use ganforge::{gan, tensor};
use serde_json::json;

use crate::cli::about::COMMIT;
use crate::cli::failure::Failure;
use crate::cli::options::{Compute, count};
use crate::cli::output::say;

const EXAMPLES: &str = "\
Example:
  ganforge bench gpu --device cuda

Each kernel is launched many times from one captured graph, on operands that stay on the device, in its cache where they fit. The
device is warmed up first and times the graphs itself. `benches/gpu/run.sh` compares the times with PyTorch.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("device", on_a_gpu))]
pub(in crate::cli) struct Gpu {
    #[command(flatten)]
    compute: Compute,
    /// Divide all sizes by N
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    shrink: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `--device` here: without the CPU.
fn on_a_gpu(device: clap::Arg) -> clap::Arg {
    let help = "Device to measure: cuda or cuda:N; ptxvm, a slow interpreter of the GPU kernels, for study";
    device
        .value_name("cuda[:N]")
        .default_value("cuda")
        .help(help)
}

/// The matrix products measured: form, m, n and k, those of a training step and a large one.
const PRODUCTS: [(&str, [usize; 3]); 9] = [
    ("NN", [100, 1200, 100]),
    ("NN", [100, 1200, 1200]),
    ("NN", [100, 784, 1200]),
    ("NN", [200, 1200, 784]),
    ("NT", [100, 1200, 784]),
    ("NT", [200, 784, 1200]),
    ("TN", [784, 1200, 200]),
    ("TN", [1200, 1200, 100]),
    ("NN", [4096, 4096, 4096]),
];

pub(super) fn run(args: &Gpu) -> Result<(), Failure> {
    let device = args.compute.device()?;
    let Device::Cuda(gpu, precision) = &device else {
        return Err(Failure::input(
            "bench gpu: expected a GPU, as in --device cuda",
        ));
    };
    let origin = Origin::now(COMMIT, device.name());
    let rows = kernel_times(gpu, *precision, args.shrink);
    let rows = rows.map_err(|e| gan::Error::from(tensor::Error::from(e)))?;
    if args.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(what, us, speed, unit)| json!({"what": what, "us": us, "speed": speed, "unit": unit}))
            .collect();
        return say(&json!({"origin": origin, "rows": rows}).to_string());
    }
    for (what, us, speed, unit) in rows {
        say(&format!("{what:<44}{us:>12.2} us {speed:>12.1} {unit}"))?;
    }
    say(&format!("\n{}", super::columns(&origin.lines())))
}

/// What, microseconds, speed and its unit.
type Row = (String, f64, f64, &'static str);

fn kernel_times(
    device: &cuda::Device,
    precision: Precision,
    shrink: usize,
) -> cuda::Result<Vec<Row>> {
    let small = |n: usize| n.div_ceil(shrink);
    let mut rows = Vec::new();
    for (form, sizes) in PRODUCTS {
        let [m, n, k] = sizes.map(small);
        let forms = (form.starts_with('T'), form.ends_with('T'));
        let flop = 2.0 * (m * n * k) as f64;
        let times = if flop > 1e10 { 5 } else { 50 };
        let seconds = speed::product(device, forms, Shape3 { m, k, n }, precision, times)?;
        let what = format!("product {form} {m}x{n} k={k}");
        rows.push((what, seconds * 1e6, flop / seconds / 1e9, "GFLOP/s"));
    }
    let n = small(1 << 26);
    let names = ["y = x", "y = sigmoid(x + bias) x"];
    for (name, seconds) in names.iter().zip(speed::programs(device, n, 10)?) {
        let what = format!("program {name}, {n} elements");
        rows.push((what, seconds * 1e6, 8.0 * n as f64 / seconds / 1e9, "GB/s"));
    }
    let [m, n, d] = [10_000, 10_000, 784].map(small);
    let seconds = speed::window(device, [m, n, d], 1)?;
    let flop = 2.0 * (m * n * d) as f64;
    let what = format!("Parzen window {m} x {n} x {d}, one width");
    rows.push((what, seconds * 1e6, flop / seconds / 1e9, "GFLOP/s"));
    Ok(rows)
}
