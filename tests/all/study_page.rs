//! The page of a study in a browser.

use ganforge::see::study::Report;
use ganforge::study::report::Results;
use ganforge::study::{Record, State, Study, Trial, propose};

use crate::browser::{Browser, assert_quiet, assert_self_contained};

const DOWN: char = '\u{E015}';
const UP: char = '\u{E013}';

const STUDY: &str = r#"
base = "tiny"
score = "fid"
score_scale = "log10"
seeds = [1, 2]
cells = ["loss.kind"]
[design]
kind = "random"
settings = 40
[space."loss.kind"]
kind = "choice"
values = ["ns", "ls", "wgan"]
[space."optimizer.lr"]
lo = 1e-5
hi = 1e-2
scale = "log10"
[space."train.k"]
kind = "whole"
lo = 1
hi = 5
"#;

/// All trials over but the last; those of the largest learning rates failed.
fn trials(study: &Study) -> Vec<Record> {
    let all = propose(study, &[]).expect("in turn").expect("a round");
    let n = all.len();
    let record = |trial: Trial| {
        let [loss, lr, _] = trial.point[..] else {
            panic!("{trial:?}");
        };
        let score = (3.0 + 4.0 * (lr - 0.4).powi(2) + loss + 0.01 * trial.seed as f64).exp();
        let state = match (trial.number + 1 < n, lr < 0.9) {
            (false, _) => State::Running,
            (true, false) => State::Failed,
            (true, true) => State::Done(score),
        };
        Record {
            begun: Some(0.0),
            ended: (state != State::Running).then_some(90.0 * (1 + trial.number) as f64),
            seconds: (state != State::Running).then_some(90.0 * (1 + trial.number) as f64),
            note: (state == State::Failed).then(|| "loss of D: <NaN>".to_owned()),
            trial,
            state,
        }
    };
    all.into_iter().map(record).collect()
}

#[test]
fn the_page_of_a_study_works_in_a_browser_and_fetches_nothing() {
    let study = Study::from_toml(STUDY, "study.toml").expect("a study");
    let trials = trials(&study);
    let finished: Vec<_> = trials.iter().filter_map(Record::finished).collect();
    let results = Results::of(&study, &finished).expect("of this study");
    let best = &results.settings[results.best.expect("one")];
    let report = Report {
        title: "losses & <rates>".into(),
        study: &study,
        trials: &trials,
        results: &results,
        best_toml: Some("[optimizer]\nlr = 0.0002\n".into()),
        facts: vec![("Engine", "local".into())],
    };
    let page = report.page();
    assert_self_contained(&page);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("study.html");
    std::fs::write(&path, page).expect("written");
    let Some(browser) = Browser::start() else {
        return;
    };

    browser.open(&path);
    assert_quiet(&browser);
    assert_eq!(browser.text("document.title"), "losses & <rates>");
    let headings = "[...document.querySelectorAll('h2')].map((h) => h.textContent).join('; ')";
    assert_eq!(
        browser.text(headings),
        "Best settings; Cells; Budget; Keys; Settings; Trials; The study"
    );
    let drawn = "[...document.querySelectorAll('.plot')].every((p) => p.querySelector('svg'))";
    browser.wait_for(drawn);
    let count =
        |selector: &str| browser.eval(&format!("document.querySelectorAll({selector:?}).length"));
    assert_eq!(count(".box"), 3);
    assert_eq!(count(".columns.maps figure"), 3);
    assert_eq!(count("rect.total"), 3);
    // Each of the settings is a line.
    assert_eq!(
        count("[aria-label^='Parallel'] polyline"),
        results.settings.len()
    );
    let failed = results
        .settings
        .iter()
        .filter(|s| s.score.is_none())
        .count();
    assert!(failed > 0);
    assert_eq!(count("polyline.failed"), failed);

    // Names and numbers keep to the drawing.
    let outside = "[...document.querySelectorAll('.study svg')].flatMap((s) => { const all = s.getBoundingClientRect(); \
        return [...s.querySelectorAll('text')].filter((t) => { const box = t.getBoundingClientRect(); \
        return box.left < all.left - 1 || box.right > all.right + 1 || box.bottom > all.bottom + 3; }) \
        .map((t) => t.textContent); }).join('; ')";
    assert_eq!(browser.text(outside), "");

    // Of the best 5 % each cell has one setting, of all those with a score many more.
    let right = "document.querySelector('.box text:last-child').textContent";
    let first = browser.text(right);
    assert!(first.starts_with("1 of "), "{first}");
    browser.click(".choice button:nth-child(2)");
    browser.wait_for(&format!("{right} !== {first:?}"));
    assert_eq!(
        browser.eval("document.querySelector('.choice button').ariaPressed"),
        "false"
    );

    // The keys go through the settings from the best on, and say which it is.
    let told = "[...document.querySelectorAll('.told')].at(-1).textContent";
    browser.eval("document.querySelector('[aria-label^=\"Parallel\"]').focus()");
    browser.press(DOWN);
    let words = browser.text(told);
    let expected = format!(
        "Settings {}, round 1: loss.kind = ns, optimizer.lr = ",
        best.number
    );
    assert!(words.starts_with(&expected), "{words}");
    browser.press(DOWN);
    assert!(browser.text(told) != words);
    browser.press(UP);
    assert_eq!(browser.text(told), words);
    assert_eq!(count("polyline.chosen"), 1);
    browser.point_at("rect.quartiles");
    browser.wait_for("document.querySelector('.told').textContent.includes('median')");

    // A click sorts, another one turns the order; what has no score comes last either way.
    let column =
        "[...document.querySelectorAll('.trials tbody tr')].map((r) => r.children[6].textContent)";
    assert_eq!(count(".trials tbody tr"), trials.len());
    for sign in [1.0, -1.0] {
        browser.click(".trials thead th:nth-child(7) button");
        let values = browser.eval(column);
        let values = values.as_array().expect("a list").iter();
        let values: Vec<Option<f64>> = values
            .map(|v| v.as_str().expect("text").parse().ok())
            .collect();
        let known: Vec<f64> = values.iter().flatten().map(|v| sign * v).collect();
        assert!(known.is_sorted() && known.len() < values.len());
        assert!(values[known.len()..].iter().all(Option::is_none));
    }
    assert_eq!(
        browser.eval("document.querySelectorAll('.trials b').length"),
        0
    );

    // In the dark it is as readable: other colours, no complaint.
    let ink = "getComputedStyle(document.querySelector('.study .name')).fill";
    let light = browser.text(ink);
    browser.go_dark();
    assert!(browser.text(ink) != light);
    assert_eq!(browser.console(), Vec::<String>::new());
}
