//! The report: what is in the page, that it works in a browser, that it loads nothing.

use std::fs;

use crate::browser::{Browser, assert_quiet, assert_self_contained, page_data};
use crate::common::Place;

const LEFT: char = '\u{E012}';
const RIGHT: char = '\u{E014}';

const SCORED: [&str; 4] = ["--epochs", "4", "--set", "eval.every=1"];

#[test]
fn training_ends_with_a_page_that_holds_all_of_the_run() {
    let place = Place::new();
    let said = place.train("run", &SCORED);
    assert!(said.contains("report:  run/report.html"), "{said}");
    let page = place.text("run/report.html");
    assert_self_contained(&page);
    let data = page_data(&page);
    let run = &data["runs"][0];
    assert_eq!(run["label"], "run");
    assert_eq!(
        (&run["epoch"], &run["epochs"], &run["steps_per_epoch"]),
        (&4.0.into(), &4.into(), &40.into())
    );
    assert_eq!(run["config"], place.text("run/config.toml"));
    assert!(
        run["score"]
            .as_str()
            .expect("text")
            .starts_with("Parzen log-likelihood ")
    );
    assert!(
        run["caveat"]
            .as_str()
            .expect("text")
            .contains("BUNDLED SAMPLE")
    );
    for (table, file) in [("metrics", "metrics.csv"), ("scores", "scores.csv")] {
        let text = place.text(&format!("run/{file}"));
        let lines: Vec<&str> = text.lines().collect();
        let names: Vec<&str> = lines[0].split(',').collect();
        assert_eq!(run[table]["names"], serde_json::json!(names));
        for (row, line) in lines[1..].iter().enumerate() {
            for (column, field) in line.split(',').enumerate() {
                let value = run[table]["columns"][column][row].as_f64();
                assert_eq!(value, field.parse().ok(), "{file}, row {row}: {field}");
            }
        }
    }
    let pictures = run["pictures"].as_array().expect("a list");
    let epochs: Vec<u64> = pictures
        .iter()
        .filter_map(|p| p["epoch"].as_u64())
        .collect();
    assert_eq!(epochs, [1, 2, 3, 4]);
    let facts = run["facts"].to_string();
    for part in [
        "bundled sample",
        "Seed",
        env!("CARGO_PKG_VERSION"),
        "commit",
        std::env::consts::ARCH,
    ] {
        assert!(facts.contains(part), "{part} in {facts}");
    }

    // Again by hand: the same page.
    assert_eq!(
        place.ok(&["report", "run", "--out", "again.html"]),
        "again.html\n"
    );
    assert!(place.text("again.html") == page);
}

#[test]
fn older_and_unfinished_runs_have_a_page_and_long_ones_a_choice_of_pictures() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    // As an older program would have left it, killed while it wrote a row.
    let metrics = place.text("run/metrics.csv");
    let old = metrics
        .lines()
        .map(|l| l.split(',').take(8).collect::<Vec<_>>().join(",") + "\n");
    let old = old.collect::<String>() + "47,2,0.6";
    fs::write(place.path("run/metrics.csv"), old).expect("written");
    fs::remove_file(place.path("run/run.json")).expect("removed");
    fs::remove_file(place.path("run/scores.csv")).expect("removed");
    for epoch in 2..=300 {
        let picture = place.path(&format!("run/samples/epoch-{epoch:03}.png"));
        fs::copy(place.path("run/samples/epoch-001.png"), picture).expect("copied");
    }
    place.ok(&["report", "run"]);
    let data = page_data(&place.text("run/report.html"));
    let run = &data["runs"][0];
    assert_eq!(run["metrics"]["names"].as_array().map(Vec::len), Some(8));
    assert_eq!(run["step"], 40.0);
    for missing in ["score", "scores", "steps_per_epoch"] {
        assert!(run[missing].is_null(), "{missing}");
    }
    let pictures = run["pictures"].as_array().expect("a list");
    assert_eq!((pictures.len(), &run["pictures_in_all"]), (60, &300.into()));
    assert_eq!(
        (&pictures[0]["epoch"], &pictures[59]["epoch"]),
        (&1.into(), &300.into())
    );
}

#[test]
fn the_page_works_in_a_browser_and_fetches_nothing() {
    let place = Place::new();
    place.train("first", &SCORED);
    place.train(
        "second",
        &["--epochs", "2", "--seed", "2", "--set", "optimizer.lr=0.05"],
    );
    assert_eq!(place.ok(&["report", "first", "second"]), "report.html\n");
    let page = place.text("report.html");
    assert_self_contained(&page);
    let rows = page_data(&page)["differences"].clone();
    let expected = [
        ["eval.every", "1", "0"],
        ["optimizer.lr", "0.1", "0.05"],
        ["seed", "1", "2"],
        ["train.epochs", "4", "2"],
    ];
    assert_eq!(rows, serde_json::json!(expected));
    let adam = ["optimizer.kind=adam", "optimizer.lr=0.01", "noise.dim=7"];
    let adam = adam.map(|setting| ["--set", setting]).concat();
    place.train(
        "adam",
        &[&["--epochs", "1", "--seed", "3"], &adam[..]].concat(),
    );
    place.ok(&["report", "first", "adam", "--out", "unlike.html"]);
    let unlike = page_data(&place.text("unlike.html"))["differences"].clone();
    let unlike = unlike.as_array().expect("a list");
    assert!(unlike.len() > 10, "{unlike:?}");
    let Some(browser) = Browser::start() else {
        return;
    };

    browser.open(&place.path("first/report.html"));
    assert_quiet(&browser);
    assert_eq!(browser.text("document.title"), "first");
    assert!(
        browser
            .text("document.querySelector('.warning').textContent")
            .contains("BUNDLED SAMPLE")
    );
    let titles = browser
        .text("[...document.querySelectorAll('figure h3')].map((h) => h.textContent).join('; ')");
    assert_eq!(
        titles,
        "Parzen log-likelihood; Losses; Outputs of D; Gradient norms of D; Gradient norms of G; Learning rate; Momentum"
    );
    browser.wait_for(
        "[...document.querySelectorAll('.plot')].every((p) => p.querySelector('polyline'))",
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('polygon').length"),
        1,
        "an error band"
    );
    let image = "document.querySelector('.gallery img')";
    let shown = || {
        (
            browser.text(&format!("{image}.src")),
            browser.text(&format!("{image}.alt")),
        )
    };
    browser.wait_for(&format!("{image}.naturalWidth > 0"));
    let last = shown();
    assert_eq!(last.1, "Samples of first, epoch 4");
    browser.press(LEFT);
    let before = shown();
    assert_eq!(before.1, "Samples of first, epoch 3");
    assert_ne!(before.0, last.0, "another picture");
    browser.press(RIGHT);
    browser.press(RIGHT);
    assert_eq!(shown(), last, "there is none after the last one");
    browser.click("#epoch"); // the middle of the slider: it has the focus now
    let middle = shown();
    assert_ne!(middle.0, last.0);
    browser.press(LEFT);
    assert_ne!(shown().0, middle.0, "once, not twice");
    browser.click(".controls button");
    browser.wait_for(&format!("{image}.alt.endsWith('epoch 4')"));

    browser.point_at("section:nth-of-type(2) .plot svg");
    let tip = browser.text("[...document.querySelectorAll('.tip')].filter((t) => !t.hidden).map((t) => t.textContent).join('; ')");
    assert!(
        tip.starts_with("epoch 1.") && tip.contains(" D 0.") && tip.contains(" G "),
        "{tip}"
    );
    browser.eval("[...document.querySelectorAll('details')].forEach((d) => { d.open = true; })");
    browser.wait_for("document.querySelectorAll('.chart table').length === 7");
    browser.wait_for("document.querySelector('pre')?.textContent.includes('[optimizer]')");
    assert_quiet(&browser);

    let folded = "document.querySelector('section details summary').textContent";
    let cells = "document.querySelectorAll('section:first-of-type .card th').length";
    browser.open(&place.path("unlike.html"));
    assert_quiet(&browser);
    let summary = browser.text(folded);
    assert_eq!(summary, format!("{} settings that differ", unlike.len()));
    let before = browser.eval(cells);
    browser.click("section details summary");
    browser.wait_for(&format!("{cells} > {before} + {}", unlike.len()));

    browser.open(&place.path("report.html"));
    assert_quiet(&browser);
    let few = "document.querySelector('section h3').textContent";
    assert_eq!(browser.text(few), "Settings that differ");
    let legend =
        "[...document.querySelector('.legend').children].map((e) => e.textContent.trim()).join()";
    assert_eq!(browser.text(legend), "first,second");
    browser.wait_for(
        "[...document.querySelectorAll('.gallery img')].every((i) => i.naturalWidth > 0)",
    );
    let alts = "[...document.querySelectorAll('.gallery img')].map((i) => i.alt).join('; ')";
    assert_eq!(
        browser.text(alts),
        "Samples of first, epoch 4; Samples of second, epoch 2"
    );
    for _ in 0..3 {
        browser.press(LEFT);
    }
    assert_eq!(
        browser.text(alts),
        "Samples of first, epoch 1; Samples of second, epoch 1"
    );
    assert_eq!(
        browser.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth"),
        0,
        "no sideways scrolling"
    );
    assert_quiet(&browser);
}

#[test]
fn what_cannot_be_reported_is_named() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    let refused = |arguments: &[&str], parts: &[&str]| {
        let message = place.refused(arguments);
        for part in parts {
            assert!(message.contains(part), "{part} in {message}");
        }
    };
    refused(&["report"], &["required"]);
    refused(&["report", "nowhere"], &["nowhere: is not a run"]);
    refused(
        &["report", "run", "run/samples"],
        &["run/samples: is not a run"],
    );
    refused(
        &["report", "run", "--out", "no/such/r.html"],
        &["no/such/r.html: cannot write"],
    );
    refused(
        &["report", "run", "--out", "run/samples"],
        &[
            "'run/samples' for '--out",
            "expected a name that ends in .html, .htm",
        ],
    );
    let damage = |file: &str, from: &str, to: &str, message: &str| {
        let good = place.bytes(file);
        let text = String::from_utf8_lossy(&good).replacen(from, to, 1);
        fs::write(place.path(file), text).expect("written");
        refused(&["report", "run"], &[message]);
        fs::write(place.path(file), good).expect("written");
    };
    damage(
        "run/metrics.csv",
        "\n14,1,",
        "\n14,1,x",
        "run/metrics.csv:3: ",
    );
    damage(
        "run/metrics.csv",
        "\n14,1,",
        "\n14,",
        "run/metrics.csv:3: expected 12 values as in the header, got 11",
    );
    damage(
        "run/metrics.csv",
        "\n14,1,",
        "\n7,1,",
        "run/metrics.csv:3: step 7 after step 7",
    );
    damage(
        "run/metrics.csv",
        "step,",
        "stop,",
        "run/metrics.csv:1: expected the columns step, epoch",
    );
    damage(
        "run/scores.csv",
        "\n40,",
        "\nforty,",
        "run/scores.csv:2: \"forty\" is not a whole number",
    );
    damage(
        "run/samples/epoch-001.png",
        "PNG",
        "GIF",
        "epoch-001.png: not a PNG picture",
    );
    damage("run/run.json", "{", "[", "run.json: damaged");
    let header = place.text("run/metrics.csv");
    let header = header.lines().next().expect("a header");
    fs::write(place.path("run/metrics.csv"), format!("{header}\n")).expect("written");
    refused(&["report", "run"], &["run: has no rows in metrics.csv yet"]);
    fs::remove_file(place.path("run/metrics.csv")).expect("removed");
    refused(&["report", "run"], &["run: has no metrics.csv"]);
}

#[test]
fn a_run_of_before_metrics_had_names_is_read_as_it_is() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    let commands = [
        &["eval", "run", "--json"][..],
        &["table1", "run", "--json"],
        &["train", "--resume", "run"],
    ];
    let all = || commands.map(|command| place.ok(command));
    let (said, page) = (all(), place.text("run/report.html"));
    let config = place.text("run/config.toml");
    let old = config.replace(
        "metrics = [{ kind = \"parzen\", valid = 20 }]\n",
        "valid = 20\n",
    );
    assert_ne!(old, config);
    fs::write(place.path("run/config.toml"), old).expect("written");
    assert_eq!(all(), said);
    place.ok(&["report", "run"]);
    let score = |page: &str| page_data(page)["runs"][0]["score"].clone();
    assert_eq!(score(&place.text("run/report.html")), score(&page));
    assert!(said[1].contains("log_likelihood"), "{}", said[1]);
}
