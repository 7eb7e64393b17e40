//! `ganforge study`: with processes of this machine, stopped, killed and gone on with.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::Place;

/// Trials of tiny nets on the bundled sample, a fraction of a second each.
const STUDY: &str = r#"base = "tiny"
set = ["train.epochs=1", "train.batch=100", "eval.samples=50", "eval.valid=20", "output.log_every=7"]
score = "parzen"
direction = "higher"
threads = 1

[design]
kind = "gp-ucb"
rounds = 2
batch = 2

[space.optimizer.lr]
lo = 1e-3
hi = 1e-1
scale = "log10"
"#;

/// The same with trials of some seconds.
pub fn long() -> String {
    let more = STUDY.replace("train.epochs=1", "train.epochs=60");
    more.replace("rounds = 2\nbatch = 2", "rounds = 1\nbatch = 2")
}

pub fn write(place: &Place, text: &str) {
    fs::create_dir_all(place.path("s")).expect("a folder");
    fs::write(place.path("s/study.toml"), text).expect("written");
}

fn status(place: &Place) -> Value {
    serde_json::from_str(&place.ok(&["study", "status", "s", "--json"])).expect("JSON")
}

/// Waits until a file is there.
pub fn wait_for(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{}: never came",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a study leaves that says what was tried and what came of it.
pub fn records(place: &Place, study: &str, trials: usize) -> Vec<String> {
    let mut all = Vec::new();
    for number in 0..trials {
        let folder = format!("{study}/trials/{number:04}");
        all.push(place.text(&format!("{folder}/scores.csv")));
        all.push(place.text(&format!("{folder}/metrics.csv")));
    }
    all
}

#[test]
fn a_study_is_done_its_best_trial_told_and_nothing_done_twice() {
    let place = Place::new();
    write(&place, STUDY);
    let said = place.ok(&["study", "run", "s", "--jobs", "2"]);
    assert!(
        said.contains("s: 4 trials finished\nbest:    trial "),
        "{said}"
    );
    let json = status(&place);
    assert_eq!(
        (&json["trials"], &json["finished"], &json["failed"]),
        (&4.into(), &4.into(), &0.into())
    );
    let all = json["all"].as_array().expect("a list").clone();
    let scores: Vec<f64> = all.iter().filter_map(|t| t["score"].as_f64()).collect();
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(
        scores.len() == 4 && said.contains(&format!("log_likelihood {best}")),
        "{said}"
    );
    // The score is that of the run's own table.
    for (number, score) in scores.iter().enumerate() {
        let table = place.text(&format!("s/trials/{number:04}/scores.csv"));
        let last: f64 = table
            .lines()
            .last()
            .and_then(|l| l.split(',').nth(2))
            .expect("a row")
            .parse()
            .expect("a number");
        assert!((last - score).abs() < 1e-3, "{last} {score}");
    }
    let text = place.ok(&["study", "status", "s"]);
    assert!(
        text.starts_with("round 2 of 2, 4 of 4 trials finished")
            && text.contains("driver:  none, all is done"),
        "{text}"
    );
    let again = place.ok(&["study", "run", "s"]);
    assert_eq!(again, said);
    assert_eq!(
        place.ok(&["study", "work", "s", "--trial", "1"]),
        "trial 1: already finished\n"
    );
    assert!(all.iter().all(|t| t["tries"] == 1));
    // A trial is a run like any other, and the best settings are a configuration like any other.
    place.ok(&["report", "s/trials/0002"]);
    let page = place.text("s/report/study.html");
    let (_, data) = page.split_once("id=\"data\">").expect("its data");
    let (data, _) = data.split_once("</script>").expect("their end");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(
        (&data["best"]["score"], &data["progress"]["done"]),
        (&best.into(), &4.into())
    );
    place.ok(&["train", "s/report/best.toml", "--out", "again"]);
    let number = scores.iter().position(|s| *s == best).expect("one is");
    let of_trial = place.text(&format!("s/trials/{number:04}/scores.csv"));
    assert_eq!(place.text("again/scores.csv"), of_trial);
    // The journal has a line for the proposal of each trial, one for its beginning and one for its end, and more.
    let journal = place.text("s/optuna.log");
    let of = |op: &str| journal.lines().filter(|l| l.contains(op)).count();
    assert_eq!(
        [
            of("\"op_code\":4"),
            of("\"state\":0"),
            of("\"datetime_complete\"")
        ],
        [4; 3],
        "{journal}"
    );
    let written = place.ok(&["study", "report", "s", "--out", "elsewhere"]);
    assert!(
        written.starts_with("elsewhere/study.html\n") && written.ends_with("elsewhere/best.toml\n")
    );
}

#[test]
fn a_study_that_is_stopped_goes_on_and_ends_with_the_same_bytes() {
    let place = Place::new();
    write(&place, &long());
    place.ok(&["study", "run", "s", "--jobs", "2"]);
    let whole = records(&place, "s", 2);
    fs::rename(place.path("s"), place.path("whole")).expect("moved");
    write(&place, &long());
    let log = fs::File::create(place.path("log")).expect("a file");
    let mut child = place.command(&["study", "run", "s", "--jobs", "2"]);
    let mut child = child
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("it starts");
    for number in 0..2 {
        wait_for(&place.path(&format!("s/trials/{number:04}/metrics.csv")));
    }
    let terminate = Command::new("kill").arg(child.id().to_string()).status();
    assert!(terminate.expect("kill is there").success());
    assert_eq!(
        child.wait().expect("it ends").code(),
        Some(130),
        "{}",
        place.text("log")
    );
    assert_eq!(status(&place)["finished"], 0, "it was too fast to stop");
    // Its trials have stopped with it, with a checkpoint.
    for number in 0..2 {
        let tried: Value =
            serde_json::from_str(&place.text(&format!("s/trials/{number:04}/tries/1.json")))
                .expect("JSON");
        assert_eq!(tried["exit"], 130);
        // With --resume it would go on without the study.
        let log = place.text(&format!("s/trials/{number:04}/tries/log.txt"));
        let expected = format!("; to go on: ganforge study run {}\n", place.at("s"));
        assert!(
            log.contains(&expected) && !log.contains("--resume"),
            "{log}"
        );
    }
    place.ok(&["study", "run", "s", "--jobs", "2"]);
    assert_eq!(records(&place, "s", 2), whole);
    assert!(
        status(&place)["all"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|t| t["tries"] == 2)
    );
}

#[test]
fn a_killed_worker_is_started_again_and_a_killed_driver_leaves_its_workers_alone() {
    let place = Place::new();
    write(&place, &long());
    let run = || {
        let mut command = place.command(&["study", "run", "s", "--jobs", "2"]);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let mut driver = run();
    let worker = |number: usize| -> Option<u64> {
        let text =
            fs::read_to_string(place.path(&format!("s/trials/{number:04}/tries/worker.json")));
        let json: Value = serde_json::from_str(&text.ok()?).ok()?;
        json["pid"].as_u64()
    };
    for number in 0..2 {
        wait_for(&place.path(&format!("s/trials/{number:04}/metrics.csv")));
    }
    let kill = |pid: u64| {
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.expect("kill is there").success());
    };
    kill(worker(0).expect("it works"));
    wait_for(&place.path("s/trials/0000/tries/2.json"));
    // Without a driver the workers go on, and a second driver waits for them.
    driver.kill().expect("it is there");
    driver.wait().expect("it is gone");
    let second = worker(1).expect("it works on");
    let running = status(&place)["all"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|t| t["state"] == "running")
        .count();
    assert!(running > 0);
    let error = place.refused_by_system(&["study", "work", "s", "--trial", "1"]);
    assert!(
        error.contains("works at it; two would mix their steps"),
        "{error}"
    );
    assert!(run().wait().expect("it ends").success());
    let json = status(&place);
    assert_eq!((&json["finished"], &json["failed"]), (&2.into(), &0.into()));
    let tried: Value =
        serde_json::from_str(&place.text("s/trials/0001/tries/1.json")).expect("JSON");
    assert_eq!(
        (&tried["holder"]["pid"], &tried["exit"]),
        (&second.into(), &0.into())
    );
    assert_eq!(json["all"][1]["tries"], 1, "nobody started it again");
}

#[test]
fn workers_of_a_killed_driver_count_among_the_jobs_of_the_next() {
    let place = Place::new();
    write(&place, &long());
    let run = || {
        let mut command = place.command(&["study", "run", "s", "--jobs", "1"]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it starts")
    };
    let mut driver = run();
    wait_for(&place.path("s/trials/0000/metrics.csv"));
    driver.kill().expect("it is there");
    driver.wait().expect("it is gone");
    let result = place.path("s/trials/0000/result.json");
    assert!(!result.exists(), "it was too fast to be alone");
    let mut driver = run();
    let begin = Instant::now();
    while driver.try_wait().expect("it is there").is_none() {
        if begin.elapsed() > Duration::from_secs(150) {
            driver.kill().expect("it is there");
            panic!("it waits for ever");
        }
        let is_begun = place.path("s/trials/0001/tries/1.json").exists();
        assert!(!is_begun || result.exists(), "two at once");
        std::thread::sleep(Duration::from_millis(20));
    }
    let json = status(&place);
    assert_eq!((&json["finished"], &json["failed"]), (&2.into(), &0.into()));
    assert_eq!(json["all"][0]["tries"], 1, "{json}");
}

#[test]
fn a_trial_that_diverges_has_failed_and_one_that_cannot_be_is_refused_before_the_first() {
    let place = Place::new();
    let diverges = STUDY.replace("lo = 1e-3\nhi = 1e-1", "lo = 100.0\nhi = 1000.0");
    write(
        &place,
        &diverges.replace("rounds = 2", "rounds = 1").replace(
            "\"train.epochs=1\"",
            "\"train.epochs=1\", \"loss.kind=wgan\", \"optimizer.lr_min=1\"",
        ),
    );
    let done = place.run(&["study", "run", "s"]);
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(
        done.err.contains("is not finite") && done.err.contains("error: all trials failed"),
        "{}",
        done.err
    );
    let json = status(&place);
    assert_eq!(json["failed"], 2);
    assert!(
        json["all"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|t| t["tries"] == 1),
        "it would repeat"
    );
    for (from, to, expected) in [
        (
            "optimizer.lr]",
            "optimizer.rl]",
            "space.optimizer.rl contradicts the base:",
        ),
        (
            "hi = 1e-1",
            "hi = 1e8",
            "space.optimizer.lr contradicts the base:",
        ),
        (
            "\"parzen\"",
            "\"parzn\"",
            "study.toml: score is \"parzn\", no score of eval.metrics: did you mean \"parzen\"?",
        ),
        ("\"higher\"", "\"lower\"", "direction"),
        ("\"tiny\"", "\"tinny\"", "did you mean tiny?"),
        (
            "threads = 1",
            "device = \"gpu\"",
            "study.toml: device: expected cpu",
        ),
        (
            "threads = 1",
            "[engine]\nkind = \"slrm\"\n[more]",
            "unknown key more",
        ),
    ] {
        fs::remove_dir_all(place.path("s")).expect("removed");
        write(&place, &STUDY.replace(from, to));
        let error = place.refused(&["study", "run", "s"]);
        assert!(error.contains(expected), "{error}");
        assert!(!place.path("s/rounds").exists(), "nothing is proposed");
    }
}

#[test]
fn a_file_becomes_a_folder_and_another_file_does_not_go_into_it() {
    let place = Place::new();
    let once = STUDY.replace("rounds = 2\nbatch = 2", "rounds = 1\nbatch = 1");
    fs::write(place.path("mine.toml"), &once).expect("written");
    let said = place.ok(&["study", "run", "mine.toml", "--quiet"]);
    assert!(said.starts_with("mine: 1 trial finished\n"), "{said}");
    assert_eq!(place.text("runs/mine/study.toml"), once);
    place.ok(&["study", "run", "mine.toml"]);
    fs::write(place.path("mine.toml"), once.replace("1e-3", "1e-4")).expect("written");
    let error = place.refused(&["study", "run", "mine.toml"]);
    assert!(
        error.contains("runs/mine: is the folder of another study"),
        "{error}"
    );
    place.ok(&["study", "run", "mine.toml", "--out", "other"]);
    fs::create_dir(place.path("new")).expect("a folder");
    fs::write(place.path("new/study.toml"), STUDY).expect("written");
    for (arguments, expected) in [
        (&["study", "report", "new"][..], "no trial is finished yet"),
        (
            &["study", "status", "nowhere"][..],
            "there is no such folder",
        ),
        (&["study", "status", "."], "it has no study.toml"),
        (
            &["study", "run", "other", "--out", "x"],
            "--out is for a study's file",
        ),
        (
            &["study", "run", "other", "--set", "design.batch=2"],
            "--set design.batch=2: changes what is searched",
        ),
        (
            &["study", "run", "other", "--detach"],
            "choose an engine that goes on alone",
        ),
        (&["study", "run", "other", "--engine", "slrm"], "engine"),
        (
            &["study", "run", "other", "--set", "tires=1"],
            "did you mean tries?",
        ),
        (
            &["study", "work", "other", "--trial", "7"],
            "has no trial 7 yet",
        ),
        (
            &["study", "work", "other", "--trial", "1,2"],
            "need --index",
        ),
        (
            &["study", "work", "other", "--trial", "1,2", "--index", "2"],
            "below 2",
        ),
    ] {
        let error = place.refused(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

#[test]
fn a_study_that_is_changed_while_it_runs_stops_with_the_reason() {
    let place = Place::new();
    write(&place, &long());
    let log = fs::File::create(place.path("log")).expect("a file");
    let mut command = place.command(&["study", "run", "s", "--jobs", "1"]);
    let mut driver = command
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("it starts");
    wait_for(&place.path("s/trials/0000/metrics.csv"));
    write(&place, &long().replace("hi = 1e-1", "hi = 1e-2"));
    // The second trial begins with another study.toml than that which proposed it.
    assert_eq!(driver.wait().expect("it ends").code(), Some(2));
    let said = place.text("log");
    assert!(
        said.contains("trial 1 cannot be trained: ")
            && said.contains("was proposed by another study.toml"),
        "{said}"
    );
    assert!(!place.path("s/trials/0001/result.json").exists());
    write(&place, &long());
    place.ok(&["study", "run", "s"]);
}

#[test]
fn a_base_is_sought_from_the_study_whatever_the_directory_and_the_folder_are_called() {
    let place = Place::new();
    let folder = place.path("it's a \"study\" of 1");
    fs::create_dir(&folder).expect("a folder");
    let text = STUDY.replace("\"tiny\"", "\"./base.toml\"");
    let text = text.replace("rounds = 2\nbatch = 2", "rounds = 1\nbatch = 1");
    fs::write(folder.join("study.toml"), text).expect("written");
    fs::write(folder.join("base.toml"), "base = \"tiny\"\n").expect("written");
    let name = folder.display().to_string();
    place.ok(&["study", "run", &name]);
    // So is the study.toml itself taken for its folder.
    let file = folder.join("study.toml").display().to_string();
    place.ok(&["study", "run", &file]);
    assert!(!place.path("runs").exists());
    let other = "base = \"tiny\"\nnoise.dim = 11\n";
    fs::write(folder.join("base.toml"), other).expect("written");
    let error = place.refused(&["study", "run", &name]);
    assert!(error.contains("or with another base"), "{error}");
    fs::remove_file(folder.join("base.toml")).expect("removed");
    assert!(
        place
            .refused(&["study", "run", &name])
            .contains("base.toml")
    );
    let lines = place.path("two\nlines");
    fs::create_dir(&lines).expect("a folder");
    fs::write(lines.join("study.toml"), STUDY).expect("written");
    let error = place.refused(&["study", "run", &lines.display().to_string()]);
    assert!(error.contains("is no place for a study"), "{error}");
}
