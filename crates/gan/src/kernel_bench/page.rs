//! The figures as a page: a plot of the roofline, and every ladder as bars.

use serde_json::json;

use super::KernelBench;
use crate::html::Page;

const STYLES: [&str; 1] = [include_str!("../../assets/kernels/kernels.css")];
const SCRIPTS: [&str; 2] = [
    include_str!("../../assets/report/chart.js"),
    include_str!("../../assets/kernels/kernels.js"),
];

/// A page of one file.
pub fn page(bench: &KernelBench) -> String {
    Page {
        title: "Kernels",
        styles: &STYLES,
        scripts: &SCRIPTS,
        data: &json!(bench),
    }
    .render()
}
