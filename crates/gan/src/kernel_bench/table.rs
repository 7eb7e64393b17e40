//! The figures as text, Markdown, CSV or JSON.

use super::{KernelBench, Row};
use crate::tables::{aligned, markdown, quoted};

/// How the figures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns of one width.
    Text,
    /// A Markdown table.
    Markdown,
    /// Comma-separated values.
    Csv,
    /// All that there is.
    Json,
    /// A page with a plot of the roofline.
    Html,
}

/// The whole text, ending in a line end.
pub fn table(bench: &KernelBench, format: Format) -> String {
    match format {
        Format::Text => aligned(&cells(bench)) + &notes(bench),
        Format::Markdown => markdown(&cells(bench)) + "\n" + &notes(bench),
        Format::Csv => csv(bench),
        Format::Json => serde_json::json!(bench).to_string() + "\n",
        Format::Html => super::page(bench),
    }
}

/// Three digits, as many as repeat from run to run.
fn short(x: f64) -> String {
    match x {
        x if x >= 99.95 => format!("{x:.0}"),
        x if x >= 9.995 => format!("{x:.1}"),
        x => format!("{x:.2}"),
    }
}

fn cells(bench: &KernelBench) -> Vec<Vec<String>> {
    let header = [
        "family",
        "size",
        "device",
        "kernel",
        "us",
        "GFLOP/s",
        "GB/s",
        "of roofline",
        "bound",
        "x first",
        "",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    let mut last = ("", "", "");
    for r in &bench.rows {
        let this = (r.family, r.size.as_str(), r.device.as_str());
        let once = |new: bool, text: &str| if new { text.to_string() } else { String::new() };
        rows.push(vec![
            once(this.0 != last.0, this.0),
            once((this.0, this.1) != (last.0, last.1), this.1),
            once(this != last, this.2),
            r.kernel.clone(),
            short(r.us),
            short(r.gflops),
            short(r.gbs),
            format!("{:.0} %", 100.0 * r.roofline),
            r.bound.to_string(),
            short(r.speedup),
            once(r.is_used, "runs"),
        ]);
        last = this;
    }
    rows
}

/// What the figures mean, and what follows from them.
fn notes(bench: &KernelBench) -> String {
    let threads = match bench.threads {
        1 => "1 thread".to_string(),
        n => format!("{n} threads"),
    };
    let mut text = format!(
        "\nEvery kernel was compared with plain loops in f64 first. Best of several rounds, in which the kernels of a ladder take\n\
         turns; cpu: {threads}, {}. GFLOP and GB are those that the result needs at least; \"of roofline\": the least time by the\n\
         measured peak and bandwidth (of as many bytes as the work has) as a share of the time taken. \"runs\": what a plan uses.\n",
        bench.isa
    );
    for win in &bench.wins {
        text += &match win.batch {
            Some(batch) => format!(
                "{} is faster than the cpu at a layer of 1200 by 1200 from a batch of {batch} on.\n",
                win.device
            ),
            None => format!(
                "{} is not faster than the cpu at a layer of 1200 by 1200 at the batches timed.\n",
                win.device
            ),
        };
    }
    text
}

fn csv(bench: &KernelBench) -> String {
    let head = "family,size,device,kernel,us,gflops,gbs,flops_per_byte,peak_gflops,bandwidth_gbs,bound,of_roofline,x_first,runs\n";
    let line = |r: &Row| {
        format!(
            "{},{},{},{},{:.4},{:.4},{:.4},{:.4},{:.2},{:.2},{},{:.4},{:.4},{}\n",
            r.family,
            quoted(&r.size),
            quoted(&r.device),
            r.kernel,
            r.us,
            r.gflops,
            r.gbs,
            r.intensity,
            r.machine.peak_gflops,
            r.machine.bandwidth_gbs,
            r.bound,
            r.roofline,
            r.speedup,
            u8::from(r.is_used)
        )
    };
    head.to_string() + &bench.rows.iter().map(line).collect::<String>()
}
