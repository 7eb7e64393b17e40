//! `bench kernels` and `kernels`: figures in every format, the page in a browser, refusals.

use crate::browser::Browser;
use crate::common::Place;
use ganforge::see::kernel_bench::{self, KernelBench};
use ganforge::see::origin::Origin;
use ganforge::see::profile::Roofline;
use serde_json::Value;

/// Ladders that take no time.
const SMALL: [&str; 5] = ["bench", "kernels", "--filter", "maxout 200", "--threads"];

fn bench(place: &Place, more: &[&str]) -> String {
    place.ok(&[&SMALL[..], &["1", "--device", "cpu"], more].concat())
}

#[test]
fn a_ladder_is_timed_in_every_format() {
    let place = Place::new();
    let table = bench(&place, &[]);
    let head = table.lines().next().expect("a header");
    for column in ["kernel", "us", "GFLOP/s", "GB/s", "of roofline", "x first"] {
        assert!(head.contains(column), "{table}");
    }
    let json: Value = serde_json::from_str(&bench(&place, &["--format", "json"])).expect("JSON");
    let rows = json["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{json}");
    assert_eq!(rows[0]["kernel"], "naive");
    assert_eq!(
        (&rows[0]["speedup"], &rows[0]["is_used"]),
        (&1.0.into(), &false.into())
    );
    assert_eq!(rows[1]["is_used"], true);
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        let machine = |key: &str| row["machine"][key].as_f64().unwrap_or(f64::NAN);
        // 200 x 240 units of 5 pieces: 4 comparisons each; inputs, maxima and indices.
        let (flops, bytes) = (4.0 * 48_000.0, 4.0 * 7.0 * 48_000.0);
        let seconds = number("us") / 1e6;
        assert!(
            (number("gflops") * seconds * 1e9 / flops - 1.0).abs() < 1e-9,
            "{row}"
        );
        assert!(
            (number("gbs") * seconds * 1e9 / bytes - 1.0).abs() < 1e-9,
            "{row}"
        );
        let least = (flops / machine("peak_gflops")).max(bytes / machine("bandwidth_gbs")) / 1e9;
        assert!(
            (number("roofline") * seconds / least - 1.0).abs() < 1e-9,
            "{row}"
        );
    }
    let markdown = bench(&place, &["--format", "md"]);
    assert!(markdown.starts_with("| family | size |"), "{markdown}");
    assert!(
        markdown
            .lines()
            .nth(1)
            .expect("a rule")
            .starts_with("|---|")
    );
    let csv = bench(&place, &["--format", "csv"]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let processor = ganforge::kernels::cpu::processor();
    for text in [&table, &markdown, &csv, &json.to_string()] {
        assert!(text.contains(&processor), "{processor} in {text}");
    }
}

#[test]
fn kernels_and_steps_are_compared_with_earlier_ones() {
    let place = Place::new();
    bench(&place, &["--format", "json", "--out", "k.json"]);
    let table = bench(&place, &["--baseline", "k.json"]);
    assert!(
        table
            .lines()
            .next()
            .expect("a header")
            .ends_with("us / baseline")
            && table.contains("k.json"),
        "{table}"
    );
    let mut changed: Value = serde_json::from_str(&place.text("k.json")).expect("JSON");
    changed["origin"]["processor"] = "Another".into();
    std::fs::write(place.path("other.json"), changed.to_string()).expect("written");
    let table = bench(&place, &["--baseline", "other.json"]);
    assert!(
        table.contains("warning: baseline other.json: processor: "),
        "{table}"
    );

    let step = ["bench", "step", "tiny", "--steps", "3", "--threads", "1"];
    let json = place.ok(&[&step[..], &["--json"]].concat());
    std::fs::write(place.path("s.json"), json).expect("written");
    let table = place.ok(&[&step[..], &["--baseline", "s.json"]].concat());
    assert!(table.contains("of the time"), "{table}");
    let other = [&step[..], &["--batch", "7", "--baseline", "s.json"]].concat();
    let message = place.refused(&other);
    assert!(
        message.contains("batch 7") && message.contains("batch 20"),
        "{message}"
    );
    let message = place.refused(&[&step[..], &["--baseline", "none.json"]].concat());
    assert!(message.contains("none.json: cannot read"), "{message}");
}

#[test]
fn the_page_has_a_roofline_to_point_at_and_fetches_nothing() {
    let place = Place::new();
    assert_eq!(bench(&place, &["--out", "k.html"]), "kernels: k.html\n");
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.open(&place.path("k.html"));
    assert_eq!(browser.console(), Vec::<String>::new());
    assert_eq!(
        browser.eval("document.querySelectorAll('.roofline circle.used').length"),
        1
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('.ladder tr').length"),
        3
    );
    browser
        .eval("document.querySelector('.roofline circle.used').dispatchEvent(new Event('focus'))");
    let told = browser.eval("document.querySelector('.told').textContent");
    assert!(
        told.as_str().expect("text").contains("of the roofline"),
        "{told}"
    );
    let requests = browser.requests();
    assert!(
        requests
            .iter()
            .all(|r| r.starts_with("file://") || r.starts_with("data:")),
        "{requests:?}"
    );
}

/// A kernel four times as fast as the peak that a busy machine showed, and one of hardly any speed.
#[test]
fn the_plot_holds_all_points_and_the_page_its_warnings() {
    let place = Place::new();
    let row = |kernel: &str, gflops: f64, intensity: f64| kernel_bench::Row {
        family: "matmul",
        size: "NN 1x2 k=3".into(),
        device: "cpu".into(),
        kernel: kernel.into(),
        about: "made up",
        is_used: true,
        us: 10.0,
        rounds: 7,
        spread: 0.1,
        gflop_written: gflops * 1e-5,
        gflop_executed: gflops * 1e-5,
        gflops,
        gbs: gflops / intensity,
        intensity,
        machine: Roofline {
            peak_gflops: 100.0,
            bandwidth_gbs: 10.0,
        },
        bound: "compute",
        roofline: gflops / 100.0,
        speedup: 1.0,
        baseline_ratio: None,
    };
    let bench = KernelBench {
        origin: Origin::now("unknown", "cpu".into()),
        warnings: vec!["<b>busy</b>".into()],
        rows: vec![row("fast", 400.0, 90.0), row("slow", 0.01, 0.01)],
        wins: Vec::new(),
        baseline: None,
    };
    std::fs::write(place.path("k.html"), kernel_bench::page(&bench)).expect("written");
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.open(&place.path("k.html"));
    assert_eq!(browser.console(), Vec::<String>::new());
    let outside = "[...document.querySelectorAll('.roofline circle.used')].filter((c) => {
        const [x, y] = [c.cx.baseVal.value, c.cy.baseVal.value];
        const [w, h] = [c.ownerSVGElement.viewBox.baseVal.width, c.ownerSVGElement.viewBox.baseVal.height];
        return !(x > 0 && x < w && y > 0 && y < h);
    }).length";
    assert_eq!(browser.eval(outside), 0);
    let warned = browser.eval("document.querySelector('.warning').textContent");
    assert_eq!(warned, "Warning: <b>busy</b>");
    let origin = browser.eval("document.querySelector('.origin').textContent");
    let processor = ganforge::kernels::cpu::processor();
    assert!(
        origin.as_str().expect("text").contains(&processor),
        "{origin}"
    );
}

#[test]
fn what_is_not_there_is_refused() {
    let place = Place::new();
    let refused = |arguments: &[&str]| place.refused(&[&["bench", "kernels"], arguments].concat());
    assert!(refused(&["--filter", "attention"]).contains("there are: matmul NN 100x1200 k=100"));
    assert!(refused(&["--device", "gpu"]).contains("cuda:N"));
    assert!(refused(&["--format", "pdf"]).contains("possible values"));
    // No machine has so many.
    let none = [
        "bench", "kernels", "--device", "cuda:999", "--filter", "maxout",
    ];
    let none = place.refused_by_system(&none);
    assert!(
        none.contains("CUDA") || none.contains("cuda") || none.contains("device"),
        "{none}"
    );
    assert!(
        place
            .refused(&["kernels", "inspect", "matmul_v1"])
            .contains("matmul_v1_naive_nn_f32")
    );
    assert!(place.ok(&["kernels", "list"]).contains("fma_peak_v1_f32"));
}

#[test]
fn scripts_read_what_people_read() {
    let place = Place::new();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&place.ok(arguments)).unwrap_or_else(|e| panic!("{arguments:?}: {e}"))
    };
    let kernels = json(&["kernels", "list", "--json"]);
    let naive = kernels
        .as_array()
        .expect("a list")
        .iter()
        .find(|k| k["kernel"] == "matmul_v1_naive_nn_f32");
    assert!(naive.expect("there")["devices"]["sm_90"]["registers"].as_u64() > Some(0));
    let counts = json(&[
        "kernels",
        "inspect",
        "fma_peak_v1_f32",
        "--size",
        "2x3",
        "--json",
    ]);
    assert_eq!(counts["blocks"], serde_json::json!([2, 1, 1]));
    assert!(counts["counts"]["instructions"]["fma"]["threads"].as_u64() >= Some(2 * 256 * 3 * 8));
    let presets = json(&["presets", "list", "--json"]);
    assert!(
        presets
            .as_array()
            .expect("a list")
            .iter()
            .any(|p| p["name"] == "mnist-2014")
    );
    let data = json(&["data", "list", "--json"]);
    assert!(
        data["sets"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|s| s["name"] == "tfd")
    );
}

#[test]
fn a_run_of_another_version_says_which() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    let about = place.text("run/run.json");
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(about.contains(&version), "{about}");
    std::fs::write(
        place.path("run/run.json"),
        about.replace(&version, "\"version\": \"9.9.9\""),
    )
    .expect("written");
    assert!(
        place.ok(&["eval", "run"]).contains("Parzen"),
        "what fits is read"
    );
    let config = place
        .text("run/config.toml")
        .replace("seed = ", "heed = 1\nseed = ");
    std::fs::write(place.path("run/config.toml"), config).expect("written");
    let message = place.refused(&["eval", "run"]);
    assert!(
        message.contains("heed") && message.contains("written by ganforge 9.9.9"),
        "{message}"
    );
}
