//! A run that was killed, stopped or extended ends with the same bytes as one that was not.

use crate::common::{Choices, Done, Place, small};

/// What two runs of the same configuration must have in common.
fn assert_same(place: &Place, a: &str, b: &str, files: &[&str]) {
    assert_eq!(place.checkpoints(a), place.checkpoints(b));
    let last = place.last_checkpoint(a);
    let last = last
        .strip_prefix(&format!("{a}/"))
        .expect("relative to the run");
    for file in files.iter().chain([&last]) {
        let read = |run: &str| place.bytes(&format!("{run}/{file}"));
        assert!(read(a) == read(b), "{file} of {a} and {b} differ");
    }
}

/// Killed in place of a call that would have changed a file, wherever the seed says: no clock decides how far it came.
#[cfg(target_os = "linux")]
#[test]
fn a_run_killed_again_and_again_ends_as_if_it_never_was() {
    use std::os::unix::process::ExitStatusExt;
    const SEED: u64 = 20_140_610;
    const KILLS: usize = 10;
    let Some(place) = crate::file_systems::faults() else {
        return;
    };
    let more = [
        ["--epochs", "12"],
        ["--set", "eval.every=5"],
        ["--set", "eval.best=parzen"],
        ["--set", "eval.best_on=test"],
    ];
    let more = more.concat();
    place.train("whole", &more);
    let mut choices = Choices(SEED);
    for number in 0..KILLS {
        let mut command = match place.path("killed/config.toml").exists() {
            true => place.command(&["train", "--resume", "killed"]),
            false => place.command(&small("killed", &more)),
        };
        // A run has some 400 such calls in all, 2 for each row and more for each checkpoint.
        let call = 1 + choices.below(40);
        command.env("LD_PRELOAD", place.at("faults.so"));
        command.env("FAKE_KILL", call.to_string());
        let ended = command.output().expect("it runs").status;
        assert_eq!(ended.signal(), Some(9), "kill {number}, at call {call}");
    }
    place.ok(&["train", "--resume", "killed"]);
    let files = [
        "metrics.csv",
        "scores.csv",
        "config.toml",
        "samples/epoch-012.png",
        "checkpoints/best.npz",
    ];
    assert_same(&place, "whole", "killed", &files);
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_finishes_the_step_writes_a_checkpoint_and_says_how_to_go_on() {
    use crate::signals::{ended, rows, send, start, wait_for};
    let place = Place::new();
    let mut stopped_after = 0;
    for signal in ["-INT", "-TERM"] {
        let child = match signal {
            "-INT" => start(&place, "", &small("stopped", &["--epochs", "100000"])),
            _ => start(&place, "", &["train", "--resume", "stopped"]),
        };
        let before = rows(&place, "stopped").max(1);
        wait_for("rows", || rows(&place, "stopped") > before + 3);
        send(signal, &child);
        assert_eq!(ended(child), Some(130), "{}", place.text("said"));
        let said = place.text("said");
        let words = said.split("stopped after step ").nth(1);
        let step = words.and_then(|w| w.split_whitespace().next());
        stopped_after = step.and_then(|s| s.parse().ok()).expect("a step");
        assert!(said.contains("ganforge train --resume stopped"), "{said}");
        let checkpoint = format!("stopped/checkpoints/step-{stopped_after:08}.npz");
        assert!(place.path(&checkpoint).is_file());
    }
    // However far it came: two whole epochs of 40 steps more, and a run that was never stopped.
    let epochs = (stopped_after / 40 + 3_u64).to_string();
    place.ok(&["train", "--resume", "stopped", "--epochs", &epochs]);
    place.train("whole", &["--epochs", &epochs]);
    let files = ["config.toml", "metrics.csv", "scores.csv"];
    assert_same(&place, "whole", "stopped", &files);
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_is_trained_by_one_process_at_a_time() {
    use crate::signals::{ended, rows, start, wait_for};
    let place = Place::new();
    let long = small("run", &["--epochs", "100000"]);
    for arguments in [&long[..], &["train", "--resume", "run"]] {
        let mut child = start(&place, "", arguments);
        let before = rows(&place, "run").max(1);
        wait_for("rows", || rows(&place, "run") > before);
        let config = place.text("run/config.toml");
        let program = env!("CARGO_BIN_EXE_ganforge");
        let again = [
            "120", program, "train", "--resume", "run", "--epochs", "200000",
        ];
        let second = place.within("timeout", &again).output();
        let second = Done::of(second.expect("timeout runs"));
        second.assert_refused("a second process");
        let message = "run: is being trained by another process";
        assert!(second.err.contains(message), "{}", second.err);
        assert_eq!(place.text("run/config.toml"), config);
        // The lock ends with its process, however that ends.
        child.kill().expect("SIGKILL is sent");
        ended(child);
    }
}

#[test]
fn an_extended_run_equals_a_longer_one() {
    let place = Place::new();
    let threads = ["--set", "train.update=alternating", "--set", "train.k=2"];
    let with = |epochs| [&["--epochs", epochs][..], &threads].concat();
    place.train("long", &with("4"));
    place.train("short", &with("2"));
    let first: serde_json::Value =
        serde_json::from_str(&place.text("short/run.json")).expect("JSON");
    place.ok(&["train", "--resume", "short", "--epochs", "4"]);
    // Its time is that of both trainings.
    let about = |run: &str| -> serde_json::Value {
        serde_json::from_str(&place.text(&format!("{run}/run.json"))).expect("JSON")
    };
    let (short, long) = (about("short"), about("long"));
    let seconds = |about: &serde_json::Value| about["seconds"].as_f64().expect("seconds");
    assert!(seconds(&short) >= seconds(&first) && seconds(&long) > 0.0);
    assert_eq!(short["started"], first["started"]);
    assert!(short["ended"].as_str() >= first["ended"].as_str());
    assert_same(
        &place,
        "long",
        "short",
        &["metrics.csv", "config.toml", "samples/epoch-004.png"],
    );
    let message = place.refused(&["train", "--resume", "short", "--epochs", "3"]);
    assert!(message.contains("past epoch 3"), "{message}");
    // A table that is none is not written over.
    std::fs::write(place.path("short/metrics.csv"), "my notes\n").expect("written");
    let message = place.refused(&["train", "--resume", "short", "--epochs", "5"]);
    assert!(
        message.contains("short/metrics.csv:1: expected the columns"),
        "{message}"
    );
    assert_eq!(place.text("short/metrics.csv"), "my notes\n");
    assert!(place.text("short/config.toml").contains("epochs = 4"));
}

#[test]
fn a_run_whose_checkpoints_are_gone_begins_again_only_where_that_is_asked_for() {
    let place = Place::new();
    place.train("whole", &["--epochs", "2"]);
    place.train("run", &["--epochs", "2"]);
    std::fs::remove_dir_all(place.path("run/checkpoints")).expect("removed");
    let files = [
        "metrics.csv",
        "scores.csv",
        "config.toml",
        "samples/epoch-002.png",
    ];
    let commands = [
        &["train", "--resume", "run", "--epochs", "3"][..],
        &["train", "--resume", "run"],
        &["sample", "run"],
        &["eval", "run"],
        &["export", "run", "--out", "g.safetensors"],
        &["figure", "2", "run"],
        &["explain", "run"],
    ];
    let refused = |last: &str| {
        for command in commands {
            let message = place.refused(command);
            let expected = [
                "run: has trained up to step 80, but its checkpoints are gone",
                &format!("run/checkpoints holds none{last};"),
                "--resume run --restart",
            ];
            for part in expected {
                assert!(message.contains(part), "{part} in {message}");
            }
        }
        for file in files {
            let read = |run: &str| place.bytes(&format!("{run}/{file}"));
            assert!(read("run") == read("whole"), "{file} was changed");
        }
    };
    refused(", the last one was step-00000080.npz");
    // Without run.json, or with that of an older program, the tables tell.
    std::fs::remove_file(place.path("run/run.json")).expect("removed");
    refused("");
    place.ok(&["train", "--resume", "run", "--restart"]);
    assert_same(&place, "whole", "run", &files);
    let page = crate::browser::page_data(&place.text("run/report.html"));
    let facts = page["runs"][0]["facts"].to_string();
    assert!(!facts.contains("Resumed"), "{facts}");
    // Where there are checkpoints, too.
    place.ok(&["train", "--resume", "run", "--epochs", "4"]);
    let said = place.run(&["train", "--resume", "run", "--restart", "--epochs", "2"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_same(&place, "whole", "run", &files);
    assert!(!place.path("run/samples/epoch-003.png").exists());
    // What refuses is found before anything is discarded.
    std::fs::write(place.path("run/metrics.csv"), "my notes\n").expect("written");
    place.refused(&["train", "--resume", "run", "--restart"]);
    assert_eq!(place.checkpoints("run"), place.checkpoints("whole"));
    for without in [&["train", "tiny", "--restart"][..], &["train", "--restart"]] {
        let message = place.refused(without);
        assert!(message.contains("only with --resume RUN"), "{message}");
    }
}

/// As a kill leaves it between the score of a longer training and its report.
#[test]
fn a_report_that_is_older_than_its_run_is_made_anew() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    let page = place.path("run/report.html");
    std::fs::write(&page, "of fewer epochs</html>").expect("written");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options()
        .write(true)
        .open(&page)
        .expect("opened");
    file.set_modified(long_ago).expect("set");
    place.ok(&["train", "--resume", "run"]);
    assert!(place.text("run/report.html").len() > 1000);
}

#[test]
fn what_is_missing_of_a_finished_run_is_made() {
    let place = Place::new();
    place.train("whole", &["--epochs", "2", "--set", "eval.every=1"]);
    place.train("run", &["--epochs", "2", "--set", "eval.every=1"]);
    let rows = place.text("whole/scores.csv");
    let without_last = rows.lines().take(2).collect::<Vec<_>>().join("\n") + "\n";
    let about = place.text("run/run.json");
    let mut unscored: serde_json::Value = serde_json::from_str(&about).expect("JSON");
    unscored.as_object_mut().expect("an object").remove("score");
    // As a kill leaves it at each place between the last checkpoint and the end, and as a hand may.
    let page = place.text("run/report.html");
    for (missing, text) in [
        ("report.html", None),
        ("report.html", Some(&page[..100])),
        ("report.html", Some("")),
        ("scores.csv", Some(&without_last[..])),
        ("scores.csv", None),
        ("run.json", Some(&unscored.to_string())),
        ("samples/epoch-002.png", None),
    ] {
        let path = place.path("run").join(missing);
        match text {
            Some(text) => std::fs::write(&path, text).expect("written"),
            None => std::fs::remove_file(&path).expect("removed"),
        }
        let said = place.ok(&["train", "--resume", "run"]);
        assert!(
            said.contains("report:  run/report.html"),
            "{missing}: {said}"
        );
        let page = place.text("run/report.html");
        assert!(page.ends_with("</html>\n"), "{missing}");
        let files = ["metrics.csv", "config.toml", "samples/epoch-002.png"];
        assert_same(&place, "whole", "run", &files);
        let last = |text: &str| text.lines().last().map(String::from);
        assert_eq!(
            last(&place.text("run/scores.csv")),
            last(&rows),
            "{missing}"
        );
        let about: serde_json::Value =
            serde_json::from_str(&place.text("run/run.json")).expect("JSON");
        assert!(about["score"].is_object(), "{missing}");
        if missing == "scores.csv" {
            std::fs::write(&path, &rows).expect("written");
        }
    }
}

#[test]
fn a_table_out_of_order_is_found_before_the_work() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    let good = place.text("run/metrics.csv");
    let mut lines: Vec<&str> = good.lines().collect();
    lines.swap(2, 3);
    let bad = lines.join("\n") + "\n";
    std::fs::write(place.path("run/metrics.csv"), &bad).expect("written");
    let message = place.refused(&["train", "--resume", "run", "--epochs", "3000"]);
    assert!(
        message.contains("run/metrics.csv:4: step 14 after step 21"),
        "{message}"
    );
    assert_eq!(place.text("run/metrics.csv"), bad);
    assert!(place.text("run/config.toml").contains("epochs = 1"));
}

#[test]
fn a_run_killed_before_its_first_checkpoint_starts_again() {
    let place = Place::new();
    place.train("whole", &["--epochs", "1"]);
    std::fs::create_dir(place.path("early")).expect("made");
    std::fs::copy(
        place.path("whole/config.toml"),
        place.path("early/config.toml"),
    )
    .expect("copied");
    assert!(
        place
            .refused(&["sample", "early"])
            .contains("no checkpoint yet")
    );
    place.ok(&["train", "--resume", "early"]);
    // As a restart and a kill leave it: nothing was resumed.
    let about = place.text("early/run.json");
    assert!(!about.contains("resumed"), "{about}");
    assert_same(&place, "whole", "early", &["metrics.csv", "scores.csv"]);
}

#[test]
fn any_trace_of_earlier_steps_keeps_a_run_from_beginning_again_unasked() {
    let place = Place::new();
    place.train("run", &["--epochs", "2"]);
    let remove = |names: &[&str]| {
        for name in names {
            let path = place.path("run").join(name);
            match path.is_dir() {
                true => std::fs::remove_dir_all(path),
                false => std::fs::remove_file(path),
            }
            .expect("removed");
        }
    };
    let copy = |from: &str, to: &str| {
        std::fs::copy(place.path(from), place.path(to)).expect("copied");
    };
    let refused = |reached: &str| {
        for more in [&[][..], &["--epochs", "6"]] {
            let message = place.refused(&[&["train", "--resume", "run"], more].concat());
            let expected = format!("has trained up to {reached}, but its checkpoints are gone");
            assert!(message.contains(&expected), "{reached}: {message}");
        }
    };
    // A run.json that is made anew knows the steps before.
    remove(&["run.json"]);
    place.ok(&["train", "--resume", "run"]);
    let about: serde_json::Value = serde_json::from_str(&place.text("run/run.json")).expect("JSON");
    assert_eq!(about["step"], 80);
    copy("run/scores.csv", "scores.csv");
    remove(&["checkpoints", "metrics.csv", "scores.csv"]);
    refused("step 80");
    // Without it the scores tell, the only one of which is that at the end, and without those the pictures.
    remove(&["run.json"]);
    copy("scores.csv", "run/scores.csv");
    refused("step 80");
    remove(&["scores.csv"]);
    refused("epoch 2");
    remove(&["samples"]);
    place.ok(&["train", "--resume", "run"]);
}

#[test]
fn what_a_kill_left_half_written_is_swept_up() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    let folders = ["run", "run/samples", "run/checkpoints", "run/tensorboard"];
    let left = folders.map(|folder| place.path(folder).join(".ganforge-x1y2z3.part"));
    for more in [&[][..], &["--epochs", "2"]] {
        for path in &left {
            std::fs::write(path, "half").expect("written");
        }
        place.ok(&[&["train", "--resume", "run"], more].concat());
        for path in &left {
            assert!(!path.exists(), "{}, {more:?}", path.display());
        }
    }
}

#[test]
fn a_damaged_run_json_may_be_deleted_as_its_message_says() {
    let place = Place::new();
    place.train("run", &["--epochs", "1"]);
    let path = place.path("run/run.json");
    for damaged in ["", "{\"version\": "] {
        std::fs::write(&path, damaged).expect("written");
        for command in [&["train", "--resume", "run"][..], &["eval", "run"]] {
            let message = place.refused(command);
            let expected = "run/run.json: damaged: expected a JSON object; delete it";
            assert!(message.contains(expected), "{message}");
        }
    }
    std::fs::remove_file(&path).expect("removed");
    place.ok(&["eval", "run"]);
    place.ok(&["train", "--resume", "run"]);
    assert!(path.is_file());
}
