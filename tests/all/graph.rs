//! `ganforge graph`.

use crate::browser::Browser;
use crate::common::Place;
use serde_json::Value;

#[test]
fn text_has_the_formula_the_chain_rule_below_it_and_the_plan() {
    let place = Place::new();
    let all = place.ok(&["graph", "tiny"]);
    assert!(all.contains(" 4 B  ") && !all.contains(" 0.0 KiB"), "{all}");
    let at = |part: &str| all.find(part).unwrap_or_else(|| panic!("{part} in {all}"));
    let order = [
        "= matmul(z, G.h0.w)",
        "# backward pass of loss/d",
        "# backward pass of loss/g",
        "D.h0.w <- %",
        "# plan",
        "# buffers",
    ];
    assert!(order.windows(2).all(|w| at(w[0]) < at(w[1])), "{all}");
    for (stage, has, lacks) in [
        ("forward", "softplus(", "step_mul("),
        ("backward", "step_mul(", "softplus("),
        ("plan", "GFLOP", "# forward"),
    ] {
        let text = place.ok(&["graph", "tiny", "--stage", stage]);
        assert!(
            text.contains(has) && !text.contains(lacks),
            "{stage}: {text}"
        );
    }
}

#[test]
fn json_describes_the_nodes_that_its_links_name() {
    let place = Place::new();
    let said = place.ok(&["graph", "mnist", "--format", "json", "--out", "g.json"]);
    assert_eq!(said, "g.json\n");
    let graph: Value = serde_json::from_str(&place.text("g.json")).expect("JSON");
    let nodes = graph["nodes"].as_array().expect("a list");
    for (i, node) in nodes.iter().enumerate() {
        assert_eq!(node["id"], i);
        let inputs = node["inputs"].as_array().expect("a list");
        assert!(inputs.iter().all(|n| n.as_u64() < Some(i as u64)), "{node}");
    }
    for update in graph["updates"].as_array().expect("a list") {
        let (param, value) = (&update["node"], &update["value"]);
        let shape = |n: &Value| nodes[n.as_u64().expect("a node") as usize]["shape"].clone();
        assert_eq!(shape(param), shape(value), "{update}");
    }
    let only: Value =
        serde_json::from_str(&place.ok(&["graph", "mnist", "--stage", "plan", "--format", "json"]))
            .expect("JSON");
    assert_eq!(only["plan"], graph["plan"]);
    assert!(only["nodes"].is_null());
}

#[test]
fn dot_closes_what_it_opens_and_has_clusters() {
    let place = Place::new();
    for stage in [&[][..], &["--stage", "forward"], &["--stage", "plan"]] {
        let arguments = [&["graph", "tiny", "--format", "dot"], stage].concat();
        let dot = place.ok(&arguments);
        assert!(
            dot.starts_with("digraph \"tiny\" {") && dot.contains("->"),
            "{dot}"
        );
        let outside = |c: char| {
            dot.split('"')
                .step_by(2)
                .map(|s| s.matches(c).count())
                .sum::<usize>()
        };
        assert_eq!(outside('{'), outside('}'), "{dot}");
        assert_eq!(
            dot.contains("subgraph \"cluster/G/h0\""),
            stage.last() != Some(&"plan")
        );
    }
}

#[test]
fn a_files_ending_says_how_unless_one_was_asked_for() {
    let place = Place::new();
    let written = |file: &str, more: &[&str]| {
        place.ok(&[&["graph", "tiny", "--out", file], more].concat());
        std::fs::read_to_string(place.path(file)).expect("written")
    };
    assert!(written("a.svg", &[]).starts_with("<svg"));
    assert!(written("a.dot", &[]).starts_with("digraph"));
    assert!(written("a.json", &[]).starts_with('{'));
    assert!(written("a.txt", &[]).starts_with("# tiny"));
    assert!(written("b.svg", &["--format", "text"]).starts_with("# tiny"));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let place = Place::new();
    assert!(
        place
            .refused(&["graph", "mnits"])
            .contains("did you mean mnist?")
    );
    assert!(place.refused(&["graph"]).contains("PRESET"));
    assert!(
        place
            .refused(&["graph", "mnist", "--format", "png"])
            .contains("svg")
    );
    assert!(
        place
            .refused(&["graph", "mnist", "--stage", "sideways"])
            .contains("backward")
    );
    std::fs::write(place.path("bad.toml"), "name = \"x\"\nspeed = 3\n").expect("written");
    assert!(place.refused(&["graph", "bad.toml"]).contains("bad.toml"));
    assert!(
        place
            .refused(&["graph", "mnist", "--out", "no/where.txt"])
            .contains("where.txt")
    );
}

#[test]
fn text_stays_inside_of_its_boxes_in_a_browser() {
    let place = Place::new();
    for update in ["simultaneous", "alternating"] {
        let (set, out) = (format!("train.update={update}"), format!("{update}.svg"));
        place.ok(&[
            "graph", "mnist", "--set", &set, "--format", "svg", "--out", &out,
        ]);
    }
    place.ok(&[
        "graph", "mnist", "--stage", "plan", "--format", "svg", "--out", "plan.svg",
    ]);
    let Some(browser) = Browser::start() else {
        return;
    };
    for file in ["simultaneous.svg", "alternating.svg", "plan.svg"] {
        browser.open(&place.path(file));
        let boxes = browser.eval("document.querySelectorAll('g > rect').length");
        assert!(boxes.as_u64() > Some(40), "{file}: {boxes}");
        let outside = browser.text(
            "[...document.querySelectorAll('g > text')].filter((t) => { \
               const [a, b] = [t.getBBox(), t.parentNode.querySelector('rect').getBBox()]; \
               return a.x < b.x || a.x + a.width > b.x + b.width || a.y + a.height > b.y + b.height + 1; \
             }).map((t) => t.textContent).join('; ')",
        );
        assert_eq!(outside, "", "{file}");
    }
}
