//! The results as a page: a plot of the roofline, and every ladder as bars.

use std::collections::BTreeMap;

use serde_json::json;

use super::{KernelBench, Row};
use crate::html::Page;

const STYLES: [&str; 1] = [include_str!("../../assets/kernels/kernels.css")];
const SCRIPTS: [&str; 2] = [
    include_str!("../../assets/report/chart.js"),
    include_str!("../../assets/kernels/kernels.js"),
];

/// A page of one file.
pub fn page(bench: &KernelBench) -> String {
    let mut by_device: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &bench.rows {
        by_device.entry(&row.device).or_default().push(row);
    }
    let axes = by_device
        .iter()
        .map(|(device, rows)| (*device, Axes::of(rows)));
    let axes: BTreeMap<&str, Axes> = axes.collect();
    Page {
        title: "Kernels",
        styles: &STYLES,
        scripts: &SCRIPTS,
        data: &json!({"bench": bench, "origin": bench.origin.lines(), "axes": axes}),
    }
    .render()
}

/// What the two logarithmic axes of a roofline's plot reach from and to.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
struct Axes {
    /// FLOP per byte.
    x: [f64; 2],
    /// GFLOP/s.
    y: [f64; 2],
}

impl Axes {
    /// All points and the corners of all rooflines, with a factor of two around them.
    fn of(rows: &[&Row]) -> Axes {
        let around = |values: Vec<f64>| {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            [low / 2.0, values.iter().copied().fold(0.0, f64::max) * 2.0]
        };
        let x = rows.iter().flat_map(|r| {
            let corner = r.machine.peak_gflops / r.machine.bandwidth_gbs;
            [r.intensity, corner]
        });
        let y = rows.iter().flat_map(|r| [r.gflops, r.machine.peak_gflops]);
        Axes {
            x: around(x.collect()),
            y: around(y.collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bench, row};
    use super::*;

    #[test]
    fn the_axes_hold_all_points_also_those_above_the_peak() {
        let rows = [
            row("slow", 0.01, 0.1),
            row("fast", 900.0, 40.0),
            row("fits", 50.0, 0.001),
        ];
        let axes = Axes::of(&rows.iter().collect::<Vec<_>>());
        for r in &rows {
            assert!(
                axes.x[0] < r.intensity && r.intensity < axes.x[1],
                "{axes:?}"
            );
            assert!(axes.y[0] < r.gflops && r.gflops < axes.y[1], "{axes:?}");
            assert!(r.machine.peak_gflops < axes.y[1]);
        }
    }

    #[test]
    fn the_page_has_origin_and_warnings() {
        let mut bench = bench(vec![row("fast", 900.0, 40.0)]);
        bench.warnings.push("<busy>".into());
        let page = page(&bench);
        assert!(page.contains("Some Processor") && page.contains("\\u003cbusy>"));
    }
}
