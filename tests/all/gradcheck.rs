//! `ganforge gradcheck`.

use crate::common::Place;

#[test]
fn ops_losses_and_presets_are_checked_by_name() {
    let place = Place::new();
    let said = place.ok(&["gradcheck", "softplus", "maxout", "--order", "1"]);
    assert!(
        said.contains("softplus") && !said.contains("FAILED"),
        "{said}"
    );
    let json = place.ok(&[
        "gradcheck",
        "loss",
        "bce",
        "mnist",
        "--order",
        "2",
        "--json",
    ]);
    let rows: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let rows = rows.as_array().expect("an array");
    assert!(
        rows.iter().all(|r| r["passes"] == true && r["order"] == 2),
        "{json}"
    );
    assert!(rows.iter().any(|r| r["what"] == "loss bce"));
    assert!(rows.iter().any(|r| r["input"] == "D.h0.w"));
}

#[test]
fn everything_passes() {
    let said = Place::new().ok(&["gradcheck", "--all", "--order", "1"]);
    for what in ["matmul", "loss non-saturating", "keras-tutorial: loss of G"] {
        assert!(said.contains(what), "{what}");
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
