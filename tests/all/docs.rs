//! What docs/architecture.md shows as printed is what is printed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ganforge::tensor::{Graph, Keep, Plan, Result};

/// One hidden layer, a logit, the loss on real examples, and the momentum update of the first weights.
fn listings() -> Result<[String; 3]> {
    let g = Graph::new();
    let x = g.input("x", [4, 3]);
    let (w, b, u) = (
        g.param("w", [3, 5]),
        g.param("b", [5]),
        g.param("u", [5, 1]),
    );
    let hidden = {
        let _scope = g.scope("D/h0");
        (x.matmul(w) + b).relu()
    };
    let logit = {
        let _scope = g.scope("D/out");
        hidden.matmul(u)
    };
    let loss = {
        let _scope = g.scope("loss");
        (-logit).softplus().mean()
    };
    let dw = g.grad(loss, &[w])?[0];
    let _scope = g.scope("update/w");
    let v = g.param("v", [3, 5]);
    let v_new = v * g.scalar("mu") - dw * g.scalar("lr");
    let w_new = w + v_new;
    let plan = |keep| {
        let plan = Plan::of(&g).fetch("loss", loss).update(v, v_new);
        plan.update(w, w_new).keep(keep).compile()
    };
    let fast = plan(Keep::Fetched)?;
    let all = plan(Keep::All)?;
    Ok([g.to_string(), fast.to_string(), all.to_string()])
}

#[test]
fn the_listings_of_architecture_are_real() {
    let text = include_str!("../../docs/architecture.md");
    let [graph, fast, all] = listings().expect("compiles");
    for listing in [graph, fast] {
        assert!(text.contains(listing.trim_end()), "expected\n{listing}");
    }
    let buffers = all.lines().last().and_then(|l| l.split(',').next());
    let counts = format!(
        "{} with it and {} calls",
        buffers.expect("a line"),
        all.lines().count() - 1
    );
    assert!(text.contains(&counts), "expected {counts}");
}

/// The Rust files of the crates, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("crates")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                sources.push((path, text));
            }
        }
    }
    sources
}

/// What `fn main() -> Result<()>` prints is the error's `Debug`.
#[test]
fn no_error_derives_its_debug() {
    let mut errors = 0;
    for (path, text) in sources() {
        for line in text
            .lines()
            .filter(|l| l.starts_with("#[derive(") && l.contains("thiserror::Error"))
        {
            errors += 1;
            assert!(!line.contains("Debug"), "{}: {line}", path.display());
        }
    }
    assert!(errors > 8, "{errors}");
}

#[test]
fn each_line_of_code_in_contributing_is_one_of_the_crates() {
    let sources = sources();
    let lines = sources.iter().flat_map(|s| s.1.lines());
    let known: HashSet<&str> = lines.map(str::trim).collect();
    let text = include_str!("../../CONTRIBUTING.md");
    let (mut in_rust, mut seen) = (false, 0);
    for line in text.lines().map(str::trim) {
        match line.strip_prefix("```") {
            Some(language) => in_rust = language == "rust",
            None if in_rust => {
                seen += 1;
                assert!(known.contains(line), "{line}");
            }
            None => {}
        }
    }
    assert!(seen > 100, "{seen}");
}
