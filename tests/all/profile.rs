//! `ganforge profile`.

use crate::common::Place;
use serde_json::Value;

const TINY: [&str; 6] = ["profile", "tiny", "--set", "train.batch=10", "--steps", "3"];

#[test]
fn kinds_and_calls_are_printed_and_add_up() {
    let place = Place::new();
    let said = place.ok(&TINY);
    for part in [
        "GFLOP/s of multiply-adds",
        "GB/s over the",
        "matmul+bias+relu",
        "# G/h0",
        "memory",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let json = place.ok(&[&TINY[..], &["--json", "--threads", "1"]].concat());
    let profile: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(profile["origin"]["threads"], 1);
    assert!(
        said.contains(&ganforge::kernels::cpu::processor()),
        "{said}"
    );
    let all = profile["kernels_us"].as_f64().expect("a number");
    assert!(all > 0.0 && all <= profile["step_us"].as_f64().expect("a number"));
    for rows in ["calls", "kinds"] {
        let rows = profile[rows].as_array().expect("a list");
        let sum: f64 = rows.iter().filter_map(|r| r["us"].as_f64()).sum();
        assert!((sum - all).abs() < 1e-6 * all, "{sum} of {all}");
    }
}

/// Begin and end of a complete event, in nanoseconds.
fn span(event: &Value) -> (i64, i64) {
    let ns = |key: &str| (event[key].as_f64().expect("a number") * 1e3).round() as i64;
    (ns("ts"), ns("ts") + ns("dur"))
}

#[test]
fn a_trace_is_of_the_form_that_viewers_read_and_its_events_nest() {
    let place = Place::new();
    let arguments = [&TINY[..], &["--trace", "t.json"]].concat();
    assert!(
        place
            .run(&arguments)
            .err
            .contains("trace of 3 steps: t.json")
    );
    let trace: Value = serde_json::from_str(&place.text("t.json")).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("a list");
    for event in events {
        assert!(
            event["name"].is_string() && event["pid"].is_u64(),
            "{event}"
        );
        match event["ph"].as_str() {
            Some("X") => assert!(
                span(event).0 <= span(event).1 && event["cat"].is_string(),
                "{event}"
            ),
            Some("C") => assert!(event["args"]["bytes"].is_u64(), "{event}"),
            Some("M") => assert!(event["args"]["name"].is_string(), "{event}"),
            _ => panic!("{event}"),
        }
    }
    let complete = |kind: Option<&str>| -> Vec<(i64, i64)> {
        let is = |e: &&Value| e["ph"] == "X" && kind.is_none_or(|k| e["cat"] == k);
        events.iter().filter(is).map(span).collect()
    };
    let steps = complete(Some("step"));
    assert_eq!(steps.len(), 3);
    let inner: Vec<(i64, i64)> = complete(None)
        .into_iter()
        .filter(|s| !steps.contains(s))
        .collect();
    let mut covered = 0;
    for (i, s) in inner.iter().enumerate() {
        assert!(
            steps.iter().any(|step| step.0 <= s.0 && s.1 <= step.1),
            "{s:?} is in no step"
        );
        if let Some(next) = inner.get(i + 1) {
            assert!(s.1 <= next.0, "{s:?} and {next:?} overlap");
        }
        covered += s.1 - s.0;
    }
    let all: i64 = steps.iter().map(|s| s.1 - s.0).sum();
    assert!(
        covered <= all && covered * 10 > all * 5,
        "{covered} of {all} ns"
    );
}

#[test]
fn strict_profiles_are_of_direct_convolutions() {
    let place = Place::new();
    let said = place.ok(&[&TINY[..], &["--precision", "strict"]].concat());
    assert!(said.starts_with("tiny, batch 10, cpu, strict, "), "{said}");
}

#[test]
fn what_cannot_be_profiled_is_refused() {
    let place = Place::new();
    let tf32 = [&TINY[..], &["--precision", "tf32"]].concat();
    assert!(place.refused(&tf32).contains("f32, strict"));
    assert!(
        place
            .refused(&["profile", "tinny"])
            .contains("did you mean tiny?")
    );
    assert!(
        place
            .refused(&["profile", "tiny", "--steps", "0"])
            .contains("whole number")
    );
    assert!(
        place
            .refused(&["profile", "tiny", "--threads", "none"])
            .contains("whole number")
    );
    let trace = [&TINY[..], &["--trace", "no/where.json"]].concat();
    assert!(place.refused(&trace).contains("where.json"));
}
