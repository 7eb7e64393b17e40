//! Runs with names, and several seeds at once.

use serde_json::Value;

use crate::common::{Place, small};

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_named_run_is_found_under_its_name_in_its_folder_its_table_and_its_page() {
    let place = Place::new();
    let mut arguments = small("", &["--epochs", "1", "--name", "first-try"]);
    arguments.retain(|a| !["--out", ""].contains(a));
    let said = place.ok(&arguments);
    assert!(said.contains("run:     runs/first-try"), "{said}");
    let table = json(&place.ok(&["table1", "runs/first-try", "--json"]));
    assert_eq!(table[0]["model"], "first-try");
    let page = crate::browser::page_data(&place.text("runs/first-try/report.html"));
    assert_eq!(page["runs"][0]["label"], "first-try");
    assert_eq!(page["runs"][0]["name"], "first-try");
    // A second one of that name does not touch the first; --out may name another folder.
    let message = place.refused(&arguments);
    assert!(
        message.contains("runs/first-try: is not empty"),
        "{message}"
    );
    let elsewhere = [&arguments[..], &["--out", "elsewhere"]].concat();
    place.ok(&elsewhere);
    assert!(
        place
            .text("elsewhere/config.toml")
            .contains("name = \"first-try\"")
    );
    let message = place.refused(&["train", "tiny", "--name", "a/b"]);
    assert!(message.contains("--name a/b: name must be"), "{message}");
}

/// The last line of what is said that begins with `start`.
fn line<'a>(said: &'a str, start: &str) -> &'a str {
    let found = said.lines().rfind(|l| l.starts_with(start));
    found.unwrap_or_else(|| panic!("{start} in {said}"))
}

#[test]
fn several_seeds_are_trained_once_each_and_their_scores_summed_up() {
    let place = Place::new();
    let seeds =
        |list, more: &[&str]| place.run(&small("many", &[&["--seeds", list], more].concat()));
    let first = seeds("1..2", &["--epochs", "1"]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let one = place.bytes("many/seed-1/checkpoints/step-00000040.npz");
    // As a training with that seed alone.
    place.train("alone", &["--epochs", "1", "--seed", "2"]);
    for file in ["metrics.csv", "scores.csv", "checkpoints/step-00000040.npz"] {
        let read = |run: &str| place.bytes(&format!("{run}/{file}"));
        assert!(read("alone") == read("many/seed-2"), "{file}");
    }
    // Again with one more: what is finished is not trained again.
    let done = seeds("1..3", &["--epochs", "1"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(
        done.err.matches("already finished").count(),
        2,
        "{}",
        done.err
    );
    assert!(place.bytes("many/seed-1/checkpoints/step-00000040.npz") == one);
    let score = |seed: u64| {
        let about = json(&place.text(&format!("many/seed-{seed}/run.json")));
        assert_eq!(about["seed"], seed);
        about["score"]["log_likelihood"].as_f64().expect("a score")
    };
    let scores = [1, 2, 3].map(score);
    let table = place.text("many/seeds.csv");
    let rows: Vec<String> = (1..)
        .zip(scores)
        .map(|(seed, s)| format!("{seed},1,{s}\n"))
        .collect();
    assert_eq!(
        table,
        format!("seed,epochs,log_likelihood\n{}", rows.concat())
    );
    let mean = scores.iter().sum::<f64>() / 3.0;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 2.0;
    let expected = format!(
        "Parzen log-likelihood, nats: mean {mean:.1}, standard deviation {:.1}, 3 seeds",
        variance.sqrt()
    );
    assert_eq!(line(&done.out, "Parzen log-likelihood, nats:"), expected);
    // More epochs go on; other settings do not.
    let done = seeds("3,1", &["--epochs", "2"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    // The table keeps what is finished, whichever seeds were asked for.
    let table = place.text("many/seeds.csv");
    let starts: Vec<&str> = table.lines().filter_map(|l| l.get(..4)).collect();
    assert_eq!(starts, ["seed", "1,2,", "2,1,", "3,2,"], "{table}");
    assert_eq!(
        place.checkpoints("many/seed-3"),
        place.checkpoints("many/seed-1")
    );
    let done = seeds("1..2", &["--epochs", "2", "--set", "optimizer.lr=0.02"]);
    done.assert_refused("other settings");
    assert!(
        done.err
            .contains("many/seed-1: was started with other settings"),
        "{}",
        done.err
    );
}

#[test]
fn a_seed_that_fails_leaves_the_others_their_turn() {
    let place = Place::new();
    // So wide a start that the first step's losses are no numbers; with other seeds, too.
    let more = ["--seeds", "4,5", "--set", "optimizer.lr=1000"];
    let done = place.run(&small("many", &more));
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(
        done.err.contains("error: failed with seed 4, 5"),
        "{}",
        done.err
    );
    assert!(!place.path("many/seeds.csv").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_stops_all_seeds_and_the_same_command_goes_on() {
    use crate::signals::{ended, rows, send, start, wait_for};
    let place = Place::new();
    let child = start(
        &place,
        "",
        &small("many", &["--seeds", "1..2", "--epochs", "100000"]),
    );
    wait_for("rows", || rows(&place, "many/seed-1") > 3);
    send("-INT", &child);
    assert_eq!(ended(child), Some(130), "{}", place.text("said"));
    assert!(place.text("said").contains("run the same command again"));
    assert!(!place.path("many/seed-2").exists());
    // A table shows the epochs that there were.
    let steps: u64 = place
        .checkpoints("many/seed-1")
        .last()
        .and_then(|name| name[5..13].parse().ok())
        .expect("steps");
    let table = json(&place.ok(&["table1", "many/seed-1", "--json"]));
    assert_eq!(table[0]["epochs"], steps / 40);
    let epochs = (steps / 40 + 1).to_string();
    let said = place.train("many", &["--seeds", "1..2", "--epochs", &epochs]);
    assert!(
        line(&said, "Parzen log-likelihood, nats:").ends_with("2 seeds"),
        "{said}"
    );
}

/// The limits of a number are those of its key, however large it is.
#[test]
fn epochs_and_batch_have_the_limits_of_their_keys() {
    let place = Place::new();
    for number in [
        "-1",
        "0",
        "1000001",
        "2000000000",
        "99999999999999999999999",
    ] {
        for (arguments, option, key) in [
            (
                &["train", "tiny", "--epochs"][..],
                "--epochs",
                "train.epochs",
            ),
            (&["bench", "step", "--batch"], "--batch", "train.batch"),
        ] {
            let message = place.refused(&[arguments, &[number]].concat());
            let range = "must be a whole number from 1 to 1000000, got";
            let expected = format!("error: {option} {number}: {key} {range} {number}\n");
            assert!(message.contains(&expected), "{message}");
        }
    }
}
