//! `ganforge study` with a command of the user's, and what engines say that are not there.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::Place;
use crate::study::{long, records, wait_for, write};

/// GNU parallel: a task that is killed is run again, and when parallel is asked to end, its tasks have a minute for a checkpoint.
const PARALLEL: &str = "\n[engine]\nkind = \"command\"\n\
    template = \"parallel -q --will-cite --termseq TERM,60000,KILL --retries 3 -j 2 -a {list} {work} {}\"\n";

fn start(place: &Place) -> Child {
    let log = fs::File::create(place.path("log")).expect("a file");
    let mut command = place.command(&["study", "run", "s"]);
    // Where GNU parallel keeps what it remembers.
    let command = command.env("PARALLEL_HOME", place.path("parallel"));
    let command = command.stdout(Stdio::null()).stderr(log);
    command.spawn().expect("it starts")
}

fn json(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.text(name)).expect("JSON")
}

fn signal(name: &str, pid: u64) {
    let mut kill = Command::new("kill");
    let sent = kill.args([name, &pid.to_string()]).status();
    assert!(sent.expect("kill is there").success(), "{name} {pid}");
}

#[test]
fn gnu_parallel_does_a_study_though_a_task_is_killed_and_the_driver_stopped() {
    let version = Command::new("parallel").arg("--version").output();
    if !version.is_ok_and(|v| v.stdout.starts_with(b"GNU parallel")) {
        return testkit::skip("parallel", "GNU parallel is not on the PATH");
    }
    let place = Place::new();
    let study = format!("{}{PARALLEL}", long());
    write(&place, &long());
    place.ok(&["study", "run", "s", "--jobs", "2"]);
    let whole = records(&place, "s", 2);
    fs::rename(place.path("s"), place.path("whole")).expect("moved");
    write(&place, &study);
    let mut driver = start(&place);
    wait_for(&place.path("s/trials/0000/metrics.csv"));
    let worker = json(&place, "s/trials/0000/tries/worker.json");
    signal("-KILL", worker["pid"].as_u64().expect("a number"));
    // Parallel runs it again, and then all are stopped.
    wait_for(&place.path("s/trials/0000/tries/2.json"));
    wait_for(&place.path("s/trials/0001/metrics.csv"));
    let rows = || place.text("s/trials/0000/metrics.csv").lines().count();
    let (before, begin) = (rows(), Instant::now());
    while rows() <= before {
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "it does not go on"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    signal("-TERM", driver.id().into());
    let code = driver.wait().expect("it ends").code();
    assert_eq!(code, Some(130), "{}", place.text("log"));
    for (trial, k) in [(0, 2), (1, 1)] {
        let tried = json(&place, &format!("s/trials/{trial:04}/tries/{k}.json"));
        assert_eq!(tried["exit"], 130, "{tried}");
    }
    let code = start(&place).wait().expect("it ends").code();
    assert_eq!(code, Some(0), "{}", place.text("log"));
    assert_eq!(records(&place, "s", 2), whole);
    let tries: Vec<usize> = (0..2)
        .map(|n| {
            let folder = place.path(&format!("s/trials/{n:04}/tries"));
            let entries = fs::read_dir(folder).expect("a folder");
            let names = entries.map(|e| e.expect("an entry").file_name());
            let is_try = |n: &std::ffi::OsString| n.to_string_lossy().ends_with(".json");
            names.filter(is_try).count()
        })
        .collect();
    assert_eq!(tries, [3, 2]);
}

#[test]
fn a_command_that_goes_on_alone_is_found_again() {
    let place = Place::new();
    let engine = "[engine]\nkind = \"command\"\ndetached = true\n\
        template = \"xargs -P 2 -n 1 -a {list} {work}\"\n";
    write(&place, &format!("{}{engine}", long()));
    place.ok(&["study", "run", "s", "--detach"]);
    wait_for(&place.path("s/trials/0000/metrics.csv"));
    place.ok(&["study", "run", "s"]);
    for trial in 0..2 {
        let folder = format!("s/trials/{trial:04}");
        assert!(place.path(&format!("{folder}/result.json")).exists());
        assert!(!place.path(&format!("{folder}/tries/2.json")).exists());
    }
    let round = json(&place, "s/rounds/00.json");
    let submissions = round["submissions"].as_array().expect("a list");
    assert_eq!(submissions.len(), 1, "{round}");
}

#[test]
fn an_engine_that_is_not_there_is_told_and_what_to_do() {
    let place = Place::new();
    write(&place, &long());
    let run = ["study", "run", "s", "--engine"];
    let of = |more: &[&str]| place.refused(&[&run[..], more].concat());
    let unknown = of(&["rays"]);
    assert!(unknown.contains("did you mean \"ray\"?"), "{unknown}");
    let template = |text: &str| format!("engine.template={text:?}");
    let without = of(&["command"]);
    assert!(
        without.contains("engine.template must be given"),
        "{without}"
    );
    let unknown = of(&["command", "--set", &template("x {lits}")]);
    assert!(
        unknown.contains("has {lits}, which stands for nothing: there are {work}"),
        "{unknown}"
    );
    let by_system = |more: &[&str]| place.refused_by_system(&[&run[..], more].concat());
    let missing = by_system(&["command", "--set", &template("no-such-program {list}")]);
    assert!(
        missing.contains("no-such-program") && missing.contains("not found"),
        "{missing}"
    );
    let round = json(&place, "s/rounds/00.json");
    assert_eq!(round["submissions"], Value::Array(Vec::new()));
    let ray = by_system(&["ray", "--address", "127.0.0.1:1"]);
    assert!(
        ray.contains("nothing answers at http://127.0.0.1:1"),
        "{ray}"
    );
    assert!(ray.contains("pip install \"ray[default]\""), "{ray}");
    let kubernetes = by_system(&["kubernetes"]);
    assert!(
        kubernetes.contains("ganforge study manifest"),
        "{kubernetes}"
    );
}

#[test]
fn a_manifest_has_what_is_due_and_its_command_does_it() {
    let place = Place::new();
    let study = long().replace("train.epochs=60", "train.epochs=1");
    let engine = "[engine]\nkind = \"kubernetes\"\nimage = \"ganforge:1\"\nclaim = \"disk\"\n";
    write(&place, &study);
    let refused = place.refused(&["study", "manifest", "s"]);
    assert!(refused.contains("engine.image must be given"), "{refused}");
    assert!(!place.path("s/rounds").exists());
    write(&place, &format!("{study}{engine}"));
    let first = place.ok(&["study", "manifest", "s"]);
    assert!(first.contains("\"completions\": 2\n"), "{first}");
    assert!(first.contains("\"--trial\",\"0-1\",\"--index\""), "{first}");
    place.ok(&["study", "work", "s", "--trial", "0-1", "--index", "1"]);
    assert!(place.path("s/trials/0001/result.json").exists());
    let second = place.ok(&["study", "manifest", "s"]);
    assert!(second.contains("\"--trial\",\"0\",\"--index\""), "{second}");
    place.ok(&["study", "work", "s", "--trial", "0"]);
    assert_eq!(place.ok(&["study", "manifest", "s"]), "");
    let beyond = place.refused(&["study", "work", "s", "--trial", "0-1", "--index", "2"]);
    assert!(beyond.contains("below 2, the number of trials"), "{beyond}");
    let range = place.refused(&["study", "work", "s", "--trial", "1-0"]);
    assert!(range.contains("a range of them such as 5-9"), "{range}");
}
