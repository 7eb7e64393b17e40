//! `ganforge train --ranks`: runs of several processes, which Open MPI's mpirun starts.

use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::common::Place;

/// A small run in four shards.
const RUN: [&str; 10] = [
    "train",
    "tiny",
    "--set",
    "train.shards=4",
    "--set",
    "train.batch=400",
    "--set",
    "eval.samples=50",
    "--set",
    "output.log_every=7",
];

/// Launches of several processes, one after the other: more ranks than cores wait for each other's turns.
struct Launcher {
    _turn: MutexGuard<'static, ()>,
}

impl Launcher {
    /// Open MPI's, where it is there.
    fn open() -> Option<Launcher> {
        static TURN: Mutex<()> = Mutex::new(());
        let version = Command::new("mpirun").arg("--version").output();
        let is_there = |done: &Output| String::from_utf8_lossy(&done.stdout).contains("Open MPI");
        match version {
            Ok(done) if is_there(&done) => Some(Launcher {
                _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
            }),
            _ => {
                testkit::skip("mpirun", "there is no mpirun of Open MPI");
                None
            }
        }
    }

    /// `n` processes of the program in a folder, one thread each; each writes its process number to `pid-RANK` first.
    fn command(&self, place: &Place, n: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new("mpirun");
        let script = r#"echo $$ > pid-$OMPI_COMM_WORLD_RANK; exec "$0" "$@""#;
        command
            .args(["--oversubscribe", "--bind-to", "none", "-n", &n.to_string()])
            .args(["sh", "-c", script, env!("CARGO_BIN_EXE_ganforge")])
            .args(arguments)
            .args(["--threads", "1"]);
        place.surround(&mut command);
        command
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            // In a container, the way around shared memory that needs a right of debuggers.
            .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
            .env("MPIEXEC_TIMEOUT", "500");
        command
    }

    /// What two processes say that run `script` each with the program and its arguments, and are refused together.
    fn refused(&self, place: &Place, script: &str, more: &[&str]) -> String {
        let mut command = Command::new("mpirun");
        command.args(["--oversubscribe", "--bind-to", "none", "-n", "2"]);
        command.args(["sh", "-c", script, env!("CARGO_BIN_EXE_ganforge")]);
        command.args(arguments(more));
        place.surround(&mut command);
        let base = self.command(place, 2, &[]);
        let set = base.get_envs();
        command.envs(set.filter_map(|(name, value)| Some((name, value?))));
        let done = command.output().expect("the launcher runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{said}");
        said
    }

    /// Its exit code, and what was said.
    fn run(&self, place: &Place, n: usize, arguments: &[&str]) -> (Option<i32>, String) {
        let done = self
            .command(place, n, arguments)
            .output()
            .expect("the launcher runs");
        let said = [done.stdout, done.stderr].concat();
        (
            done.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RUN.iter().copied().chain(more.iter().copied()).collect()
}

/// The last checkpoint and the tables.
fn files(place: &Place, run: &str) -> [Vec<u8>; 3] {
    let last = place.last_checkpoint(run);
    [
        last,
        format!("{run}/metrics.csv"),
        format!("{run}/scores.csv"),
    ]
    .map(|f| place.bytes(&f))
}

/// Whether the run `run` has a checkpoint.
fn has_checkpoint(place: &Place) -> bool {
    place.path("run/checkpoints").is_dir() && !place.checkpoints("run").is_empty()
}

#[test]
fn one_two_and_four_processes_leave_the_same_files() {
    let Some(launcher) = Launcher::open() else {
        return;
    };
    let place = Place::new();
    place.ok(&arguments(&["--out", "alone", "--epochs", "2"]));
    for n in [1, 2, 4] {
        let run = format!("of-{n}");
        let more = ["--out", &run, "--epochs", "2", "--ranks", "mpi"];
        let (code, said) = launcher.run(&place, n, &arguments(&more));
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(
            said.matches("run:     ").count(),
            1,
            "rank 0 alone says so: {said}"
        );
        assert!(
            files(&place, &run) == files(&place, "alone"),
            "{n} processes"
        );
    }
    let again = ["train", "--resume", "of-2", "--ranks", "mpi"];
    let (code, said) = launcher.run(&place, 2, &again);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("already finished"), "{said}");
}

#[test]
fn a_killed_process_ends_the_run_which_goes_on_with_another_number_of_them() {
    let Some(launcher) = Launcher::open() else {
        return;
    };
    let place = Place::new();
    let epochs = ["--epochs", "8", "--out"];
    let run = |name| arguments(&[&epochs[..], &[name]].concat());
    place.ok(&run("whole"));
    let all = [&run("run")[..], &["--ranks", "mpi"]].concat();
    let mut command = launcher.command(&place, 4, &all);
    let mut started = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let begin = Instant::now();
    while !has_checkpoint(&place) {
        assert!(begin.elapsed() < Duration::from_secs(200), "no checkpoint");
        assert!(
            started.try_wait().expect("its state").is_none(),
            "it has ended"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = String::from_utf8(place.bytes("pid-2")).expect("a number");
    let killed = Command::new("kill").args(["-9", pid.trim()]).status();
    assert!(killed.expect("kill").success());
    let done = started.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        !done.status.success() && said.contains("signal 9"),
        "{said}"
    );
    assert!(
        files(&place, "run") != files(&place, "whole"),
        "it was not ended in time"
    );
    let (code, said) = launcher.run(&place, 2, &["train", "--resume", "run", "--ranks", "mpi"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(files(&place, "run") == files(&place, "whole"));
}

#[test]
fn a_signal_to_one_process_stops_all_after_the_same_step() {
    let Some(launcher) = Launcher::open() else {
        return;
    };
    let place = Place::new();
    let all = arguments(&["--epochs", "1000", "--out", "run", "--ranks", "mpi"]);
    let mut command = launcher.command(&place, 2, &all);
    let started = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let begin = Instant::now();
    while !has_checkpoint(&place) {
        assert!(begin.elapsed() < Duration::from_secs(200), "no checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = String::from_utf8(place.bytes("pid-1")).expect("a number");
    let sent = Command::new("kill").args(["-TERM", pid.trim()]).status();
    assert!(sent.expect("kill").success());
    let done = started.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let err = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(130), "{said}{err}");
    assert_eq!(
        said.matches("stopped after step ").count(),
        1,
        "{said}{err}"
    );
}

#[test]
fn what_ranks_cannot_do_is_refused_in_one_message() {
    let place = Place::new();
    let said = place.refused(&arguments(&["--ranks", "nccl"]));
    assert!(said.contains("--ranks nccl: "), "{said}");
    let said = place.refused(&arguments(&["--ranks", "mpi", "--seeds", "1..2"]));
    assert!(said.contains("--seeds: not with --ranks"), "{said}");
    // A batch script's own process is no step of its job.
    let started = "SLURM_STEP_NUM_TASKS says that 4 processes were started together";
    for (variable, expected) in [
        ("SLURM_STEP_NUM_TASKS", started),
        ("SLURM_NTASKS", "no-such-preset"),
    ] {
        let mut command = place.command(&["train", "no-such-preset"]);
        let done = command.env(variable, "4").output();
        let done = done.expect("the program runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{variable}: {said}");
    }
    let Some(launcher) = Launcher::open() else {
        return;
    };
    for (n, more, expected) in [
        (
            2,
            &[][..],
            "each would train the whole run by itself: add --ranks mpi",
        ),
        (
            2,
            &["--ranks", "mpi", "--set", "train.shards=0"],
            "2 ranks cannot share out train.shards = 1",
        ),
        (
            2,
            &["--ranks", "mpi", "--set", "train.shards=3"],
            "train.shards must be a power of two that divides train.batch",
        ),
        (
            2,
            &["--ranks", "mpi", "--device", "ptxvm"],
            "shards are trained on the CPU alone",
        ),
        (3, &["--ranks", "mpi"], "power of two"),
    ] {
        let (code, said) = launcher.run(&place, n, &arguments(more));
        assert_eq!(code, Some(2), "{more:?}: {said}");
        assert!(said.contains(expected), "{more:?}: {said}");
    }
    assert!(!place.path("runs").exists(), "nothing was begun");
}

/// Each process is given what the others are not, by its rank.
#[test]
fn processes_with_different_settings_are_refused() {
    let Some(launcher) = Launcher::open() else {
        return;
    };
    let place = Place::new();
    let script = r#"exec "$0" "$@" --set optimizer.lr=0.01$OMPI_COMM_WORLD_RANK"#;
    let said = launcher.refused(&place, script, &["--ranks", "mpi", "--set", "seed=7"]);
    let expected = "rank 1 has another configuration than rank 0: all ranks must be given the same";
    assert_eq!(said.matches(expected).count(), 1, "{said}");
}

/// Rank 0 waits for it in its first exchange.
#[test]
fn a_process_that_cannot_start_its_threads_ends_all() {
    let Some(launcher) = Launcher::open() else {
        return;
    };
    let place = Place::new();
    let script = r#"test $OMPI_COMM_WORLD_RANK = 0 || export RAYON_NUM_THREADS=x; exec "$0" "$@""#;
    let said = launcher.refused(&place, script, &["--ranks", "mpi"]);
    assert!(said.contains("error: rank 1: RAYON_NUM_THREADS"), "{said}");
    assert!(!place.path("runs").exists(), "nothing was begun");
}

/// All of them notice it in the same step.
#[test]
fn what_is_not_finite_is_reported_by_the_first_process_alone() {
    let Some(launcher) = Launcher::open() else {
        return;
    };
    let place = Place::new();
    let more = [
        "--ranks",
        "mpi",
        "--set",
        "optimizer.lr=1000",
        "--out",
        "run",
    ];
    let (code, said) = launcher.run(&place, 2, &arguments(&more));
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(!said.contains("rank 1: "), "{said}");
    assert!(place.text("run/run.json").contains("\"failure\""), "{said}");
}
