//! The page and the pictures of studies whose answers are known.

use ganforge_study::report::Results;
use ganforge_study::{Finished, Record, State, Study, Trial, propose};
use serde_json::Value;

use super::Report;

const GRAND: &str = r#"
base = "sndcgan32"
score = "fid"
score_scale = "log10"
failed_score = 500
seeds = [1, 2]
cells = ["loss.kind", "regulariser"]
[design]
kind = "random"
settings = 60
[space."loss.kind"]
kind = "choice"
values = ["minimax", "non-saturating", "least-squares", "wgan", "hinge"]
[space.regulariser]
kind = "cases"
cases = [[], ["discriminator.norm='batch'"], ["discriminator.norm='layer'"], ["discriminator.norm='spectral'"],
         ["penalty.kind='gp'", "penalty.lambda=10"], ["penalty.kind='dragan'", "penalty.lambda=10"],
         ["penalty.kind='l2'", "penalty.lambda=0.01"]]
[space."optimizer.lr"]
lo = 1e-5
hi = 1e-2
scale = "log10"
[space."optimizer.beta1"]
lo = 0
hi = 1
[space."train.k"]
kind = "choice"
values = [1, 5]
"#;

/// A formula in the place of training: lr and the regulariser matter most, some runs fail.
fn fid(trial: &Trial) -> Option<f64> {
    let [loss, beta1, lr, regulariser, k] = trial.point[..] else {
        panic!("{trial:?}");
    };
    let noise = ((trial.number * 7919) % 101) as f64 / 100.0;
    if lr > 0.8 && noise < 0.4 || loss == 0.7 && regulariser < 0.45 {
        return None;
    }
    let good = 1.0 - (6.0 * (regulariser - 0.5)).powi(2).min(1.0);
    let log =
        3.0 + 6.0 * (lr - 0.4).powi(2) + 0.5 * (1.0 - good) + 0.2 * beta1 + 0.1 * loss - 0.1 * k;
    Some((log + 0.1 * noise).exp())
}

/// A study with the state of its trials, of which the last `open` are not over.
fn study(text: &str, open: usize) -> (Study, Vec<Record>) {
    let study = Study::from_toml(text, "study.toml").expect("a study");
    let trials = propose(&study, &[]).expect("in turn").expect("a round");
    let n = trials.len();
    let record = |(i, trial): (usize, Trial)| {
        let state = match (i + open < n, fid(&trial)) {
            (false, _) if i % 2 == 0 => State::Waiting,
            (false, _) => State::Running,
            (true, Some(score)) => State::Done(score),
            (true, None) => State::Failed,
        };
        Record {
            begun: (state != State::Waiting).then_some(1.8e9 + 600.0 * i as f64),
            ended: matches!(state, State::Done(_) | State::Failed)
                .then_some(1.8e9 + 600.0 * i as f64 + 590.0),
            // Less: it was stopped for a while.
            seconds: matches!(state, State::Done(_)).then_some(490.0),
            note: (state == State::Failed).then(|| "loss of D: NaN at step 1200 <b>".to_owned()),
            state,
            trial,
        }
    };
    let records = trials.into_iter().enumerate().map(record).collect();
    (study, records)
}

fn results(study: &Study, trials: &[Record]) -> Results {
    let finished: Vec<Finished> = trials.iter().filter_map(Record::finished).collect();
    Results::of(study, &finished).expect("of this study")
}

fn report<'a>(study: &'a Study, trials: &'a [Record], results: &'a Results) -> Report<'a> {
    Report {
        title: "landscape <of> losses".into(),
        study,
        trials,
        results,
        best_toml: Some("[optimizer]\nlr = 0.0002 # \"<best>\"\n".into()),
        facts: vec![("Engine", "local, 2 jobs".into())],
    }
}

/// What the page says.
fn data(page: &str) -> Value {
    let start = page.find("id=\"data\">").expect("data") + "id=\"data\">".len();
    let end = page[start..].find("</script>").expect("their end");
    serde_json::from_str(&page[start..start + end]).expect("JSON")
}

#[test]
fn the_page_holds_what_the_results_say() {
    let (study, trials) = study(GRAND, 7);
    let results = results(&study, &trials);
    let page = report(&study, &trials, &results).page();
    assert!(!page.contains("<b>") && !page.contains("\"<best>"));
    let data = data(&page);
    let progress = &data["progress"];
    let count = |name: &str| progress[name].as_u64().expect("a number") as usize;
    let over = trials.iter().filter_map(Record::finished);
    let scored = over.filter(|f| f.score.is_some()).count();
    assert_eq!((count("trials"), count("done")), (trials.len(), scored));
    assert_eq!(count("failed"), trials.len() - 7 - scored);
    assert_eq!(count("running") + count("waiting"), 7);
    assert_eq!(progress["seconds"], 490.0 * scored as f64);
    assert_eq!(data["is_log"], true);
    // As many cells as occur, each with its failures; the loss that always fails without a good regulariser has no score.
    let cells = data["cells"].as_array().expect("a list");
    assert_eq!(cells.len(), results.cells.len());
    let failed: Vec<&Value> = cells.iter().filter(|c| c["top"].is_null()).collect();
    assert!(!failed.is_empty() && failed.len() < cells.len());
    for cell in failed {
        assert!(cell["values"][0] == "wgan" && cell["runs"][0] == cell["runs"][1]);
    }
    let settings: u64 = cells.iter().filter_map(|c| c["settings"].as_u64()).sum();
    assert_eq!(settings as usize, results.settings.len());
    let best = &results.settings[results.best.expect("one")];
    assert_eq!(data["best"]["score"].as_f64(), best.score);
    assert_eq!(data["best"]["number"], best.number);
    // People count from 1.
    let rounds = [&data["best"]["round"], &data["trials"][0]["round"]];
    assert_eq!(rounds, [&1, &1]);
    assert_eq!(data["trials"].as_array().map(Vec::len), Some(trials.len()));
    assert_eq!(
        data["trials"][0]["labels"].as_array().map(Vec::len),
        Some(5)
    );
    let failed = trials
        .iter()
        .position(|t| t.state == State::Failed)
        .expect("one");
    assert_eq!(data["trials"][failed]["state"], "failed");
    assert_eq!(
        data["trials"][failed]["note"],
        "loss of D: NaN at step 1200 <b>"
    );
    // Keys, then the pairs of the four that matter most.
    let process = &data["process"];
    assert_eq!(process["shares"].as_array().map(Vec::len), Some(5));
    assert_eq!(process["maps"].as_array().map(Vec::len), Some(6));
    assert_eq!(data["study_toml"], study.to_toml());
}

#[test]
fn pictures_are_named_whole_and_written_beside_the_page() {
    let (study, trials) = study(GRAND, 0);
    let results = results(&study, &trials);
    let report = report(&study, &trials, &results);
    let plots = report.plots();
    let names: Vec<&str> = plots.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "boxes",
        "boxes-all",
        "budget",
        "parallel",
        "importance",
        "map-1",
        "map-2",
        "map-3",
        "map-4",
        "map-5",
        "map-6",
    ];
    assert_eq!(names, expected);
    let svg = |name: &str| {
        let plot = plots.iter().find(|(n, _)| n == name).expect("a plot");
        let svg = plot.1.svg().expect("drawn");
        testkit::assert_well_formed(&svg);
        svg
    };
    names
        .iter()
        .for_each(|name| assert!(svg(name).len() > 1000, "{name}"));
    // A row for each cell, also for that without a score.
    let boxes = svg("boxes");
    let rows = boxes.matches(" of ").count();
    assert_eq!(rows, results.cells.len() + 1, "and the title");
    let without = results.cells.iter().filter(|c| c.top.is_none()).count();
    assert!(without > 0);
    assert_eq!(boxes.matches(" (0 of ").count(), without);
    for key in ["optimizer.lr", "regulariser", "train.k"] {
        assert!(svg("importance").contains(key), "{key}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let written = report.write(folder.path()).expect("written");
    assert_eq!(written.len(), 1 + 2 * plots.len());
    assert!(written[0].ends_with("study.html") && written.iter().all(|path| path.is_file()));
    let there = std::fs::read_dir(folder.path()).expect("read").count();
    assert_eq!(there, written.len());
}

#[test]
fn of_many_cells_the_best_are_shown_and_said_to_be() {
    let values = |n: usize| format!("{:?}", (0..n).collect::<Vec<usize>>());
    let list = |n| format!("kind = 'choice'\nvalues = {}\n", values(n));
    let (a, b) = (list(40), list(50));
    let grid = format!(
        "base = 'tiny'\nscore = 'fid'\n[design]\nkind = 'grid'\n[space.a]\n{a}[space.b]\n{b}"
    );
    let study = Study::from_toml(&grid, "study.toml").expect("a study");
    let all = propose(&study, &[]).expect("in turn").expect("a round");
    // The best ones have the last values of both; the cell before all others has no score.
    let score = |trial: &Trial| 5000.0 - trial.number as f64;
    let done = |trial: Trial| Record {
        state: match trial.number {
            0 => State::Failed,
            _ => State::Done(score(&trial)),
        },
        trial,
        begun: None,
        ended: None,
        seconds: None,
        note: None,
    };
    let trials: Vec<Record> = all.into_iter().map(done).collect();
    let results = results(&study, &trials);
    let report = report(&study, &trials, &results);
    assert_eq!(results.cells.len(), 2000);
    let data = data(&report.page());
    let cells = data["cells"].as_array().expect("a list");
    assert_eq!((cells.len(), &data["cells_in_all"]), (60, &2000.into()));
    let ends = [&cells[0]["values"], &cells[59]["values"]];
    assert_eq!(
        ends,
        [
            &serde_json::json!(["38", "40"]),
            &serde_json::json!(["39", "49"])
        ]
    );
    for (name, plot) in report
        .plots()
        .iter()
        .filter(|(n, _)| n.starts_with("boxes"))
    {
        let rows = plot.panels[0].y.names.len();
        assert_eq!((rows, plot.panel_size[1] < 2000), (60, true), "{name}");
        let title = &plot.panels[0].title;
        assert!(title.ends_with(": the best 60 of 2000 cells"), "{title}");
    }
}

#[test]
fn a_study_without_scores_has_a_page_and_no_pictures() {
    for is_failed in [false, true] {
        let (study, mut trials) = study(GRAND, 120);
        trials
            .iter_mut()
            .filter(|_| is_failed)
            .for_each(|t| t.state = State::Failed);
        let results = results(&study, &trials);
        let mut report = report(&study, &trials, &results);
        report.best_toml = None;
        assert!(report.plots().is_empty());
        let data = data(&report.page());
        assert!(data["best"].is_null() && data["process"].is_null());
        assert_eq!(data["progress"]["failed"], if is_failed { 120 } else { 0 });
        assert_eq!(data["all"]["budget"]["mean"], serde_json::json!([]));
    }
}

#[test]
fn scores_of_any_sign_and_of_which_the_higher_are_better_are_drawn() {
    let text = "
base = 'ring'
score = 'likelihood'
direction = 'higher'
[design]
kind = 'grid'
[space.a]
lo = -1
hi = 1
points = 5
[space.b]
kind = 'whole'
lo = 0
hi = 3
";
    let study = Study::from_toml(text, "study.toml").expect("a study");
    let all = propose(&study, &[]).expect("in turn").expect("a round");
    let done = |trial: Trial| Record {
        state: State::Done(-100.0 + 50.0 * trial.point[0] - 20.0 * trial.point[1]),
        trial,
        begun: None,
        ended: None,
        seconds: None,
        note: None,
    };
    let trials: Vec<Record> = all.into_iter().map(done).collect();
    let results = results(&study, &trials);
    let report = report(&study, &trials, &results);
    let data = data(&report.page());
    assert_eq!(
        (&data["is_log"], &data["is_lower_better"]),
        (&false.into(), &false.into())
    );
    assert_eq!(data["cells"][0]["values"], serde_json::json!([]));
    let map = &data["process"]["maps"][0];
    assert_eq!(map["is_seen"], true);
    for (name, plot) in report.plots() {
        testkit::assert_well_formed(&plot.svg().expect(&name));
    }
    // The best is the last of a and the first of b.
    assert_eq!(data["best"]["labels"], serde_json::json!(["1.0", "0"]));
}

#[test]
fn numbers_on_axes_have_the_digits_that_tell_them_apart() {
    let written = |x: f64, gap: f64| super::pictures::number(x, gap);
    assert_eq!(written(0.0, 1.0), "0");
    assert_eq!(written(-59.225, 0.005), "-59.225");
    assert_eq!(written(24.13, 10.0), "24.1");
    assert_eq!(written(374.0, 20.0), "374");
    assert_eq!(written(20.0, 5.0), "20");
    assert_eq!(written(0.001, 0.009), "0.001");
    assert_eq!(written(2e-5, 1e-5), "2e-5");
    assert_eq!(written(3.5e-5, 1e-5), "3.5e-5");
    assert_eq!(written(1e6, 1e5), "1e6");
}
