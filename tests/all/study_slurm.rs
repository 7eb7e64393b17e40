//! `ganforge study run --engine slurm`: with a Slurm of one machine, whose tasks, node and driver are killed, and with programs in
//! its clients' places for what a real one does not do when it is asked to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::common::slurm::{Slurm, kill, until};
use crate::common::{Done, Place};

/// A study in folder s: trials of tiny nets on the bundled sample, a fraction of a second per epoch.
fn write(place: &Place, epochs: u32, [rounds, batch]: [u32; 2]) {
    let text = format!(
        "base = 'tiny'\nscore = 'parzen'\ndirection = 'higher'\nthreads = 1\n\
        set = ['train.epochs={epochs}', 'train.batch=100', 'eval.samples=50', 'eval.valid=20']\n\
        [design]\nkind = 'gp-ucb'\nrounds = {rounds}\nbatch = {batch}\n\
        [space.optimizer.lr]\nlo = 1e-3\nhi = 1e-1\nscale = 'log10'\n"
    );
    fs::create_dir_all(place.path("s")).expect("a folder");
    fs::write(place.path("s/study.toml"), text).expect("written");
}

fn json(place: &Place, name: &str) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(place.path(name)).ok()?).ok()
}

/// The trials of a round's submissions.
fn submitted(place: &Place, round: usize) -> Value {
    let round = json(place, &format!("s/rounds/{round:02}.json")).expect("a round");
    let submissions = round["submissions"].as_array().expect("a list");
    submissions.iter().map(|s| s["trials"].clone()).collect()
}

/// The process that trains a trial, once there is a checkpoint to go on from.
fn worker(place: &Place, number: usize) -> u32 {
    until("a trial with a checkpoint", || {
        let folder = format!("s/trials/{number:04}");
        let result = place.path(&format!("{folder}/result.json"));
        assert!(!result.exists(), "it was too fast to be killed");
        let checkpoints = fs::read_dir(place.path(&format!("{folder}/checkpoints"))).ok()?;
        let is_one = |name: &str| name.starts_with("step-");
        checkpoints
            .flatten()
            .find(|c| c.file_name().to_str().is_some_and(is_one))?;
        let worker = json(place, &format!("{folder}/tries/worker.json"))?;
        u32::try_from(worker["pid"].as_u64()?).ok()
    })
}

/// How the tries of a trial ended: none of one that was killed.
fn exits(place: &Place, number: usize) -> Vec<Option<u64>> {
    let one = |k: usize| json(place, &format!("s/trials/{number:04}/tries/{k}.json"));
    (1..).map_while(one).map(|t| t["exit"].as_u64()).collect()
}

/// What training left of each trial: its losses, and the bytes of the last checkpoint.
fn left(place: &Place, study: &str, trials: usize) -> Vec<(String, Vec<u8>)> {
    let one = |number: usize| {
        let run = format!("{study}/trials/{number:04}");
        let last = place.bytes(&place.last_checkpoint(&run));
        (place.text(&format!("{run}/metrics.csv")), last)
    };
    (0..trials).map(one).collect()
}

/// What an undisturbed run of the study leaves.
fn undisturbed(place: &Place, trials: usize) -> Vec<(String, Vec<u8>)> {
    fs::create_dir(place.path("whole")).expect("made");
    fs::copy(place.path("s/study.toml"), place.path("whole/study.toml")).expect("copied");
    place.ok(&["study", "run", "whole", "--jobs", "2"]);
    left(place, "whole", trials)
}

/// A driver in the background, its messages in the file `log`.
fn drive(command: &mut Command, place: &Place) -> Child {
    let log = fs::File::create(place.path("log")).expect("a file");
    let command = command.stdout(Stdio::null()).stderr(log);
    command.spawn().expect("it starts")
}

/// Waits for the end of a driver, which must be a good one.
fn ends(mut driver: Child, place: &Place) {
    let done = until("the end of the study", || {
        driver.try_wait().expect("it is there")
    });
    assert!(done.success(), "{done}: {}", place.text("log"));
}

const RUN: [&str; 5] = ["study", "run", "s", "--engine", "slurm"];

#[test]
fn tasks_and_drivers_that_are_killed_cost_a_study_on_slurm_nothing() {
    let Some(slurm) = Slurm::start(60) else {
        return;
    };
    let place = Place::new();
    write(&place, 12, [2, 2]);
    let mut refused = slurm.command(&place, &[&RUN[..], &["--sbatch", "-p 'no such'"]].concat());
    let refused = Done::of(refused.output().expect("it runs"));
    refused.assert_refused_by_system("a partition that is not there");
    let expected = "error: engine slurm: sbatch: error: invalid partition specified: no such; sbatch: error: \
        Batch job submission failed: Invalid partition name specified";
    assert!(refused.err.contains(expected), "{}", refused.err);
    assert_eq!(submitted(&place, 0), Value::Array(Vec::new()));

    let mut driver = drive(&mut slurm.command(&place, &RUN), &place);
    let pid = worker(&place, 0);
    // A task, then the driver before it can see that.
    kill("KILL", pid);
    driver.kill().expect("it is there");
    driver.wait().expect("it is gone");
    ends(drive(&mut slurm.command(&place, &RUN), &place), &place);
    let said = place.text("log");
    assert!(
        said.contains("trial 0 ended without a result: again"),
        "{said}"
    );
    let all: Vec<_> = (0..4).map(|number| exits(&place, number)).collect();
    let once = vec![Some(0)];
    assert_eq!(all, [vec![None, Some(0)], once.clone(), once.clone(), once]);
    assert_eq!(submitted(&place, 0), serde_json::json!([[0, 1], [0]]));
    assert_eq!(submitted(&place, 1), serde_json::json!([[2, 3]]));
    assert!(
        left(&place, "s", 4) == undisturbed(&place, 4),
        "other bytes"
    );
    let log = place.text("s/trials/0003/tries/log.txt");
    assert!(log.contains("trial 3: "), "{log}");
}

#[test]
fn each_round_on_slurm_submits_the_next_where_no_driver_may_stay() {
    let Some(slurm) = Slurm::start(60) else {
        return;
    };
    let place = Place::new();
    write(&place, 1, [3, 2]);
    let detach = [&RUN[..], &["--detach"]].concat();
    let done = Done::of(slurm.command(&place, &detach).output().expect("it runs"));
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.contains("ganforge study status s"), "{}", done.out);
    // Once more, as somebody does who is not sure: still one job that goes on.
    let again = Done::of(slurm.command(&place, &detach).output().expect("it runs"));
    assert_eq!(again.code, Some(0), "{}", again.err);
    until("the end of the study", || {
        let said = fs::read_to_string(place.path("s/driver.txt")).ok()?;
        assert!(!said.contains("error"), "{said}");
        said.contains("s: 6 trials finished\n").then_some(())
    });
    for round in 0..3 {
        let trials = serde_json::json!([[2 * round, 2 * round + 1]]);
        assert_eq!(submitted(&place, round), trials);
    }
    assert!((0..6).all(|number| exits(&place, number) == [Some(0)]));
    let mut done = slurm.command(&place, &detach);
    let done = Done::of(done.output().expect("it runs"));
    assert!(done.out.contains("s: 6 trials finished\n"), "{}", done.out);
}

#[test]
fn what_slurm_holds_is_told_and_what_it_has_put_back_and_holds_is_tried_again() {
    let Some(slurm) = Slurm::start(60) else {
        return;
    };
    let place = Place::new();
    write(&place, 40, [1, 1]);
    let held = [&RUN[..], &["--sbatch", "--hold"]].concat();
    let driver = drive(&mut slurm.command(&place, &held), &place);
    let release = |other_than: &str| {
        let task = until("a task that is held", || {
            let said = place.ok(&["study", "status", "s"]);
            let (_, task) = said.split_once(
                "held:    trial 0 is held: JobHeldUser; to let go on: scontrol release ",
            )?;
            let task = task.lines().next()?.to_owned();
            (task != other_than).then_some(task)
        });
        slurm.ask("scontrol", &["release", &task]);
        task
    };
    let first = release("");
    worker(&place, 0);
    // As Slurm does with a task that a node could not start.
    slurm.ask("scontrol", &["requeuehold", &first]);
    let second = release(&first);
    ends(driver, &place);
    let said = place.text("log");
    for part in [
        format!(
            "engine slurm: trial 0 is held: JobHeldUser; to let go on: scontrol release {first}\n"
        ),
        format!(
            "engine slurm: {first} was requeued and held (job requeued in held state): cancelled, to be submitted again\n"
        ),
        format!("scontrol release {second}\n"),
    ] {
        assert_eq!(said.matches(&part).count(), 1, "{part}: {said}");
    }
    assert_eq!(exits(&place, 0), [Some(130), Some(0)]);
    assert_eq!(submitted(&place, 0), serde_json::json!([[0], [0]]));
    let said = place.ok(&["study", "status", "s"]);
    assert!(!said.contains("held"), "{said}");
}

#[test]
#[ignore = "half a minute: Slurm takes its time to give up a node"]
fn a_lost_node_and_a_cancelled_task_cost_a_study_on_slurm_nothing() {
    let Some(mut slurm) = Slurm::start(3) else {
        return;
    };
    let place = Place::new();
    write(&place, 60, [1, 1]);
    let driver = drive(&mut slurm.command(&place, &RUN), &place);
    let first = worker(&place, 0);
    slurm.lose_node(first);
    let state = |slurm: &Slurm| slurm.ask("squeue", &["-h", "-r", "-o", "%F_%K %T"]);
    let job = until("the job is queued again by itself", || {
        let state = state(&slurm);
        state.strip_suffix(" PENDING\n").map(str::to_owned)
    });
    slurm.start_node();
    // It would wait for two minutes.
    slurm.ask(
        "scontrol",
        &["update", &format!("jobid={job}"), "StartTime=now"],
    );
    let before = place.last_checkpoint("s/trials/0000");
    until("a second try that goes on", || {
        (place.last_checkpoint("s/trials/0000") != before).then_some(())
    });
    assert_ne!(worker(&place, 0), first);
    // What Slurm does to a task also where its time is over: a request to stop, which leaves a checkpoint.
    let state = state(&slurm);
    let running = state.lines().find_map(|l| l.strip_suffix(" RUNNING"));
    slurm.ask("scancel", &[running.expect("it runs")]);
    ends(driver, &place);
    // Slurm itself begins again what the node lost. At times it ends that once more within a tenth of a second (its order to
    // kill what was lost reaches the node late): the driver tries again, and the lost tries are two.
    let exits = exits(&place, 0);
    let lost = exits.iter().take_while(|code| code.is_none()).count();
    assert!((1..=2).contains(&lost), "{exits:?}");
    assert_eq!(exits[lost..], [Some(130), Some(0)]);
    let times = submitted(&place, 0).as_array().map_or(0, Vec::len);
    assert!((2..=3).contains(&times), "{times}");
    assert!(
        left(&place, "s", 1) == undisturbed(&place, 1),
        "other bytes"
    );
}

/// Programs in the places of Slurm's clients, by files in the folder `fake`. Tasks run one after the other; `idle`: none does.
/// `refuses`: what sbatch says instead. `unanswered`: a job is taken, but nobody hears of it, once. `silent`: squeue gets no
/// answer, once.
const SBATCH: &str = r#"#!/bin/sh
[ "$1" = --version ] && exit
for word; do
    printf '%s\n' "$word"
    case $word in
        --array=*) array=${word#--array=} ;;
        --job-name=*) name=${word#--job-name=} ;;
    esac
done >"$FAKE/words"
if [ -e "$FAKE/refuses" ]; then cat "$FAKE/refuses" >&2; exit 1; fi
job=$(($(cat "$FAKE/last" 2>/dev/null) + 1))
echo $job >"$FAKE/last"
echo "$name" >"$FAKE/$job.name"
mv "$FAKE/words" "$FAKE/$job.words"
cat >"$FAKE/$job.sh"
for range in $(echo "${array%%%*}" | tr , ' '); do seq "${range%-*}" "${range#*-}"; done >"$FAKE/$job.tasks"
if ! [ -e "$FAKE/idle" ]; then
    (
        for task in $(cat "$FAKE/$job.tasks"); do
            SLURM_ARRAY_JOB_ID=$job SLURM_ARRAY_TASK_ID=$task sh "$FAKE/$job.sh"
        done
        mv "$FAKE/$job.tasks" "$FAKE/$job.done"
    ) </dev/null >/dev/null 2>&1 &
fi
if [ -e "$FAKE/unanswered" ]; then
    rm "$FAKE/unanswered"
    echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2
    exit 1
fi
echo "$job;fake"
"#;
const SQUEUE: &str = r#"#!/bin/sh
if [ -e "$FAKE/silent" ]; then
    rm "$FAKE/silent"
    echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2
    exit 1
fi
for word; do
    case $word in
        --jobs=*) job=${word#--jobs=} ;;
        --name=*) job=$(basename "$(grep -lx "${word#--name=}" "$FAKE"/*.name)" .name) ;;
        --format=%[FA]) what=job ;;
    esac
done
if [ "$what" = job ]; then echo "$job"; elif [ -e "$FAKE/$job.tasks" ]; then sed 's/$/ RUNNING/' "$FAKE/$job.tasks"; fi
"#;

/// The folders of such programs, and the command with them first in the list of programs.
fn fake(place: &Place) {
    fs::create_dir_all(place.path("bin")).expect("made");
    fs::create_dir_all(place.path("fake")).expect("made");
    for (name, text) in [("sbatch", SBATCH), ("squeue", SQUEUE)] {
        let file = place.path(&format!("bin/{name}"));
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
    }
}

fn with_fake(place: &Place, more: &[&str]) -> Command {
    let mut command = place.command(&[&RUN[..], more].concat());
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", place.at("bin")));
    command.env("FAKE", place.at("fake"));
    command
}

#[test]
fn without_slurm_one_is_told_what_to_install_and_its_refusals_are_passed_on() {
    let place = Place::new();
    write(&place, 1, [1, 1]);
    fake(&place);
    let run = |path: &str| {
        let done = with_fake(&place, &[])
            .env("PATH", place.path(path))
            .output();
        let done = Done::of(done.expect("it runs"));
        done.assert_refused_by_system(path);
        done.err
    };
    let said = run("nothing-here");
    let expected = "error: engine slurm: sbatch is not there: install Slurm's client (Debian: slurm-client) or run on a login node\n";
    assert!(said.ends_with(expected), "{said}");
    assert!(!place.path("s/rounds").exists(), "nothing is proposed");
    for (line, expected) in [
        (
            "sbatch: error: one\n\nsbatch: error: two\n",
            "engine slurm: sbatch: error: one; sbatch: error: two\n",
        ),
        ("", "engine slurm: sbatch: exit status: 1\n"),
    ] {
        fs::write(place.path("fake/refuses"), line).expect("written");
        let done = Done::of(with_fake(&place, &[]).output().expect("it runs"));
        done.assert_refused_by_system(line);
        assert!(done.err.ends_with(expected), "{}", done.err);
        assert_eq!(submitted(&place, 0), Value::Array(Vec::new()));
    }
    for (options, expected) in [
        ("--array=1", "must be options of sbatch"),
        ("'", "quotes in pairs"),
    ] {
        let said = place.refused(&[&RUN[..], &["--sbatch", options]].concat());
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_slurm_that_does_not_answer_is_asked_again_and_has_no_job_twice() {
    let place = Place::new();
    write(&place, 1, [1, 2]);
    fake(&place);
    for file in ["unanswered", "silent"] {
        fs::write(place.path(&format!("fake/{file}")), "").expect("written");
    }
    ends(drive(&mut with_fake(&place, &[]), &place), &place);
    let said = place.text("log");
    for part in [
        "no answer: sbatch: error: Batch",
        "connect failure); it is asked again",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let round = json(&place, "s/rounds/00.json").expect("a round");
    assert_eq!(submitted(&place, 0), serde_json::json!([[0, 1]]));
    assert_eq!(round["submissions"][0]["job"], "1", "found by its name");
    assert_eq!(place.text("fake/last"), "1\n");
    assert!((0..2).all(|number| exits(&place, number) == [Some(0)]));
}

#[test]
fn long_arrays_are_split_and_one_job_goes_on_when_all_are_over() {
    let place = Place::new();
    write(&place, 1, [2, 12]);
    fake(&place);
    fs::write(place.path("fake/idle"), "").expect("written");
    let more = [
        "--sbatch",
        "--comment='two words'",
        "--set",
        "engine.longest=10",
        "--set",
        "engine.most=4",
        "--detach",
    ];
    for _ in 0..2 {
        let done = Done::of(with_fake(&place, &more).output().expect("it runs"));
        assert_eq!(done.code, Some(0), "{}", done.err);
        assert!(
            done.err.contains("job 3 goes on with the study"),
            "{}",
            done.err
        );
        assert_eq!(place.text("fake/last"), "3\n", "nothing is submitted twice");
    }
    assert_eq!(
        submitted(&place, 0),
        serde_json::json!([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11]])
    );
    // Nobody drives it, and yet it goes on.
    let expected = format!(
        "\ndriver:  none, but slurm was given trials 0-9 (job 1), slurm was given trials 10-11 (job 2); job 3 is to go on when \
        they are over; if it is gone: ganforge study run {} --engine slurm\n",
        place.at("s")
    );
    let said = place.ok(&["study", "status", "s"]) + "\n";
    assert!(said.contains(&expected), "{said}");
    let json = place.ok(&["study", "status", "s", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["driver"], &json["next"]),
        (&Value::Null, &"3".into())
    );
    let second = serde_json::json!({ "engine": "slurm", "job": "2", "trials": [10, 11] });
    assert_eq!(json["submissions"][1], second);
    let words = |job: usize| place.text(&format!("fake/{job}.words"));
    let script = |job: usize| place.text(&format!("fake/{job}.sh"));
    for (job, array, first, log) in [(1, "0-9%4", 0, "000%1a"), (2, "0-1%4", 10, "001%1a")] {
        let (words, script) = (words(job), script(job));
        for line in [
            format!("--array={array}"),
            "--comment=two words".to_owned(),
            "--cpus-per-task=1".to_owned(),
        ] {
            assert!(words.lines().any(|l| l == line), "{line}: {words}");
        }
        assert!(
            words.contains(&format!("/trials/{log}/tries/log.txt\n")),
            "{words}"
        );
        let trial = format!(" \"$(({first} + SLURM_ARRAY_TASK_ID))\" --threads 1\n");
        assert!(
            script.starts_with("#!/bin/sh\nexec /") && script.ends_with(&trial),
            "{script}"
        );
    }
    let (words, script) = (words(3), script(3));
    assert!(words.contains("--dependency=afterany:1:2\n"), "{words}");
    let same = "--sbatch '--comment='\\''two words'\\''' --set engine.longest=10 --set engine.most=4 --detach \n";
    assert!(script.ends_with(same), "{script}");
}
