//! `ganforge gradcheck`.

use std::collections::HashMap;

use ganforge::gan::config::presets;
use ganforge::gan::losses::LossKind;
use ganforge::tensor::gradcheck::COORDINATES;
use ganforge::tensor::ops;

use crate::common::Place;

#[test]
fn ops_losses_and_presets_are_checked_by_name() {
    let place = Place::new();
    let said = place.ok(&["gradcheck", "softplus", "maxout", "--order", "1"]);
    assert!(
        said.contains("softplus") && !said.contains("FAILED"),
        "{said}"
    );
    let json = place.ok(&["gradcheck", "loss", "ns", "mnist", "--order", "2", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let rows = rows.as_array().expect("an array");
    assert!(
        rows.iter().all(|r| r["passes"] == true && r["order"] == 2),
        "{json}"
    );
    assert!(rows.iter().any(|r| r["what"] == "loss ns"));
    assert!(rows.iter().any(|r| r["input"] == "D.h0.w"));
}

#[test]
fn how_many_coordinates_are_varied_of_how_many_is_said_and_that_a_direction_is() {
    let place = Place::new();
    // Samples of 7 and of 2049 elements; at second order dy has as many.
    let run = place.run(&["gradcheck", "softplus"]);
    for line in ["47 of 2056", "2056 of 2056", "4112 of 4112", "direction"] {
        assert!(run.out.contains(line), "{line}: {}", run.out);
    }
    let summary = "3 inputs checked: 141 of 6168 coordinates one by one, all along a random direction, 0 failed";
    assert!(run.err.contains(summary), "{}", run.err);
    let json = place.ok(&["gradcheck", "softplus", "--order", "1", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(rows[0]["varied"], 47, "{json}");
    assert_eq!(rows[0]["of"], 2056, "{json}");
    assert!(rows[0]["at"].is_u64(), "{json}");
    assert_eq!(rows[1]["input"], "all", "{json}");
    assert_eq!(rows[1]["varied"], 2056, "{json}");
    assert!(rows[1]["at"].is_null(), "{json}");
    let help = place.ok(&["help", "gradcheck"]);
    for part in [
        &format!("most {COORDINATES} coordinates"),
        "random direction",
    ] {
        assert!(help.contains(part), "{help}");
    }
}

#[test]
fn everything_passes_and_no_net_is_dead_where_it_is_checked() {
    // The large study's presets have the nets of others, and take minutes.
    let presets = presets().iter().map(|p| p.name);
    let presets = presets.filter(|name| !name.starts_with("study-"));
    let losses = LossKind::NAMES.iter().flat_map(|name| ["loss", *name]);
    let names = ops::NAMES.iter().copied().chain(losses).chain(presets);
    let arguments: Vec<&str> = ["gradcheck", "--order", "1", "--json"]
        .into_iter()
        .chain(names)
        .collect();
    let json = Place::new().ok(&arguments);
    let rows: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let rows = rows.as_array().expect("an array");
    // By what is checked: inputs, and those of which all derivatives are 0.
    let mut counts: HashMap<&str, [usize; 2]> = HashMap::new();
    for row in rows.iter().filter(|row| row["at"].is_u64()) {
        let count = counts
            .entry(row["what"].as_str().expect("a name"))
            .or_default();
        count[0] += 1;
        count[1] += usize::from(row["analytic"] == 0.0 && row["numeric"] == 0.0);
    }
    for what in ["matmul", "loss mm", "keras-tutorial: loss of G"] {
        assert!(counts.contains_key(what), "{what}");
    }
    let nets = counts
        .iter()
        .filter(|(what, _)| what.contains(": loss of "));
    for (what, [inputs, zero]) in nets {
        assert!(2 * zero < *inputs, "{what}: {zero} of {inputs} are 0");
    }
}

#[test]
fn unknown_names_are_refused() {
    let place = Place::new();
    assert!(
        place
            .refused(&["gradcheck", "sofplus"])
            .contains("did you mean softplus?")
    );
    assert!(place.refused(&["gradcheck", "loss"]).contains("which?"));
    assert!(place.refused(&["gradcheck"]).contains("required"));
    assert!(
        place
            .refused(&["gradcheck", "relu", "--order", "3"])
            .contains("3")
    );
}
