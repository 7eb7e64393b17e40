//! The results as text, Markdown, CSV or JSON.

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

/// The same of small numbers.
fn shorter(x: f64) -> String {
    if x < 0.995 {
        format!("{x:.4}")
    } else {
        short(x)
    }
}

fn cells(bench: &KernelBench) -> Vec<Vec<String>> {
    let header = [
        "family",
        "size",
        "device",
        "kernel",
        "us",
        "rounds",
        "spread",
        "GFLOP",
        "executed",
        "GFLOP/s",
        "GB/s",
        "of roofline",
        "bound",
        "x first",
        "",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    if bench.baseline.is_some() {
        rows[0].push("us / baseline".to_string());
    }
    let mut last = ("", "", "");
    for r in &bench.rows {
        let this = (r.family, r.size.as_str(), r.device.as_str());
        let once = |new: bool, text: &str| if new { text.to_string() } else { String::new() };
        let mut row = vec![
            once(this.0 != last.0, this.0),
            once((this.0, this.1) != (last.0, last.1), this.1),
            once(this != last, this.2),
            r.kernel.clone(),
            short(r.us),
            r.rounds.to_string(),
            format!("{:.0} %", 100.0 * r.spread),
            shorter(r.gflop_written),
            shorter(r.gflop_executed),
            short(r.gflops),
            short(r.gbs),
            format!("{:.0} %", 100.0 * r.roofline),
            r.bound.to_string(),
            short(r.speedup),
            once(r.is_used, "runs"),
        ];
        if bench.baseline.is_some() {
            row.push(r.baseline_ratio.map_or(String::new(), short));
        }
        rows.push(row);
        last = this;
    }
    rows
}

/// What the figures mean, what follows from them, what casts doubt on them, and where they come from.
fn notes(bench: &KernelBench) -> String {
    let mut text = "\nEvery kernel was compared with plain loops in f64 first. Best of several rounds, in which the kernels of a ladder take\n\
         turns; spread: how much longer the slowest round took. GFLOP (and GFLOP/s): of the result as it is written; executed: those\n\
         that the kernel carries out, more where it multiplies zeros, fewer after Winograd. GB are the least that can be moved.\n\
         \"of roofline\": the least time by the peak and bandwidth (of as many bytes as the work has), measured before and after, for\n\
         the fewer of the two, as a share of the time taken. \"runs\": what a plan uses. On a device a kernel's runs follow one another in one graph, timed by the device; what they\n\
         read stays in its cache where it fits, as in a step.\n"
        .to_string();
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
    let warnings = bench.warnings.iter().map(|w| format!("\nwarning: {w}\n"));
    text += &warnings.collect::<String>();
    text.push('\n');
    let mut origin = bench.origin.lines();
    if let Some(baseline) = &bench.baseline {
        origin.push(("baseline", baseline.about()));
    }
    let origin = origin
        .iter()
        .map(|(what, value)| format!("- {what}: {value}\n"));
    text + &origin.collect::<String>()
}

/// A header, then a line for each kernel; what is the same for all is in each line, so that lines of several files can be
/// put together.
fn csv(bench: &KernelBench) -> String {
    let head = "family,size,device,kernel,us,rounds,spread,gflop_written,gflop_executed,gflops,gbs,flops_per_byte,peak_gflops,bandwidth_gbs,bound,\
                of_roofline,x_first,runs,baseline_ratio,baseline,warnings,program,version,commit,date,processor,cpu_features,\
                isa,threads,cores,system,load\n";
    let o = &bench.origin;
    let origin = [
        bench
            .baseline
            .as_ref()
            .map_or(String::new(), |b| b.file.clone()),
        bench.warnings.join("; "),
        o.program.clone(),
        o.version.clone(),
        o.commit.clone(),
        o.date.clone(),
        o.processor.clone(),
        o.cpu_features.join(" "),
        o.isa.clone(),
        o.threads.to_string(),
        o.cores.to_string(),
        o.system.clone(),
        o.load.map_or(String::new(), |l| format!("{l:.2}")),
    ];
    let origin = origin.map(|field| quoted(&field)).join(",");
    let line = |r: &Row| {
        format!(
            "{},{},{},{},{:.4},{},{:.4},{:.6},{:.6},{:.4},{:.4},{:.4},{:.2},{:.2},{},{:.4},{:.4},{},{},{origin}\n",
            r.family,
            quoted(&r.size),
            quoted(&r.device),
            r.kernel,
            r.us,
            r.rounds,
            r.spread,
            r.gflop_written,
            r.gflop_executed,
            r.gflops,
            r.gbs,
            r.intensity,
            r.machine.peak_gflops,
            r.machine.bandwidth_gbs,
            r.bound,
            r.roofline,
            r.speedup,
            u8::from(r.is_used),
            r.baseline_ratio
                .map_or(String::new(), |x| format!("{x:.4}"))
        )
    };
    head.to_string() + &bench.rows.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bench, row};
    use super::*;

    #[test]
    fn every_format_says_where_the_figures_come_from() {
        let bench = bench(vec![row("avx2", 50.0, 40.0), row("avx512", 360.0, 40.0)]);
        for format in [
            Format::Text,
            Format::Markdown,
            Format::Csv,
            Format::Json,
            Format::Html,
        ] {
            let text = table(&bench, format);
            for part in [
                "Some Processor (family 1, model 2)",
                "fma",
                "0.1.0",
                "0123456789ab",
                "2026-11-29T21:30:05Z",
                "0.25",
                "exceed the roofline",
            ] {
                assert!(text.contains(part), "{format:?} without {part}: {text}");
            }
        }
    }

    #[test]
    fn each_line_of_csv_has_all_columns() {
        let text = table(&bench(vec![row("a", 50.0, 40.0)]), Format::Csv);
        let columns: Vec<usize> = text.lines().map(|l| unquoted_commas(l) + 1).collect();
        assert_eq!(columns, [32, 32], "{text}");
    }

    fn unquoted_commas(line: &str) -> usize {
        let outside = line.split('"').step_by(2);
        outside.map(|part| part.matches(',').count()).sum()
    }
}
